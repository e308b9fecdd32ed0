package consumer

import (
	"context"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/bench/drainer"
	"github.com/shardrun/shardrun/bench/peers"
	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/lease"
)

// serve is the page server of a test.
func serve(t *testing.T, cfg Pages) string {
	t.Helper()
	s := &pageServer{cfg: cfg}
	for i := range cfg.Shards {
		page, err := newTemplate(cfg, i)
		if err != nil {
			t.Fatal(err)
		}
		s.templates = append(s.templates, page)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.URL
}

// Each record is delivered once, under rising numbers, and what is in
// aggregates belongs to its shard: a worker of ours leaves the rest out.
func TestAWorkerReadsEachRecordOfThePagesOnce(t *testing.T) {
	for name, cfg := range map[string]Pages{
		"records":    {Shards: 3, Pages: 7, Records: 50, Bytes: 100},
		"CBOR":       {Shards: 3, Pages: 7, Records: 50, Bytes: 100, CBOR: true},
		"aggregates": {Shards: 3, Pages: 7, Records: 5, Bytes: 100, Members: 20},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var handled atomic.Int64
			var mu sync.Mutex // guards last
			last := map[string]checkpoint.Position{}
			client := peers.Client
			if cfg.CBOR {
				client = func(url string) *kinesis.Client { return peers.FastClient(url) }
			}
			c, err := consumer.New(consumer.Config{
				Group: "test", Stream: streamName, Client: client(serve(t, cfg)), Store: lease.NewMemory(), ReadsPerSecond: -1,
				Handler: consumer.BatchFunc(func(_ context.Context, b *consumer.Batch) error {
					mu.Lock()
					defer mu.Unlock()
					for _, r := range b.Records {
						if before, ok := last[b.Shard]; ok && r.Position().Compare(before) <= 0 {
							t.Errorf("%s: %v after %v", b.Shard, r.Position(), before)
						}
						last[b.Shard] = r.Position()
						if len(r.Data) != cfg.Bytes || r.Aggregated != (cfg.Members > 0) {
							t.Errorf("%d bytes, aggregated: %v", len(r.Data), r.Aggregated)
						}
					}
					if handled.Add(int64(len(b.Records))) >= int64(cfg.total()) {
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
			if got := handled.Load(); got != int64(cfg.total()) {
				t.Errorf("%d records, want %d", got, cfg.total())
			}
		})
	}
}

func TestTheBareLoopReadsAllAndEnds(t *testing.T) {
	cfg := Pages{Shards: 2, Pages: 3, Records: 10, Bytes: 10}
	var handled atomic.Int64
	err := drainBare(t.Context(), drainer.Drain{Endpoint: serve(t, cfg), Stream: streamName}, func(n int) { handled.Add(int64(n)) })
	if err != nil || handled.Load() != int64(cfg.total()) {
		t.Errorf("%d records of %d: %v", handled.Load(), cfg.total(), err)
	}
}

func TestPositionsWithinAPageAreRefused(t *testing.T) {
	s := &pageServer{cfg: Pages{Shards: 1, Pages: 3, Records: 10}}
	for _, c := range []struct {
		kind   string
		record int
		want   string // empty: refused
	}{
		{"AT_SEQUENCE_NUMBER", 0, iterator(0, 1)},
		{"AFTER_SEQUENCE_NUMBER", 9, iterator(0, 2)},
		{"AFTER_SEQUENCE_NUMBER", 4, ""},
		{"AT_SEQUENCE_NUMBER", 4, ""},
	} {
		out, err := s.getShardIterator(request{ShardID: shardID(0), ShardIteratorType: c.kind, StartingSequenceNumber: sequence(0, 1, c.record)})
		if c.want == "" {
			if err == nil {
				t.Errorf("%s record %d: %v, want a refusal", c.kind, c.record, out)
			}
			continue
		}
		if got, _ := out.(map[string]string); err != nil || got["ShardIterator"] != c.want {
			t.Errorf("%s record %d: %v, %v, want %s", c.kind, c.record, out, err, c.want)
		}
	}
}
