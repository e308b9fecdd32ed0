// Package runnertest has what runners of leases in tests have in common.
package runnertest

import (
	"context"
	"time"
)

// Every calls step each time that d has passed, until the lease is lost, of which it
// returns the cause, or is to be given back, which draining tells.
func Every(ctx context.Context, draining <-chan struct{}, d time.Duration, step func()) error {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-draining:
			return nil
		case <-tick.C:
			step()
		}
	}
}
