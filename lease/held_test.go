package lease_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// holding runs a worker on one shard, whose runner hands its lease out and
// waits.
func holding(t *testing.T, w *world, change ...func(*lease.Config)) (*worker, *lease.Held, context.Context) {
	t.Helper()
	type tenure struct {
		h   *lease.Held
		ctx context.Context
	}
	got := make(chan tenure, 1)
	wk := w.start("a", append([]func(*lease.Config){func(c *lease.Config) {
		c.CheckpointInterval = time.Hour
		c.Run = func(ctx context.Context, h *lease.Held) error {
			select {
			case got <- tenure{h, ctx}:
			default: // a later tenure: only the first is looked at
			}
			select {
			case <-ctx.Done():
			case <-h.Draining():
			}
			return nil
		}
	}}, change...)...)
	first := <-got
	return wk, first.h, first.ctx
}

func stored(t *testing.T, w *world) checkpoint.Entry {
	t.Helper()
	name := lease.Name(stream, "shard-000")
	all, err := w.store.Load(t.Context(), "billing", name)
	if err != nil {
		t.Fatal(err)
	}
	return all[name]
}

func TestFlushReturnsWhenTheStoreHasIt(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		_, h, _ := holding(t, w)
		if err := h.Flush(t.Context()); err != nil { // nothing to save
			t.Error(err)
		}
		h.Save(checkpoint.At("5", 1), 2, []byte("state"))
		wait(time.Second)
		if e := stored(t, w); !e.Position.IsZero() {
			t.Fatalf("saved before its time: %v", e.Position)
		}
		if err := h.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if e := stored(t, w); e.Position != checkpoint.At("5", 1) || e.Counter != 2 || string(e.State) != "state" {
			t.Errorf("stored %+v", e)
		}
	})
}

func TestSaveIgnoresWhatIsBehindOrInvalid(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		_, h, ctx := holding(t, w)
		h.Save(checkpoint.At("5", 1), 2, nil)
		h.Save(checkpoint.At("5", 1), 1, nil)
		h.Save(checkpoint.At("4", 9), 9, nil)
		h.Save(checkpoint.At("x", 9), 9, nil)
		h.Save(checkpoint.ShardEnd(), 9, nil)
		if err := h.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if e := stored(t, w); e.Position != checkpoint.At("5", 1) || e.Counter != 2 || ctx.Err() != nil {
			t.Errorf("stored %+v, context %v", e, ctx.Err())
		}
	})
}

func TestPositionsAreSavedTogether(t *testing.T) {
	bubble(t, 30, func(t *testing.T, w *world) {
		var sizes []int
		w.start("a", func(c *lease.Config) {
			c.CheckpointInterval = 200 * time.Millisecond
			c.Hooks.Saved = func(n int, _ time.Duration, err error) {
				if err == nil {
					sizes = append(sizes, n)
				}
			}
		})
		wait(2050 * time.Millisecond)
		if len(sizes) < 8 || len(sizes) > 11 {
			t.Fatalf("%d saves in 2 s of an interval of 200 ms: %v", len(sizes), sizes)
		}
		for _, n := range sizes[:8] {
			if n != 30 {
				t.Errorf("saves of %v leases, want all 30 in each", sizes)
				break
			}
		}
	})
}

func TestFlushWaitsForAStoreThatIsAway(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		wk, h, _ := holding(t, w)
		wk.gate.set(true)
		h.Save(checkpoint.At("5", 0), 0, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := h.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("flush: %v", err)
		}
		time.AfterFunc(200*time.Millisecond, func() { wk.gate.set(false) })
		from := time.Now()
		if err := h.Flush(t.Context()); err != nil || time.Since(from) > 500*time.Millisecond {
			t.Errorf("flush after %v: %v", time.Since(from), err)
		}
	})
}

