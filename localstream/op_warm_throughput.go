package localstream

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// maxWarmMiBps is the greatest warm throughput of a stream: 10 GiB/s.
const maxWarmMiBps = 10 << 10

func (c *checker) updateStreamWarmThroughput(in *kinesis.UpdateStreamWarmThroughputInput) {
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
	c.number("warmThroughputMiBps", in.WarmThroughputMiBps, true, 0, 0)
}

func (c *call) updateStreamWarmThroughput(ctx context.Context, in *kinesis.UpdateStreamWarmThroughputInput) (*kinesis.UpdateStreamWarmThroughputOutput, error) {
	out := &kinesis.UpdateStreamWarmThroughputOutput{}
	err := c.settle(ctx, in.StreamName, in.StreamARN, func(m *metadata, _ *stream, v *view) (update, error) {
		switch {
		case !v.OnDemand:
			return update{}, warmProvisioned()
		case v.Status != state.Active:
			return update{}, notActive(v)
		}
		todo, err := m.warm(v, *in.WarmThroughputMiBps)
		out.StreamName, out.StreamARN = aws.String(v.Name), aws.String(v.ARN())
		current, shards := v.WarmMiBps, len(v.open)
		if c.server.cfg.UpdateDelay <= 0 {
			current, shards = *in.WarmThroughputMiBps, m.warmShards(v, *in.WarmThroughputMiBps)
		}
		out.WarmThroughput = warmOf(current, *in.WarmThroughputMiBps, shards)
		return todo, err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// warm is the update that gives a stream a warm throughput: one open shard for
// each MiB/s, as far as the shard limit lets it. Less than before closes none.
// The same as before opens those that there was no room for then.
func (m *metadata) warm(v *view, mibps int32) (update, error) {
	shards := m.warmShards(v, mibps)
	if err := m.checkWarm(v.Scope, mibps); err != nil || mibps == v.WarmMiBps && shards == len(v.open) {
		return update{}, err
	}
	todo := update{settings: &state.Settings{WarmMiBps: &mibps}}
	if v.broken != nil {
		return update{}, internalFailure(v.broken)
	}
	if shards > len(v.open) {
		todo.steps = v.PlanUniform(shards)
	}
	return todo, nil
}

// warmShards is how many open shards a stream gets for a warm throughput.
func (m *metadata) warmShards(v *view, mibps int32) int {
	return max(len(v.open), min(int(mibps), len(v.open)+m.server.roomFor(v)))
}

// checkWarm refuses a warm throughput that an account cannot have.
func (m *metadata) checkWarm(scope state.Scope, mibps int32) error {
	switch {
	case mibps > maxWarmMiBps:
		return limitExceeded("WarmThroughputMiBps cannot be greater than %d. Requested warm throughput: %d", maxWarmMiBps, mibps)
	case mibps > 0 && !m.state.CommitmentOf(scope).Enabled(time.Now()):
		return invalid("WarmThroughputMiBps can only be specified for an account whose MinimumThroughputBillingCommitment is ENABLED.")
	}
	return nil
}

// warmProvisioned is the error for the warm throughput of a provisioned stream.
func warmProvisioned() error {
	return invalid("WarmThroughputMiBps can only be specified for a stream in ON_DEMAND mode.")
}

// roomFor is how many more open shards a stream can have: fewer than its own
// limit and that of the account.
func (s *Server) roomFor(v *view) int {
	room := maxStreamShards - len(v.open)
	if s.cfg.ShardLimit >= 0 {
		room = min(room, s.cfg.ShardLimit-(*s.catalog.Load()).claimedShards(v.Scope))
	}
	return max(room, 0)
}

// warmThroughput is the warm throughput in the form of the API, nil for a
// stream that has none.
func (v *view) warmThroughput() *types.WarmThroughputObject {
	target := v.WarmMiBps
	if v.Change != nil && v.Change.WarmMiBps != nil {
		target = *v.Change.WarmMiBps
	}
	if v.WarmMiBps == 0 && target == 0 {
		return nil
	}
	return warmOf(v.WarmMiBps, target, len(v.open))
}

// warmOf is a warm throughput in the form of the API. What a stream is scaled to
// handle is less than it should be while the shard limit keeps it from having
// the shards.
func warmOf(current, target int32, shards int) *types.WarmThroughputObject {
	return &types.WarmThroughputObject{CurrentMiBps: aws.Int32(min(current, int32(shards))), TargetMiBps: &target}
}
