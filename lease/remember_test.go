package lease_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/internal/runnertest"
)

// forgetful is a world whose store can lose everything.
func forgetful(t *testing.T, shards int, test func(t *testing.T, w *world, forget func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := lease.NewMemory()
		test(t, newWorld(t, store, shards), func() { store.Forget("billing") })
	})
}

// repeated is how many numbers were to be handled again, so far.
func (w *world) repeated() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.again
}

func expectRepeated(t *testing.T, w *world, most uint64) {
	t.Helper()
	if n := w.repeated(); n > most {
		t.Errorf("%d numbers were to be handled again, want %d at most", n, most)
	}
}

func TestAfterATotalLossAllGoesOnWhereItWas(t *testing.T) {
	forgetful(t, 12, func(t *testing.T, w *world, forget func()) {
		for _, name := range []string{"a", "b", "c"} {
			w.start(name)
		}
		for range 3 {
			wait(4 * time.Second)
			expectCounts(t, w, map[string]int{"a": 4, "b": 4, "c": 4})
			forget()
		}
		wait(4 * time.Second)
		expectCounts(t, w, map[string]int{"a": 4, "b": 4, "c": 4})
		expectRepeated(t, w, 0)
	})
}

func TestASecondLossBeforeTheFirstIsMendedLosesNothing(t *testing.T) {
	for _, between := range []time.Duration{time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond, 900 * time.Millisecond, 1300 * time.Millisecond} {
		forgetful(t, 12, func(t *testing.T, w *world, forget func()) {
			for _, name := range []string{"a", "b", "c"} {
				w.start(name)
			}
			wait(4 * time.Second)
			forget()
			wait(between)
			forget()
			wait(between)
			forget()
			wait(5 * time.Second)
			expectCounts(t, w, map[string]int{"a": 4, "b": 4, "c": 4})
			expectRepeated(t, w, 0)
		})
	}
}

func TestALossAfterAnOutageLosesNothing(t *testing.T) {
	forgetful(t, 6, func(t *testing.T, w *world, forget func()) {
		a, b := w.start("a"), w.start("b")
		wait(4 * time.Second)
		a.gate.set(true)
		b.gate.set(true)
		wait(3 * time.Second) // all runners have returned
		expectCounts(t, w, map[string]int{})
		forget()
		a.gate.set(false)
		b.gate.set(false)
		wait(4 * time.Second)
		expectCounts(t, w, map[string]int{"a": 3, "b": 3})
		expectRepeated(t, w, 0)
	})
}

func TestWhatADeadWorkerHandledSinceItsLeasesWereTakenIsReadAgainAfterALoss(t *testing.T) {
	for losses := range 3 {
		testDeadWorker(t, losses+1)
	}
}

func testDeadWorker(t *testing.T, losses int) {
	forgetful(t, 6, func(t *testing.T, w *world, forget func()) {
		first := w.start("first")
		wait(2 * time.Second)
		c := w.start("c")
		wait(20 * time.Millisecond)
		if err := first.drain(); err != nil {
			t.Fatal(err)
		}
		wait(2 * time.Second)
		handled := w.count("shard-000")
		w.start("a", func(c *lease.Config) { c.MaxLeases = 1 })
		w.start("b", func(c *lease.Config) { c.MaxLeases = 1 }) // neither saw c take its leases
		wait(4 * time.Second)
		before := w.repeated()
		c.kill()
		for range losses { // before anybody sees what was given back
			forget()
			wait(80 * time.Millisecond)
		}
		w.start("d")
		wait(5 * time.Second)
		if n := len(w.owners()); n != 6 {
			t.Errorf("%d of 6 leases have a runner", n)
		}
		// c took each at about 200 and handled about 600 more.
		if n := w.repeated() - before; n == 0 || n > 6*(w.count("shard-000")-handled/2) {
			t.Errorf("%d numbers are read again; the shards had %d when they were taken", n, handled)
		}
		for i := range 6 {
			if s := w.lastStart("shard-00" + strconv.Itoa(i)); s.from.Rank != checkpoint.RankRecord {
				t.Errorf("%s starts at %v", s.lease, s.from)
			}
		}
	})
}

