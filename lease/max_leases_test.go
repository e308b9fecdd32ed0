package lease_test

import (
	"context"
	"errors"
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

// Leases that their planned owner leaves alone are taken by others, in turn; and
// those take no more of them than they may hold, whatever is left alone then.
func TestLeasesThatNobodyTakesGoToThoseWithRoom(t *testing.T) {
	for name, test := range map[string]struct{ most, holds int }{
		"a worker without a bound takes all":        {0, 4},
		"a worker that may hold one keeps to one":   {1, 1},
		"a worker that may hold three has not more": {3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 4, func(t *testing.T, w *world) {
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
