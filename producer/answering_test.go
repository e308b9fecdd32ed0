package producer_test

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/hashkey"
)

// answering is a client that says yes at once, for benchmarks of what the
// producer itself costs.
type answering struct{ shards int }

func shardName(i int) *string { return aws.String(fmt.Sprintf("shardId-%012d", i)) }

func (a answering) ListShards(context.Context, *kinesis.ListShardsInput, ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	var out kinesis.ListShardsOutput
	for i, r := range hashkey.Split(a.shards) {
		out.Shards = append(out.Shards, types.Shard{
			ShardId:      shardName(i),
			HashKeyRange: &types.HashKeyRange{StartingHashKey: aws.String(r.Start.String()), EndingHashKey: aws.String(r.End.String())},
		})
	}
	return &out, nil
}

func (a answering) PutRecords(_ context.Context, in *kinesis.PutRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error) {
	out := &kinesis.PutRecordsOutput{Records: make([]types.PutRecordsResultEntry, len(in.Records))}
	for i, r := range in.Records {
		k := hashkey.Of(*r.PartitionKey)
		if r.ExplicitHashKey != nil {
			k, _ = hashkey.Parse(*r.ExplicitHashKey)
		}
		out.Records[i] = types.PutRecordsResultEntry{
			ShardId: shardName(int(k.Hi >> 62 * uint64(a.shards) / 4)), SequenceNumber: aws.String("1"),
		}
	}
	return out, nil
}
