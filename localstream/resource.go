package localstream

import (
	"context"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// resource is what tags and policies are attached to: a stream, one of its
// consumers, or a channel, which has tags only.
type resource struct {
	stream   *stream // nil for a channel
	consumer string  // NAME:SECONDS, empty for the stream itself
	channel  string  // ARN, empty for others
	name     state.Key
}

// resource gives the resource that a request names by ARN, and what is attached
// to it.
func (c *call) resource(ctx context.Context, arn string) (resource, state.Attachments, error) {
	if isChannelARN(arn) {
		ch, err := c.findChannel(ctx, arn)
		if err != nil {
			return resource{}, state.Attachments{}, err
		}
		return resource{channel: arn, name: ch.TagKey()}, state.Attachments{Tags: ch.Tags}, nil
	}
	key, consumer, ok := state.ParseResource(arn)
	if err := c.fault(ctx, key, anyShard); err != nil {
		return resource{}, state.Attachments{}, err
	}
	if !ok {
		return resource{}, state.Attachments{}, noResource(arn)
	}
	st, v, err := c.server.lookup(key)
	if err != nil {
		return resource{}, state.Attachments{}, err
	}
	attached, ok := v.AttachmentsOf(consumer)
	if !ok {
		return resource{}, attached, noResource(arn)
	}
	return resource{stream: st, consumer: consumer, name: key}, attached, nil
}

// noResource is the error for an ARN that names nothing.
func noResource(arn string) error { return notFound("Resource %s not found.", arn) }

// attach changes what is attached to a resource. Of a stream that is not made
// yet, or about to go, nothing can be changed.
func (c *call) attach(ctx context.Context, to resource, change func(*state.Attachments) error) error {
	return c.server.change(ctx, func(m *metadata) error {
		if to.channel != "" {
			return m.attachToChannel(to.channel, change)
		}
		v, err := m.newest(to.stream)
		switch {
		case err != nil:
			return err
		case !v.settled():
			return notActive(v)
		}
		attached, ok := v.AttachmentsOf(to.consumer)
		if !ok {
			return noResource(v.ARN() + "/consumer/" + to.consumer)
		}
		if err := change(&attached); err != nil {
			return err
		}
		return m.saveStream(to.stream, state.Event{Attached: &state.Attached{ID: to.stream.id, Consumer: to.consumer, Attachments: attached}})
	})
}

// settled reports whether the stream is there to stay: ACTIVE or UPDATING.
func (v *view) settled() bool { return v.Status == state.Active || v.Status == state.Updating }
