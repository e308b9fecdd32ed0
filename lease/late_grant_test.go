package lease_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// termStore is a store that a worker is cut from, in the term that one of its beats
// gave: beats come through again from some moment of it on, and are executed and
// answered at another; one lease is not granted before, and the answer of that
// acquire may be slow too. All moments are since the start of the beat.
type termStore struct {
	lease.Store

	late     string        // the lease
	beats    time.Duration // from when on beats come through
	answered time.Duration // when these are executed and answered
	granted  time.Duration // from when on the lease is granted
	executed time.Duration // when that acquire is executed
	replied  time.Duration // when it is answered

	mu    sync.Mutex // guards all below
	start time.Time  // of the last good beat
	cut   bool
}

// cutFrom cuts the worker off, and returns when its term began.
func (s *termStore) cutFrom() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = true
	return s.start
}

func (s *termStore) at() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.start, s.cut
}

func (s *termStore) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	began := time.Now()
	start, cut := s.at()
	if cut {
		if began.Sub(start) < s.beats {
			return lease.View{}, errCut
		}
		time.Sleep(s.answered - began.Sub(start))
	}
	v, err := s.Store.Beat(ctx, group, b)
	if err == nil && !cut {
		s.mu.Lock()
		s.start = began
		s.mu.Unlock()
	}
	return v, err
}

func (s *termStore) Acquire(ctx context.Context, scope checkpoint.Scope, a lease.Acquire) ([]lease.Grant, error) {
	n := len(a.Names) - 1
	if a.Names[n] != s.late { // the names are in order, and it is the last
		return s.Store.Acquire(ctx, scope, a)
	}
	start, cut := s.at()
	if !cut || time.Since(start) < s.granted {
		a.Names = a.Names[:n]
		grants, err := s.Store.Acquire(ctx, scope, a)
		return append(grants, lease.Grant{Err: lease.ErrHeld}), err
	}
	time.Sleep(s.executed - time.Since(start))
	grants, err := s.Store.Acquire(ctx, scope, a)
	time.Sleep(s.replied - time.Since(start))
	return grants, err
}

// The session may have lapsed between an acquire and its answer, and another worker
// have the lease, though both beats around that were good.
func TestAGrantFromBeforeTheEndOfTheTermStartsNoRunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &termStore{
			Store: lease.NewMemory(), late: lease.Name(stream, "shard-000"),
			beats: 900 * time.Millisecond, answered: 1030 * time.Millisecond,
			granted: 860 * time.Millisecond, executed: 950 * time.Millisecond, replied: 1060 * time.Millisecond,
		}
		w := newWorld(t, s.Store, 1)
		var runs atomic.Int32 // with contexts that go on
		w.start("a", func(c *lease.Config) {
			c.Store = s
			c.Run = func(ctx context.Context, _ *lease.Held) error {
				if ctx.Err() == nil {
					runs.Add(1)
				}
				<-ctx.Done()
				return nil
			}
		})
		wait(500 * time.Millisecond)

		v, err := s.Store.View(t.Context(), "billing")
		if err != nil {
			t.Fatal(err)
		}
		other, count := uuid.NewString(), uint64(0)
		scope := checkpoint.Scope{Group: "billing", Incarnation: v.Incarnation}
		beat := func() {
			count++
			if _, err := s.Store.Beat(t.Context(), scope.Group, lease.Beat{
				Incarnation: scope.Incarnation, NewIncarnation: uuid.NewString(), Number: count, TTL: w.ttl,
				Session: lease.Session{ID: other, Name: "b", State: lease.StateDrain},
			}); err != nil {
				t.Fatal(err)
			}
		}
		start := s.cutFrom()
		for time.Since(start) < 1000*time.Millisecond {
			beat() // or session time would stop
			wait(50 * time.Millisecond)
		}
		wait(time.Until(start.Add(1010 * time.Millisecond)))
		g, err := s.Store.Acquire(t.Context(), scope, lease.Acquire{Session: other, First: 1, Names: []string{s.late}})
		if err != nil || g[0].Err != nil {
			t.Fatal("a's session has not lapsed:", err, g)
		}
		wait(time.Until(start.Add(1070 * time.Millisecond)))
		if runs.Load() > 0 {
			t.Error("a runs what b holds: its grant is from before its session lapsed")
		}
	})
}
