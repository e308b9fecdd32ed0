package lease_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/redis"
)

// bubble runs f in fake time, with a world of so many shards, on each store.
func bubble(t *testing.T, shards int, f func(t *testing.T, w *world)) {
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t, newWorld(t, lease.NewMemory(), shards)) })
	})
	t.Run("miniredis", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, client := redistest.Mini(t)
			store, err := redis.New(redis.Config{Client: client})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = store.Close() }) // the test is over
			f(t, newWorld(t, store, shards))
		})
	})
}

// wait lets time pass.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func expectCounts(t *testing.T, w *world, want map[string]int) {
	t.Helper()
	if got := w.counts(); !maps.Equal(got, want) {
		t.Fatalf("leases a worker: %v, want %v", got, want)
	}
}

func TestOneWorkerTakesAllAtOnce(t *testing.T) {
	bubble(t, 40, func(t *testing.T, w *world) {
		a := w.start("a")
		wait(20 * time.Millisecond)
		expectCounts(t, w, map[string]int{"a": 40})
		if s := a.Status(); !s.Joined || len(s.Held) != 40 || len(s.Leases) != 40 || len(s.Sessions) != 1 {
			t.Errorf("status: joined %v, %d held, %d leases, %d sessions", s.Joined, len(s.Held), len(s.Leases), len(s.Sessions))
		}
		if err := a.drain(); err != nil {
			t.Error(err)
		}
	})
}

func TestTwoWorkersShareAndNothingMovesWithoutGain(t *testing.T) {
	bubble(t, 100, func(t *testing.T, w *world) {
		w.each = 100 * time.Millisecond
		a := w.start("a")
		wait(2 * time.Second)
		b := w.start("b")
		wait(4 * time.Second)
		expectCounts(t, w, map[string]int{"a": 50, "b": 50})
		if got := w.started(); got != 150 {
			t.Errorf("%d runners were started, want 100 and then 50 for the moves", got)
		}
		before := w.owners()
		wait(10 * time.Second)
		if after := w.owners(); !maps.Equal(before, after) || w.started() != 150 {
			t.Errorf("leases moved without need: %d starts", w.started())
		}
		a.stop()
		b.stop()
		wait(time.Second)
	})
}

func TestWorkersThatStartTogetherShare(t *testing.T) {
	bubble(t, 100, func(t *testing.T, w *world) {
		w.each = 100 * time.Millisecond
		w.start("a")
		w.start("b")
		w.start("c")
		wait(5 * time.Second)
		for name, n := range w.counts() {
			if n < 33 || n > 34 {
				t.Errorf("%s has %d of 100 leases", name, n)
			}
		}
	})
}

func TestASilentWorkerIsReplacedAfterTheLeaseTime(t *testing.T) {
	bubble(t, 10, func(t *testing.T, w *world) {
		a := w.start("a")
		w.start("b")
		wait(4500 * time.Millisecond)
		expectCounts(t, w, map[string]int{"a": 5, "b": 5})
		lastBeat := a.Status().LastBeat
		cut := time.Now()
		a.gate.set(true)
		wait(w.ttl + 100*time.Millisecond - time.Since(lastBeat))
		expectCounts(t, w, map[string]int{"b": 10})
		if took := time.Since(lastBeat); took > w.ttl+100*time.Millisecond {
			t.Errorf("taken over %v after the last beat", took)
		}
		t.Logf("cut %v after its last beat", cut.Sub(lastBeat))

		// The store comes back: the stale owner is fenced and gets its share anew.
		a.gate.set(false)
		wait(5 * time.Second)
		expectCounts(t, w, map[string]int{"a": 5, "b": 5})
	})
}

func TestASilentWorkerIsCancelledBeforeItsLeasesAreTaken(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		causes := make(chan error, 1)
		a := w.start("a", func(c *lease.Config) {
			run := c.Run
			c.Run = func(ctx context.Context, h *lease.Held) error {
				err := run(ctx, h)
				causes <- context.Cause(ctx)
				return err
			}
		})
		wait(time.Second)
		lastBeat := a.Status().LastBeat
		a.gate.set(true)
		cause := <-causes
		if !errors.Is(cause, lease.ErrLost) {
			t.Errorf("cause %v, want ErrLost", cause)
		}
		if passed := time.Since(lastBeat); passed < 890*time.Millisecond || passed > 910*time.Millisecond {
			t.Errorf("cancelled %v after the last beat, want 0.9 of the lease time", passed)
		}
	})
}

