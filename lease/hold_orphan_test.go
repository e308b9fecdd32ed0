package lease_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// deafStore is a store of which one worker does not hear whether an acquire was
// executed, and behind each such acquire something else is done before the worker can
// ask again.
type deafStore struct {
	lease.Store

	mu     sync.Mutex // guards all below
	behind func()     // nil while answers come
	lost   int        // leases that were granted by answers that were lost
}

func (s *deafStore) set(behind func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behind = behind
}

// granted is how many leases were granted unheard.
func (s *deafStore) granted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

func (s *deafStore) Acquire(ctx context.Context, scope checkpoint.Scope, a lease.Acquire) ([]lease.Grant, error) {
	grants, err := s.Store.Acquire(ctx, scope, a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.behind != nil && err == nil && grants[0].Err == nil {
		s.lost += len(grants)
		s.behind()
		return nil, errCut
	}
	return grants, err
}

// held names the shards of which the store says that somebody has them.
func (w *world) held() []string {
	w.t.Helper()
	v, err := w.store.View(w.t.Context(), "billing")
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, l := range v.Leases {
		if !l.Free() {
			out = append(out, lease.ShardOf(l.Name))
		}
	}
	return out
}

func (w *world) pause(on bool) {
	w.t.Helper()
	if err := w.store.Pause(w.t.Context(), w.scope(), on); err != nil {
		w.t.Error(err)
	}
}

func (w *world) pauseOne(id string, on bool) {
	w.t.Helper()
	if err := w.store.Mark(w.t.Context(), w.scope(), lease.Mark{Name: lease.Name(stream, id), Flag: lease.FlagPaused, Off: !on}); err != nil {
		w.t.Error(err)
	}
}

// What was granted by an answer that was lost has no runner, and in a pause it is not
// granted again: it is given back as it is.
func TestAPauseTakesLeasesWithoutARunner(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		s := &deafStore{Store: w.store}
		w.start("a", func(c *lease.Config) { c.Store = s })
		wait(time.Second)
		w.pause(true)
		wait(time.Second)
		if held := w.held(); len(held) > 0 {
			t.Fatalf("held in a pause: %v", held)
		}
		s.set(func() { w.pause(true) })
		w.pause(false)
		wait(2 * time.Second)
		if n := s.granted(); n != 3 {
			t.Fatalf("%d leases were granted unheard, want 3", n)
		}
		if held := w.held(); len(held) > 0 {
			t.Errorf("held in a pause without a runner: %v", held)
		}
		s.set(nil)
		w.pause(false)
		wait(time.Second)
		expectCounts(t, w, map[string]int{"a": 3})
		if w.again != 0 {
			t.Errorf("%d numbers were handled again", w.again)
		}
	})
}

func TestAPauseOfOneLeaseTakesItWithoutARunner(t *testing.T) {
	bubble(t, 2, func(t *testing.T, w *world) {
		s := &deafStore{Store: w.store}
		s.set(func() {
			w.pauseOne("shard-001", true)
			s.behind = nil // this once
		})
		w.start("a", func(c *lease.Config) { c.Store = s })
		wait(5 * time.Second)
		if n := s.granted(); n != 2 {
			t.Fatalf("%d leases were granted unheard, want 2", n)
		}
		if held := w.held(); len(held) != 1 || held[0] != "shard-000" {
			t.Errorf("held are %v, want shard-000", held)
		}
	})
}

// Who drains may wait long for another runner.
func TestAPauseTakesLeasesWithoutARunnerFromWhoDrains(t *testing.T) {
	bubble(t, 2, func(t *testing.T, w *world) {
		s := &deafStore{Store: w.store}
		a := w.start("a", func(c *lease.Config) {
			c.Store, c.DrainTimeout = s, 10*time.Second
			c.Run = func(ctx context.Context, h *lease.Held) error {
				if lease.ShardOf(h.Lease().Name) == "shard-001" {
					<-h.Draining()
					return nil
				}
				<-ctx.Done() // it is slow to return
				return nil
			}
		})
		wait(time.Second)
		w.pauseOne("shard-001", true)
		wait(time.Second)
		s.set(func() { w.pause(true); a.stop() })
		w.pauseOne("shard-001", false)
		wait(2 * time.Second)
		if n := s.granted(); n != 1 {
			t.Fatalf("%d leases were granted unheard, want 1", n)
		}
		if held := w.held(); len(held) != 1 || held[0] != "shard-000" {
			t.Errorf("held are %v, want shard-000", held)
		}
	})
}
