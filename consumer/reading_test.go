package consumer

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/internal/entropy"
)

// timedFake notes when each shard asks for iterators, and lets the first few
// requests of each fail.
type timedFake struct {
	*fake
	failures int
	asked    func() // called at each request

	mu sync.Mutex // guards at
	at map[string][]time.Time
}

func (f *timedFake) GetShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput, o ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	f.asked()
	shard := aws.ToString(in.ShardId)
	f.mu.Lock()
	f.at[shard] = append(f.at[shard], time.Now())
	n := len(f.at[shard])
	f.mu.Unlock()
	if n <= f.failures {
		return nil, errors.New("connection reset")
	}
	return f.fake.GetShardIterator(ctx, in, o...)
}

// asks runs a worker on so many shards for a minute and returns when each asked
// for iterators.
func asks(t *testing.T, shards, failures int, asked func()) (at map[string][]time.Time) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, shards, 0)
		f := &timedFake{fake: b.fake, failures: failures, asked: asked, at: map[string][]time.Time{}}
		b.cfg.Client = f
		r := run(t, b.cfg)
		time.Sleep(time.Minute)
		r.stop()
		at = f.at
	})
	return at
}

// Shards that are acquired together begin one after the other, and soon.
func TestShardsBeginApart(t *testing.T) {
	const shards = 20
	var first []time.Time
	for _, at := range asks(t, shards, 0, func() {}) {
		first = append(first, at[0])
	}
	slices.SortFunc(first, time.Time.Compare)
	if n := len(slices.Compact(slices.Clone(first))); len(first) != shards || n < shards-1 {
		t.Errorf("%d of %d shards began, at %d instants", len(first), shards, n)
	}
	if took := first[len(first)-1].Sub(first[0]); took > startSpread {
		t.Errorf("they began within %v, want %v", took, startSpread)
	}
}

// The pauses of a shard do not depend on what others draw meanwhile.
func TestPausesAreOfTheShard(t *testing.T) {
	run := func(asked func()) map[string][]time.Time {
		cryptotest.SetGlobalRandom(t, 7)
		return asks(t, 2, 5, asked)
	}
	want := run(func() {})
	got := run(func() { entropy.Uint64() })
	if !maps.EqualFunc(got, want, func(a, b []time.Time) bool { return slices.EqualFunc(a, b, time.Time.Equal) }) {
		t.Errorf("asked at %v, and when others drew at %v", want, got)
	}
	for shard, at := range want {
		if len(at) < 6 {
			t.Errorf("%s asked %d times", shard, len(at))
		}
	}
}
