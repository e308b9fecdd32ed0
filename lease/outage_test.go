package lease_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// faulty is a store that fails in the ways that a gate does not: by silence,
// and only for positions.
type faulty struct {
	lease.Store

	mu     sync.Mutex // guards all below
	silent bool       // calls do not return before their contexts end
	most   int        // updates that one Save writes before it fails; 0 for all
	saves  int        // calls of Save
}

var errSave = errors.New("positions cannot be saved")

func (f *faulty) hush(silent bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.silent = silent
}

func (f *faulty) limit(most int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.most = most
}

// answers waits for the end of ctx while the store is silent: what was sent
// then is lost.
func (f *faulty) answers(ctx context.Context) error {
	f.mu.Lock()
	silent := f.silent
	f.mu.Unlock()
	if !silent {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (f *faulty) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	if err := f.answers(ctx); err != nil {
		return lease.View{}, err
	}
	return f.Store.Beat(ctx, group, b)
}

func (f *faulty) Acquire(ctx context.Context, s checkpoint.Scope, a lease.Acquire) ([]lease.Grant, error) {
	if err := f.answers(ctx); err != nil {
		return nil, err
	}
	return f.Store.Acquire(ctx, s, a)
}

func (f *faulty) Save(ctx context.Context, s checkpoint.Scope, u ...checkpoint.Update) ([]checkpoint.Outcome, error) {
	if err := f.answers(ctx); err != nil {
		return nil, err
	}
	f.mu.Lock()
	most := f.most
	f.saves++
	f.mu.Unlock()
	switch {
	case most == 0 || len(u) <= most:
		return f.Store.Save(ctx, s, u...)
	case most < 0:
		return nil, errSave
	}
	out, err := f.Store.Save(ctx, s, u[:most]...)
	return out, errors.Join(err, errSave)
}

// Watch tells nothing: beats of different workers stay apart.
func (f *faulty) Watch(ctx context.Context, _ string, _ func()) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestAFullWorkerTakesItsOwnLeasesBackAfterAnOutage(t *testing.T) {
	bubble(t, 4, func(t *testing.T, w *world) {
		a := w.start("a", func(c *lease.Config) { c.MaxLeases = 4 })
		wait(3 * time.Second)
		expectCounts(t, w, map[string]int{"a": 4})
		a.gate.set(true)
		wait(2 * time.Second)
		expectCounts(t, w, map[string]int{})
		a.gate.set(false)
		wait(2 * time.Second)
		expectCounts(t, w, map[string]int{"a": 4})
	})
}

func TestAnOutageByWhichCallsHangMovesNothing(t *testing.T) {
	for seed := range uint64(outagesDefault) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(t, lease.NewMemory(), 6)
			w.ttl, w.each = 10*time.Second, 100*time.Millisecond
			f := &faulty{Store: w.store}
			for i := range 8 {
				w.start(fmt.Sprint("w", i), func(c *lease.Config) { c.Store = f })
				wait(time.Duration(rng.IntN(3000)) * time.Millisecond)
			}
			wait(60 * time.Second)
			before := w.owners()
			if len(before) != 6 {
				t.Fatalf("%d of 6 leases have a runner", len(before))
			}
			f.hush(true)
			wait(40*time.Second + time.Duration(rng.IntN(10000))*time.Millisecond)
			f.hush(false)
			wait(15 * time.Second)
			if after := w.owners(); !maps.Equal(before, after) {
				t.Errorf("seed %d: owners %v, before the outage %v", seed, after, before)
			}
		})
	}
}

func TestTimeOutsFollowTheLeaseTimeOfTheGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lease.NewMemory(), 2)
		first := w.start("first")
		wait(2 * time.Second)
		if err := first.drain(); err != nil {
			t.Fatal(err)
		}
		f := &faulty{Store: w.store}
		a := w.start("a", func(c *lease.Config) { c.Store, c.TTL, c.CheckpointInterval = f, time.Minute, 10*time.Second })
		wait(5 * time.Second)
		if s := a.Status(); s.TTL != time.Second || len(s.Held) != 2 {
			t.Fatalf("lease time %v, %d leases held", s.TTL, len(s.Held))
		}
		f.mu.Lock()
		saves := f.saves
		f.mu.Unlock()
		if saves < 40 {
			t.Errorf("%d saves in 5 s, want one each tenth of the group's lease time", saves)
		}
		started := w.started()
		f.hush(true) // one call is lost
		wait(400 * time.Millisecond)
		f.hush(false)
		wait(3 * time.Second)
		if w.started() != started || len(w.owners()) != 2 {
			t.Errorf("%d runners were started anew, %d run", w.started()-started, len(w.owners()))
		}
	})
}

func TestADrainEndsThoughPositionsCannotBeSaved(t *testing.T) {
	bubble(t, 2, func(t *testing.T, w *world) {
		f := &faulty{}
		a := w.start("a", func(c *lease.Config) {
			f.Store = c.Store
			c.Store, c.DrainTimeout = f, 2*time.Second
		})
		wait(3 * time.Second)
		f.limit(-1)
		a.stop()
		select {
		case err := <-a.done:
			a.done <- err
			if err == nil {
				t.Error("Run returned nil, the last positions are not saved")
			}
		case <-time.After(5 * time.Second):
			t.Error("Run did not return in 5 s, the drain timeout is 2 s")
			f.limit(0)
		}
	})
}

