package localstream

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

func (c *checker) updateChannel(in *kinesis.UpdateChannelInput) {
	c.channelARN(in.ChannelARN)
	if d := in.S3DestinationConfiguration; d != nil && d.DataFreshnessInSeconds == nil {
		c.null("s3DestinationConfiguration.dataFreshnessInSeconds")
	}
	if d := in.S3TablesDestinationConfiguration; d != nil && d.DataFreshnessInSeconds == nil {
		c.null("s3TablesDestinationConfiguration.dataFreshnessInSeconds")
	}
	if l := in.LoggingConfiguration; l != nil && l.CloudWatchLogs == nil {
		c.null("loggingConfiguration.cloudWatchLogs")
	} else if l != nil {
		c.logs("loggingConfiguration.cloudWatchLogs", l.CloudWatchLogs.Enabled, l.CloudWatchLogs.LogGroupName, l.CloudWatchLogs.LogStreamName)
	}
}

// updateChannel answers with the channel in UPDATING, as AWS does, even if it
// is ACTIVE by then. The new settings are in force at once.
func (c *call) updateChannel(ctx context.Context, in *kinesis.UpdateChannelInput) (*kinesis.UpdateChannelOutput, error) {
	if _, err := c.findChannel(ctx, *in.ChannelARN); err != nil {
		return nil, err
	}
	s := c.server
	var out *types.ChannelDescription
	err := s.change(ctx, func(m *metadata) error {
		ch, err := s.lookupChannel(*in.ChannelARN)
		if err != nil {
			return err
		}
		update, err := channelUpdate(ch.Channel, in)
		if err != nil {
			return err
		}
		if ch.Status != state.Active {
			return inUse("Channel %s under account %s not ACTIVE, instead in state %s", ch.Name, ch.Account, ch.Status)
		}
		if err := m.saveChannel(ch.ID, ch.stream, state.ChannelEvent{Updated: update}); err != nil {
			return err
		}
		out = describeChannel((*s.channels.Load())[ch.ID])
		return m.goOn(ch.ID, ch.stream)
	})
	if err != nil {
		return nil, err
	}
	return &kinesis.UpdateChannelOutput{ChannelDescription: out}, nil
}

// channelUpdate is the change of a channel that a request asks for.
func channelUpdate(ch *state.Channel, in *kinesis.UpdateChannelInput) (*state.ChannelUpdated, error) {
	update := &state.ChannelUpdated{ID: ch.ID, FreshSecs: ch.FreshSecs, Logs: ch.Logs}
	bucket, table := in.S3DestinationConfiguration, in.S3TablesDestinationConfiguration
	switch {
	case bucket == nil && table == nil && in.LoggingConfiguration == nil:
		return nil, invalidArgument("One of S3DestinationConfiguration, S3TablesDestinationConfiguration and LoggingConfiguration must be specified.")
	case bucket != nil && ch.S3 == nil:
		return nil, invalidArgument("S3DestinationConfiguration cannot be specified for channel %s, whose destination is a streaming table.", ch.Name)
	case table != nil && ch.Table == nil:
		return nil, invalidArgument("S3TablesDestinationConfiguration cannot be specified for channel %s, whose destination is a general purpose Amazon S3 bucket.", ch.Name)
	}
	if l := in.LoggingConfiguration; l != nil {
		update.Logs = changedLogs(ch.Logs, *l.CloudWatchLogs.Enabled, l.CloudWatchLogs.LogGroupName, l.CloudWatchLogs.LogStreamName)
	}
	switch {
	case bucket != nil:
		return update, setFreshness(&update.FreshSecs, bucket.DataFreshnessInSeconds)
	case table != nil:
		return update, setFreshness(&update.FreshSecs, table.DataFreshnessInSeconds)
	}
	return update, nil
}
