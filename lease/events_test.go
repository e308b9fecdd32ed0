package lease_test

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// witness collects what the hooks of workers were told.
type witness struct {
	mu   sync.Mutex // guards seen
	seen map[string][]lease.Event
}

// of has a worker tell the witness.
func (w *witness) of(name string) func(*lease.Config) {
	return func(c *lease.Config) {
		c.Hooks.Event = func(e lease.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.seen[name] = append(w.seen[name], e)
		}
	}
}

// counts are how often each kind was told by a worker.
func (w *witness) counts(name string) map[lease.EventKind]uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[lease.EventKind]uint64{}
	for _, e := range w.seen[name] {
		out[e.Kind]++
	}
	return out
}

// last is what a worker was told last of a kind.
func (w *witness) last(name string, kind lease.EventKind) lease.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	var last lease.Event
	for _, e := range w.seen[name] {
		if e.Kind == kind {
			last = e
		}
	}
	return last
}

// told fails the test unless the kinds were told to a worker so often, and forgets
// what was.
func (w *witness) told(t *testing.T, when, name string, want map[lease.EventKind]uint64) {
	t.Helper()
	if got := w.counts(name); !maps.Equal(got, want) {
		t.Errorf("%s, %s is told %v, want %v", when, name, got, want)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[name] = nil
}

// watched is a world with a store that can lose things, and a witness.
func watched(t *testing.T, shards int, test func(t *testing.T, w *world, store *lease.Memory, wit *witness)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := lease.NewMemory()
		test(t, newWorld(t, store, shards), store, &witness{seen: map[string][]lease.Event{}})
	})
}

func TestEventsOfALifeInPeace(t *testing.T) {
	watched(t, 2, func(t *testing.T, w *world, _ *lease.Memory, wit *witness) {
		all := map[lease.EventKind]uint64{}
		a := w.start("a", wit.of("a"))
		wait(time.Second)
		if e := wit.last("a", lease.EventCreated); e.Stream != stream || e.Leases != 2 {
			t.Errorf("created: %+v", e)
		}
		add(all, wit.counts("a"))
		wit.told(t, "alone", "a", map[lease.EventKind]uint64{lease.EventJoined: 1, lease.EventCreated: 1, lease.EventAcquired: 2})

		b := w.start("b", wit.of("b"))
		wait(3 * time.Second)
		if e := wit.last("b", lease.EventWanted); e.Peer != "a" || e.Lease.Name == "" || e.Lease.Name != wit.last("a", lease.EventAsked).Lease.Name {
			t.Errorf("b wanted %+v, and a was asked for %+v", e, wit.last("a", lease.EventAsked))
		}
		if e := wit.last("a", lease.EventAsked); e.Peer != "b" {
			t.Errorf("asked: %+v", e)
		}
		add(all, wit.counts("a"))
		wit.told(t, "as b joins", "a", map[lease.EventKind]uint64{lease.EventAsked: 1, lease.EventReleased: 1})
		wit.told(t, "as it joins", "b", map[lease.EventKind]uint64{lease.EventJoined: 1, lease.EventWanted: 1, lease.EventAcquired: 1})

		if err := w.store.Pause(t.Context(), w.scope(), true); err != nil {
			t.Fatal(err)
		}
		wait(time.Second)
		wit.told(t, "in a pause", "b", map[lease.EventKind]uint64{lease.EventHeld: 1, lease.EventReleased: 1})
		if err := w.store.Pause(t.Context(), w.scope(), false); err != nil {
			t.Fatal(err)
		}
		wait(time.Second)
		wit.told(t, "after it", "b", map[lease.EventKind]uint64{lease.EventAcquired: 1})

		if err := b.drain(); err != nil {
			t.Fatal(err)
		}
		if e := wit.last("b", lease.EventDraining); e.Leases != 1 {
			t.Errorf("draining: %+v", e)
		}
		wit.told(t, "as it ends", "b", map[lease.EventKind]uint64{lease.EventDraining: 1, lease.EventReleased: 1, lease.EventLeft: 1})
		wait(time.Second)
		w.end("shard-000", w.count("shard-000")+5, shard("child", "shard-000"))
		wait(time.Second)
		if n := wit.counts("a")[lease.EventCompleted]; n != 1 || wit.last("a", lease.EventCompleted).Lease.Name != lease.Name(stream, "shard-000") {
			t.Errorf("completed %d times, last %+v", n, wit.last("a", lease.EventCompleted))
		}
		add(all, wit.counts("a"))
		if got := a.Status().Events; !maps.Equal(got, all) {
			t.Errorf("the worker counted %v, want %v", got, all)
		}
	})
}

func add(to, more map[lease.EventKind]uint64) {
	for kind, n := range more {
		to[kind] += n
	}
}

