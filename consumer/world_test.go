package consumer_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
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
	"github.com/shardrun/shardrun/internal/history/witness"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/localstream"
)

const streamName = "orders"

// world is a stream on localstream, a store, and a group of workers on it, in
// one synctest bubble. Every record put and delivered, and every call of the
// store, is in the history.
type world struct {
	t      *testing.T
	server *localstream.Server
	client *kinesis.Client
	store  *lease.Memory
	h      *history.History
	puts   atomic.Int64

	remade bool // the stream is not the one that the first records were put to

	mu   sync.Mutex // guards all below
	onto []string   // shard of each batch
}

func newWorld(t *testing.T, shards int) *world {
	t.Helper()
	w := &world{
		t: t, server: localstream.NewT(t), store: lease.NewMemory(), h: history.New(),
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

// config is a worker's.
func (w *world) config(worker string) consumer.Config {
	return consumer.Config{
		Group: "test", Stream: streamName, Client: w.client, Store: w.store,
		Handler:    w.handler(nil),
		WorkerName: worker, LeaseTTL: time.Second, BatchSize: 10,
		ReadsPerSecond: -1, IdleDelay: 20 * time.Millisecond, MaxIdleDelay: 100 * time.Millisecond,
		Logger: logger(w.t),
	}
}

// logger shows the log of a failed test.
func logger(t *testing.T) *zap.Logger {
	return zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel))
}

// handler notes where batches come from, and then does what inner says.
func (w *world) handler(inner consumer.BatchFunc) consumer.Handler {
	return consumer.BatchFunc(func(ctx context.Context, b *consumer.Batch) error {
		w.mu.Lock()
		w.onto = append(w.onto, b.Shard)
		w.mu.Unlock()
		if inner == nil {
			return nil
		}
		return inner(ctx, b)
	})
}

// worker is a running one.
type worker struct {
	*consumer.Consumer
	cancel context.CancelFunc
	done   chan error // holds the one result of Run
}

func (w *world) start(cfg consumer.Config) *worker {
	w.t.Helper()
	c, err := consumer.New(witness.Worker(w.h, cfg))
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
		no := w.h.Put(history.Put{Key: key, Data: data, Ordered: true})
		out, err := w.client.PutRecord(w.t.Context(), &kinesis.PutRecordInput{
			StreamName: aws.String(streamName), PartitionKey: aws.String(key), Data: data,
		})
		if err != nil {
			w.t.Fatal(err)
		}
		w.h.Acked(no, aws.ToString(out.ShardId), history.ID{Sequence: aws.ToString(out.SequenceNumber)})
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
			no = w.h.Put(history.Put{Key: key, Data: data, Ordered: true})
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
			w.h.Acked(no, aws.ToString(out.ShardId), history.ID{Sequence: aws.ToString(out.SequenceNumber), Subsequence: uint64(sub)})
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

// verdict fails the test unless the history breaks no rule, and no more than so
// many records came twice.
func (w *world) verdict(duplicates int) {
	w.t.Helper()
	judged := []history.Rule{history.H1, history.H2, history.H3, history.H4, history.H5, history.H6, history.H10, history.H11}
	if !w.remade {
		stream, err := witness.Stream(w.t.Context(), w.client, streamName)
		if err != nil {
			w.t.Fatal(err)
		}
		w.h.Stream(stream)
		judged = append(judged, history.H8)
	}
	v := w.h.Check(history.Options{Partial: history.Without(judged...)})
	if !v.OK() || v.Duplicates > duplicates {
		w.t.Errorf("at most %d duplicates expected: %s", duplicates, v)
	}
}

// delivered reports whether a record of the shard was.
func (w *world) delivered(shard string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.onto, shard)
}
