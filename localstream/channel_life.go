package localstream

import (
	"fmt"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// The life of a channel: CREATING, ACTIVE or FAILED, UPDATING, DELETING.
// Everything here runs where the metadata is owned.

// saveChannel makes a change of a channel durable and visible.
func (m *metadata) saveChannel(id string, st *stream, e state.ChannelEvent) error {
	if err := m.save(state.Event{Channel: &e}); err != nil {
		return internalFailure(err)
	}
	m.publishChannel(id, st)
	return nil
}

// createChannel makes a channel, which is ACTIVE, or FAILED, after the delay.
func (m *metadata) createChannel(ch *state.Channel, st *stream) error {
	if err := m.saveChannel(ch.ID, st, state.ChannelEvent{Created: ch}); err != nil {
		return err
	}
	return m.goOn(ch.ID, st)
}

// goOn ends the state that a channel is passing through, after the delay.
func (m *metadata) goOn(id string, st *stream) error {
	var end func(m *metadata, ch *state.Channel, st *stream) error
	switch m.state.Channels[id].Status {
	case state.Creating:
		end = (*metadata).startChannel
	case state.Updating:
		end = (*metadata).endChannelUpdate
	case state.Deleting:
		end = (*metadata).removeChannel
	default:
		return nil
	}
	same := m.server.channelInStatus(id, m.state.Channels[id].Status)
	return m.server.later(m, m.server.cfg.ChannelDelay, st, same, func(m *metadata) error { return end(m, m.state.Channels[id], st) })
}

// startChannel ends CREATING. What comes to the stream from now on will be
// delivered, and nothing that came before.
func (m *metadata) startChannel(ch *state.Channel, st *stream) error {
	if reason := m.server.destinationProblem(ch, st.key.Name); reason != "" {
		return m.saveChannel(ch.ID, st, state.ChannelEvent{Status: &state.ChannelStatus{ID: ch.ID, Status: state.Failed, Reason: reason}})
	}
	v := m.state.Streams[st.id]
	started := &state.ChannelStarted{ID: ch.ID, Since: v.NextShard, Next: map[uint32]uint64{}}
	for _, sh := range v.Open() {
		started.Next[sh.Number], _ = st.log.Tip(sh.Number)
	}
	if err := m.saveChannel(ch.ID, st, state.ChannelEvent{Started: started}); err != nil {
		return err
	}
	m.server.startDelivery(ch)
	return nil
}

// endChannelUpdate ends UPDATING. The settings are in force already.
func (m *metadata) endChannelUpdate(ch *state.Channel, st *stream) error {
	return m.saveChannel(ch.ID, st, state.ChannelEvent{Status: &state.ChannelStatus{ID: ch.ID, Status: state.Active}})
}

// deleteChannel begins to delete a channel in any state. Deleting twice is no
// error.
func (m *metadata) deleteChannel(ch *state.Channel, st *stream) error {
	if ch.Status == state.Deleting {
		return nil
	}
	if err := m.saveChannel(ch.ID, st, state.ChannelEvent{Status: &state.ChannelStatus{ID: ch.ID, Status: state.Deleting}}); err != nil {
		return err
	}
	return m.goOn(ch.ID, st)
}

// removeChannel forgets a channel. What it has delivered stays.
func (m *metadata) removeChannel(ch *state.Channel, st *stream) error {
	if err := m.saveChannel(ch.ID, st, state.ChannelEvent{Removed: &state.ChannelRemoved{ID: ch.ID}}); err != nil {
		return err
	}
	if err := m.server.folder.settle(ch.Delivery); err != nil {
		m.server.logger.Warn("the last delivery of a deleted channel was not finished", zap.String("channel", ch.Name), zap.Error(err))
	}
	return nil
}

// attachToChannel changes the tags of a channel.
func (m *metadata) attachToChannel(arn string, change func(*state.Attachments) error) error {
	ch, err := m.server.lookupChannel(arn)
	if err != nil {
		return err
	}
	attached := state.Attachments{Tags: ch.Tags}
	if err := change(&attached); err != nil {
		return err
	}
	return m.saveChannel(ch.ID, ch.stream, state.ChannelEvent{Tagged: &state.ChannelTagged{ID: ch.ID, Tags: attached.Tags}})
}

// resumeChannels goes on with what the last closing interrupted.
func (m *metadata) resumeChannels() error {
	for id, ch := range *m.server.channels.Load() {
		if ch.Delivers() {
			m.server.startDelivery(ch.Channel)
		}
		if err := m.goOn(id, ch.stream); err != nil {
			return err
		}
	}
	return nil
}

// checkNoChannels refuses to delete a stream that has channels, in whatever
// state they are.
func (s *Server) checkNoChannels(st *stream) error {
	if n := s.channelCount(st.id); n > 0 {
		return inUse("Stream %s under account %s has %d channels. Delete its channels before the stream.", st.key.Name, st.key.Account, n)
	}
	return nil
}

// checkChannelLimits refuses a channel that would be one too many.
func (s *Server) checkChannelLimits(ch *state.Channel) error {
	all := *s.channels.Load()
	for _, other := range all.of(ch.Stream) {
		if (other.S3 == nil) == (ch.S3 == nil) {
			kind := "a general purpose Amazon S3 bucket"
			if ch.S3 == nil {
				kind = "a streaming table"
			}
			return limitExceeded("A stream cannot have more than one channel that delivers to %s. Channel %s does.", kind, other.Name)
		}
	}
	if n := len(all.list(ch.Scope)); n >= maxChannels {
		return limitExceeded("Account %s cannot have more than %d channels in %s.", ch.Account, maxChannels, ch.Region)
	}
	return nil
}

// destinationProblem says why a channel cannot deliver to its destination, for
// people to read; nothing if it can, or if nothing is delivered at all.
func (s *Server) destinationProblem(ch *state.Channel, stream string) string {
	if s.folder == nil || ch.S3 == nil {
		return ""
	}
	template, err := parseKeyTemplate(ch.S3.Template)
	if err != nil { // was checked when the channel was made
		return err.Error()
	}
	d := newDelivery(ch, template, stream, s.started)
	for _, p := range []string{d.Object, d.Letters} {
		if err := s.folder.prepare(p); err != nil {
			return fmt.Sprintf("The destination cannot be written to: %v.", err)
		}
	}
	return ""
}
