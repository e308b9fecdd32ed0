package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/spf13/cobra"
)

func (a *app) splitCommand() *cobra.Command {
	var at string
	c := a.clientFlags(&cobra.Command{
		Use:   "split STREAM SHARD",
		Short: "Split a shard in two and wait until the stream is active",
		Example: `  shardrun split orders shardId-000000000000
  shardrun split orders shardId-000000000000 --at 1000000000000000000000000000000`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if at != "" {
				if _, err := hashkey.Parse(at); err != nil {
					return usagef("--at: %w; it is the first hash key of the upper child, in decimal", err)
				}
			}
			return a.split(c.Context(), args[0], args[1], at)
		},
	})
	c.Flags().StringVar(&at, "at", "", "first hash key of the upper child, in decimal (default: the middle of the shard)")
	return c
}

func (a *app) split(ctx context.Context, stream, shard, at string) error {
	client, err := a.client(ctx)
	if err != nil {
		return err
	}
	if at == "" {
		if at, err = middle(ctx, client, stream, shard); err != nil {
			return err
		}
	}
	_, err = client.SplitShard(ctx, &kinesis.SplitShardInput{
		StreamName: aws.String(stream), ShardToSplit: aws.String(shard), NewStartingHashKey: aws.String(at),
	})
	if err != nil {
		return fmt.Errorf("split %s of %s: %w", shard, stream, err)
	}
	return a.await(ctx, client, stream)
}

// middle is the hash key that halves a shard.
func middle(ctx context.Context, client *kinesis.Client, stream, shard string) (string, error) {
	shards, err := allShards(ctx, client, stream)
	if err != nil {
		return "", err
	}
	for _, s := range shards {
		if s.ShardId == shard {
			r, err := hashkey.ParseRange(s.HashKeyRange.StartingHashKey, s.HashKeyRange.EndingHashKey)
			if err != nil {
				return "", fmt.Errorf("shard %s: %w", shard, err)
			}
			return r.Middle().String(), nil
		}
	}
	return "", fmt.Errorf("stream %s has no shard %s (shardrun shards %s lists them)", stream, shard, stream)
}

func (a *app) mergeCommand() *cobra.Command {
	return a.clientFlags(&cobra.Command{
		Use:     "merge STREAM SHARD ADJACENT",
		Short:   "Merge a shard and the one right above it, and wait until the stream is active",
		Example: `  shardrun merge orders shardId-000000000002 shardId-000000000003`,
		Args:    cobra.ExactArgs(3),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.client(c.Context())
			if err != nil {
				return err
			}
			_, err = client.MergeShards(c.Context(), &kinesis.MergeShardsInput{
				StreamName: aws.String(args[0]), ShardToMerge: aws.String(args[1]), AdjacentShardToMerge: aws.String(args[2]),
			})
			if err != nil {
				return fmt.Errorf("merge %s and %s of %s: %w", args[1], args[2], args[0], err)
			}
			return a.await(c.Context(), client, args[0])
		},
	})
}

func (a *app) scaleCommand() *cobra.Command {
	return a.clientFlags(&cobra.Command{
		Use:   "scale STREAM SHARDS",
		Short: "Change the number of open shards, in steps of at most double or half",
		Long: `Change the number of open shards. Kinesis allows at most double or half in one step;
this command takes as many steps as it needs. AWS allows ten steps in a day.`,
		Example: `  shardrun scale orders 16`,
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			target, err := strconv.ParseInt(args[1], 10, 32)
			if err != nil || target < 1 {
				return usagef("scale: %q is not a number of shards; at least 1", args[1])
			}
			return a.scale(c.Context(), args[0], int32(target))
		},
	})
}

func (a *app) scale(ctx context.Context, stream string, target int32) error {
	client, err := a.client(ctx)
	if err != nil {
		return err
	}
	info, err := describe(ctx, client, stream)
	if err != nil {
		return err
	}
	for now := info.OpenShardCount; now != target; {
		now = scaleStep(now, target)
		_, err := client.UpdateShardCount(ctx, &kinesis.UpdateShardCountInput{
			StreamName: aws.String(stream), TargetShardCount: aws.Int32(now), ScalingType: types.ScalingTypeUniformScaling,
		})
		if err != nil {
			return fmt.Errorf("scale %s to %d shards: %w", stream, now, err)
		}
		if now != target {
			if err := (&app{out: a.err}).await(ctx, client, stream); err != nil {
				return err
			}
		}
	}
	return a.await(ctx, client, stream)
}

// scaleStep is the number of shards nearest to target that one step from now may reach.
func scaleStep(now, target int32) int32 {
	return max(min(target, 2*now), (now+1)/2)
}
