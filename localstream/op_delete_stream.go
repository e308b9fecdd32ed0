package localstream

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

func (c *checker) deleteStream(in *kinesis.DeleteStreamInput) {
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
}

// deleteStream deletes a stream in any state, as kinesalite saw AWS do it; the
// documentation says ACTIVE only. Deleting twice is no error. Its consumers go
// with it.
func (c *call) deleteStream(ctx context.Context, in *kinesis.DeleteStreamInput) error {
	st, _, err := c.find(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return err
	}
	s := c.server
	return s.change(ctx, func(m *metadata) error {
		current, v, err := s.lookup(st.key)
		switch {
		case err != nil:
			return err
		case current != st: // deleted, and created anew, since the request came
			return noStream(st.key)
		case v.Status == state.Deleting:
			return nil
		case len(v.Consumers) > 0 && !aws.ToBool(in.EnforceConsumerDeletion):
			return inUse("DeleteStream can't delete %s:%s because there are consumers associated with this data stream. "+
				"To delete %s anyway, set the EnforceConsumerDeletion parameter to true to force the deletion of all the consumers that are associated with it.",
				v.Account, v.Name, v.Name)
		}
		if err := s.checkNoChannels(st); err != nil {
			return err
		}
		if s.cfg.DeleteDelay > 0 {
			if err := m.setStatus(st, state.Deleting, nil, nil); err != nil {
				return err
			}
		}
		return s.later(m, s.cfg.DeleteDelay, st, st.inStatus(state.Deleting), func(m *metadata) error { return m.remove(st) })
	})
}
