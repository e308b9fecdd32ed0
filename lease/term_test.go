package lease_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shardrun/shardrun/lease"
)

func TestALeaseRunsOutWhileTheManagerIsStalled(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		var good atomic.Value // time.Time: the start of the last good beat
		good.Store(time.Now())
		stalled, release := make(chan struct{}, 1), make(chan struct{})
		wk, h, ctx := holding(t, w, func(c *lease.Config) {
			c.Hooks.Beat = func(took time.Duration, err error) {
				if err == nil {
					good.Store(time.Now().Add(-took))
					return
				}
				select {
				case stalled <- struct{}{}:
				default:
				}
				<-release
			}
		})
		wait(3 * time.Second)
		if !h.Valid() || ctx.Err() != nil {
			t.Fatal("the lease is not valid while beats are answered")
		}
		wk.gate.set(true)
		<-stalled // and nothing more is done by the manager's loop
		last := good.Load().(time.Time)
		time.Sleep(time.Until(last.Add(w.ttl*9/10 - time.Nanosecond)))
		if !h.Valid() || ctx.Err() != nil {
			t.Errorf("not valid %v after the beat, with a lease time of %v", time.Since(last), w.ttl)
		}
		time.Sleep(time.Nanosecond)
		if h.Valid() {
			t.Errorf("still valid %v after the beat, with a lease time of %v", time.Since(last), w.ttl)
		}
		if cause := context.Cause(ctx); !errors.Is(cause, lease.ErrLost) {
			t.Errorf("the runner's context ended with %v, want %v", cause, lease.ErrLost)
		}
		wk.gate.set(false)
		close(release)
		wait(3 * time.Second)
		if s := wk.Status(); len(s.Held) != 1 {
			t.Errorf("%d leases are held when the store answers again, want 1", len(s.Held))
		}
	})
}
