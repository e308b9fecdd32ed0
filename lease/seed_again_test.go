package lease_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// relapsing is a store that loses, in fail-overs, the seeds that it has confirmed.
type relapsing struct {
	*lease.Memory
	heard bool // a beat is answered in between, which is lost with the seed

	mu    sync.Mutex // guards all below
	left  int        // how many times yet
	relay func()     // loses the seed
}

func (s *relapsing) Seed(ctx context.Context, scope checkpoint.Scope, seed lease.Seed) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	back := s.Snapshot(scope.Group)
	err := s.Memory.Seed(ctx, scope, seed)
	switch {
	case err != nil || s.left == 0 || s.relay != nil:
	case s.heard:
		s.relay = back
	default:
		s.left--
		back()
	}
	return err
}

func (s *relapsing) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.Memory.Beat(ctx, group, b)
	if err == nil && s.relay != nil {
		s.relay()
		s.relay = nil
		s.left--
	}
	return v, err
}

// A store that goes back to before a seed, and to before the loss of all that was in
// it, has forgotten the rows, whether it has lost a beat with them or not.
func TestSeedsThatAFailOverTakesBackAreSentAgain(t *testing.T) {
	for _, heard := range []bool{true, false} {
		for _, times := range []int{1, 2} {
			for _, shards := range []int{4, 300} {
				synctest.Test(t, func(t *testing.T) {
					store := &relapsing{Memory: lease.NewMemory(), heard: heard, left: times}
					w := newWorld(t, store, shards)
					w.start("a", func(c *lease.Config) { c.Run = sums(w, "a") })
					wait(3 * time.Second)
					store.Forget("billing")
					wait(4 * time.Second)
					expectCounts(t, w, map[string]int{"a": shards})
					expectRepeated(t, w, 0)
					store.mu.Lock()
					defer store.mu.Unlock()
					if store.left > 0 {
						t.Errorf("%d fail-overs did not happen", store.left)
					}
					if t.Failed() {
						t.Logf("a beat is heard between: %v, %d fail-overs", heard, times)
					}
				})
			}
		}
	}
}

func TestAPauseByHandOutlivesAFailOverAfterALoss(t *testing.T) {
	for _, empty := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := &relapsing{Memory: lease.NewMemory(), heard: true, left: 1}
			w := newWorld(t, store, 2)
			w.start("a", func(c *lease.Config) {
				if empty { // so there is nothing else to give back
					c.Discover = func(context.Context, string) ([]lease.Row, error) { return nil, errors.New("not yet") }
				}
			})
			wait(2 * time.Second)
			if err := store.Pause(t.Context(), checkpoint.Scope{Group: "billing"}, true); err != nil {
				t.Fatal(err)
			}
			wait(time.Second)
			store.Forget("billing")
			wait(4 * time.Second)
			v, err := store.View(t.Context(), "billing")
			if err != nil || !v.Paused || len(w.owners()) > 0 {
				t.Errorf("without leases: %v: paused %v, %d runners, %v", empty, v.Paused, len(w.owners()), err)
			}
		})
	}
}

// A worker asks for nothing more once the table shows all that it gave back.
func TestSeedsThatStayAreSentOnce(t *testing.T) {
	forgetful(t, 4, func(t *testing.T, w *world, forget func()) {
		s := &seedCounter{Store: w.store}
		w.start("a", func(c *lease.Config) { c.Store = s })
		w.start("b")
		wait(3 * time.Second)
		forget()
		wait(4 * time.Second)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.seeds != 1 {
			t.Errorf("%d seeds", s.seeds)
		}
	})
}

// seedCounter counts the seeds of a worker.
type seedCounter struct {
	lease.Store

	mu    sync.Mutex // guards seeds
	seeds int
}

func (s *seedCounter) Seed(ctx context.Context, scope checkpoint.Scope, seed lease.Seed) error {
	s.mu.Lock()
	s.seeds++
	s.mu.Unlock()
	return s.Store.Seed(ctx, scope, seed)
}
