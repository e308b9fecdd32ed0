package localstream

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// maxChannels is how many channels an account may have in a region: as many as
// its on-demand streams can have.
const maxChannels = channelsPerStream * maxOnDemand

// channel is a channel at one moment. Requests and its delivery load it and
// work with it; it never changes.
type channel struct {
	*state.Channel
	stream   *stream
	replaced chan struct{} // closed when there is a newer one, or the channel was removed
}

// channels is the channels by ID. It is replaced, never changed.
type channels map[string]*channel

// list gives the channels of a scope by name.
func (c channels) list(scope state.Scope) []*channel {
	var out []*channel
	for _, ch := range c {
		if ch.Scope == scope {
			out = append(out, ch)
		}
	}
	slices.SortFunc(out, func(a, b *channel) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// of gives the channels of a stream, by its ID.
func (c channels) of(stream string) []*channel {
	var out []*channel
	for _, ch := range c {
		if ch.Stream == stream {
			out = append(out, ch)
		}
	}
	return out
}

// channelCount is how many channels a stream has.
func (s *Server) channelCount(stream string) int { return len(s.channels.Load().of(stream)) }

// lookupChannel finds the channel that an ARN names.
func (s *Server) lookupChannel(arn string) (*channel, error) {
	scope, id, _ := state.ParseChannelARN(arn) // its form was checked before
	ch := (*s.channels.Load())[id]
	if ch == nil || ch.Scope != scope {
		return nil, notFound("Channel %s under account %s not found.", id, scope.Account)
	}
	return ch, nil
}

// publishChannel makes the newest state of a channel visible, or that it was
// removed, and wakes who waits for that.
func (m *metadata) publishChannel(id string, st *stream) {
	all := maps.Clone(*m.server.channels.Load())
	old := all[id]
	if ch := m.state.Channels[id]; ch != nil {
		all[id] = &channel{Channel: ch, stream: st, replaced: make(chan struct{})}
	} else {
		delete(all, id)
	}
	m.server.channels.Store(&all)
	if old != nil {
		close(old.replaced)
	}
}

// openChannels gives the channels of the state, of streams that are open.
func (m *metadata) openChannels() channels {
	all := channels{}
	for _, st := range *m.server.catalog.Load() {
		for id, ch := range m.state.Channels {
			if ch.Stream == st.id {
				all[id] = &channel{Channel: ch, stream: st, replaced: make(chan struct{})}
			}
		}
	}
	return all
}

func (c *channel) createdAt() time.Time { return time.UnixMilli(c.Created).UTC() }
