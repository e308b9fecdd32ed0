package localstream

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/localstream/internal/state"
)

func (c *checker) updateDistribution(in *kinesis.UpdateStreamRecordDistributionStrategyInput) {
	enum(c, "recordDistributionStrategy", in.RecordDistributionStrategy, true, types.RecordDistributionStrategy("").Values())
	c.streamARN(in.StreamARN, in.StreamId)
}

// updateDistribution changes at once how the records to come find their shards.
func (c *call) updateDistribution(ctx context.Context, in *kinesis.UpdateStreamRecordDistributionStrategyInput) error {
	st, _, err := c.find(ctx, nil, in.StreamARN)
	if err != nil {
		return err
	}
	auto := in.RecordDistributionStrategy == types.RecordDistributionStrategyAuto
	return c.server.change(ctx, func(m *metadata) error {
		v, err := m.newest(st)
		switch {
		case err != nil:
			return err
		case auto && !v.willBeOnDemand():
			return autoProvisioned()
		case !v.settled():
			return notActive(v)
		case auto == v.Auto:
			return nil
		}
		return m.saveSettings(st, &state.Settings{Auto: &auto}, false)
	})
}

// autoProvisioned is the error for AUTO on a provisioned stream.
func autoProvisioned() error {
	return invalidArgument("RecordDistributionStrategy AUTO can only be specified for a stream in ON_DEMAND mode.")
}

// strategy is how the stream's records find their shards, in the form of the
// API. Only on-demand streams show one.
func (v *view) strategy() types.RecordDistributionStrategy {
	switch {
	case !v.OnDemand:
		return ""
	case v.Auto:
		return types.RecordDistributionStrategyAuto
	}
	return types.RecordDistributionStrategyUserPartitionKey
}

// spread gives a hash key of the shard whose turn it is. Each open shard has
// its turn before any has it again.
func (s *stream) spread(v *view) hashkey.Key {
	return v.open[s.turn.Add(1)%uint64(len(v.open))].Range.Start
}
