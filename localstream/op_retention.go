package localstream

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

func (c *checker) increaseRetention(in *kinesis.IncreaseStreamRetentionPeriodInput) {
	c.number("retentionPeriodHours", in.RetentionPeriodHours, true, 1, 0)
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
}

func (c *call) increaseRetention(ctx context.Context, in *kinesis.IncreaseStreamRetentionPeriodInput) error {
	return c.setRetention(ctx, in.StreamName, in.StreamARN, *in.RetentionPeriodHours, func(v *view, hours int32) error {
		if hours < v.RetentionHours {
			return invalidArgument("Requested retention period (%d hours) for stream %s can not be shorter than existing retention period (%d hours)."+
				" Use DecreaseRetentionPeriod API.", hours, v.Name, v.RetentionHours)
		}
		return nil
	})
}

func (c *checker) decreaseRetention(in *kinesis.DecreaseStreamRetentionPeriodInput) {
	c.number("retentionPeriodHours", in.RetentionPeriodHours, true, 1, 0)
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
}

func (c *call) decreaseRetention(ctx context.Context, in *kinesis.DecreaseStreamRetentionPeriodInput) error {
	return c.setRetention(ctx, in.StreamName, in.StreamARN, *in.RetentionPeriodHours, func(v *view, hours int32) error {
		if hours > v.RetentionHours {
			return invalidArgument("Requested retention period (%d hours) for stream %s can not be longer than existing retention period (%d hours)."+
				" Use IncreaseRetentionPeriod API.", hours, v.Name, v.RetentionHours)
		}
		return nil
	})
}

// setRetention changes the retention period. What has expired under the old
// period stays expired. The current period is accepted either way.
func (c *call) setRetention(ctx context.Context, name, arn *string, hours int32, check func(*view, int32) error) error {
	st, _, err := c.find(ctx, name, arn)
	switch {
	case err != nil:
		return err
	case hours < state.MinRetentionHours:
		return invalidArgument("Minimum allowed retention period is %d hours. Requested retention period (%d hours) is too short.", state.MinRetentionHours, hours)
	case hours > state.MaxRetentionHours:
		return invalidArgument("Maximum allowed retention period is %d hours. Requested retention period (%d hours) is too long.", state.MaxRetentionHours, hours)
	}
	return c.server.change(ctx, func(m *metadata) error {
		v, err := m.newest(st)
		switch {
		case err != nil:
			return err
		case v.Status != state.Active:
			return notActive(v)
		}
		if err := check(v, hours); err != nil || hours == v.RetentionHours {
			return err
		}
		return m.saveStream(st, state.Event{Retention: &state.Retention{ID: st.id, Hours: hours, Horizon: v.TrimHorizon(time.Now())}})
	})
}
