package consumer

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/awserr"
	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/lease"
)

// complete ends the shard after its last record: its children get their
// leases in the same step. The children that the last read named are taken
// when they cover the shard's hash keys; else the shards are listed, as often
// as it takes, because a child that is missed would never be read.
func (s *shard) complete(ctx context.Context) error {
	children, err := s.childRows(s.queue.children)
	for failed := 1; err != nil; failed++ {
		s.log.Info("the children of the ended shard are to be listed", zap.Error(err))
		var listed []types.ChildShard
		if listed, err = s.listChildren(ctx); err == nil {
			if children, err = s.childRows(listed); err == nil {
				break
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if class := awserr.Classify(err); class == awserr.Gone || class == awserr.Fatal {
			return s.fail("list the children of", err)
		}
		s.progress.retrying(failed, err)
		if err := s.pause(ctx, retryKinesis.Next(failed, s.rnd)); err != nil {
			return err
		}
	}
	return s.end(ctx, children)
}

// end is the one step that makes the position the shard's end and gives the
// children their leases.
func (s *shard) end(ctx context.Context, children []lease.Row) error {
	if err := s.held.Complete(ctx, children); err != nil {
		return s.fail("end", err)
	}
	s.progress.moved(checkpoint.ShardEnd(), 0)
	return nil
}

// childRows are the leases of the shards that follow this one. It fails unless
// they take over all of its hash keys.
func (s *shard) childRows(children []types.ChildShard) ([]lease.Row, error) {
	l := s.held.Lease()
	mine, err := hashkey.ParseRange(l.Shard.StartingHashKey, l.Shard.EndingHashKey)
	if err != nil {
		return nil, fmt.Errorf("lease %s: %w", l.Name, err)
	}
	var (
		out  []lease.Row
		keys []hashkey.Range
	)
	for _, child := range children {
		if !slices.Contains(child.ParentShards, s.name) {
			return nil, fmt.Errorf("child %s names other parents: %v", aws.ToString(child.ShardId), child.ParentShards)
		}
		r, err := row(s.stream.id, aws.ToString(child.ShardId), child.HashKeyRange, child.ParentShards)
		if err != nil {
			return nil, err
		}
		if at := s.queue.end; at.Rank == checkpoint.RankStart && !at.Since.IsZero() {
			r.Position = at // the group begins at a time, and the shard had nothing since
		}
		k, err := rangeOf(child.HashKeyRange)
		if err != nil {
			return nil, err
		}
		out, keys = append(out, r), append(keys, k.Within(mine))
	}
	if err := hashkey.Tile(keys, mine); err != nil {
		return nil, fmt.Errorf("children of %s: %w", s.name, err)
	}
	return out, nil
}

// listChildren lists the shards and picks those that follow this one.
func (s *shard) listChildren(ctx context.Context) ([]types.ChildShard, error) {
	shards, err := s.c.listShards(ctx, s.stream, nil)
	if err != nil {
		return nil, err
	}
	return childrenOf(s.name, shards), nil
}

func childrenOf(id string, shards []types.Shard) []types.ChildShard {
	var out []types.ChildShard
	for _, c := range shards {
		if parents := parentsOf(c, nil); slices.Contains(parents, id) {
			out = append(out, types.ChildShard{ShardId: c.ShardId, HashKeyRange: c.HashKeyRange, ParentShards: parents})
		}
	}
	return out
}
