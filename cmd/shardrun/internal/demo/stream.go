package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/hashkey"
)

// statusPause is how often the stream is asked whether it is active.
const statusPause = 50 * time.Millisecond

// createStream makes the stream and waits until it is active.
func (r *run) createStream(ctx context.Context) error {
	_, err := r.client.CreateStream(ctx, &kinesis.CreateStreamInput{
		StreamName: aws.String(r.cfg.Stream), ShardCount: aws.Int32(int32(r.cfg.Shards)),
	})
	if err != nil {
		return fmt.Errorf("create stream %s: %w", r.cfg.Stream, err)
	}
	return r.awaitActive(ctx)
}

func (r *run) awaitActive(ctx context.Context) error {
	for {
		out, err := r.client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(r.cfg.Stream)})
		if err != nil {
			return fmt.Errorf("describe stream %s: %w", r.cfg.Stream, err)
		}
		if out.StreamDescriptionSummary.StreamStatus == types.StreamStatusActive {
			return nil
		}
		select {
		case <-time.After(statusPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// shards lists the open shards.
func (r *run) shards(ctx context.Context) ([]shard, error) {
	var open []shard
	in := &kinesis.ListShardsInput{StreamName: aws.String(r.cfg.Stream)}
	for {
		page, err := r.client.ListShards(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("list shards of %s: %w", r.cfg.Stream, err)
		}
		for _, s := range page.Shards {
			if s.SequenceNumberRange.EndingSequenceNumber != nil {
				continue
			}
			keys, err := hashkey.ParseRange(aws.ToString(s.HashKeyRange.StartingHashKey), aws.ToString(s.HashKeyRange.EndingHashKey))
			if err != nil {
				return nil, fmt.Errorf("shard %s: %w", aws.ToString(s.ShardId), err)
			}
			open = append(open, shard{aws.ToString(s.ShardId), aws.ToString(s.ParentShardId), keys})
		}
		if page.NextToken == nil {
			return open, nil
		}
		in = &kinesis.ListShardsInput{NextToken: page.NextToken}
	}
}

// split splits the widest shard in the middle.
func (r *run) split(ctx context.Context) error {
	before, err := r.shards(ctx)
	if err != nil {
		return err
	}
	s, err := toSplit(before)
	if err != nil {
		return err
	}
	_, err = r.client.SplitShard(ctx, &kinesis.SplitShardInput{
		StreamName: aws.String(r.cfg.Stream), ShardToSplit: aws.String(s.id), NewStartingHashKey: aws.String(s.keys.Middle().String()),
	})
	if err != nil {
		return fmt.Errorf("split %s: %w", s.id, err)
	}
	return r.resharded(ctx, before, "split "+short(s.id))
}

// holdParent holds back one of the two shards that will be merged, so that their
// child gets records while it has a backlog: a child that did not wait for both
// of its parents would overtake it.
func (r *run) holdParent(ctx context.Context) error {
	open, err := r.shards(ctx)
	if err != nil {
		return err
	}
	a, _, err := toMerge(open)
	if err != nil {
		return err
	}
	r.gate.close(a.id)
	r.view.event("%s is held back until its child has records", short(a.id))
	return nil
}

// merge merges two adjacent shards.
func (r *run) merge(ctx context.Context) error {
	before, err := r.shards(ctx)
	if err != nil {
		return err
	}
	a, b, err := toMerge(before)
	if err != nil {
		return err
	}
	_, err = r.client.MergeShards(ctx, &kinesis.MergeShardsInput{
		StreamName: aws.String(r.cfg.Stream), ShardToMerge: aws.String(a.id), AdjacentShardToMerge: aws.String(b.id),
	})
	if err != nil {
		return fmt.Errorf("merge %s and %s: %w", a.id, b.id, err)
	}
	return r.resharded(ctx, before, "merged "+short(a.id)+" and "+short(b.id))
}

// resharded waits until a reshard is done and tells what became of it.
func (r *run) resharded(ctx context.Context, before []shard, what string) error {
	if err := r.awaitActive(ctx); err != nil {
		return err
	}
	after, err := r.shards(ctx)
	if err != nil {
		return err
	}
	var made []string
	for _, s := range after {
		if !slices.ContainsFunc(before, func(old shard) bool { return old.id == s.id }) {
			made = append(made, short(s.id))
		}
	}
	r.view.event("%s into %s: %d open shards", what, strings.Join(made, " and "), len(after))
	return nil
}

// short is a shard id without its zeros.
func short(id string) string {
	var n int
	if _, err := fmt.Sscanf(id, "shardId-%d", &n); err != nil {
		return id
	}
	return fmt.Sprintf("shard %d", n)
}
