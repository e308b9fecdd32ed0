package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/bench/drainer"
	"github.com/shardrun/shardrun/bench/peers"
)

// drainBare is the least that a reader can do: a goroutine a shard, which calls
// GetRecords in a loop. It has no leases and saves nothing.
func drainBare(ctx context.Context, d drainer.Drain, handled func(n int)) error {
	client := peers.Client(d.Endpoint)
	shards, err := client.ListShards(ctx, &kinesis.ListShardsInput{StreamName: aws.String(d.Stream)})
	if err != nil {
		return err
	}
	errs := make([]error, len(shards.Shards))
	var work sync.WaitGroup
	for i, shard := range shards.Shards {
		work.Go(func() { errs[i] = readBare(ctx, client, d.Stream, shard.ShardId, handled) })
	}
	work.Wait()
	return errors.Join(errs...)
}

func readBare(ctx context.Context, client *kinesis.Client, stream string, shard *string, handled func(n int)) error {
	it, err := client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: aws.String(stream), ShardId: shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		return err
	}
	next, failed := it.ShardIterator, 0
	for next != nil && ctx.Err() == nil {
		out, err := client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next, Limit: aws.Int32(1000)})
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && failed < 10:
			failed++
			continue // with the same iterator
		case err != nil:
			return fmt.Errorf("get records of %s: %w", *shard, err)
		}
		failed = 0
		if len(out.Records) == 0 && aws.ToInt64(out.MillisBehindLatest) == 0 {
			return nil // the work of this shard is done
		}
		handled(len(out.Records))
		next = out.NextShardIterator
	}
	return nil
}
