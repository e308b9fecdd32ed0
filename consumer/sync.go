package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/lease"
)

// startMargin is how far before the starting time shards may have ended and
// still be taken: the times of shards and of records come from different
// clocks. A shard that ended before the start costs one empty read.
const startMargin = time.Minute

// discover lists the leases of a group that begins: those that pick chooses of the
// shards that may have records from the starting point on, each at that point.
//
// A new group has leases of the oldest shards, and what followed them gets its
// lease when they end. After a loss of state all shards are listed: the end of a
// shard may be remembered and what followed it not, which nobody would make then.
//
// It does not ask for the shards that were open at the point (AT_TRIM_HORIZON,
// AT_TIMESTAMP): what those lists do with a shard that ended just then differs
// between services, and one that is left out is lost. Lists from the point on
// contain what followed as well, so whatever happens to the stream meanwhile,
// no shard is missed.
func (c *Consumer) discover(
	ctx context.Context, st stream, start checkpoint.Position, pick func([]types.Shard) []types.Shard,
) ([]lease.Row, error) {
	shards, err := c.listShards(ctx, st, filterFrom(start))
	if err != nil {
		return nil, err
	}
	if err := tile(openShards(shards)); err != nil {
		return nil, fmt.Errorf("list shards of %s: %w", st.name, err)
	}
	if picked := pick(shards); tile(picked) == nil {
		shards = picked
	}
	// Else some of the oldest shards have expired and left holes, or overlap
	// with those that followed them: all shards get a lease, and each waits for
	// those of its parents that are listed. The others have expired.
	out, err := rows(st.id, shards, ids(shards))
	for i := range out {
		out[i].Position = start
	}
	return out, err
}

// filterFrom asks for all shards that may have records from a starting point on.
func filterFrom(start checkpoint.Position) *types.ShardFilter {
	if start.Since.IsZero() {
		return &types.ShardFilter{Type: types.ShardFilterTypeFromTrimHorizon}
	}
	return &types.ShardFilter{Type: types.ShardFilterTypeFromTimestamp, Timestamp: aws.Time(start.Since.Add(-startMargin))}
}

// roots are the shards none of whose parents are listed.
func roots(shards []types.Shard) []types.Shard {
	listed := ids(shards)
	return slices.DeleteFunc(slices.Clone(shards), func(s types.Shard) bool { return len(parentsOf(s, listed)) > 0 })
}

// allShards leaves none out.
func allShards(shards []types.Shard) []types.Shard { return shards }

func ids(shards []types.Shard) map[string]bool {
	out := make(map[string]bool, len(shards))
	for _, s := range shards {
		out[aws.ToString(s.ShardId)] = true
	}
	return out
}

// listShards lists shards, all of them for a nil filter.
func (c *Consumer) listShards(ctx context.Context, st stream, filter *types.ShardFilter) ([]types.Shard, error) {
	var shards []types.Shard
	in := &kinesis.ListShardsInput{
		StreamARN: aws.String(st.arn), StreamCreationTimestamp: aws.Time(st.created), ShardFilter: filter,
	}
	for {
		out, err := c.listPage(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("list shards of %s: %w", st.name, err)
		}
		shards = append(shards, out.Shards...)
		if out.NextToken == nil {
			return shards, nil
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
}

// listPage asks for one page of a list.
func (c *Consumer) listPage(ctx context.Context, in *kinesis.ListShardsInput) (*kinesis.ListShardsOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	return c.cfg.Client.ListShards(ctx, in)
}

func openShards(shards []types.Shard) []types.Shard {
	return slices.DeleteFunc(slices.Clone(shards), func(s types.Shard) bool {
		return s.SequenceNumberRange != nil && s.SequenceNumberRange.EndingSequenceNumber != nil
	})
}

// tile reports why shards do not cover every hash key exactly once.
func tile(shards []types.Shard) error {
	if len(shards) == 0 {
		return errors.New("no shards")
	}
	ranges := make([]hashkey.Range, len(shards))
	for i, s := range shards {
		var err error
		if ranges[i], err = rangeOf(s.HashKeyRange); err != nil {
			return fmt.Errorf("shard %s: %w", aws.ToString(s.ShardId), err)
		}
	}
	return hashkey.Tile(ranges, hashkey.Full)
}

func rangeOf(r *types.HashKeyRange) (hashkey.Range, error) {
	if r == nil {
		return hashkey.Range{}, errors.New("no hash key range")
	}
	return hashkey.ParseRange(aws.ToString(r.StartingHashKey), aws.ToString(r.EndingHashKey))
}

// rows are the leases of shards, at the start, each with those of its parents
// that are listed; a nil map means all.
func rows(streamID string, shards []types.Shard, listed map[string]bool) ([]lease.Row, error) {
	out := make([]lease.Row, 0, len(shards))
	for _, s := range shards {
		r, err := row(streamID, aws.ToString(s.ShardId), s.HashKeyRange, parentsOf(s, listed))
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// parentsOf are the parents of a shard that are listed; a nil map means all.
func parentsOf(s types.Shard, listed map[string]bool) []string {
	var out []string
	for _, p := range []*string{s.ParentShardId, s.AdjacentParentShardId} {
		if id := aws.ToString(p); id != "" && (listed == nil || listed[id]) {
			out = append(out, id)
		}
	}
	return out
}

// row is the lease of a shard that starts at its oldest record.
func row(streamID, id string, keys *types.HashKeyRange, parents []string) (lease.Row, error) {
	if id == "" {
		return lease.Row{}, errors.New("shard without an id in the answer")
	}
	if _, err := rangeOf(keys); err != nil {
		return lease.Row{}, fmt.Errorf("shard %s: %w", id, err)
	}
	r := lease.Row{Name: lease.Name(streamID, id), Position: checkpoint.Start()}
	r.Shard.StartingHashKey = aws.ToString(keys.StartingHashKey)
	r.Shard.EndingHashKey = aws.ToString(keys.EndingHashKey)
	for _, p := range parents {
		r.Shard.Parents = append(r.Shard.Parents, lease.Name(streamID, p))
	}
	return r, nil
}
