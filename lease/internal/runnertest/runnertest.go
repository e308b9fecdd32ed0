// Package runnertest has what runners of leases in tests have in common.
package runnertest

import (
	"context"
	"time"

	"github.com/shardrun/shardrun/lease"
)

// Every calls step each time that d has passed, until the lease is lost, which it
// returns, or to be given back.
func Every(ctx context.Context, h *lease.Held, d time.Duration, step func()) error {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-h.Draining():
			return nil
		case <-tick.C:
			step()
		}
	}
}
