package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/producer"
)

// patience is how long a writer waits for one call of the SDK.
const patience = 5 * time.Second

// write puts records until ctx ends, and then sees to it that all are settled.
func (w *world) write(ctx context.Context, writer Writer) {
	n := newNode(writer.Name)
	switch writer.Kind {
	case ByProducer:
		w.writeByProducer(ctx, n, writer)
	default:
		w.writeByHand(ctx, w.client(n), writer)
	}
}

// bursts calls put with each burst of records until ctx ends.
func (w *world) bursts(ctx context.Context, writer Writer, put func([]history.Put)) {
	count := 0
	for {
		dice := w.source.dice(key(writer.Name, "burst"))
		if !sleep(ctx, w.source.until(dice, writer.Pause/2, writer.Pause*3/2)) {
			return
		}
		var burst []history.Put
		for range 1 + dice.IntN(writer.Burst) {
			count++
			p := history.Put{Producer: writer.Name, Key: fmt.Sprintf("%s-key-%d", writer.Name, dice.IntN(writer.Keys)), Ordered: writer.inOrder()}
			if writer.HashKeys {
				p.HashKey = hashkey.Of("hash of " + p.Key).String()
			}
			text := fmt.Sprintf("%s record %d ", writer.Name, count)
			size := dice.IntN(200)
			if dice.IntN(50) == 0 {
				size = dice.IntN(40_000)
			}
			p.Data = []byte(text + strings.Repeat("x", size))
			burst = append(burst, p)
		}
		put(burst)
	}
}

// inOrder says whether the records of a key stay in order.
func (w Writer) inOrder() bool { return w.Ordered && w.Kind == ByProducer }

func (w *world) writeByProducer(ctx context.Context, n *node, writer Writer) {
	cfg := producer.Config{Client: w.client(n), Stream: streamName, Ordered: writer.Ordered, Logger: w.logger(n.name)}
	if !writer.Aggregate {
		cfg.AggregateBytes = -1
	}
	p, err := producer.New(cfg)
	if err != nil {
		w.fail("%s: %v", writer.Name, err)
		return
	}
	w.bursts(ctx, writer, func(burst []history.Put) {
		for _, put := range burst {
			// Not at one instant: what the producer's goroutine sees of a burst
			// when it wakes up would be a matter of luck.
			time.Sleep(w.source.until(w.source.dice(key(n.name, "gap")), 0, 500*time.Microsecond))
			no := w.history.Put(put)
			err := p.Put(ctx, producer.Record{Key: put.Key, HashKey: put.HashKey, Data: put.Data, Done: func(r producer.Result, err error) {
				if err != nil {
					w.history.Failed(no, err, errors.Is(err, producer.ErrMaybeSent))
					return
				}
				w.history.Acked(no, r.Shard, history.ID{Sequence: r.Sequence, Subsequence: r.Subsequence})
			}})
			if err != nil {
				w.history.Failed(no, err, false)
			}
		}
	})
	// Every fault is over: nothing keeps it from sending the rest.
	if err := p.Close(context.WithoutCancel(ctx)); err != nil {
		w.fail("close %s: %v", writer.Name, err)
	}
}

// writeByHand puts with the SDK client, as most programs do.
func (w *world) writeByHand(ctx context.Context, client *kinesis.Client, writer Writer) {
	w.bursts(ctx, writer, func(burst []history.Put) {
		if writer.Kind == ByPutRecords {
			w.putRecords(client, burst)
			return
		}
		for _, put := range burst {
			w.putRecord(client, put)
		}
	})
}

func (w *world) putRecord(client *kinesis.Client, put history.Put) {
	ctx, cancel := context.WithTimeout(w.life, patience)
	defer cancel()
	no := w.history.Put(put)
	out, err := client.PutRecord(ctx, &kinesis.PutRecordInput{
		StreamName: aws.String(streamName), PartitionKey: &put.Key, ExplicitHashKey: optional(put.HashKey), Data: put.Data,
	})
	if err != nil {
		w.history.Failed(no, err, true)
		return
	}
	w.history.Acked(no, *out.ShardId, history.ID{Sequence: *out.SequenceNumber})
}

// putRecords puts a burst, and what failed of it again, a few times.
func (w *world) putRecords(client *kinesis.Client, burst []history.Put) {
	var numbers []int
	for _, put := range burst {
		numbers = append(numbers, w.history.Put(put))
	}
	maybe := false
	for attempt := 0; len(burst) > 0 && attempt < 5; attempt++ {
		var entries []types.PutRecordsRequestEntry
		for i := range burst {
			entries = append(entries, types.PutRecordsRequestEntry{
				PartitionKey: &burst[i].Key, ExplicitHashKey: optional(burst[i].HashKey), Data: burst[i].Data,
			})
		}
		ctx, cancel := context.WithTimeout(w.life, patience)
		out, err := client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: aws.String(streamName), Records: entries})
		cancel()
		if err != nil {
			maybe = true
			continue
		}
		var left []history.Put
		var leftNumbers []int
		for i, r := range out.Records {
			if r.ErrorCode != nil {
				left, leftNumbers = append(left, burst[i]), append(leftNumbers, numbers[i])
				continue
			}
			w.history.Acked(numbers[i], *r.ShardId, history.ID{Sequence: *r.SequenceNumber})
		}
		burst, numbers = left, leftNumbers
	}
	for _, no := range numbers {
		w.history.Failed(no, errors.New("given up"), maybe || true) // the SDK's own retries may have written it
	}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