func TestAWorkerThatComesBackAfterTheSeedsOnlyRepeats(t *testing.T) {
	forgetful(t, 6, func(t *testing.T, w *world, forget func()) {
		a, _ := w.start("a"), w.start("b")
		wait(4 * time.Second)
		a.gate.set(true)
		forget()
		wait(4 * time.Second)
		expectCounts(t, w, map[string]int{"b": 6})
		a.gate.set(false)
		wait(4 * time.Second)
		expectCounts(t, w, map[string]int{"a": 3, "b": 3})
		if w.repeated() == 0 {
			t.Error("nothing is repeated, which nobody but a knew")
		}
	})
}

func TestAPauseByHandOutlivesTheLossOfState(t *testing.T) {
	forgetful(t, 4, func(t *testing.T, w *world, forget func()) {
		a := w.start("a")
		wait(2 * time.Second)
		if err := w.store.Pause(t.Context(), checkpoint.Scope{Group: "billing"}, true); err != nil {
			t.Fatal(err)
		}
		wait(time.Second)
		forget()
		wait(4 * time.Second)
		v, err := w.store.View(t.Context(), "billing")
		if err != nil || !v.Paused || len(w.owners()) > 0 {
			t.Errorf("paused %v, %d runners, %v", v.Paused, len(w.owners()), err)
		}
		if len(a.Status().Held) > 0 {
			t.Error("leases are held")
		}
		if err := w.store.Pause(t.Context(), checkpoint.Scope{Group: "billing"}, false); err != nil {
			t.Fatal(err)
		}
		wait(2 * time.Second)
		expectCounts(t, w, map[string]int{"a": 4})
		expectRepeated(t, w, 0)
	})
}

func TestADrainingWorkerGivesBackWhatItKnows(t *testing.T) {
	forgetful(t, 300, func(t *testing.T, w *world, forget func()) {
		a := w.start("a")
		wait(2 * time.Second)
		forget()
		a.stop()
		wait(10 * time.Millisecond)
		w.start("b")
		wait(4 * time.Second)
		expectCounts(t, w, map[string]int{"b": 300})
		expectRepeated(t, w, 0)
	})
}

// sums is a runner that keeps a sum of what it handled, as its state.
func sums(w *world, worker string) func(context.Context, *lease.Held) error {
	return func(ctx context.Context, h *lease.Held) error {
		l := h.Lease()
		at := w.begin(ctx, worker, h)
		defer w.stop(ctx, l.Name)
		if state := string(h.Entry().State); at > 0 && state != strconv.FormatUint(at, 10) {
			w.t.Errorf("%s: %s starts after %d with the state %q", l.Name, worker, at, state)
		}
		return runnertest.Every(ctx, h.Draining(), 10*time.Millisecond, func() {
			at++
			w.handle(l.Name, at)
			n := strconv.FormatUint(at, 10)
			h.Save(checkpoint.At(checkpoint.SequenceNumber(n), 0), 0, []byte(n))
		})
	}
}

func TestAPositionIsNotGivenBackWithoutItsState(t *testing.T) {
	forgetful(t, 4, func(t *testing.T, w *world, forget func()) {
		start := func(name string) *worker {
			return w.start(name, func(c *lease.Config) { c.Run = sums(w, name) })
		}
		first := start("first")
		wait(2 * time.Second)
		start("a")
		wait(20 * time.Millisecond)
		if err := first.drain(); err != nil {
			t.Fatal(err)
		}
		wait(2 * time.Second)
		b := start("b")
		wait(4 * time.Second)
		forget()
		wait(4 * time.Second)
		expectCounts(t, w, map[string]int{"a": 2, "b": 2})
		expectRepeated(t, w, 0)
		lost := map[string]bool{}
		for shard, owner := range w.owners() {
			lost[shard] = owner == "b"
		}
		b.kill()
		forget()
		wait(5 * time.Second)
		expectCounts(t, w, map[string]int{"a": 4})
		for shard, of := range lost {
			if s := w.lastStart(shard); s.from.IsZero() != of {
				t.Errorf("%s, whose state is lost: %v, starts at %v", shard, of, s.from)
			}
		}
	})
}

