package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// anewRounds is how often the leases of a stream are removed that came meanwhile.
const anewRounds = 10

// anew removes the leases of the stream and makes its first ones. A shard that was
// seen held may end before it is fenced, and its children are born; who has not heard
// of the pause may make rows that are missing. None of them may be left: a child
// would begin with what its parent left it the first time.
func (r *resetting) anew(ctx context.Context, scope checkpoint.Scope, ttl time.Duration, leases []lease.Lease) error {
	for range anewRounds {
		if err := r.remove(ctx, scope, leases); err != nil {
			return err
		}
		v, err := r.view(ctx)
		if err != nil {
			return err
		}
		if v.Incarnation != scope.Incarnation {
			return fmt.Errorf("remove the leases of stream %s: %w", streamName(r.stream), lease.ErrReset)
		}
		if leases = of(v.Leases, r.stream); len(leases) == 0 {
			return makeLeases(ctx, r.group, ttl, r.stream, r.rows)
		}
	}
	return fmt.Errorf("leases of stream %s come as fast as they are removed", streamName(r.stream))
}

// remove removes leases as they were seen. What has changed since may stay.
func (r *resetting) remove(ctx context.Context, scope checkpoint.Scope, leases []lease.Lease) error {
	names := make([]string, len(leases))
	for i, l := range leases {
		names[i] = l.Name
		if l.Free() || l.Finished() {
			continue
		}
		// It fences the owner; a living one's row is not removed.
		err := r.Reset(ctx, scope, lease.Reset{Name: l.Name, Position: r.to, Epoch: l.Epoch})
		if err != nil && !errors.Is(err, lease.ErrChanged) {
			return err
		}
	}
	left, err := r.Collect(ctx, scope, lease.Collection{Names: names, Deleted: true})
	if err != nil {
		return err
	}
	for i, err := range left {
		if err != nil && !errors.Is(err, lease.ErrHeld) {
			return fmt.Errorf("remove lease %s: %w", names[i], err)
		}
	}
	return nil
}
