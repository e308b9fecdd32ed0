package scale

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/lease"
)

// A worker that stops and goes on gets each record of the made up stream, and
// none twice.
func TestTheStreamCanBeReadInParts(t *testing.T) {
	s := newStream(3, 2500)
	s.open.Store(true)
	if got := s.records(); got < 2500 || got > 2503 {
		t.Fatalf("%d records", got)
	}
	store := lease.NewMemory()
	var handled atomic.Int64
	for _, until := range []int64{1000, s.records()} {
		ctx, cancel := context.WithCancel(t.Context())
		c, err := consumer.New(consumer.Config{
			Group: "test", Stream: streamName, Client: s, Store: store, ReadsPerSecond: -1,
			Handler: consumer.BatchFunc(func(_ context.Context, b *consumer.Batch) error {
				if handled.Add(int64(len(b.Records))) >= until {
					cancel()
				}
				return nil
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if got := handled.Load(); got != s.records() {
		t.Errorf("%d records, want %d", got, s.records())
	}
}