func TestAFencedOwnerIsToldAtOnce(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		wk, h, ctx := holding(t, w)
		// Another takes the lease, as after a lapse that this worker slept through.
		s := wk.Status()
		scope := checkpoint.Scope{Group: "billing"}
		g, err := w.store.Acquire(t.Context(), scope, lease.Acquire{Session: s.Session, First: 1000, Names: []string{h.Lease().Name}})
		if err != nil || g[0].Err != nil {
			t.Fatal(err, g)
		}
		h.Save(checkpoint.At("5", 0), 0, nil)
		if err := h.Flush(t.Context()); !errors.Is(err, lease.ErrLost) {
			t.Errorf("flush: %v", err)
		}
		if cause := context.Cause(ctx); !errors.Is(cause, lease.ErrLost) {
			t.Errorf("cause %v", cause)
		}
		if e := stored(t, w); !e.Position.IsZero() {
			t.Errorf("a fenced owner saved %v", e.Position)
		}
		if err := h.Complete(t.Context(), nil); !errors.Is(err, lease.ErrLost) {
			t.Errorf("complete: %v", err)
		}
	})
}

func TestAnOwnerThatSavesNothingIsToldByABeat(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		wk, h, ctx := holding(t, w)
		scope := checkpoint.Scope{Group: "billing"}
		_, err := w.store.Acquire(t.Context(), scope, lease.Acquire{Session: wk.Status().Session, First: 1000, Names: []string{h.Lease().Name}})
		if err != nil {
			t.Fatal(err)
		}
		wait(time.Second)
		if cause := context.Cause(ctx); !errors.Is(cause, lease.ErrLost) {
			t.Errorf("cause %v", cause)
		}
	})
}

func TestALeaseIsReleasedAtTheStoredPositionWhenThatIsAhead(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		wk, h, _ := holding(t, w)
		ahead := checkpoint.Update{Lease: h.Lease().Name, Token: h.Lease().Token, Position: checkpoint.At("100", 0), Counter: 7}
		if _, err := w.store.Save(t.Context(), checkpoint.Scope{Group: "billing"}, ahead); err != nil {
			t.Fatal(err)
		}
		h.Save(checkpoint.At("5", 0), 0, nil)
		if err := wk.drain(); err != nil {
			t.Fatal(err)
		}
		view, err := w.store.View(t.Context(), "billing")
		if err != nil || !view.Leases[0].Free() || view.Leases[0].Position != checkpoint.At("100", 0) {
			t.Errorf("lease %+v, %v", view.Leases[0], err)
		}
	})
}

func TestCompleteIsTriedUntilTheStoreAnswers(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		wk, h, _ := holding(t, w)
		wk.gate.set(true)
		time.AfterFunc(300*time.Millisecond, func() { wk.gate.set(false) })
		if err := h.Complete(t.Context(), []lease.Row{shard("child", "shard-000")}); err != nil {
			t.Fatal(err)
		}
		if e := stored(t, w); !e.Position.IsEnd() {
			t.Errorf("stored %v", e.Position)
		}
	})
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	good := lease.Config{
		Store: lease.NewMemory(), Group: "billing", Streams: []string{stream},
		Run:      func(context.Context, *lease.Held) error { return nil },
		Discover: func(context.Context, string) ([]lease.Row, error) { return nil, nil },
	}
	if _, err := lease.NewManager(good); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*lease.Config){
		"Store is required":         func(c *lease.Config) { c.Store = nil },
		"Group is required":         func(c *lease.Config) { c.Group = "" },
		"Run is required":           func(c *lease.Config) { c.Run = nil },
		"Discover is required":      func(c *lease.Config) { c.Discover = nil },
		"Streams is required":       func(c *lease.Config) { c.Streams = nil },
		"from 300ms to 5m0s":        func(c *lease.Config) { c.TTL = time.Millisecond },
		"TTL is 1h0m0s":             func(c *lease.Config) { c.TTL = time.Hour },
		"Capacity is -1":            func(c *lease.Config) { c.Capacity = -1 },
		"MaxLeases is -1":           func(c *lease.Config) { c.MaxLeases = -1 },
		"CheckpointInterval is -1s": func(c *lease.Config) { c.CheckpointInterval = -time.Second },
		"HandoffTime is -1s":        func(c *lease.Config) { c.HandoffTime = -time.Second },
		"DrainTimeout is -1s":       func(c *lease.Config) { c.DrainTimeout = -time.Second },
		"JoinTimeout is -1s":        func(c *lease.Config) { c.JoinTimeout = -time.Second },
	} {
		bad := good
		change(&bad)
		if _, err := lease.NewManager(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
