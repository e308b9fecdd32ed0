package localstream

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// unlimited is what stands for no limit where the API wants a number: the
// greatest that its model has.
const unlimited = 1_000_000

// channelsPerStream is how many channels a stream may have, one for each kind of
// destination, so an account may have that many for each on-demand stream.
const channelsPerStream = 2

func (c *checker) describeLimits(*kinesis.DescribeLimitsInput) {}

func (c *call) describeLimits(ctx context.Context, _ *kinesis.DescribeLimitsInput) (*kinesis.DescribeLimitsOutput, error) {
	if err := c.fault(ctx, state.Key{Scope: c.scope}, anyShard); err != nil {
		return nil, err
	}
	streams := *c.server.catalog.Load()
	limit := c.server.cfg.ShardLimit
	if limit < 0 {
		limit = unlimited
	}
	return &kinesis.DescribeLimitsOutput{
		ShardLimit:               aws.Int32(int32(min(limit, unlimited))),
		OpenShardCount:           aws.Int32(int32(streams.openShards(c.scope))),
		OnDemandStreamCount:      aws.Int32(int32(streams.onDemandStreams(c.scope))),
		OnDemandStreamCountLimit: aws.Int32(maxOnDemand),
		ChannelCount:             aws.Int32(int32(len(c.server.channels.Load().list(c.scope)))),
		ChannelCountLimit:        aws.Int32(maxChannels),
	}, nil
}

func (c *checker) describeAccountSettings(*kinesis.DescribeAccountSettingsInput) {}

func (c *call) describeAccountSettings(ctx context.Context, _ *kinesis.DescribeAccountSettingsInput) (*kinesis.DescribeAccountSettingsOutput, error) {
	if err := c.fault(ctx, state.Key{Scope: c.scope}, anyShard); err != nil {
		return nil, err
	}
	out := &kinesis.DescribeAccountSettingsOutput{}
	err := c.server.change(ctx, func(m *metadata) error {
		out.MinimumThroughputBillingCommitment = commitment(m.state.CommitmentOf(c.scope), time.Now())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *checker) updateAccountSettings(in *kinesis.UpdateAccountSettingsInput) {
	if in.MinimumThroughputBillingCommitment == nil {
		c.null("minimumThroughputBillingCommitment")
		return
	}
	enum(c, "minimumThroughputBillingCommitment.status", in.MinimumThroughputBillingCommitment.Status, true,
		types.MinimumThroughputBillingCommitmentInputStatus("").Values())
}

// updateAccountSettings makes or ends the commitment of the caller's account.
// It cannot end while a stream has a warm throughput, and not before its term:
// until then the request waits, and can be taken back.
func (c *call) updateAccountSettings(ctx context.Context, in *kinesis.UpdateAccountSettingsInput) (*kinesis.UpdateAccountSettingsOutput, error) {
	if err := c.fault(ctx, state.Key{Scope: c.scope}, anyShard); err != nil {
		return nil, err
	}
	enable := in.MinimumThroughputBillingCommitment.Status == types.MinimumThroughputBillingCommitmentInputStatusEnabled
	out := &kinesis.UpdateAccountSettingsOutput{}
	err := c.server.change(ctx, func(m *metadata) error {
		now := time.Now()
		before := m.state.CommitmentOf(c.scope)
		after := before.Enable(now)
		if !enable {
			if name, ok := (*c.server.catalog.Load()).warm(c.scope); ok {
				return invalidArgument("MinimumThroughputBillingCommitment cannot be DISABLED while streams have a warm throughput, such as stream %s under account %s.",
					name, c.scope.Account)
			}
			after = before.Disable(now)
		}
		if after != before {
			if err := m.save(state.Event{Account: &state.Account{Scope: c.scope, Commitment: after}}); err != nil {
				return internalFailure(err)
			}
		}
		out.MinimumThroughputBillingCommitment = commitment(after, now)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// warm names a stream of a scope that has a warm throughput, if there is one.
func (c catalog) warm(scope state.Scope) (name string, ok bool) {
	for _, st := range c.list(scope) {
		if st.view.Load().warmThroughput() != nil {
			return st.key.Name, true
		}
	}
	return "", false
}

// commitment is a commitment in the form of the API.
func commitment(c state.Commitment, now time.Time) *types.MinimumThroughputBillingCommitmentOutput {
	out := &types.MinimumThroughputBillingCommitmentOutput{Status: types.MinimumThroughputBillingCommitmentOutputStatusDisabled}
	if !c.Made() {
		return out
	}
	out.StartedAt = aws.Time(time.UnixMilli(c.Started).UTC())
	switch {
	case !c.Enabled(now):
		out.EndedAt = aws.Time(time.UnixMilli(c.Ends).UTC())
	case c.Ends != 0:
		out.Status = types.MinimumThroughputBillingCommitmentOutputStatusEnabledUntilEarliestAllowedEnd
		out.EarliestAllowedEndAt = aws.Time(c.EarliestEnd())
	default:
		out.Status = types.MinimumThroughputBillingCommitmentOutputStatusEnabled
		out.EarliestAllowedEndAt = aws.Time(c.EarliestEnd())
	}
	return out
}
