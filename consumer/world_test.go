package consumer_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/localstream"
)

const streamName = "orders"

// world is a stream on localstream, a store, and a group of workers on it, in
// one synctest bubble. Every record put and delivered is in the history.
type world struct {
	t      *testing.T
	server *localstream.Server
	client *kinesis.Client
	store  *lease.Memory
	h      *history.History
	puts   atomic.Int64

	mu     sync.Mutex // guards all below
	trails map[string][]consumer.Record
	onto   []string // "worker shard" of each delivery
}

func newWorld(t *testing.T, shards int) *world {
	t.Helper()
	w := &world{
		t: t, server: localstream.NewT(t), store: lease.NewMemory(), h: history.New(),
		trails: map[string][]consumer.Record{},
	}
	w.client = w.server.Client()
	w.createStream(shards)
	return w
}

func (w *world) createStream(shards int) {
	w.t.Helper()
	_, err := w.client.CreateStream(w.t.Context(), &kinesis.CreateStreamInput{
		StreamName: aws.String(streamName), ShardCount: aws.Int32(int32(shards)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// config is a worker's, with a handler that notes what it is given.
func (w *world) config(worker string) consumer.Config {
	return consumer.Config{
		Group: "test", Stream: streamName, Client: w.client, Store: w.store,
		Handler:    w.handler(worker, nil),
		WorkerName: worker, LeaseTTL: time.Second, BatchSize: 10,
		ReadsPerSecond: -1, IdleDelay: 20 * time.Millisecond, MaxIdleDelay: 100 * time.Millisecond,
		Logger: logger(w.t),
	}
}

// logger shows the log of a failed test.
func logger(t *testing.T) *zap.Logger {
	return zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel))
}

// handler notes deliveries, and then does what inner says.
func (w *world) handler(worker string, inner consumer.BatchFunc) consumer.Handler {
	return consumer.BatchFunc(func(ctx context.Context, b *consumer.Batch) error {
		w.mu.Lock()
		w.trails[b.Lease] = append(w.trails[b.Lease], b.Records...)
		w.onto = append(w.onto, worker+" "+b.Shard)
		w.mu.Unlock()
		for _, r := range b.Records {
			w.h.Delivered(worker, id(r), r.Key, r.Data)
		}
		if inner != nil {
			if err := inner(ctx, b); err != nil {
				return err
			}
		}
		for _, r := range b.Records {
			w.h.Handled(id(r))
		}
		return nil
	})
}

func id(r consumer.Record) history.ID {
	return history.ID{Sequence: string(r.Sequence), Subsequence: r.Subsequence}
}

// worker is a running one.
type worker struct {
	*consumer.Consumer
	cancel context.CancelFunc
	done   chan error // holds the one result of Run
}

func (w *world) start(cfg consumer.Config) *worker {
	w.t.Helper()
	c, err := consumer.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	r := &worker{Consumer: c, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- c.Run(ctx) }()
	return r
}

// stop drains the worker.
func (r *worker) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// put sends n records, of 31 keys in turn, one by one.
func (w *world) put(n int) {
	w.t.Helper()
	for range n {
		i := w.puts.Add(1)
		key, data := fmt.Sprintf("key-%d", i%31), []byte(strconv.FormatInt(i, 10))
		no := w.h.Put(key, data)
		out, err := w.client.PutRecord(w.t.Context(), &kinesis.PutRecordInput{
			StreamName: aws.String(streamName), PartitionKey: aws.String(key), Data: data,
		})
		if err != nil {
			w.t.Fatal(err)
		}
		w.h.Acked(no, history.ID{Sequence: aws.ToString(out.SequenceNumber)})
	}
}

// putAggregate sends keys' records in one aggregate to the shard of the first
// key; those in strays are not noted as sent: the shard they are in is not
// theirs.
func (w *world) putAggregate(keys []string, strays ...string) {
	w.t.Helper()
	var b aggregate.Builder
	var nos []int
	for _, key := range keys {
		data := []byte(strconv.FormatInt(w.puts.Add(1), 10))
		b.Add(key, "", data)
		no := -1
		if !slices.Contains(strays, key) {
			no = w.h.Put(key, data)
		}
		nos = append(nos, no)
	}
	out, err := w.client.PutRecord(w.t.Context(), &kinesis.PutRecordInput{
		StreamName: aws.String(streamName), PartitionKey: aws.String("a"),
		ExplicitHashKey: aws.String(hashkey.Of(keys[0]).String()), Data: b.Append(nil),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for sub, no := range nos {
		if no >= 0 {
			w.h.Acked(no, history.ID{Sequence: aws.ToString(out.SequenceNumber), Subsequence: uint64(sub)})
		}
	}
}

// open lists the open shards in the order of their hash keys.
func (w *world) open() []types.Shard {
	w.t.Helper()
	out, err := w.client.ListShards(w.t.Context(), &kinesis.ListShardsInput{
		StreamName: aws.String(streamName), ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.SortFunc(out.Shards, func(a, b types.Shard) int { return keys(w.t, a).Start.Compare(keys(w.t, b).Start) })
	return out.Shards
}

func keys(t *testing.T, s types.Shard) hashkey.Range {
	t.Helper()
	r, err := hashkey.ParseRange(aws.ToString(s.HashKeyRange.StartingHashKey), aws.ToString(s.HashKeyRange.EndingHashKey))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// split splits the i-th open shard in the middle.
func (w *world) split(i int) {
	w.t.Helper()
	s := w.open()[i]
	_, err := w.client.SplitShard(w.t.Context(), &kinesis.SplitShardInput{
		StreamName: aws.String(streamName), ShardToSplit: s.ShardId,
		NewStartingHashKey: aws.String(keys(w.t, s).Middle().String()),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// merge merges the i-th open shard and the next.
func (w *world) merge(i int) {
	w.t.Helper()
	open := w.open()
	_, err := w.client.MergeShards(w.t.Context(), &kinesis.MergeShardsInput{
		StreamName: aws.String(streamName), ShardToMerge: open[i].ShardId, AdjacentShardToMerge: open[i+1].ShardId,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// eventually waits, in bubble time, until ok holds.
func (w *world) eventually(what string, within time.Duration, ok func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			w.t.Fatalf("not within %v: %s; %+v", within, what, w.h.Counts())
		}
		time.Sleep(5 * time.Millisecond)
	}
	synctest.Wait()
}

// allHandled waits until every acknowledged record is handled.
func (w *world) allHandled(within time.Duration) {
	w.t.Helper()
	w.eventually("all handled", within, func() bool { c := w.h.Counts(); return c.Handled >= c.Acked })
}

// verdict fails the test unless nothing was lost or out of order, every repeat
// was a contiguous replay, and no more than so many records came twice.
func (w *world) verdict(duplicates int) {
	w.t.Helper()
	v := w.h.Check()
	if !v.OK() || v.Unknown > 0 || v.Duplicates > duplicates {
		w.t.Errorf("verdict %+v, at most %d duplicates expected", v, duplicates)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, trail := range w.trails {
		contiguous(w.t, name, trail)
	}
}

// contiguous fails the test when a delivery skips a record that was not
// delivered right before it: after any record comes its successor, or one that
// came before, from which it goes on in order.
func contiguous(t *testing.T, name string, trail []consumer.Record) {
	t.Helper()
	byID := map[history.ID]consumer.Record{}
	for _, r := range trail {
		byID[id(r)] = r
	}
	sorted := slices.SortedFunc(maps.Values(byID), func(a, b consumer.Record) int { return a.Position().Compare(b.Position()) })
	index := map[history.ID]int{}
	for i, r := range sorted {
		index[id(r)] = i
	}
	next := 0
	for _, r := range trail {
		i := index[id(r)]
		if i > next {
			t.Errorf("%s: record %s was delivered before record %s", name, r.Position(), sorted[next].Position())
			return
		}
		next = i + 1
	}
}

// delivered reports whether a record of the shard was.
func (w *world) delivered(shard string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.onto, func(s string) bool { return strings.HasSuffix(s, " "+shard) })
}
