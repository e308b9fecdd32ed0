package lease_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/lease"
)

// idling runs leases that do nothing, so that there can be many.
func idling(w *world) func(*lease.Config) {
	return func(c *lease.Config) {
		name := c.WorkerName
		c.Run = func(ctx context.Context, h *lease.Held) error {
			w.begin(ctx, name, h)
			defer w.stop(ctx, h.Lease().Name)
			select {
			case <-h.Draining():
			case <-ctx.Done():
			}
			return nil
		}
	}
}

// A worker that joins ten with 1,000 leases has its share within the lease time
// and 3 s, nothing but its share moves, and none of it twice. When one dies its
// leases, and no others, go to the rest evenly.
func TestAWorkerThatJoinsManyGetsItsShareAndNothingElseMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lease.NewMemory(), 1000)
		w.ttl = 10 * time.Second
		var workers []*worker
		for i := range 10 {
			workers = append(workers, w.start(fmt.Sprint("w", i), idling(w)))
		}
		wait(40 * time.Second)
		for name, n := range w.counts() {
			if n != 100 {
				t.Fatalf("%s has %d of 1,000 leases, want 100", name, n)
			}
		}
		before, starts, from := w.owners(), w.started(), time.Now()
		w.start("joiner", idling(w))
		for w.counts()["joiner"] < 90 {
			wait(50 * time.Millisecond)
			if took := time.Since(from); took > w.ttl+3*time.Second {
				t.Fatalf("the joiner has %d leases after %v", w.counts()["joiner"], took)
			}
		}
		wait(3 * w.ttl)
		joined := w.counts()["joiner"]
		if joined < 90 || joined > 91 || w.started()-starts != joined {
			t.Errorf("the joiner has %d leases after %d starts", joined, w.started()-starts)
		}
		expectMoved(t, before, w.owners(), func(_, to string) bool { return to == "joiner" })
		expectEven(t, w, 90, 91)

		before = w.owners()
		workers[3].kill()
		wait(w.ttl + time.Second)
		expectMoved(t, before, w.owners(), func(from, _ string) bool { return from == "w3" })
		expectEven(t, w, 100, 100)
	})
}

// expectMoved checks that every lease that changed its owner did so for a reason.
func expectMoved(t *testing.T, before, after map[string]string, reason func(from, to string) bool) {
	t.Helper()
	for shard, to := range after {
		if from := before[shard]; from != to && !reason(from, to) {
			t.Errorf("%s went from %s to %s", shard, from, to)
		}
	}
}

func expectEven(t *testing.T, w *world, least, most int) {
	t.Helper()
	for name, n := range w.counts() {
		if n < least || n > most {
			t.Errorf("%s has %d leases, want from %d to %d", name, n, least, most)
		}
	}
}

// A worker that lapsed is gone when it lapses, not when its row is removed two
// lease times later: the others need one lease time of quiet from then on, and no
// more, before anything moves.
func TestTheQuietBeginsWhenASessionLapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lease.NewMemory(), 30)
		w.ttl = 10 * time.Second
		w.start("a", idling(w))
		wait(w.ttl)
		b := w.start("b", idling(w), func(c *lease.Config) { c.MaxLeases = 1 })
		wait(3 * w.ttl)
		expectCounts(t, w, map[string]int{"a": 29, "b": 1})
		b.kill()
		wait(w.ttl / 2)
		w.start("c", idling(w))
		wait(w.ttl + w.ttl/20) // c has been there for longer than a lease time, b has lapsed for less
		if n := w.counts()["c"]; n > 1 {
			t.Fatalf("c has %d leases within a lease time of a death", n)
		}
		wait(w.ttl)
		expectCounts(t, w, map[string]int{"a": 15, "c": 15})
	})
}

// flood is a store in which much changes between two answers, so that who reads it
// is always one answer behind.
type flood struct {
	lease.Store

	pages int // how long it goes on
	last  uint64
}

func (s *flood) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	v, err := s.Store.Beat(ctx, group, b)
	if err != nil || s.pages == 0 || b.Number < 6 {
		return v, err
	}
	s.pages--
	time.Sleep(50 * time.Millisecond)
	v.Through, s.last = s.last, s.last+1
	v.Head, v.More = s.last, true
	return v, nil
}

// Changes may come faster than a worker can read them, for longer than its leases
// are good. It knows what was true when an earlier beat was sent, and goes on.
func TestAWorkerThatIsBehindKeepsItsLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lease.NewMemory(), 4)
		store := &flood{Store: w.store, pages: 100, last: 1000}
		w.start("a", func(c *lease.Config) { c.Store = store })
		wait(10 * time.Second)
		if store.pages > 0 {
			t.Fatalf("%d pages are left", store.pages)
		}
		if n := w.started(); n != 4 {
			t.Errorf("%d runners were started, want 4: the worker thought that its leases had run out", n)
		}
	})
}

// moving is a store that has its sixth beat begin anew, and a row that changes
// while the table is read: it was behind the page when that was read, and is told
// with the last one.
type moving struct {
	lease.Store

	pages int // read since
	last  lease.View
}

func (s *moving) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	if b.Number == 6 && s.pages == 0 {
		s.pages++
		return lease.View{}, lease.ErrResync
	}
	v, err := s.Store.Beat(ctx, group, b)
	if err != nil || s.pages == 0 || s.pages > 3 {
		return v, err
	}
	switch s.pages {
	case 1:
		s.last = v
		v.Leases, v.Through, v.More = v.Leases[1:], v.Head-1, true
	case 2:
		v.Leases, v.Sessions, v.Through, v.Head, v.More = nil, nil, s.last.Head, s.last.Head+1, true
	case 3:
		v.Leases = append(v.Leases, s.last.Leases[0])
	}
	s.pages++
	return v, nil
}

// A worker that reads the table anew while it has leases knows less at first than
// it did. What it has not read yet is not lost.
func TestALeaseThatChangesWhileTheTableIsReadAnewIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lease.NewMemory(), 4)
		store := &moving{Store: w.store}
		w.start("a", func(c *lease.Config) { c.Store = store })
		wait(10 * time.Second)
		if store.pages != 4 {
			t.Fatalf("%d pages were read", store.pages)
		}
		if n := w.started(); n != 4 {
			t.Errorf("%d runners were started, want 4: a lease was taken for lost", n)
		}
	})
}
