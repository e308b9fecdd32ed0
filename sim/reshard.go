package sim

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/hashkey"
)

// mostShards bounds the open shards of a run.
const mostShards = 6

// reshard splits, merges or scales, and reports whether that was answered well. That
// it is refused, or that its answer is lost, is no fault of anybody.
func (w *world) reshard(ctx context.Context, dice *rand.Rand) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := w.client(w.operator)
	open, err := openShards(ctx, client)
	if err != nil {
		w.note("reshard: %v", err)
		return false
	}
	i := dice.IntN(len(open))
	what := dice.IntN(5)
	switch {
	case what == 0:
		target := 1 + dice.IntN(mostShards)
		_, err = client.UpdateShardCount(ctx, &kinesis.UpdateShardCountInput{
			StreamName: aws.String(streamName), TargetShardCount: aws.Int32(int32(target)), ScalingType: types.ScalingTypeUniformScaling,
		})
		w.note("scale from %d to %d shards: %v", len(open), target, err)
	case (what < 3 || len(open) == 1) && len(open) < mostShards:
		at := between(open[i], dice)
		_, err = client.SplitShard(ctx, &kinesis.SplitShardInput{
			StreamName: aws.String(streamName), ShardToSplit: open[i].ShardId, NewStartingHashKey: &at,
		})
		w.note("split %s at %s: %v", *open[i].ShardId, at, err)
	case len(open) > 1:
		i = i % (len(open) - 1)
		a, b := open[i], open[i+1]
		if dice.IntN(2) == 0 {
			a, b = b, a
		}
		_, err = client.MergeShards(ctx, &kinesis.MergeShardsInput{
			StreamName: aws.String(streamName), ShardToMerge: a.ShardId, AdjacentShardToMerge: b.ShardId,
		})
		w.note("merge %s and %s: %v", *a.ShardId, *b.ShardId, err)
	}
	if err != nil {
		return false
	}
	w.happened(Reshard)
	return true
}

// between is a hash key at which a shard can be split.
func between(s types.Shard, dice *rand.Rand) string {
	r, err := hashkey.ParseRange(*s.HashKeyRange.StartingHashKey, *s.HashKeyRange.EndingHashKey)
	if err != nil {
		return "0" // the server refuses
	}
	if dice.IntN(2) == 0 {
		return r.Middle().String()
	}
	r.End = r.Middle() // uneven: in the lower half
	return r.Middle().String()
}

// openShards lists the open shards in the order of their hash keys.
func openShards(ctx context.Context, client *kinesis.Client) ([]types.Shard, error) {
	all, err := listShards(ctx, client)
	if err != nil {
		return nil, err
	}
	open := slices.DeleteFunc(all, func(s types.Shard) bool { return s.SequenceNumberRange.EndingSequenceNumber != nil })
	slices.SortFunc(open, func(a, b types.Shard) int {
		x, _ := hashkey.Parse(*a.HashKeyRange.StartingHashKey) // of the server, which the checker looks at
		y, _ := hashkey.Parse(*b.HashKeyRange.StartingHashKey)
		return x.Compare(y)
	})
	return open, nil
}

// listShards lists all shards.
func listShards(ctx context.Context, client *kinesis.Client) ([]types.Shard, error) {
	var out []types.Shard
	in := &kinesis.ListShardsInput{StreamName: aws.String(streamName)}
	for {
		page, err := client.ListShards(ctx, in)
		if err != nil {
			return nil, err
		}
		out = append(out, page.Shards...)
		if page.NextToken == nil {
			return out, nil
		}
		in = &kinesis.ListShardsInput{NextToken: page.NextToken}
	}
}
