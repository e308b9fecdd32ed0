package localstream

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// The limits of a stream's consumers.
const (
	maxConsumers          = 20
	maxConsumersAdvantage = 50 // of an on-demand stream of an account with a commitment
	maxConsumersCreating  = 5
)

// The life of a consumer: CREATING, ACTIVE, DELETING. The functions of metadata
// run where that is owned.

// register makes a consumer, and activates it after the delay of the server.
func (m *metadata) register(st *stream, consumer state.Consumer) error {
	if err := m.saveConsumer(st, state.Event{Registered: &state.ConsumerRegistered{ID: st.id, Consumer: consumer}}); err != nil {
		return err
	}
	return m.followConsumer(st, consumer)
}

// followConsumer does what comes next in the life of a consumer.
func (m *metadata) followConsumer(st *stream, consumer state.Consumer) error {
	same := st.as(func(v *view) bool {
		now, ok := v.Consumer(consumer.Name)
		return ok && now.Created == consumer.Created && now.Status == consumer.Status
	})
	next := func(e state.Event) error {
		return m.server.later(m, m.server.cfg.ConsumerDelay, st, same, func(m *metadata) error { return m.saveConsumer(st, e) })
	}
	switch consumer.Status {
	case state.Creating:
		return next(state.Event{Consumer: &state.ConsumerChanged{ID: st.id, Name: consumer.Name, Status: state.Active}})
	case state.Deleting:
		return next(state.Event{Deregistered: &state.ConsumerRemoved{ID: st.id, Name: consumer.Name}})
	}
	return nil
}

// deregister removes a consumer, after the delay of the server.
func (m *metadata) deregister(st *stream, consumer state.Consumer) error {
	if m.server.cfg.ConsumerDelay <= 0 {
		return m.saveConsumer(st, state.Event{Deregistered: &state.ConsumerRemoved{ID: st.id, Name: consumer.Name}})
	}
	consumer.Status = state.Deleting
	err := m.saveConsumer(st, state.Event{Consumer: &state.ConsumerChanged{ID: st.id, Name: consumer.Name, Status: consumer.Status}})
	if err != nil {
		return err
	}
	return m.followConsumer(st, consumer)
}

// saveConsumer makes a change of a consumer durable and visible.
func (m *metadata) saveConsumer(st *stream, e state.Event) error {
	if err := m.saveStream(st, e); err != nil {
		return err
	}
	if e.Deregistered != nil {
		st.seats.clear(e.Deregistered.Name)
	}
	return nil
}

// consumerRef is how a request names a consumer: by its ARN, by its stream and
// its name, or by all of that.
type consumerRef struct{ streamARN, name, arn *string }

func (c *checker) consumer(ref consumerRef, id *string) {
	if ref.streamARN != nil {
		c.stream(nil, ref.streamARN, nil)
	}
	if ref.name != nil {
		c.consumerName(ref.name)
	}
	if ref.arn != nil {
		c.consumerARN(ref.arn)
	}
	c.streamID(id)
}

// findConsumer gives the consumer that a request names. Of such requests there
// may be so many a second for one stream, where the rates of AWS apply.
func (c *call) findConsumer(ctx context.Context, ref consumerRef, perSecond float64) (*stream, *view, state.Consumer, error) {
	var none state.Consumer
	var key state.Key
	var name string
	var secs int64
	switch {
	case ref.arn != nil:
		key, name, secs, _ = state.ParseConsumerARN(*ref.arn) // their form was checked before
		if ref.name != nil && *ref.name != name {
			return nil, nil, none, invalidArgument("ConsumerARN %s and ConsumerName %s do not name the same consumer.", *ref.arn, *ref.name)
		}
		if ref.streamARN != nil {
			if other, _ := state.ParseARN(*ref.streamARN); other != key {
				return nil, nil, none, invalidArgument("ConsumerARN %s is not of a consumer of the stream with the StreamARN %s.", *ref.arn, *ref.streamARN)
			}
		}
	case ref.streamARN != nil && ref.name != nil:
		key, _ = state.ParseARN(*ref.streamARN)
		name = *ref.name
	default:
		return nil, nil, none, invalidArgument("Either ConsumerARN, or StreamARN and ConsumerName, must be provided.")
	}
	if err := c.fault(ctx, key, anyShard); err != nil {
		return nil, nil, none, err
	}
	st, v, err := c.server.lookup(key)
	if err != nil {
		return nil, nil, none, err
	}
	if err := c.admitFor(key, perSecond); err != nil {
		return nil, nil, none, err
	}
	consumer, ok := v.Consumer(name)
	if !ok || ref.arn != nil && consumer.Secs() != secs {
		return nil, nil, none, noConsumer(key, name)
	}
	return st, v, consumer, nil
}

// noConsumer is the error for a consumer that does not exist.
func noConsumer(key state.Key, name string) error {
	return notFound("Consumer %s under stream %s under account %s not found.", name, key.Name, key.Account)
}

// statusOf is the status of a consumer. It goes with its stream.
func (v *view) statusOf(consumer state.Consumer) types.ConsumerStatus {
	if v.Status == state.Deleting {
		return types.ConsumerStatusDeleting
	}
	return types.ConsumerStatus(consumer.Status)
}

// describeConsumer gives a consumer in the form of the API.
func (v *view) describeConsumer(consumer state.Consumer) types.Consumer {
	return types.Consumer{
		ConsumerARN:               aws.String(consumer.ARN(v.Key)),
		ConsumerCreationTimestamp: aws.Time(time.UnixMilli(consumer.Created).UTC()),
		ConsumerName:              aws.String(consumer.Name),
		ConsumerStatus:            v.statusOf(consumer),
	}
}
