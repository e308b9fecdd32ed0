package lease_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// lateGrants is a store whose answers to Acquire take their time.
type lateGrants struct {
	lease.Store
	late time.Duration
	came *atomic.Bool // one has come
}

func (s lateGrants) Acquire(ctx context.Context, in checkpoint.Scope, a lease.Acquire) ([]lease.Grant, error) {
	grants, err := s.Store.Acquire(ctx, in, a)
	time.Sleep(s.late)
	if err == nil && grants[0].Err == nil {
		s.came.Store(true)
	}
	return grants, err
}

// The store gives a name, and the leases that go with it, to the worker that came
// last. The former one may have leases on their way when it is told.
func TestASupersededWorkerStartsNoRunner(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		var told, twin, came atomic.Bool
		w.start("a", func(c *lease.Config) {
			c.Store = lateGrants{w.store, 200 * time.Millisecond, &came}
			c.Run = func(ctx context.Context, _ *lease.Held) error {
				if told.Load() && ctx.Err() == nil {
					t.Errorf("its runner starts, with a context that goes on; the other runs: %v", twin.Load())
				}
				<-ctx.Done()
				return nil
			}
			c.Hooks.Beat = func(_ time.Duration, err error) {
				if err != nil {
					told.Store(true)
				}
			}
		})
		wait(60 * time.Millisecond) // its lease is taken, and it does not know
		w.start("a", func(c *lease.Config) {
			run := c.Run
			c.Run = func(ctx context.Context, h *lease.Held) error {
				twin.Store(true)
				return run(ctx, h)
			}
		})
		wait(3 * time.Second)
		if !told.Load() || !twin.Load() || !came.Load() {
			t.Errorf("superseded %v, the other runs %v, the late grant came %v", told.Load(), twin.Load(), came.Load())
		}
	})
}