func TestEventsOfAnOutage(t *testing.T) {
	watched(t, 1, func(t *testing.T, w *world, _ *lease.Memory, wit *witness) {
		a := w.start("a", wit.of("a"))
		wait(time.Second)
		wit.told(t, "alone", "a", map[lease.EventKind]uint64{lease.EventJoined: 1, lease.EventCreated: 1, lease.EventAcquired: 1})
		a.gate.set(true)
		wait(2 * time.Second)
		if e := wit.last("a", lease.EventPaused); e.Err == nil {
			t.Error("the pause has no reason")
		}
		a.gate.set(false)
		wait(2 * time.Second)
		wit.told(t, "over an outage", "a", map[lease.EventKind]uint64{
			lease.EventPaused: 1, lease.EventLost: 1, lease.EventResumed: 1, lease.EventAcquired: 1,
		})
	})
}

func TestEventsOfLosses(t *testing.T) {
	watched(t, 1, func(t *testing.T, w *world, store *lease.Memory, wit *witness) {
		w.start("a", wit.of("a"))
		wait(time.Second)
		wit.told(t, "alone", "a", map[lease.EventKind]uint64{lease.EventJoined: 1, lease.EventCreated: 1, lease.EventAcquired: 1})
		store.Forget("billing")
		wait(3 * time.Second)
		if e := wit.last("a", lease.EventStateLost); !errors.Is(e.Err, lease.ErrStateLost) {
			t.Errorf("state lost: %+v", e)
		}
		if e := wit.last("a", lease.EventRestored); e.Leases != 1 {
			t.Errorf("restored: %+v", e)
		}
		if n := wit.counts("a"); n[lease.EventStateLost] != 1 || n[lease.EventJoined] != 1 || n[lease.EventRestored] != 1 || n[lease.EventLost] != 1 || n[lease.EventAcquired] != 1 {
			t.Errorf("over a loss of all it is told %v", n)
		}
		restore := store.Snapshot("billing")
		wait(2 * time.Second)
		wit.told(t, "and in all", "a", wit.counts("a"))
		restore()
		wait(3 * time.Second)
		if e := wit.last("a", lease.EventWritesLost); wit.counts("a")[lease.EventWritesLost] != 1 {
			t.Errorf("over a fail-over it is told %v", wit.counts("a"))
		} else if !errors.Is(e.Err, lease.ErrRegressed) {
			t.Errorf("writes lost: %+v", e)
		}
	})
}

func TestEventsOfARefusalAndOfARival(t *testing.T) {
	watched(t, 2, func(t *testing.T, w *world, _ *lease.Memory, wit *witness) {
		w.deaf = true
		w.start("a", wit.of("a"), func(c *lease.Config) { c.HandoffTime = 100 * time.Millisecond })
		wait(time.Second)
		w.start("b")
		wait(3 * time.Second)
		if e := wit.last("a", lease.EventRefused); wit.counts("a")[lease.EventRefused] == 0 || e.Peer != "b" || e.Lease.Name == "" {
			t.Errorf("a is told %v, and refused %+v", wit.counts("a"), e)
		}
		w.start("a", idle)
		wait(3 * time.Second)
		if e := wit.last("a", lease.EventSuperseded); wit.counts("a")[lease.EventSuperseded] != 1 || !errors.Is(e.Err, lease.ErrSuperseded) {
			t.Errorf("a is told %v, and superseded as %+v", wit.counts("a"), e)
		}
	})
}

// fence is a store that refuses positions when it is told to.
type fence struct {
	lease.Store
	shut atomic.Bool
}

func (f *fence) Save(ctx context.Context, s checkpoint.Scope, updates ...checkpoint.Update) ([]checkpoint.Outcome, error) {
	if !f.shut.Load() {
		return f.Store.Save(ctx, s, updates...)
	}
	out := make([]checkpoint.Outcome, len(updates))
	for i := range out {
		out[i].Err = checkpoint.ErrFenced
	}
	return out, nil
}

func TestEventsOfAFence(t *testing.T) {
	watched(t, 1, func(t *testing.T, w *world, store *lease.Memory, wit *witness) {
		f := &fence{Store: store}
		w.start("a", wit.of("a"), func(c *lease.Config) { c.Store = f })
		wait(time.Second)
		f.shut.Store(true)
		wait(time.Second)
		e := wit.last("a", lease.EventFenced)
		if e.Lease.Name != lease.Name(stream, "shard-000") || !errors.Is(e.Err, checkpoint.ErrFenced) || e.Lease.Position.Rank != checkpoint.RankRecord {
			t.Errorf("a is told %v, and fenced as %+v", wit.counts("a"), e)
		}
		if e := wit.last("a", lease.EventLost); !errors.Is(e.Err, lease.ErrLost) {
			t.Errorf("lost: %+v", e)
		}
	})
}
