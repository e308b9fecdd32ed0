package lease_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/lease"
)

func TestARestartUnderTheSameNameTakesOverAtOnce(t *testing.T) {
	bubble(t, 5, func(t *testing.T, w *world) {
		old := w.start("a")
		wait(2 * time.Second)
		old.kill()
		synctest.Wait() // its runners have stopped
		w.start("a")
		wait(150 * time.Millisecond) // up to a tenth of the lease time to spread
		expectCounts(t, w, map[string]int{"a": 5})
	})
}

func TestALivingWorkerOfTheSameNameIsSuperseded(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		w.shards = nil // nothing to run: only the names count
		old := w.start("a")
		wait(2 * time.Second)
		w.start("a")
		wait(3 * time.Second)
		err := <-old.done
		old.done <- err
		if !errors.Is(err, lease.ErrSuperseded) || !strings.Contains(err.Error(), `"a"`) {
			t.Errorf("Run returned %v, want ErrSuperseded with the name", err)
		}
	})
}

// uncounted has a worker run what it holds without counting. Of two workers with one
// name the second may take the leases before the first hears of it.
func uncounted(c *lease.Config) {
	c.Run = func(ctx context.Context, _ *lease.Held) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}
}

// Who lost its name to another does not take it back because the state was
// lost: that one would not learn of it before its next beat.
func TestASupersededWorkerStaysSoWhenTheStateIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := lease.NewMemory()
		w := newWorld(t, store, 2)
		old := w.start("a", uncounted)
		wait(2 * time.Second)
		young := w.start("a")
		wait(500 * time.Millisecond) // old has heard of it
		old.gate.set(true)
		store.Forget("billing")
		wait(600 * time.Millisecond) // young has joined anew
		old.gate.set(false)
		wait(3 * time.Second)
		select {
		case err := <-old.done:
			old.done <- err
			if !errors.Is(err, lease.ErrSuperseded) {
				t.Errorf("the superseded worker returned %v, want ErrSuperseded", err)
			}
		default:
			t.Error("the superseded worker goes on")
		}
		select {
		case err := <-young.done:
			young.done <- err
			t.Errorf("the worker that has the name returned %v", err)
		default:
		}
		expectCounts(t, w, map[string]int{"a": 2})
	})
}

// When nobody has its name in the new state it joins as any other.
func TestASupersededWorkerGoesOnWhenItsRivalDiedWithTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := lease.NewMemory()
		w := newWorld(t, store, 2)
		w.start("a")
		wait(2 * time.Second)
		young := w.start("a", uncounted)
		wait(500 * time.Millisecond)
		young.kill()
		store.Forget("billing")
		wait(3 * time.Second)
		expectCounts(t, w, map[string]int{"a": 2})
	})
}