func TestAnOutageOfTheStoreMovesNothing(t *testing.T) {
	bubble(t, 20, func(t *testing.T, w *world) {
		a := w.start("a")
		wait(2 * time.Second)
		b := w.start("b")
		wait(5 * time.Second)
		expectCounts(t, w, map[string]int{"a": 10, "b": 10})
		before, starts := w.owners(), w.started()
		a.gate.set(true)
		b.gate.set(true)
		wait(30 * time.Second)
		if n := len(w.owners()); n != 0 {
			t.Errorf("%d runners go on without the store", n)
		}
		if !a.Status().Paused {
			t.Error("the worker does not say that it is paused")
		}
		a.gate.set(false)
		b.gate.set(false)
		wait(2 * time.Second)
		if after := w.owners(); !maps.Equal(before, after) {
			t.Errorf("owners after the outage: %v, before: %v", after, before)
		}
		if n := w.started() - starts; n != 20 {
			t.Errorf("%d runners were started after the outage, want 20", n)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.again != 0 {
			t.Errorf("%d numbers are handled again, though their owner had no need to lose them", w.again)
		}
	})
}

func TestAWorkerAsksOnlyForItsShare(t *testing.T) {
	bubble(t, 20, func(t *testing.T, w *world) {
		w.start("a")
		wait(time.Second)
		b := w.start("b", func(c *lease.Config) {
			g := c.Store.(*gate)
			g.slow = 150 * time.Millisecond // it plans again before it is answered
		})
		for range 100 {
			wait(30 * time.Millisecond)
			b.gate.hint()
		}
		expectCounts(t, w, map[string]int{"a": 10, "b": 10})
		if n := b.gate.hint(); n != 10 {
			t.Errorf("%d leases were asked for, want 10", n)
		}
	})
}

func TestALeaseThatItsPlannedOwnerLeavesAloneIsTakenByAnother(t *testing.T) {
	bubble(t, 10, func(t *testing.T, w *world) {
		w.start("a", func(c *lease.Config) { c.Store.(*gate).barren = true })
		w.start("b")
		wait(4 * time.Second)
		expectCounts(t, w, map[string]int{"b": 10})
	})
}

func TestAWishWithoutGainIsRefused(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		w.start("a")
		wait(time.Second)
		other := lease.Session{ID: "other", Name: "other", State: lease.StateUp, Streams: []string{"another stream"}}
		if _, err := w.store.Beat(t.Context(), "billing", lease.Beat{Session: other, Number: 1}); err != nil {
			t.Fatal(err)
		}
		scope := checkpoint.Scope{Group: "billing"}
		name := lease.Name(stream, "shard-000")
		if _, err := w.store.Request(t.Context(), scope, lease.Request{Session: "other", For: 10 * time.Second, Names: []string{name}}); err != nil {
			t.Fatal(err)
		}
		wait(100 * time.Millisecond)
		if got := wishes(t, w.store); len(got) != 0 {
			t.Errorf("wishes %v stand", got)
		}
		expectCounts(t, w, map[string]int{"a": 1})
	})
}

func TestLeasesAreTakenInSteps(t *testing.T) {
	bubble(t, 200, func(t *testing.T, w *world) {
		w.start("a")
		for i, want := range []int{64, 128, 192, 200} {
			wait(100 * time.Millisecond)
			expectCounts(t, w, map[string]int{"a": want})
			if i < 3 {
				wait(150 * time.Millisecond)
			}
		}
	})
}

func TestAChildDoesNotWaitForItsParentsRunnerToReturn(t *testing.T) {
	bubble(t, 0, func(t *testing.T, w *world) {
		w.shards = []lease.Row{shard("p")}
		w.end("p", 100, shard("c", "p"))
		w.linger = 300 * time.Millisecond
		w.start("a", func(c *lease.Config) { c.Store.(*gate).silent = true })
		wait(1200 * time.Millisecond)
		if gap := w.lastStart("c").at.Sub(w.lastStart("p").at); gap > 1050*time.Millisecond {
			t.Errorf("the child starts %v after its parent did, want 1 s", gap)
		}
	})
}

