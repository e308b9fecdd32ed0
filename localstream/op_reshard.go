package localstream

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/localstream/internal/state"
)

// maxStreamShards is how many shards one stream may have.
const maxStreamShards = 10000

func (c *checker) splitShard(in *kinesis.SplitShardInput) {
	c.hashKey("newStartingHashKey", in.NewStartingHashKey, true)
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
	c.name("shardToSplit", in.ShardToSplit, true)
}

func (c *call) splitShard(ctx context.Context, in *kinesis.SplitShardInput) error {
	return c.reshard(ctx, in.StreamName, in.StreamARN, []string{*in.ShardToSplit}, func(v *view, shards []state.Shard) ([]state.Step, error) {
		if err := c.server.checkShardLimit(v.Scope, 1); err != nil {
			return nil, err
		}
		sh := shards[0]
		at, err := hashkey.Parse(*in.NewStartingHashKey)
		least := sh.Range.Start.Next().Next()
		if err != nil || at.Compare(least) < 0 || least.Compare(sh.Range.Start) < 0 || at.Compare(sh.Range.End) >= 0 {
			return nil, invalidArgument("NewStartingHashKey %s used in SplitShard() on shard %s in stream %s under account %s "+
				"is not both greater than one plus the shard's StartingHashKey %s and less than the shard's EndingHashKey %s.",
				*in.NewStartingHashKey, state.ShardID(sh.Number), v.Name, v.Account, sh.Range.Start, sh.Range.End)
		}
		return []state.Step{{Shard: sh.Number, Split: &at}}, nil
	})
}

func (c *checker) mergeShards(in *kinesis.MergeShardsInput) {
	c.name("shardToMerge", in.ShardToMerge, true)
	c.name("adjacentShardToMerge", in.AdjacentShardToMerge, true)
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
}

func (c *call) mergeShards(ctx context.Context, in *kinesis.MergeShardsInput) error {
	ids := []string{*in.ShardToMerge, *in.AdjacentShardToMerge}
	return c.reshard(ctx, in.StreamName, in.StreamARN, ids, func(v *view, shards []state.Shard) ([]state.Step, error) {
		low, high := shards[0], shards[1]
		if !low.Range.Adjacent(high.Range) {
			return nil, invalidArgument("Shards %s and %s in stream %s under account %s are not an adjacent pair of shards eligible for merging",
				state.ShardID(low.Number), state.ShardID(high.Number), v.Name, v.Account)
		}
		return []state.Step{{Shard: low.Number, Merge: &high.Number}}, nil
	})
}

// reshard splits or merges the shards that ids name, by the steps that plan
// gives. The checks come in the order of AWS: the form of the ids, the stream,
// its status, the shards, and then what plan has to say.
func (c *call) reshard(ctx context.Context, name, arn *string, ids []string, plan func(*view, []state.Shard) ([]state.Step, error)) error {
	key, err := c.key(name, arn)
	if err != nil {
		return err
	}
	numbers := make([]uint32, len(ids))
	for i, id := range ids {
		var ok bool
		if numbers[i], ok = state.ParseShardID(id); !ok {
			return noShard(key, id)
		}
	}
	return c.update(ctx, name, arn, func(_ *stream, v *view) ([]state.Step, error) {
		shards := make([]state.Shard, len(numbers))
		for i, n := range numbers {
			sh, ok := v.Shard(n)
			if !ok || sh.Expired(v.TrimHorizon(time.Now())) {
				return nil, noShard(key, state.ShardID(n))
			}
			if sh.IsClosed() {
				return nil, invalidArgument("Shard %s in stream %s under account %s has already been merged or split, "+
					"and thus is not eligible for merging or splitting.", state.ShardID(n), v.Name, v.Account)
			}
			shards[i] = sh
		}
		return plan(v, shards)
	})
}

// update reshards a stream that is provisioned, by the steps that plan gives
// for its newest view.
func (c *call) update(ctx context.Context, name, arn *string, plan func(*stream, *view) ([]state.Step, error)) error {
	return c.settle(ctx, name, arn, func(_ *metadata, st *stream, v *view) (todo update, err error) {
		switch {
		case v.OnDemand:
			return todo, invalid("Request is invalid. Stream %s under account %s is in On-Demand mode.", v.Name, v.Account)
		case v.Status != state.Active:
			return todo, notActive(v)
		case v.broken != nil:
			return todo, internalFailure(v.broken)
		}
		todo.steps, err = plan(st, v)
		return todo, err
	})
}

func (c *checker) updateShardCount(in *kinesis.UpdateShardCountInput) {
	enum(c, "scalingType", in.ScalingType, true, types.ScalingType("").Values())
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
	c.number("targetShardCount", in.TargetShardCount, true, 1, 100000)
}

func (c *call) updateShardCount(ctx context.Context, in *kinesis.UpdateShardCountInput) (*kinesis.UpdateShardCountOutput, error) {
	out := &kinesis.UpdateShardCountOutput{TargetShardCount: in.TargetShardCount}
	target := int(*in.TargetShardCount)
	err := c.update(ctx, in.StreamName, in.StreamARN, func(st *stream, v *view) ([]state.Step, error) {
		open := len(v.open)
		out.CurrentShardCount, out.StreamName, out.StreamARN = aws.Int32(int32(open)), aws.String(v.Name), aws.String(v.ARN())
		limit := c.server.cfg.ShardLimit
		others := (*c.server.catalog.Load()).claimedShards(v.Scope) - open
		switch {
		case target > maxStreamShards || limit >= 0 && others+target > limit:
			return nil, limitExceeded("Target shard count or number of open shards cannot be greater than %d. "+
				"Current open shard count: %d, Target shard count: %d", c.server.shardsAllowed(), open, target)
		case target > 2*open:
			return nil, limitExceeded("UpdateShardCount cannot scale up over double your current open shard count. "+
				"Current open shard count: %d, Target shard count: %d", open, target)
		case 2*target < open:
			return nil, limitExceeded("UpdateShardCount cannot scale down below half your current open shard count. "+
				"Current open shard count: %d, Target shard count: %d", open, target)
		}
		steps := v.PlanUniform(target)
		if peak := state.PeakOpen(open, steps); limit >= 0 && others+peak > limit {
			return nil, limitExceeded("Target shard count or number of open shards cannot be greater than %d. "+
				"Current open shard count: %d, Target shard count: %d", c.server.shardsAllowed(), open, target)
		}
		if len(steps) == 0 {
			return nil, nil
		}
		return steps, c.daily(&st.daily.scalings, scalingsPerDay, v, "UpdateShardCount")
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// shardsAllowed is the limit that a message about too many shards names.
func (s *Server) shardsAllowed() int {
	if s.cfg.ShardLimit < 0 {
		return maxStreamShards
	}
	return min(s.cfg.ShardLimit, maxStreamShards)
}
