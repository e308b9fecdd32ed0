package server

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"golang.org/x/sync/errgroup"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/peers"
)

// The log that is drained.
const (
	drainRecords = 200_000
	drainBytes   = peers.EchoBytes
	drainShards  = peers.EchoShards
	drainCallers = 4
)

// shares are how much of the log the slower servers get, so that they take
// seconds too. The value is a rate.
var shares = map[string]int{kinesalite: 4, kinesisLocal: 80}

// drains are the Kinesis servers, each with a log of its own. The echo has
// nothing to fill: all its pages are equal.
func drains(servers []contender) []harness.Contestant {
	var list []harness.Contestant
	for _, c := range servers {
		records := drainRecords / max(shares[c.name], 1)
		list = append(list, c.contestant(work{
			shards: drainShards,
			warm: func(ctx context.Context, client *kinesis.Client) error {
				if c.name != echo {
					if err := fill(ctx, client, records); err != nil {
						return fmt.Errorf("fill: %w", err)
					}
				}
				_, err := drain(ctx, client, records)
				return err
			},
			run: func(ctx context.Context, client *kinesis.Client) (harness.Sample, error) {
				return drain(ctx, client, records)
			},
		}))
	}
	return list
}

// drain reads all shards at once, from their beginnings, each by one reader.
func drain(ctx context.Context, client *kinesis.Client, records int) (harness.Sample, error) {
	began := time.Now()
	shards, err := peers.Shards(ctx, client, stream)
	if err != nil {
		return harness.Sample{}, err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, shard := range shards {
		g.Go(func() error { return drainShard(ctx, client, shard, records/len(shards)) })
	}
	if err := g.Wait(); err != nil {
		return harness.Sample{}, err
	}
	return harness.Sample{
		Value:   float64(records) * drainBytes / 1e6 / time.Since(began).Seconds(),
		Records: int64(records),
	}, nil
}

// drainShard reads a shard from its beginning until it got all its records.
func drainShard(ctx context.Context, client *kinesis.Client, shard string, records int) error {
	next, err := iterator(ctx, client, stream, shard, types.ShardIteratorTypeTrimHorizon)
	if err != nil {
		return err
	}
	for got := 0; got < records; {
		out, err := client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next})
		if err != nil {
			return err
		}
		for _, r := range out.Records {
			if len(r.Data) != drainBytes {
				return fmt.Errorf("%s: a record has %d bytes, %d were put", shard, len(r.Data), drainBytes)
			}
		}
		got += len(out.Records)
		if next = out.NextShardIterator; next == nil && got < records {
			return fmt.Errorf("%s ended after %d of %d records", shard, got, records)
		}
	}
	return nil
}

func iterator(ctx context.Context, client *kinesis.Client, stream, shard string, kind types.ShardIteratorType) (*string, error) {
	out, err := client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: aws.String(stream), ShardId: &shard, ShardIteratorType: kind,
	})
	if err != nil {
		return nil, err
	}
	return out.ShardIterator, nil
}

// fill puts as many records into each of the stream's shards, by explicit hash
// keys.
func fill(ctx context.Context, client *kinesis.Client, records int) error {
	out, err := client.ListShards(ctx, &kinesis.ListShardsInput{StreamName: aws.String(stream)})
	if err != nil {
		return err
	}
	if len(out.Shards) != drainShards {
		return fmt.Errorf("the stream has %d shards, not %d", len(out.Shards), drainShards)
	}
	const batch = 500
	entries := make([]types.PutRecordsRequestEntry, batch)
	data := make([]byte, drainBytes)
	for i := range entries {
		entries[i] = types.PutRecordsRequestEntry{
			Data: data, PartitionKey: &partitionKeys[i],
			ExplicitHashKey: out.Shards[i%drainShards].HashKeyRange.StartingHashKey,
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(drainCallers)
	for range records / batch {
		g.Go(func() error { return putEntries(ctx, client, stream, entries) })
	}
	return g.Wait()
}

// readPages reads a shard of a stream from its beginning to the first page that
// is empty, ten pages at most.
func readPages(ctx context.Context, client *kinesis.Client, stream, shard string) error {
	next, err := iterator(ctx, client, stream, shard, types.ShardIteratorTypeTrimHorizon)
	for range 10 {
		if err != nil || next == nil {
			return err
		}
		var out *kinesis.GetRecordsOutput
		out, err = client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next})
		if err == nil && len(out.Records) == 0 {
			return nil
		}
		if err == nil {
			next = out.NextShardIterator
		}
	}
	return err
}
