//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/hashkey"
)

// The nemesis keeps the number of open shards within these bounds.
const (
	fewestShards = 1
	mostShards   = 8
)

// createStream makes the stream and waits until it is active.
func (f *fleet) createStream(ctx context.Context) error {
	_, err := f.client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String(streamName), ShardCount: aws.Int32(int32(f.cfg.shards))})
	if err != nil {
		return err
	}
	return kinesis.NewStreamExistsWaiter(f.client).Wait(ctx, &kinesis.DescribeStreamInput{StreamName: aws.String(streamName)}, time.Minute)
}

// listShards lists all shards that the stream ever had.
func (f *fleet) listShards(ctx context.Context) ([]types.Shard, error) {
	var all []types.Shard
	in := &kinesis.ListShardsInput{StreamName: aws.String(streamName)}
	for {
		out, err := f.client.ListShards(ctx, in)
		if err != nil {
			return nil, err
		}
		all = append(all, out.Shards...)
		if out.NextToken == nil {
			return all, nil
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
}

// openShard is a shard that takes records.
type openShard struct {
	id   string
	keys hashkey.Range
}

// openShards are those that take records, in the order of their keys.
func openShards(all []types.Shard) ([]openShard, error) {
	var open []openShard
	for _, s := range all {
		if s.SequenceNumberRange.EndingSequenceNumber != nil {
			continue
		}
		keys, err := hashkey.ParseRange(aws.ToString(s.HashKeyRange.StartingHashKey), aws.ToString(s.HashKeyRange.EndingHashKey))
		if err != nil {
			return nil, err
		}
		open = append(open, openShard{aws.ToString(s.ShardId), keys})
	}
	slices.SortFunc(open, func(a, b openShard) int { return a.keys.Start.Compare(b.keys.Start) })
	return open, nil
}

// change is one change of the shards; one of its fields is set.
type change struct {
	split *kinesis.SplitShardInput
	merge *kinesis.MergeShardsInput
	scale *kinesis.UpdateShardCountInput
}

func (c change) String() string {
	switch {
	case c.split != nil:
		return fmt.Sprintf("split %s at %s", *c.split.ShardToSplit, *c.split.NewStartingHashKey)
	case c.merge != nil:
		return fmt.Sprintf("merge %s and %s", *c.merge.ShardToMerge, *c.merge.AdjacentShardToMerge)
	case c.scale != nil:
		return fmt.Sprintf("scale to %d shards", *c.scale.TargetShardCount)
	}
	return "no change"
}

// chooseChange makes a change out of what the nemesis drew. What would leave the
// bounds becomes its opposite.
func chooseChange(do act, draw uint64, open []openShard) change {
	n := uint64(len(open))
	switch {
	case do == actScale:
		half, double := max(fewestShards, (n+1)/2), min(mostShards, 2*n)
		return change{scale: &kinesis.UpdateShardCountInput{
			StreamName: aws.String(streamName), ScalingType: types.ScalingTypeUniformScaling,
			TargetShardCount: aws.Int32(int32(half + draw%(double-half+1))),
		}}
	case do == actSplit && n < mostShards || n <= fewestShards:
		s := open[draw%n]
		return change{split: &kinesis.SplitShardInput{
			StreamName: aws.String(streamName), ShardToSplit: aws.String(s.id), NewStartingHashKey: aws.String(s.keys.Middle().String()),
		}}
	default:
		i := draw % (n - 1)
		return change{merge: &kinesis.MergeShardsInput{
			StreamName: aws.String(streamName), ShardToMerge: aws.String(open[i].id), AdjacentShardToMerge: aws.String(open[i+1].id),
		}}
	}
}

// reshard makes the change that the nemesis drew and says what it was. The server
// may be away, or the answer lost: that is no failure of the run.
func (f *fleet) reshard(ctx context.Context, fault fault) (change, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	all, err := f.listShards(ctx)
	if err != nil {
		return change{}, err
	}
	open, err := openShards(all)
	if err != nil || len(open) == 0 {
		return change{}, fmt.Errorf("open shards of %s: %d, %w", streamName, len(open), err)
	}
	c := chooseChange(fault.do, fault.draw, open)
	switch {
	case c.split != nil:
		_, err = f.client.SplitShard(ctx, c.split)
	case c.merge != nil:
		_, err = f.client.MergeShards(ctx, c.merge)
	case c.scale != nil:
		_, err = f.client.UpdateShardCount(ctx, c.scale)
	}
	return c, err
}
