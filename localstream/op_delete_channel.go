package localstream

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

func (c *checker) deleteChannel(in *kinesis.DeleteChannelInput) { c.channelARN(in.ChannelARN) }

// deleteChannel deletes a channel in any state. What the channel has not
// delivered yet it does not deliver any more.
func (c *call) deleteChannel(ctx context.Context, in *kinesis.DeleteChannelInput) error {
	if _, err := c.findChannel(ctx, *in.ChannelARN); err != nil {
		return err
	}
	s := c.server
	return s.change(ctx, func(m *metadata) error {
		ch, err := s.lookupChannel(*in.ChannelARN)
		if err != nil {
			return err
		}
		return m.deleteChannel(ch.Channel, ch.stream)
	})
}
