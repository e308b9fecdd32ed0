package consumer

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/lease"
)

// endless answers GetRecords with the same data for ever, under rising numbers.
type endless struct {
	*fake
	page []types.Record
	seq  atomic.Int64
}

func (e *endless) GetRecords(_ context.Context, in *kinesis.GetRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	out := make([]types.Record, len(e.page))
	for i := range out {
		out[i] = e.page[i]
		out[i].SequenceNumber = aws.String(fmt.Sprintf("49590338271490256608559692538361571095921575989136588%03d", e.seq.Add(1)))
	}
	return &kinesis.GetRecordsOutput{Records: out, NextShardIterator: in.ShardIterator, MillisBehindLatest: aws.Int64(1)}, nil
}

// BenchmarkDrain is what the worker costs by itself, for one shard: unpacking,
// batches, positions and the handler's calls. Reading takes no time.
func BenchmarkDrain(b *testing.B) {
	for name, page := range map[string]struct {
		data    []byte
		records int
	}{
		"1 KiB records":              {make([]byte, 1024), 1000},
		"100 B in aggregates of 400": {aggregateOf(400, 100), 25},
	} {
		b.Run(name, func(b *testing.B) {
			client := &endless{fake: newFake(1)}
			client.seq.Store(100)
			for range page.records {
				client.page = append(client.page, rawRecord("", "key", page.data))
			}
			ctx, cancel := context.WithCancel(b.Context())
			left := int64(b.N)
			c, err := New(Config{
				Group: "bench", Stream: "orders", Client: client, Store: lease.NewMemory(), ReadsPerSecond: -1,
				Handler: BatchFunc(func(_ context.Context, batch *Batch) error {
					if left -= int64(len(batch.Records)); left <= 0 {
						cancel()
					}
					return nil
				}),
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			if err := c.Run(ctx); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func aggregateOf(n, size int) []byte {
	var records []string
	for i := range n {
		records = append(records, fmt.Sprintf("key-%d=%0*d", i%50, size, i))
	}
	return packed(records...)
}
