package localstream

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

func (c *checker) registerStreamConsumer(in *kinesis.RegisterStreamConsumerInput) {
	c.streamARN(in.StreamARN, in.StreamId)
	c.consumerName(in.ConsumerName)
	c.tags(in.Tags, false)
}

func (c *call) registerStreamConsumer(ctx context.Context, in *kinesis.RegisterStreamConsumerInput) (*kinesis.RegisterStreamConsumerOutput, error) {
	st, _, err := c.find(ctx, nil, in.StreamARN)
	if err != nil {
		return nil, err
	}
	name := *in.ConsumerName
	tags, err := addTags(st.key, nil, in.Tags)
	if err != nil {
		return nil, err
	}
	s := c.server
	out := &kinesis.RegisterStreamConsumerOutput{}
	err = s.change(ctx, func(m *metadata) error {
		v, err := m.newest(st)
		if err != nil {
			return err
		}
		now, most := time.Now(), maxConsumers
		if v.OnDemand && m.state.CommitmentOf(v.Scope).Enabled(now) {
			most = maxConsumersAdvantage
		}
		if err := v.mayRegister(name, most); err != nil {
			return err
		}
		status := state.Active
		if s.cfg.ConsumerDelay > 0 {
			status = state.Creating
		}
		consumer := state.NewConsumer(name, tags, status, now, m.state.RetiredConsumer)
		described := v.describeConsumer(consumer)
		out.Consumer = &described
		return m.register(st, consumer)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// mayRegister says why a consumer cannot be registered, if so, where there may be
// so many of them.
func (v *view) mayRegister(name string, most int) error {
	creating := 0
	for _, other := range v.Consumers {
		if other.Status == state.Creating {
			creating++
		}
	}
	_, exists := v.Consumer(name)
	switch {
	case !v.settled():
		return notActive(v)
	case exists:
		return inUse("Consumer %s under stream %s already exists for account %s.", name, v.Name, v.Account)
	case len(v.Consumers) >= most:
		return limitExceeded("Stream %s under account %s has %d registered consumers, and cannot have more than %d.",
			v.Name, v.Account, len(v.Consumers), most)
	case creating >= maxConsumersCreating:
		return limitExceeded("Stream %s under account %s has %d consumers in CREATING state, and cannot have more than %d.",
			v.Name, v.Account, creating, maxConsumersCreating)
	}
	return nil
}
