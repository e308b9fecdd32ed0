package localstream

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// update is a change of a stream that goes through UPDATING: a reshard, new
// settings, or both in one step. The zero update is none.
type update struct {
	steps    []state.Step
	settings *state.Settings
}

func (u update) isZero() bool { return len(u.steps) == 0 && u.settings == nil }

// newest is the newest view of a stream that a request has found. It runs where
// the metadata is owned. The stream may have been deleted since, and another
// may have its name.
func (m *metadata) newest(st *stream) (*view, error) {
	current, v, err := m.server.lookup(st.key)
	if err == nil && current != st {
		err = noStream(st.key)
	}
	return v, err
}

// settle changes the stream that a request names, as decide says for its newest
// view: at once, or when UPDATING ends. Decide has to look at the status itself.
func (c *call) settle(ctx context.Context, name, arn *string, decide func(*metadata, *stream, *view) (update, error)) error {
	st, _, err := c.find(ctx, name, arn)
	if err != nil {
		return err
	}
	return c.server.change(ctx, func(m *metadata) error {
		v, err := m.newest(st)
		if err != nil {
			return err
		}
		todo, err := decide(m, st, v)
		if err != nil || todo.isZero() {
			return err
		}
		return m.beginUpdate(st, todo)
	})
}

// beginUpdate makes a change at once, or puts the stream into UPDATING first.
func (m *metadata) beginUpdate(st *stream, todo update) error {
	s := m.server
	if s.cfg.UpdateDelay <= 0 {
		return m.endUpdate(st, todo)
	}
	if err := m.setStatus(st, state.Updating, todo.steps, todo.settings); err != nil {
		return err
	}
	return s.later(m, s.cfg.UpdateDelay, st, st.inStatus(state.Updating), func(m *metadata) error { return m.finishUpdate(st) })
}

// endUpdate makes the change, and the stream ACTIVE.
func (m *metadata) endUpdate(st *stream, todo update) error {
	if len(todo.steps) > 0 {
		return m.reshard(st, todo.steps, todo.settings)
	}
	return m.saveSettings(st, todo.settings, true)
}

// finishUpdate ends UPDATING with the change that was asked for. Of a reshard
// that cannot be done, because a parent is damaged, only the settings are
// changed: nobody waits for the error, and nothing else could end the status.
func (m *metadata) finishUpdate(st *stream) error {
	now := m.state.Streams[st.id]
	err := m.endUpdate(st, update{now.Pending, now.Change})
	switch {
	case err == nil, st.view.Load().broken != nil: // broke has logged it
		return nil
	case len(now.Pending) == 0:
		return err
	}
	m.server.logger.Error("reshard was given up, the stream stays as it was", zap.String("stream", now.Name), zap.Error(err))
	return m.saveSettings(st, now.Change, true)
}

// saveSettings changes settings of a stream, none if they are nil, and may end
// an update with that.
func (m *metadata) saveSettings(st *stream, settings *state.Settings, updated bool) error {
	event := &state.SettingsChanged{ID: st.id, Updated: updated}
	if settings != nil {
		event.Settings = *settings
	}
	if event.KeyID != nil {
		event.Since = st.boundary(m.state.Streams[st.id], time.Now())
	}
	return m.saveStream(st, state.Event{Settings: event})
}

// boundary parts the records that are in the log from those to come.
func (s *stream) boundary(now *state.Stream, at time.Time) *state.Boundary {
	b := &state.Boundary{At: at.UnixMilli(), Horizon: now.TrimHorizon(at), NextShard: now.NextShard, From: map[uint32]uint64{}}
	for _, sh := range now.Shards {
		tip, last := s.log.Tip(sh.Number)
		if !sh.IsClosed() {
			b.From[sh.Number] = tip
		}
		b.At = max(b.At, last) // the clock may have been ahead
	}
	return b
}
