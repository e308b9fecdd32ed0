package lease_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

func TestDrainHandsOverInMilliseconds(t *testing.T) {
	bubble(t, 10, func(t *testing.T, w *world) {
		a := w.start("a")
		w.start("b")
		wait(5 * time.Second)
		from := time.Now()
		if err := a.drain(); err != nil {
			t.Fatal(err)
		}
		wait(50*time.Millisecond - time.Since(from))
		expectCounts(t, w, map[string]int{"b": 10})
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, s := range w.starts[len(w.starts)-5:] {
			if took := s.at.Sub(from); took > 30*time.Millisecond {
				t.Errorf("%s was taken %v after the drain began", s.lease, took)
			}
		}
	})
}

func TestDrainSavesTheLastPositionAndReleases(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		a := w.start("a", func(c *lease.Config) { c.CheckpointInterval = time.Hour })
		wait(1234 * time.Millisecond)
		if err := a.drain(); err != nil {
			t.Fatal(err)
		}
		view, err := w.store.View(t.Context(), "billing")
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range view.Leases {
			want := checkpoint.At(checkpoint.SequenceNumber(strconv.FormatUint(w.handled[l.Name], 10)), 0)
			if got := l.Position; got != want || want.Compare(checkpoint.At("120", 0)) < 0 || !l.Free() {
				t.Errorf("%s: at %v, free %v; want %v and free", l.Name, got, l.Free(), want)
			}
		}
		if len(view.Sessions) != 0 {
			t.Errorf("the session did not say goodbye: %v", view.Sessions)
		}
	})
}

func TestARunnerThatIgnoresTheDrainIsCancelled(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		w.deaf = true
		a := w.start("a", func(c *lease.Config) { c.DrainTimeout = 7 * time.Second })
		wait(time.Second)
		from := time.Now()
		if err := a.drain(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(from); took < 7*time.Second || took > 7100*time.Millisecond {
			t.Errorf("drained in %v, want the drain timeout", took)
		}
		if view, _ := w.store.View(t.Context(), "billing"); !view.Leases[0].Free() {
			t.Error("the lease was not released")
		}
	})
}

func TestARunnerThatIsSlowToHandOverKeepsItsLease(t *testing.T) {
	bubble(t, 2, func(t *testing.T, w *world) {
		w.deaf = true
		w.start("a", func(c *lease.Config) { c.HandoffTime = 2 * time.Second })
		wait(2 * time.Second)
		w.start("b", func(c *lease.Config) { c.HandoffTime = 2 * time.Second })
		wait(1500 * time.Millisecond) // b asks after one lease time of quiet
		first := wishes(t, w.store)
		if len(first) != 1 {
			t.Fatalf("wishes: %v, want one", first)
		}
		wait(2 * time.Second)
		expectCounts(t, w, map[string]int{"a": 2})
		if now := wishes(t, w.store); len(now) > 0 && now[0] == first[0] {
			t.Errorf("the wish for %s was not refused", first[0])
		}
		w.mu.Lock()
		w.deaf = false
		w.mu.Unlock()
		wait(10 * time.Second)
		expectCounts(t, w, map[string]int{"a": 1, "b": 1})
	})
}

func TestADrainIsToldAtOnce(t *testing.T) {
	bubble(t, 2, func(t *testing.T, w *world) {
		w.deaf = true
		a := w.start("a", func(c *lease.Config) { c.DrainTimeout = 3 * time.Second })
		wait(1100 * time.Millisecond)
		a.stop()
		wait(20 * time.Millisecond)
		view, err := w.store.View(t.Context(), "billing")
		if err != nil || len(view.Sessions) != 1 || view.Sessions[0].State != lease.StateDrain {
			t.Errorf("sessions %+v, %v", view.Sessions, err)
		}
	})
}
