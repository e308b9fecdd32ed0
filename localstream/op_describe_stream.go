package localstream

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// describeShards is how many shards DescribeStream gives, by default and at
// most.
const describeShards = 100

func (c *checker) describeStream(in *kinesis.DescribeStreamInput) {
	c.number("limit", in.Limit, false, 1, 10000)
	c.name("exclusiveStartShardId", in.ExclusiveStartShardId, false)
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
}

func (c *call) describeStream(ctx context.Context, in *kinesis.DescribeStreamInput) (*kinesis.DescribeStreamOutput, error) {
	_, v, err := c.find(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	var filter state.Filter
	if in.ExclusiveStartShardId != nil {
		if filter, err = afterShard(v.Key, *in.ExclusiveStartShardId); err != nil {
			return nil, err
		}
	}
	encryption, keyID := v.encryptionType()
	shards, more := page(v.listed(filter), in.Limit, describeShards)
	return &kinesis.DescribeStreamOutput{StreamDescription: &types.StreamDescription{
		EncryptionType:          encryption,
		EnhancedMonitoring:      v.monitoring(),
		HasMoreShards:           aws.Bool(more),
		KeyId:                   keyID,
		RetentionPeriodHours:    aws.Int32(v.RetentionHours),
		Shards:                  describe(shards),
		StreamARN:               aws.String(v.ARN()),
		StreamCreationTimestamp: aws.Time(v.createdAt()),
		StreamModeDetails:       v.mode(),
		StreamName:              aws.String(v.Name),
		StreamStatus:            types.StreamStatus(v.Status),
	}}, nil
}

func (c *checker) describeStreamSummary(in *kinesis.DescribeStreamSummaryInput) {
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
}

func (c *call) describeStreamSummary(ctx context.Context, in *kinesis.DescribeStreamSummaryInput) (*kinesis.DescribeStreamSummaryOutput, error) {
	_, v, err := c.find(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	open := 0
	if v.Status != state.Creating {
		open = len(v.open)
	}
	encryption, keyID := v.encryptionType()
	sum := &types.StreamDescriptionSummary{
		ChannelCount:            aws.Int32(int32(c.server.channelCount(v.ID))),
		ConsumerCount:           aws.Int32(int32(len(v.Consumers))),
		EncryptionType:          encryption,
		EnhancedMonitoring:      v.monitoring(),
		KeyId:                   keyID,
		MaxRecordSizeInKiB:      aws.Int32(v.MaxRecordKiB),
		OpenShardCount:          aws.Int32(int32(open)),
		RetentionPeriodHours:    aws.Int32(v.RetentionHours),
		StreamARN:               aws.String(v.ARN()),
		StreamCreationTimestamp: aws.Time(v.createdAt()),
		StreamModeDetails:       v.mode(),
		StreamName:              aws.String(v.Name),
		StreamStatus:            types.StreamStatus(v.Status),
		WarmThroughput:          v.warmThroughput(),
	}
	sum.RecordDistributionStrategy = v.strategy()
	return &kinesis.DescribeStreamSummaryOutput{StreamDescriptionSummary: sum}, nil
}

// listed is the shards that a filter selects now. A stream that is being
// created lists none.
func (v *view) listed(f state.Filter) []state.Shard {
	if v.Status == state.Creating {
		return nil
	}
	return v.List(f, time.Now())
}

func (v *view) createdAt() time.Time { return time.UnixMilli(v.Created).UTC() }

func (v *view) mode() *types.StreamModeDetails {
	if v.OnDemand {
		return &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}
	}
	return &types.StreamModeDetails{StreamMode: types.StreamModeProvisioned}
}

func (v *view) monitoring() []types.EnhancedMetrics {
	return []types.EnhancedMetrics{{ShardLevelMetrics: metricNames(v.Metrics)}}
}

// describe gives shards in the form of the API.
func describe(shards []state.Shard) []types.Shard {
	out := make([]types.Shard, len(shards))
	for i, sh := range shards {
		out[i] = types.Shard{
			ShardId: aws.String(state.ShardID(sh.Number)),
			HashKeyRange: &types.HashKeyRange{
				StartingHashKey: aws.String(sh.Range.Start.String()), EndingHashKey: aws.String(sh.Range.End.String()),
			},
			SequenceNumberRange: &types.SequenceNumberRange{StartingSequenceNumber: aws.String(sh.Start().String())},
		}
		if sh.IsClosed() {
			out[i].SequenceNumberRange.EndingSequenceNumber = aws.String(sh.End().String())
		}
		if sh.Parent != state.NoShard {
			out[i].ParentShardId = aws.String(state.ShardID(uint32(sh.Parent)))
		}
		if sh.AdjacentParent != state.NoShard {
			out[i].AdjacentParentShardId = aws.String(state.ShardID(uint32(sh.AdjacentParent)))
		}
	}
	return out
}

// page cuts a list to what was asked for, at most most, and reports whether
// something was cut off.
func page[T any](list []T, limit *int32, most int) ([]T, bool) {
	n := most
	if limit != nil {
		n = min(int(*limit), most)
	}
	if len(list) <= n {
		return list, false
	}
	return list[:n], true
}

// afterShard is the filter for the shards after the one that an id names.
func afterShard(key state.Key, id string) (state.Filter, error) {
	number, ok := state.ParseShardID(id)
	if !ok {
		return state.Filter{}, noShard(key, id)
	}
	return state.Filter{Kind: state.AfterShardID, Shard: number}, nil
}

// noShard is the error for a shard id that cannot be one.
func noShard(key state.Key, id string) error {
	return notFound("Could not find shard %s in stream %s under account %s.", id, key.Name, key.Account)
}
