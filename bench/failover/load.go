package failover

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/bench/worker"
	"github.com/shardrun/shardrun/internal/hashkey"
)

const (
	// slices of the hash keys, each of which gets a record with every put, and
	// the pause between puts: 200 records a second for each slice.
	loadSlices = 8
	loadPause  = 5 * time.Millisecond
)

// load puts records, spread evenly over all hash keys, until it is stopped.
type load struct {
	cancel context.CancelFunc
	ended  chan struct{}

	mu    sync.Mutex // guards acked
	acked []uint64
}

// startLoad begins to put records with numbers from first on.
func startLoad(client *kinesis.Client, stream string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel, ended: make(chan struct{})}
	go func() { // stop waits for it
		defer close(l.ended)
		l.run(ctx, client, stream)
	}()
	return l
}

func (l *load) run(ctx context.Context, client *kinesis.Client, stream string) {
	ranges := hashkey.Split(loadSlices)
	tick := time.NewTicker(loadPause)
	defer tick.Stop()
	for number := uint64(1); ; number += loadSlices {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		in := &kinesis.PutRecordsInput{StreamName: aws.String(stream)}
		for i, r := range ranges {
			key := r.Start
			if number/loadSlices%2 == 1 { // halves of slices, for shards that were split
				key = r.Middle().Next()
			}
			in.Records = append(in.Records, types.PutRecordsRequestEntry{
				Data: worker.Data(number+uint64(i), 100), ExplicitHashKey: aws.String(key.String()),
				PartitionKey: aws.String("key-" + strconv.Itoa(i)),
			})
		}
		// What fails is not retried, and not looked for: who handles records is
		// measured here, not who puts them.
		out, err := client.PutRecords(ctx, in)
		if err != nil {
			continue
		}
		l.mu.Lock()
		for i, r := range out.Records {
			if r.ErrorCode == nil {
				l.acked = append(l.acked, number+uint64(i))
			}
		}
		l.mu.Unlock()
	}
}

// numbers are the records acknowledged so far.
func (l *load) numbers() []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.acked)
}

// stop ends the load and waits for its last put.
func (l *load) stop() {
	l.cancel()
	<-l.ended
}
