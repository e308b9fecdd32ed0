package consumer

import (
	"strconv"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// bench is a fake stream with a store and a handler, in a bubble.
type bench struct {
	t     *testing.T
	fake  *fake
	store *lease.Memory
	h     *recorder
	cfg   Config
}

func newBench(t *testing.T, shards, records int) *bench {
	b := &bench{t: t, fake: newFake(shards), store: lease.NewMemory(), h: &recorder{}}
	for i := range records {
		b.fake.put(0, "key", []byte(strconv.Itoa(i+1)))
	}
	b.cfg = Config{
		Group: "test", Stream: "orders", Client: b.fake, Store: b.store, Handler: b.h,
		WorkerName: "one", LeaseTTL: time.Second, BatchSize: 3, ReadsPerSecond: -1,
	}
	return b
}

// position is what is stored for the i-th shard.
func (b *bench) position(i int) checkpoint.Position {
	b.t.Helper()
	name := lease.Name("123456789012:eu-central-1:orders:1700000000000", b.fake.shards[i].id)
	entries, err := b.store.Load(b.t.Context(), "test", name)
	if err != nil {
		b.t.Fatal(err)
	}
	e, ok := entries[name]
	if !ok {
		b.t.Fatalf("no lease %s", name)
	}
	return e.Position
}

// wantEnded wants a shard handled to its end. When it has left the stream as well, an
// audit may have removed its lease by now.
func (b *bench) wantEnded(i int) {
	b.t.Helper()
	name := lease.Name("123456789012:eu-central-1:orders:1700000000000", b.fake.shards[i].id)
	entries, err := b.store.Load(b.t.Context(), "test", name)
	if err != nil {
		b.t.Fatal(err)
	}
	if e, ok := entries[name]; ok && e.Position != checkpoint.ShardEnd() {
		b.t.Errorf("stored position %v, want the end of the shard", e.Position)
	}
}

// runs runs a worker for a time and drains it.
func (b *bench) runs(d time.Duration) {
	b.t.Helper()
	r := run(b.t, b.cfg)
	time.Sleep(d)
	r.stop()
}

func (b *bench) wantBatches(want string) {
	b.t.Helper()
	if got := b.h.got(); got != want {
		b.t.Errorf("batches %q, want %q", got, want)
	}
}

func (b *bench) wantPosition(want string) {
	b.t.Helper()
	if got := b.position(0).String(); got != want {
		b.t.Errorf("stored position %q, want %q", got, want)
	}
}
