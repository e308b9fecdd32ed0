package localstream

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// maxOnDemand is how many on-demand streams an account may have in a region.
const maxOnDemand = 50

func (c *checker) updateStreamMode(in *kinesis.UpdateStreamModeInput) {
	c.streamARN(in.StreamARN, in.StreamId)
	if in.StreamModeDetails == nil {
		c.null("streamModeDetails")
	} else {
		enum(c, "streamModeDetails.streamMode", in.StreamModeDetails.StreamMode, true, types.StreamMode("").Values())
	}
	c.number("warmThroughputMiBps", in.WarmThroughputMiBps, false, 0, 0)
}

// streamARN checks the members of an operation that knows a stream by ARN only.
func (c *checker) streamARN(arn, id *string) {
	if arn == nil {
		c.null("streamARN")
		c.streamID(id)
		return
	}
	c.stream(nil, arn, id)
}

// updateStreamMode changes how the capacity of a stream is decided. The shards
// stay as they are, as in AWS. A stream that has the mode already is left
// alone, because tools ask for it again and again.
func (c *call) updateStreamMode(ctx context.Context, in *kinesis.UpdateStreamModeInput) error {
	onDemand := in.StreamModeDetails.StreamMode == types.StreamModeOnDemand
	return c.settle(ctx, nil, in.StreamARN, func(m *metadata, st *stream, v *view) (todo update, err error) {
		switch {
		case !onDemand && aws.ToInt32(in.WarmThroughputMiBps) > 0:
			return todo, warmProvisioned()
		case v.Status != state.Active:
			return todo, notActive(v)
		}
		if onDemand && in.WarmThroughputMiBps != nil {
			if todo, err = m.warm(v, *in.WarmThroughputMiBps); err != nil {
				return update{}, err
			}
		}
		if onDemand == v.OnDemand {
			return todo, nil
		}
		if onDemand {
			if err := m.server.checkOnDemandLimit(v.Scope); err != nil {
				return update{}, err
			}
		}
		if err := c.daily(&st.daily.modeSwitches, modeSwitchesPerDay, v, "UpdateStreamMode"); err != nil {
			return update{}, err
		}
		if todo.settings == nil {
			todo.settings = &state.Settings{}
		}
		todo.settings.OnDemand = &onDemand
		if !onDemand { // both are for on-demand streams only
			todo.settings.Auto, todo.settings.WarmMiBps = aws.Bool(false), aws.Int32(0)
		}
		return todo, nil
	})
}

// onDemandStreams counts the on-demand streams of a scope.
func (c catalog) onDemandStreams(scope state.Scope) int {
	n := 0
	for k, st := range c {
		if k.Scope == scope && st.view.Load().willBeOnDemand() {
			n++
		}
	}
	return n
}

// willBeOnDemand reports whether the stream is on-demand, now or when an update
// that is under way has ended.
func (v *view) willBeOnDemand() bool {
	if v.Change != nil && v.Change.OnDemand != nil {
		return *v.Change.OnDemand
	}
	return v.OnDemand
}

// checkOnDemandLimit refuses one more on-demand stream than an account may have.
func (s *Server) checkOnDemandLimit(scope state.Scope) error {
	n := (*s.catalog.Load()).onDemandStreams(scope)
	if n < maxOnDemand {
		return nil
	}
	return limitExceeded("This request would exceed the limit on the number of On-Demand streams for the account %s in %s. "+
		"Current On-Demand streams count: %d. Limit: %d.", scope.Account, scope.Region, n, maxOnDemand)
}
