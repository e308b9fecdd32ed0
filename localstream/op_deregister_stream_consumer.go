package localstream

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func (c *checker) deregisterStreamConsumer(in *kinesis.DeregisterStreamConsumerInput) {
	c.consumer(consumerRef{in.StreamARN, in.ConsumerName, in.ConsumerARN}, in.StreamId)
}

// deregisterStreamConsumer removes a consumer in any state, and ends its
// subscriptions. Deregistering twice is no error as long as it is DELETING.
func (c *call) deregisterStreamConsumer(ctx context.Context, in *kinesis.DeregisterStreamConsumerInput) error {
	st, _, consumer, err := c.findConsumer(ctx, consumerRef{in.StreamARN, in.ConsumerName, in.ConsumerARN}, streamConsumerDeregisters)
	if err != nil {
		return err
	}
	s := c.server
	return s.change(ctx, func(m *metadata) error {
		v, err := m.newest(st)
		if err != nil {
			return err
		}
		now, ok := v.Consumer(consumer.Name)
		switch {
		case !ok, now.Created != consumer.Created: // gone since the request came
			return noConsumer(st.key, consumer.Name)
		case v.statusOf(now) == types.ConsumerStatusDeleting:
			return nil
		}
		return m.deregister(st, now)
	})
}