// A store that is out of reach when a worker is asked to end may be back soon.
func TestADrainAfterAnOutageSavesPositions(t *testing.T) {
	bubble(t, 2, func(t *testing.T, w *world) {
		a := w.start("a")
		wait(3 * time.Second)
		a.gate.set(true)
		wait(1500 * time.Millisecond) // its runners are cancelled
		a.stop()
		wait(200 * time.Millisecond)
		a.gate.set(false)
		if err := a.drain(); err != nil {
			t.Errorf("the store was back after 200 ms: %v", err)
		}
	})
}

// A lease that was asked for is between two runners while its position is saved.
// When that fails for too long, it goes on where the store has it.
func TestALeaseWhosePositionCannotBeSavedGetsARunnerAgain(t *testing.T) {
	bubble(t, 2, func(t *testing.T, w *world) {
		f := &faulty{}
		w.start("a", func(c *lease.Config) {
			f.Store = c.Store
			c.Store = f
		})
		wait(3 * time.Second)
		f.limit(-1)
		w.start("b")
		for began := time.Now(); len(w.owners()) == 2; wait(10 * time.Millisecond) {
			if time.Since(began) > 10*time.Second {
				t.Fatal("no lease is asked for")
			}
		}
		for began := time.Now(); len(w.owners()) < 2; wait(10 * time.Millisecond) {
			if time.Since(began) > 2*w.ttl {
				t.Fatal("a lease is without a runner for more than two lease times")
			}
		}
		f.limit(0)
	})
}

func TestPositionsThatWereSavedAreKeptWhenTheirCallFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lease.NewMemory(), 300)
		f := &faulty{}
		a := w.start("a", func(c *lease.Config) {
			f.Store = c.Store
			c.Store, c.DrainTimeout = f, time.Second
		})
		wait(3 * time.Second)
		expectCounts(t, w, map[string]int{"a": 300})
		f.limit(100) // of more than that it writes the first, and fails
		if err := a.drain(); err != nil {
			t.Error(err)
		}
	})
}

func TestADrainingWorkerGivesBackWhatItDoesNotRun(t *testing.T) {
	bubble(t, 4, func(t *testing.T, w *world) {
		hold := make(chan struct{})
		defer close(hold)
		a := w.start("a", func(c *lease.Config) {
			run := c.Run
			c.DrainTimeout = 10 * time.Minute
			c.Run = func(ctx context.Context, h *lease.Held) error {
				if lease.ShardOf(h.Lease().Name) == "shard-000" {
					<-hold
					return nil
				}
				return run(ctx, h)
			}
		})
		wait(3 * time.Second)
		a.gate.set(true)
		wait(1500 * time.Millisecond) // its runners are cancelled
		w.start("b")
		a.stop() // asked to end while the store is out of reach
		wait(100 * time.Millisecond)
		a.gate.set(false)
		wait(5 * time.Second)
		expectCounts(t, w, map[string]int{"b": 3})
	})
}

// secretive is a store to which nothing can be given back.
type secretive struct{ lease.Store }

func (secretive) Seed(context.Context, checkpoint.Scope, lease.Seed) error { return lease.ErrSeeded }

func TestTheLossOfStateIsRememberedForNewWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := lease.NewMemory()
		w := newWorld(t, store, 2)
		w.start("a", func(c *lease.Config) {
			c.Store = secretive{c.Store} // else there is nothing to make anew
			discover := c.Discover
			c.Rediscover = func(ctx context.Context, s string) ([]lease.Row, error) {
				time.Sleep(600 * time.Millisecond) // a list of many pages
				return discover(ctx, s)
			}
		})
		wait(3 * time.Second)
		store.Forget("billing")
		wait(400 * time.Millisecond) // a has seen it, and the state was made anew
		w.start("b", func(c *lease.Config) {
			c.Discover = func(context.Context, string) ([]lease.Row, error) {
				rows := append([]lease.Row(nil), w.shards...)
				for i := range rows {
					rows[i].Position = checkpoint.StartAt(time.Now()) // Latest
				}
				return rows, nil
			}
		})
		wait(3 * time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, s := range w.starts {
			if !s.from.Since.IsZero() {
				t.Errorf("%s on %s starts at %v, which skips records", s.lease, s.worker, s.from)
			}
		}
	})
}

func TestAWorkerGoesOnWhenTheOneThatTookItsNameDies(t *testing.T) {
	bubble(t, 2, func(t *testing.T, w *world) {
		w.start("a")
		wait(2 * time.Second)
		rival := lease.Session{ID: "rival", Name: "a", State: lease.StateUp, Streams: []string{stream}}
		if _, err := w.store.Beat(t.Context(), "billing", lease.Beat{Session: rival, First: true, Number: 1}); err != nil {
			t.Fatal(err)
		}
		wait(100 * time.Millisecond)
		expectCounts(t, w, map[string]int{})
		wait(4 * time.Second)
		expectCounts(t, w, map[string]int{"a": 2})
	})
}
