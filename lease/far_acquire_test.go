package lease_test

import (
	"context"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// far is a store that Acquire takes a while to reach.
type far struct {
	lease.Store

	acquire time.Duration
}

func (s far) Acquire(ctx context.Context, scope checkpoint.Scope, a lease.Acquire) ([]lease.Grant, error) {
	time.Sleep(s.acquire)
	return s.Store.Acquire(ctx, scope, a)
}

// Of two children one goes to the worker that had their parent and may have no
// more, slowly, and the other at once to the one that has room.
func TestAChildIsTakenAtOnceWhenItsSiblingWasTakenMeanwhile(t *testing.T) {
	bubble(t, 0, func(t *testing.T, w *world) {
		w.ttl = 9 * time.Second
		w.shards = []lease.Row{shard("S1"), shard("S2")}
		w.end("S1", 300, shard("a", "S1"), shard("b", "S1"))
		w.start("x", func(c *lease.Config) { c.MaxLeases, c.Store = 1, far{Store: c.Store, acquire: 15 * time.Millisecond} })
		wait(time.Second)
		w.start("y")
		wait(10 * time.Second)
		owners := w.owners()
		if owners["S2"] != "y" || owners["a"] == "" || owners["b"] == "" || owners["a"] == owners["b"] {
			t.Fatalf("running: %v, want S2 and a child on y, the other child on x", owners)
		}
		for _, child := range []string{"a", "b"} {
			if gap := w.lastStart(child).at.Sub(w.lastStart("S1").at); gap > 3100*time.Millisecond {
				t.Errorf("%s starts on %s %v after S1 did, want 3 s", child, owners[child], gap)
			}
		}
	})
}
