package producer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/shardrun/shardrun/bench/peers"
	"github.com/shardrun/shardrun/bench/producer/figures"
	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/producer"
)

// stream is the name of the stream, or topic, in all rows.
const stream = "bench"

// workRole is the name under which this program does one of the works below.
const workRole = "work-producer"

// work is what a process of ours is asked to do.
func work(ctx context.Context, args []string) error {
	return figures.Main(ctx, args, os.Stdout, map[string]func(context.Context, figures.Task) (figures.Figures, error){
		"encode":      encode(func(int) string { return figures.Key(0) }),
		"encode-keys": encode(figures.Key),
		"decode":      decode(func(int) string { return figures.Key(0) }),
		"decode-keys": decode(figures.Key),
		"put":         put(false),
		"put-ordered": put(true),
		"put-loop":    putLoop,
		"put-kafka":   putKafka,
	})
}

// encode makes aggregates.
func encode(key func(int) string) func(context.Context, figures.Task) (figures.Figures, error) {
	return func(_ context.Context, t figures.Task) (figures.Figures, error) {
		var b aggregate.Builder
		var out []byte
		data := figures.Data(t.Size)
		pack := func() int {
			b.Reset()
			n := 0
			for b.TryAdd(key(n), "", data, figures.AggregateBytes) {
				n++
			}
			out = b.Append(out[:0])
			return n
		}
		return figures.Loop(t.Time, pack(), func() { pack() }), nil
	}
}

// decode unpacks one aggregate again and again.
func decode(key func(int) string) func(context.Context, figures.Task) (figures.Figures, error) {
	return func(_ context.Context, t figures.Task) (figures.Figures, error) {
		var b aggregate.Builder
		data := figures.Data(t.Size)
		for n := 0; b.TryAdd(key(n), "", data, figures.AggregateBytes); n++ {
		}
		packed := b.Append(nil)
		var d aggregate.Decoder
		var records []aggregate.Record
		var failed error
		f := figures.Loop(t.Time, b.Len(), func() {
			var verdict aggregate.Verdict
			records, verdict = d.Decode(packed, records[:0])
			if verdict != aggregate.Unpacked || len(records) != b.Len() {
				failed = fmt.Errorf("%d of %d records were decoded: %v", len(records), b.Len(), verdict)
			}
		})
		return f, failed
	}
}

// put puts records with our producer for a time, from one goroutine, and waits
// until all are acknowledged.
func put(ordered bool) func(context.Context, figures.Task) (figures.Figures, error) {
	return func(ctx context.Context, t figures.Task) (figures.Figures, error) {
		p, err := producer.New(producer.Config{
			Client: peers.Client(t.Endpoint), Stream: stream, Ordered: ordered, RateLimit: -1,
		})
		if err != nil {
			return figures.Figures{}, err
		}
		var acked atomic.Int64
		var failed atomic.Pointer[error]
		done := func(_ producer.Result, err error) {
			if err != nil {
				failed.Store(&err)
				return
			}
			acked.Add(1)
		}
		data := figures.Data(t.Size)
		began := time.Now()
		for n := 0; n%64 != 0 || time.Since(began) < t.Time; n++ {
			if err := p.Put(ctx, producer.Record{Key: figures.Key(n), Data: data, Done: done}); err != nil {
				return figures.Figures{}, errors.Join(err, p.Close(ctx))
			}
		}
		if err := p.Close(ctx); err != nil {
			return figures.Figures{}, err
		}
		f := figures.Figures{Records: acked.Load(), Seconds: time.Since(began).Seconds()}
		if err := failed.Load(); err != nil {
			return f, *err
		}
		return f, nil
	}
}

// loopCallers call PutRecords at once in putLoop.
const loopCallers = 4

// putLoop is what one writes without a producer: PutRecords of 500 records
// each, without aggregation.
func putLoop(ctx context.Context, t figures.Task) (figures.Figures, error) {
	client, data := peers.Client(t.Endpoint), figures.Data(t.Size)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var records atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for caller := range loopCallers {
		wg.Go(func() {
			for n := caller * 250; time.Since(began) < t.Time && ctx.Err() == nil; n += 500 {
				entries := make([]types.PutRecordsRequestEntry, 500)
				for i := range entries {
					entries[i] = types.PutRecordsRequestEntry{Data: data, PartitionKey: aws.String(figures.Key(n + i))}
				}
				out, err := client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: aws.String(stream), Records: entries})
				if err != nil {
					cancel(err)
					return
				}
				records.Add(int64(len(out.Records)) - int64(aws.ToInt32(out.FailedRecordCount)))
			}
		})
	}
	wg.Wait()
	return figures.Figures{Records: records.Load(), Seconds: time.Since(began).Seconds()}, context.Cause(ctx)
}

// putKafka produces the same records with franz-go, without compression.
func putKafka(ctx context.Context, t figures.Task) (figures.Figures, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(t.Endpoint), kgo.DefaultProduceTopic(stream),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MaxBufferedRecords(250_000),
	)
	if err != nil {
		return figures.Figures{}, err
	}
	defer client.Close()
	var acked atomic.Int64
	var failed atomic.Pointer[error]
	done := func(_ *kgo.Record, err error) {
		if err != nil {
			failed.Store(&err)
			return
		}
		acked.Add(1)
	}
	data := figures.Data(t.Size)
	began := time.Now()
	for n := 0; n%64 != 0 || time.Since(began) < t.Time; n++ {
		client.Produce(ctx, &kgo.Record{Key: []byte(figures.Key(n)), Value: data}, done)
	}
	if err := client.Flush(ctx); err != nil {
		return figures.Figures{}, err
	}
	f := figures.Figures{Records: acked.Load(), Seconds: time.Since(began).Seconds()}
	if err := failed.Load(); err != nil {
		return f, *err
	}
	return f, nil
}