// A state that nobody has taken since it was given back is lost with the store
// once more, if who gave it back forgot it.
func TestAStateIsRememberedUntilItsLeaseIsTaken(t *testing.T) {
	forgetful(t, 4, func(t *testing.T, w *world, forget func()) {
		w.start("a", func(c *lease.Config) { c.Run = sums(w, "a") })
		wait(4 * time.Second)
		pause := func(on bool) {
			if err := w.store.Pause(t.Context(), checkpoint.Scope{Group: "billing"}, on); err != nil {
				t.Fatal(err)
			}
		}
		pause(true)
		wait(time.Second)
		for range 2 {
			forget()
			wait(5 * time.Second) // the time for seeds is over, and nothing is taken
		}
		pause(false)
		wait(2 * time.Second)
		expectCounts(t, w, map[string]int{"a": 4})
		expectRepeated(t, w, 0)
	})
}

func TestShardsThatFollowGoOnAfterALoss(t *testing.T) {
	forgetful(t, 2, func(t *testing.T, w *world, forget func()) {
		w.end("shard-000", 100, shard("c", "shard-000"), shard("d", "shard-000"))
		w.end("c", 200, shard("m", "c", "shard-001"))
		w.end("shard-001", 500, shard("m", "c", "shard-001"))
		w.start("a")
		w.start("b")
		wait(2500 * time.Millisecond)
		forget() // d runs, c may have ended, m waits
		wait(9 * time.Second)
		forget()
		wait(4 * time.Second)
		for _, id := range []string{"d", "m"} {
			if w.count(id) < 200 {
				t.Errorf("%s is at %d", id, w.count(id))
			}
		}
		expectRepeated(t, w, 0)
	})
}

func TestWhatARunnerFinishesAfterTheLossIsGivenBack(t *testing.T) {
	forgetful(t, 1, func(t *testing.T, w *world, forget func()) {
		w.start("a", func(c *lease.Config) {
			c.Run = func(ctx context.Context, h *lease.Held) error {
				at := w.begin(ctx, "a", h)
				defer w.stop(ctx, h.Lease().Name)
				for ctx.Err() == nil {
					time.Sleep(400 * time.Millisecond) // whatever the context says
					at++
					w.handle(h.Lease().Name, at)
					h.Save(checkpoint.At(checkpoint.SequenceNumber(strconv.FormatUint(at, 10)), 0), 0, nil)
				}
				return context.Cause(ctx)
			}
		})
		for range 5 {
			wait(3100 * time.Millisecond)
			forget()
		}
		wait(3 * time.Second)
		expectRepeated(t, w, 0)
	})
}

// rolledBack is a store that says, once, that it lost its latest writes.
type rolledBack struct {
	lease.Store

	mu   sync.Mutex // guards then
	then func()     // is called with it, nil for not
}

func (s *rolledBack) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	s.mu.Lock()
	then := s.then
	s.then = nil
	s.mu.Unlock()
	if then != nil {
		then()
		return lease.View{}, &lease.RegressedError{Number: b.Good - 1}
	}
	return s.Store.Beat(ctx, group, b)
}

func TestATableThatIsBeingReadAnewIsRemembered(t *testing.T) {
	forgetful(t, 4, func(t *testing.T, w *world, forget func()) {
		first := w.start("first")
		wait(2 * time.Second)
		s := &rolledBack{Store: w.store}
		b := w.start("b")
		w.start("a", func(c *lease.Config) { c.Store, c.MaxLeases = s, 1 })
		wait(20 * time.Millisecond)
		if err := first.drain(); err != nil {
			t.Fatal(err)
		}
		wait(4 * time.Second)
		s.mu.Lock()
		s.then = forget
		s.mu.Unlock()
		b.kill()
		wait(500 * time.Millisecond) // a has forgotten its table, and then the store all
		w.start("c")
		wait(5 * time.Second)
		for i := range 4 {
			if s := w.lastStart("shard-00" + strconv.Itoa(i)); s.from.Rank != checkpoint.RankRecord {
				t.Errorf("%s starts at %v", s.lease, s.from)
			}
		}
	})
}

func TestAWorkerThatEndsAsStateIsLostSeesTheLoss(t *testing.T) {
	for i := range 10 { // at any time between two beats
		forgetful(t, 4, func(t *testing.T, w *world, forget func()) {
			a := w.start("a")
			w.start("b")
			wait(4*time.Second + time.Duration(i)*37*time.Millisecond)
			forget()
			a.stop()
			wait(4 * time.Second)
			expectCounts(t, w, map[string]int{"b": 4})
			expectRepeated(t, w, 0)
		})
	}
}
