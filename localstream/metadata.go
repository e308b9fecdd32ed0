package localstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/localstream/internal/state"
	"github.com/shardrun/shardrun/localstream/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// Where things are in the data directory.
const (
	lockName   = "lock"
	journalDir = "meta"
	streamsDir = "streams"
)

// compactAfter is how many events the journal may hold before it is rewritten
// as one snapshot.
const compactAfter = 4096

// metadata is the state of the server and its journal. One goroutine owns it,
// the keeper, so it needs no lock: changes are functions that the keeper runs
// one after the other.
type metadata struct {
	server  *Server
	state   *state.State
	journal *wal.Journal
	events  int
	failed  error // of the journal; final
}

// openMetadata replays the journal and records that the server was opened.
func openMetadata(s *Server) (*metadata, error) {
	m := &metadata{server: s, state: state.New()}
	var err error
	m.journal, err = wal.OpenJournal(s.fs, journalDir, func(b []byte) error {
		e, err := state.DecodeEvent(b)
		if err != nil {
			return err
		}
		m.events++
		return m.state.Apply(e)
	})
	if err != nil {
		return nil, fmt.Errorf("open metadata: %w", err)
	}
	boot := &state.Booted{Boot: m.state.Boot + 1}
	if len(m.state.Secret) == 0 {
		boot.Secret = make([]byte, secretBytes)
		rand.Read(boot.Secret) // never fails
	}
	if err := m.save(state.Event{Booted: boot}); err != nil {
		return nil, errors.Join(fmt.Errorf("open metadata: %w", err), m.journal.Close())
	}
	return m, nil
}

// save makes an event durable and then applies it.
func (m *metadata) save(e state.Event) error {
	if m.failed != nil {
		return m.failed
	}
	b, err := e.Encode()
	if err == nil {
		err = m.journal.Append(b)
	}
	if err != nil {
		m.failed = fmt.Errorf("save metadata: %w", err)
		return m.failed
	}
	if err := m.state.Apply(e); err != nil {
		m.failed = fmt.Errorf("apply metadata: %w", err)
		return m.failed
	}
	if m.events++; m.events >= compactAfter {
		m.compact()
	}
	return nil
}

// compact replaces the events of the journal by a snapshot. That it fails
// matters only if the journal does not work any more, and then the next event
// fails too.
func (m *metadata) compact() {
	b, err := state.Event{Snapshot: m.state}.Encode()
	if err == nil {
		err = m.journal.Rewrite(b)
	}
	if err != nil {
		m.server.logger.Warn("metadata journal was not compacted", zap.Error(err))
		return
	}
	m.events = 1
}

// floor is the lowest index of new records. It rises with every opening of the
// server, so an index is never given twice, even if the log lost its end.
func (m *metadata) floor() uint64 { return m.state.Boot << 40 }

// openStream opens the log of a stream and registers its shards.
func (m *metadata) openStream(st *state.Stream) (*stream, error) {
	s := m.server
	log, err := wal.Open(wal.Config{
		FS: s.fs, Dir: streamsDir + "/" + st.ID, Durability: s.walDurability(),
		SegmentBytes: s.cfg.segmentBytes, Logger: s.logger.With(zap.String("stream", st.Name)),
	})
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", st.Name, err)
	}
	for _, sh := range st.Shards {
		log.OpenShard(sh.Number, m.floor())
		if !sh.IsClosed() {
			continue
		}
		// A damaged shard is not written anyway; its readers will be told.
		if err := log.Seal(sh.Number); err != nil && !isDamage(err) {
			return nil, errors.Join(fmt.Errorf("open stream %s: seal %s: %w", st.Name, state.ShardID(sh.Number), err), log.Close())
		}
	}
	out := &stream{key: st.Key, id: st.ID, log: log}
	out.publish(newView(st))
	return out, nil
}

// openAll opens every stream of the state, and removes what a crash left of
// streams that do not exist.
func (m *metadata) openAll() (catalog, error) {
	s := m.server
	if err := vfs.MkdirAll(s.fs, streamsDir); err != nil {
		return nil, err
	}
	dirs, err := s.fs.List(streamsDir)
	if err != nil {
		return nil, fmt.Errorf("list streams: %w", err)
	}
	for _, d := range dirs {
		if m.state.Streams[d.Name] == nil {
			if err := vfs.RemoveAll(s.fs, streamsDir+"/"+d.Name); err != nil {
				return nil, err
			}
		}
	}
	c := catalog{}
	for _, st := range m.state.Streams {
		opened, err := m.openStream(st)
		if err != nil {
			return c, err
		}
		c[st.Key] = opened
	}
	return c, nil
}

// publish makes the newest state of a stream visible.
func (m *metadata) publish(st *stream) { st.publish(newView(m.state.Streams[st.id])) }

// setCatalog replaces one entry of the catalog; nil removes it.
func (m *metadata) setCatalog(key state.Key, st *stream) {
	c := maps.Clone(*m.server.catalog.Load())
	if st == nil {
		delete(c, key)
	} else {
		c[key] = st
	}
	m.server.catalog.Store(&c)
}

// change runs f where the metadata is owned, and gives its error. f runs to
// its end once it has started, whatever becomes of ctx.
func (s *Server) change(ctx context.Context, f func(*metadata) error) error {
	done := make(chan error, 1) // one result, so the keeper never waits
	select {
	case s.changes <- func(m *metadata) { done <- f(m) }:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing.Done():
		return unavailable()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// keep is the keeper: it makes the changes until the server closes.
func (s *Server) keep(m *metadata) {
	for {
		select {
		case f := <-s.changes:
			f(m)
		case <-s.closing.Done():
			return
		}
	}
}
