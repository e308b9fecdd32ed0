package consumer

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// list lists all shards of a stream for its audit. What the stream is, is asked
// afterwards: a stream that was made anew is never taken for the one before.
func (c *Consumer) list(st stream) func(context.Context, string) (lease.Listing, error) {
	return func(ctx context.Context, _ string) (lease.Listing, error) {
		shards, listErr := c.listShards(ctx, st, nil)
		now, err := c.describe(ctx)
		switch {
		case errors.Is(err, ErrStreamNotFound), err == nil && now.id != st.id, err == nil && now.status == types.StreamStatusDeleting:
			ended := c.confirmGone(ctx, st)
			if ended == nil {
				return lease.Listing{}, fmt.Errorf("list shards of %s: it was not what it is now", c.place())
			}
			c.quit(ended, true)
			return lease.Listing{}, ended
		case err != nil || listErr != nil:
			return lease.Listing{}, errors.Join(listErr, err)
		}
		if err := tile(openShards(shards)); err != nil {
			return lease.Listing{}, fmt.Errorf("list shards of %s: %w", c.place(), err)
		}
		listed, err := rows(st.id, shards, nil)
		return lease.Listing{Shards: listed, Retention: now.retention}, err
	}
}

// happened passes on what happens to leases, and tells of shards whose records have
// expired before anyone took them.
func (c *Consumer) happened(e lease.Event) {
	call(c.cfg.Hooks.Lease, e)
	if f := c.cfg.Hooks.RecordsExpired; f != nil && e.Repair == lease.RepairRetired {
		f(lease.ShardOf(e.Lease.Name), e.Lease.Position, checkpoint.ShardEnd())
	}
}
