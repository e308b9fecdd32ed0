package localstream

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/google/uuid"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// maxCreating is how many streams of an account may be in CREATING at once.
const maxCreating = 5

// onDemandShards is how many shards a new on-demand stream has.
const onDemandShards = 4

func (c *checker) createStream(in *kinesis.CreateStreamInput) {
	c.number("shardCount", in.ShardCount, false, 1, 0)
	c.name("streamName", in.StreamName, true)
	c.number("maxRecordSizeInKiB", in.MaxRecordSizeInKiB, false, leastMaxRecordKiB, greatestMaxRecordKiB)
	c.number("warmThroughputMiBps", in.WarmThroughputMiBps, false, 0, 0)
	if in.StreamModeDetails != nil {
		enum(c, "streamModeDetails.streamMode", in.StreamModeDetails.StreamMode, true, types.StreamMode("").Values())
	}
	c.tags(in.Tags, false)
	enum(c, "recordDistributionStrategy", in.RecordDistributionStrategy, false, types.RecordDistributionStrategy("").Values())
}

func (c *call) createStream(ctx context.Context, in *kinesis.CreateStreamInput) error {
	key, err := c.key(in.StreamName, nil)
	if err != nil {
		return err
	}
	if err := c.fault(ctx, key, anyShard); err != nil {
		return err
	}
	st, shards, err := newStream(key, in)
	if err != nil {
		return err
	}
	s := c.server
	return s.change(ctx, func(m *metadata) error {
		streams := *s.catalog.Load()
		if streams[key] != nil {
			return inUse("Stream %s under account %s already exists.", key.Name, key.Account)
		}
		creating := 0
		for _, other := range streams.list(key.Scope) {
			if other.view.Load().Status == state.Creating {
				creating++
			}
		}
		if creating >= maxCreating {
			return limitExceeded("This request would exceed the limit of %d streams in CREATING state for the account %s in %s.",
				maxCreating, key.Account, key.Region)
		}
		shards, err := m.shardsOf(st, shards)
		if err != nil {
			return err
		}
		now := time.Now()
		st.Created = now.UnixMilli()
		st.NextShard = uint32(shards)
		st.Shards = state.NewShards(shards, now, m.state.Retired)
		return m.create(st)
	})
}

// newStream is the stream that a request asks for, still without shards, and
// how many it is to have.
func newStream(key state.Key, in *kinesis.CreateStreamInput) (st *state.Stream, shards int, err error) {
	st = &state.Stream{
		Key: key, ID: uuid.NewString(),
		RetentionHours: state.MinRetentionHours, MaxRecordKiB: state.DefaultMaxRecordKiB,
	}
	if in.MaxRecordSizeInKiB != nil {
		st.MaxRecordKiB = *in.MaxRecordSizeInKiB
	}
	if len(in.Tags) > 0 {
		if st.Tags, err = addTags(key, nil, in.Tags); err != nil {
			return nil, 0, err
		}
	}
	mode := types.StreamModeOnDemand
	if in.StreamModeDetails != nil {
		mode = in.StreamModeDetails.StreamMode
	} else if in.ShardCount != nil {
		mode = types.StreamModeProvisioned
	}
	shards = onDemandShards
	switch {
	case mode == types.StreamModeProvisioned && in.ShardCount == nil:
		return nil, 0, invalid("ShardCount is required for a stream in PROVISIONED mode.")
	case mode == types.StreamModeProvisioned:
		if shards = int(*in.ShardCount); shards > maxStreamShards {
			return nil, 0, limitExceeded("Shard count cannot be greater than %d. Requested shard count: %d", maxStreamShards, shards)
		}
	case in.ShardCount != nil:
		return nil, 0, invalid("ShardCount must not be specified for a stream in ON_DEMAND mode.")
	}
	st.OnDemand = mode == types.StreamModeOnDemand
	st.WarmMiBps = aws.ToInt32(in.WarmThroughputMiBps)
	if st.WarmMiBps > 0 && !st.OnDemand {
		return nil, 0, warmProvisioned()
	}
	st.Auto = in.RecordDistributionStrategy == types.RecordDistributionStrategyAuto
	if st.Auto && !st.OnDemand {
		return nil, 0, autoProvisioned()
	}
	return st, shards, nil
}

// shardsOf gives the number of shards of a new stream that is to have some, or
// refuses it because of what its account may have. A warm throughput opens more
// of them, as far as there is room.
func (m *metadata) shardsOf(st *state.Stream, shards int) (int, error) {
	s := m.server
	if err := s.checkShardLimit(st.Scope, shards); err != nil || !st.OnDemand {
		return shards, err
	}
	if err := s.checkOnDemandLimit(st.Scope); err != nil {
		return 0, err
	}
	if err := m.checkWarm(st.Scope, st.WarmMiBps); err != nil {
		return 0, err
	}
	room := s.roomFor(&view{Stream: st})
	return max(shards, min(int(st.WarmMiBps), room)), nil
}

// checkShardLimit refuses more shards than an account may have.
func (s *Server) checkShardLimit(scope state.Scope, additional int) error {
	limit := s.cfg.ShardLimit
	current := (*s.catalog.Load()).claimedShards(scope)
	if limit < 0 || current+additional <= limit {
		return nil
	}
	return limitExceeded("This request would exceed the shard limit for the account %s in %s. "+
		"Current shard count for the account: %d. Limit: %d. "+
		"Number of additional shards that would have resulted from this request: %d. "+
		"Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) "+
		"for current limits and how to request higher limits.", scope.Account, scope.Region, current, limit, additional)
}
