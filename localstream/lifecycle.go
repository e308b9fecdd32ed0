package localstream

import (
	"errors"
	"fmt"
	"math"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/localstream/internal/state"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// The life of a stream: CREATING, ACTIVE, UPDATING, DELETING. Everything here
// runs where the metadata is owned.

// create makes a stream, which is ACTIVE after the delay. The journal knows of it
// before there is a directory, so that a crash leaves none that nobody knows, and
// in any state but CREATING only when there is one, so that one that is lost is
// missed. The stream becomes visible last, when it works.
func (m *metadata) create(st *state.Stream) error {
	st.Status = state.Creating
	if err := m.save(state.Event{Created: st}); err != nil {
		return internalFailure(err)
	}
	opened, err := m.openStream(st)
	if err != nil {
		// Unless this is saved the next opening finds the stream, empty.
		return internalFailure(errors.Join(err, m.forget(st.ID, st.Name)))
	}
	err = m.server.later(m, m.server.cfg.CreateDelay, opened, opened.inStatus(state.Creating), func(m *metadata) error { return m.activate(opened) })
	if err != nil {
		return errors.Join(err, opened.log.Close(), m.forget(st.ID, st.Name))
	}
	m.setCatalog(st.Key, opened)
	return nil
}

// activate ends CREATING.
func (m *metadata) activate(st *stream) error {
	return m.setStatus(st, state.Active, nil, nil)
}

// setStatus changes the status of a stream and what is to follow.
func (m *metadata) setStatus(st *stream, status state.Status, pending []state.Step, change *state.Settings) error {
	return m.saveStream(st, state.Event{Status: &state.StatusChanged{ID: st.id, Status: status, Pending: pending, Change: change}})
}

// saveStream makes a change of a stream durable, and then visible.
func (m *metadata) saveStream(st *stream, e state.Event) error {
	if err := m.save(e); err != nil {
		return internalFailure(err)
	}
	m.publish(st)
	return nil
}

// reshard splits and merges shards in one step. No record is lost or goes
// astray: the parents are sealed first, so that every put to them has either
// been committed or finds the new shards; then the change is made durable, and
// then visible. Settings that change with the shards, if any, are part of it.
func (m *metadata) reshard(st *stream, steps []state.Step, settings *state.Settings) error {
	before := m.state.Streams[st.id]
	event, err := before.Reshard(steps, time.Now())
	if err != nil {
		return internalFailure(err)
	}
	for _, c := range event.Closed {
		// A seal cannot be taken back, so damage has to be seen before the first.
		if _, err := st.log.Read(c.Number, math.MaxUint64, 0, 1, 1); isDamage(err) {
			return internalFailure(err)
		}
	}
	for _, c := range event.Closed {
		if err := st.log.Seal(c.Number); err != nil {
			return m.broke(st, fmt.Errorf("seal %s: %w", state.ShardID(c.Number), err))
		}
	}
	// Only now is it known when the last record of each parent came: puts went
	// on until its seal, and the clock may have been ahead.
	now := time.Now()
	for _, c := range event.Closed {
		if _, last := st.log.Tip(c.Number); last >= now.UnixMilli() {
			now = time.UnixMilli(last + 1)
		}
	}
	if event, err = before.Reshard(steps, now); err != nil {
		return m.broke(st, err)
	}
	event.Settings = settings
	if err := m.save(state.Event{Resharded: event}); err != nil {
		return m.broke(st, err)
	}
	for _, sh := range event.Opened {
		st.log.OpenShard(sh.Number, m.floor())
		if sh.IsClosed() {
			if err := st.log.Seal(sh.Number); err != nil {
				return m.broke(st, fmt.Errorf("seal %s: %w", state.ShardID(sh.Number), err))
			}
		}
	}
	m.publish(st)
	return nil
}

// isDamage reports whether an error of a log is about damaged records, which
// concerns their shards alone.
func isDamage(err error) bool {
	_, ok := errors.AsType[*wal.DamageError](err)
	return ok
}

// broke ends the puts to a stream whose shards are sealed, or of which it is not
// known what the journal says, and tells those who wait for new shards that none
// will come.
func (m *metadata) broke(st *stream, err error) error {
	v := newView(m.state.Streams[st.id])
	v.broken = err
	st.publish(v)
	m.server.logger.Error("a change failed, the stream takes no more records until the server is opened again", zap.String("stream", st.key.Name), zap.Error(err))
	return internalFailure(err)
}

// remove forgets a stream and its records.
func (m *metadata) remove(st *stream) error {
	if err := m.saveRemoved(st.id); err != nil {
		return m.broke(st, err) // the next opening may find it removed all the same, with what was put until then
	}
	m.setCatalog(st.key, nil)
	v := newView(st.view.Load().Stream)
	v.gone = true
	st.publish(v)
	if err := st.log.Close(); err != nil {
		m.server.logger.Warn("log of a deleted stream did not close well", zap.String("stream", st.key.Name), zap.Error(err))
	}
	m.removeFiles(st.id, zap.String("stream", st.key.Name))
	return nil
}

// forget takes back a stream that was never visible.
func (m *metadata) forget(id, name string) error {
	if err := m.saveRemoved(id); err != nil {
		return err
	}
	m.removeFiles(id, zap.String("stream", name))
	return nil
}

// saveRemoved records that a stream is no more, and with that which files of
// earlier ones are gone.
func (m *metadata) saveRemoved(id string) error {
	if err := m.save(state.Event{Removed: &state.Removed{ID: id, Cleared: m.cleared}}); err != nil {
		return err
	}
	m.cleared = nil
	return nil
}

// resume goes on with the transitions that the last closing interrupted.
func (m *metadata) resume() error {
	s := m.server
	for _, st := range *s.catalog.Load() {
		for _, consumer := range st.view.Load().Consumers {
			if err := m.followConsumer(st, consumer); err != nil {
				return err
			}
		}
		var err error
		status := st.view.Load().Status
		same := st.inStatus(status)
		switch status {
		case state.Creating:
			err = s.later(m, s.cfg.CreateDelay, st, same, func(m *metadata) error { return m.activate(st) })
		case state.Updating:
			err = s.later(m, s.cfg.UpdateDelay, st, same, func(m *metadata) error { return m.finishUpdate(st) })
		case state.Deleting:
			err = s.later(m, s.cfg.DeleteDelay, st, same, func(m *metadata) error { return m.remove(st) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}
