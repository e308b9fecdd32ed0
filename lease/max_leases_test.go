package lease_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// idler is a store that a worker can beat to, and cannot acquire from.
type idler struct{ lease.Store }

func (idler) Acquire(context.Context, checkpoint.Scope, lease.Acquire) ([]lease.Grant, error) {
	return nil, errors.New("no leases today")
}

// What is being acquired counts, though it is not granted yet: more leases may come
// free meanwhile, here those of the worker whose name was taken.
func TestLeasesOnTheirWayCount(t *testing.T) {
	bubble(t, 4, func(t *testing.T, w *world) {
		w.start("a", func(c *lease.Config) { c.MaxLeases = 2 })
		wait(3 * time.Second)
		expectCounts(t, w, map[string]int{"a": 2})
		twin := w.start("a", func(c *lease.Config) {
			c.Store, c.MaxLeases = lateGrants{c.Store, 200 * time.Millisecond, new(atomic.Bool)}, 2
		})
		for range 100 {
			wait(10 * time.Millisecond)
			if n := len(twin.Status().Held); n > 2 {
				t.Fatalf("it has %d leases, and may hold 2", n)
			}
		}
		expectCounts(t, w, map[string]int{"a": 2})
	})
}

// Leases that their planned owner leaves alone are taken by others, in turn; and
// those take no more of them than they may hold, whatever is left alone then.
func TestLeasesThatNobodyTakesGoToThoseWithRoom(t *testing.T) {
	for name, test := range map[string]struct{ most, holds int }{
		"a worker without a bound takes all":        {0, 12},
		"a worker that may hold one keeps to one":   {1, 1},
		"a worker that may hold seven has not more": {7, 7},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 12, func(t *testing.T, w *world) {
				w.each = 100 * time.Millisecond
				w.start("idler", func(c *lease.Config) { c.Store = idler{c.Store} })
				w.start("busy", func(c *lease.Config) { c.MaxLeases = test.most })
				for range 60 {
					wait(time.Second / 2)
					if n := w.counts()["busy"]; test.most > 0 && n > test.most {
						t.Fatalf("it runs %d leases, and may hold %d", n, test.most)
					}
				}
				expectCounts(t, w, map[string]int{"busy": test.holds})
			})
		})
	}
}
