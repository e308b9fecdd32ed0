package lease_test

import (
	"context"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// lateCompletions is a store whose answers to Complete take their time: beats tell
// of the children first, and not whose they are.
type lateCompletions struct {
	lease.Store
	late time.Duration
}

func (s lateCompletions) Complete(ctx context.Context, in checkpoint.Scope, c lease.Completion) error {
	err := s.Store.Complete(ctx, in, c)
	time.Sleep(s.late)
	return err
}

// A worker whose only shard has ended seems to have too little before it has the
// children; it asks nobody for more.
func TestNothingIsAskedForWhileChildrenAreOnTheirWay(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		late := func(c *lease.Config) { c.Store = lateCompletions{c.Store, 100 * time.Millisecond} }
		a, b := w.start("a", late), w.start("b", late)
		wait(10 * time.Second)
		counts := w.counts()
		if counts["a"]+counts["b"] != 3 || counts["a"] == 0 || counts["b"] == 0 {
			t.Fatalf("leases a worker: %v, want 1 and 2", counts)
		}
		before := a.gate.hint() + b.gate.hint()
		for id, owner := range w.owners() {
			if counts[owner] == 1 {
				w.end(id, w.count(id)+50, shard("c", id), shard("d", id))
			}
		}
		wait(5 * time.Second)
		expectCounts(t, w, map[string]int{"a": 2, "b": 2})
		if asked := a.gate.hint() + b.gate.hint() - before; asked > 0 {
			t.Errorf("%d leases are asked for, and nothing was to be gained", asked)
		}
	})
}
