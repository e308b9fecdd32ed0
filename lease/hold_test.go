package lease_test

import (
	"context"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// scope is the group's, as an operator finds it.
func (w *world) scope() checkpoint.Scope {
	w.t.Helper()
	v, err := w.store.View(w.t.Context(), "billing")
	if err != nil {
		w.t.Fatal(err)
	}
	return checkpoint.Scope{Group: "billing", Incarnation: v.Incarnation}
}

func TestAPausedGroupIsGivenBackAndGoesOnWhereItWas(t *testing.T) {
	bubble(t, 10, func(t *testing.T, w *world) {
		w.start("a")
		w.start("b")
		wait(5 * time.Second)
		if err := w.store.Pause(t.Context(), w.scope(), true); err != nil {
			t.Fatal(err)
		}
		wait(100 * time.Millisecond)
		expectCounts(t, w, map[string]int{})
		v, err := w.store.View(t.Context(), "billing")
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range v.Leases {
			at := l.Position
			if at.Rank != checkpoint.RankRecord || w.count(lease.ShardOf(l.Name)) == 0 || !l.Free() {
				t.Errorf("%s is held by %q at %s", l.Name, l.Token, at)
			}
		}
		w.start("c") // who comes later waits too
		wait(20 * time.Second)
		expectCounts(t, w, map[string]int{})
		if err := w.store.Pause(t.Context(), w.scope(), false); err != nil {
			t.Fatal(err)
		}
		wait(time.Second)
		if n := len(w.owners()); n != 10 {
			t.Errorf("%d of 10 leases are held after the pause", n)
		}
		if w.again != 0 {
			t.Errorf("%d numbers were handled again", w.again)
		}
	})
}

func TestALeaseThatIsPausedAloneIsGivenBack(t *testing.T) {
	bubble(t, 4, func(t *testing.T, w *world) {
		w.start("a")
		w.start("b")
		wait(5 * time.Second)
		mark := lease.Mark{Name: lease.Name(stream, "shard-002"), Flag: lease.FlagPaused}
		if err := w.store.Mark(t.Context(), w.scope(), mark); err != nil {
			t.Fatal(err)
		}
		wait(10 * time.Second)
		owners := w.owners()
		if _, held := owners["shard-002"]; held || len(owners) != 3 {
			t.Errorf("held with shard-002 paused: %v", owners)
		}
		mark.Off = true
		if err := w.store.Mark(t.Context(), w.scope(), mark); err != nil {
			t.Fatal(err)
		}
		wait(5 * time.Second)
		if owners := w.owners(); len(owners) != 4 {
			t.Errorf("held after the pause: %v", owners)
		}
	})
}

// A runner that was asked to hand over, and took too long, keeps its lease; a pause
// takes it all the same.
func TestAPauseOutweighsARefusedHandOver(t *testing.T) {
	bubble(t, 2, func(t *testing.T, w *world) {
		w.deaf = true
		release := make(chan struct{})
		w.start("a", func(c *lease.Config) {
			run := c.Run
			c.HandoffTime = 100 * time.Millisecond
			c.Run = func(ctx context.Context, h *lease.Held) error {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				go func() {
					select {
					case <-release:
						<-h.Draining()
						cancel()
					case <-ctx.Done():
					}
				}()
				_ = run(ctx, h) // it ends as the test says
				return nil
			}
		})
		wait(time.Second)
		w.start("b")
		wait(3 * time.Second) // b asked, a did not hand over in time
		if err := w.store.Pause(t.Context(), w.scope(), true); err != nil {
			t.Fatal(err)
		}
		wait(time.Second)
		close(release)
		wait(time.Second)
		v, err := w.store.View(t.Context(), "billing")
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range v.Leases {
			if !l.Free() {
				t.Errorf("%s is held by %s in a pause", l.Name, l.Token)
			}
		}
	})
}

func TestNobodyMakesLeasesInAPause(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		w.start("a")
		wait(time.Second)
		if err := w.store.Pause(t.Context(), w.scope(), true); err != nil {
			t.Fatal(err)
		}
		wait(time.Second)
		names := []string{lease.Name(stream, "shard-000"), lease.Name(stream, "shard-001"), lease.Name(stream, "shard-002")}
		if _, err := w.store.Collect(t.Context(), w.scope(), lease.Collection{Names: names, Deleted: true}); err != nil {
			t.Fatal(err)
		}
		wait(10 * time.Second)
		if v, err := w.store.View(t.Context(), "billing"); err != nil || len(v.Leases) != 0 {
			t.Errorf("leases in a pause: %v, %v", v.Leases, err)
		}
		w.mu.Lock()
		clear(w.handled) // they begin anew
		w.mu.Unlock()
		if err := w.store.Pause(t.Context(), w.scope(), false); err != nil {
			t.Fatal(err)
		}
		wait(time.Second)
		expectCounts(t, w, map[string]int{"a": 3})
	})
}