func TestAChangeDuringABeatIsNotMissed(t *testing.T) {
	bubble(t, 4, func(t *testing.T, w *world) {
		a := w.start("a")
		b := w.start("b", func(c *lease.Config) { c.Store.(*gate).late = 100 * time.Millisecond })
		wait(5 * time.Second)
		expectCounts(t, w, map[string]int{"a": 2, "b": 2})
		wait(350 * time.Millisecond)
		b.gate.hint()
		wait(20 * time.Millisecond) // its beat is under way: the answer is late
		a.stop()
		wait(220 * time.Millisecond)
		expectCounts(t, w, map[string]int{"b": 4})
	})
}

// wishes are the leases that somebody asks for.
func wishes(t *testing.T, s lease.Store) []string {
	t.Helper()
	view, err := s.View(t.Context(), "billing")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range view.Leases {
		if l.Want != "" {
			out = append(out, l.Name)
		}
	}
	return out
}

func TestChildrenStartAfterAllTheirParentsWithinMilliseconds(t *testing.T) {
	bubble(t, 0, func(t *testing.T, w *world) {
		w.shards = []lease.Row{shard("S1"), shard("S2")}
		w.end("S1", 100, shard("a", "S1"), shard("b", "S1"))
		w.end("S2", 200, shard("c", "S2"), shard("d", "S2"))
		m := shard("m", "b", "c")
		w.end("b", 300, m)
		w.end("c", 50, m)
		w.start("x")
		w.start("y")
		wait(time.Minute)
		owners := w.owners()
		if len(owners) != 3 || owners["a"] == "" || owners["d"] == "" || owners["m"] == "" {
			t.Fatalf("running: %v, want a, d and m", owners)
		}
		// S1 ends at 1 s, b 3 s later: c was over long before.
		if gap := w.lastStart("m").at.Sub(w.lastStart("b").at); gap < 3*time.Second || gap > 3050*time.Millisecond {
			t.Errorf("m starts %v after b did, want 3 s", gap)
		}
		if gap := w.lastStart("a").at.Sub(w.lastStart("S1").at); gap < time.Second || gap > 1050*time.Millisecond {
			t.Errorf("a starts %v after S1 did, want 1 s", gap)
		}
	})
}

func TestTheStoreIsOutOfReachAtTheStart(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		m, err := lease.NewManager(lease.Config{
			Store: &gate{Store: w.store, cut: true}, Group: "billing", Streams: []string{stream}, JoinTimeout: 3 * time.Second,
			Run:      func(context.Context, *lease.Held) error { return nil },
			Discover: func(context.Context, string) ([]lease.Row, error) { return nil, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		from := time.Now()
		err = m.Run(t.Context())
		if !errors.Is(err, errCut) || !strings.Contains(err.Error(), "join group \"billing\"") {
			t.Errorf("Run returned %v", err)
		}
		if took := time.Since(from); took < 3*time.Second || took > 5*time.Second {
			t.Errorf("it took %v, want the join timeout", took)
		}
	})
}

func TestStateThatWasLostIsMadeAnewFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := lease.NewMemory()
		w := newWorld(t, store, 4)
		for i := range w.shards {
			w.shards[i].Position = checkpoint.StartAt(time.Now()) // Latest: not to be used again
		}
		w.start("a")
		w.start("b")
		wait(3 * time.Second)
		lost := time.Now()
		store.Forget("billing")
		wait(5 * time.Second)
		expectCounts(t, w, map[string]int{"a": 2, "b": 2})
		w.mu.Lock()
		defer w.mu.Unlock()
		anew := 0
		for _, s := range w.starts {
			if s.at.Before(lost) {
				continue
			}
			anew++
			if !s.from.Since.IsZero() {
				t.Errorf("%s starts at %v, which skips records", s.lease, s.from)
			}
		}
		if anew < 4 {
			t.Errorf("%d runners were started anew, want 4", anew)
		}
	})
}

func TestARunnerThatFailsIsTriedAgainAfterAPause(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		var times []time.Time
		m := w.start("a", func(c *lease.Config) {
			c.Run = func(ctx context.Context, h *lease.Held) error {
				times = append(times, time.Now())
				if len(times) < 4 {
					return errors.New("broken")
				}
				<-h.Draining()
				return nil
			}
		})
		wait(20 * time.Second)
		if err := m.drain(); err != nil {
			t.Fatal(err)
		}
		if len(times) != 4 {
			t.Fatalf("the runner was started %d times, want 4", len(times))
		}
		for i, least := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
			if gap := times[i+1].Sub(times[i]); gap < least || gap > least+time.Second {
				t.Errorf("pause %d was %v, want %v", i+1, gap, least)
			}
		}
	})
}
