package localstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/state"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// Where things are in the data directory.
const (
	lockName   = "lock"
	journalDir = "meta"
	streamsDir = "streams"
)

// The journal is rewritten as one snapshot when it holds compactAfter events,
// or when it is longer than compactBytes and than compactFactor times the last
// snapshot: one reshard of a stream with many shards is a long event.
const (
	compactAfter  = 4096
	compactBytes  = 1 << 20
	compactFactor = 4
)

// metadata is the state of the server and its journal. One goroutine owns it,
// the keeper, so it needs no lock: changes are functions that the keeper runs
// one after the other.
type metadata struct {
	server  *Server
	state   *state.State
	journal *wal.Journal
	events  int      // in the journal, since its snapshot
	base    int64    // length of the journal after it was last rewritten, in bytes
	cleared []string // removed streams whose files are gone, which the journal does not know yet
}

// openMetadata replays the journal, finishes the removal of streams, and
// records that the server was opened.
func openMetadata(s *Server) (*metadata, error) {
	m := &metadata{server: s, state: state.New()}
	var err error
	m.journal, err = wal.OpenJournal(s.fs, journalDir, func(b []byte) error {
		e, err := state.DecodeEvent(b)
		if err == nil {
			err = m.state.Apply(e)
		}
		if err != nil {
			return s.cfg.damagedMetadata(misfit(err))
		}
		if m.events++; e.Snapshot != nil {
			m.events, m.base = 0, int64(len(b))
		}
		return nil
	})
	if d, ok := errors.AsType[*wal.DamageError](err); ok {
		err = s.cfg.damagedMetadata(damageOf(d))
	}
	if err != nil {
		return nil, fmt.Errorf("open metadata: %w", err)
	}
	if torn := m.journal.TornBytes(); torn > 0 {
		s.logger.Warn("the metadata ended in a change that was never acknowledged; cut", zap.Int64("bytes", torn))
	}
	if err := m.boot(); err != nil {
		return nil, errors.Join(fmt.Errorf("open metadata: %w", err), m.journal.Close())
	}
	return m, nil
}

// boot makes sure that the journal belongs to the streams that are there, and
// records that the server was opened.
func (m *metadata) boot() error {
	if err := m.checkStreams(); err != nil {
		return err
	}
	for _, id := range m.state.Removed {
		m.removeFiles(id, zap.String("directory", id))
	}
	boot := &state.Booted{Boot: m.state.Boot + 1, Cleared: m.cleared}
	if len(m.state.Secret) == 0 {
		boot.Secret = make([]byte, secretBytes)
		rand.Read(boot.Secret) // never fails
	}
	if err := m.save(state.Event{Booted: boot}); err != nil {
		return err
	}
	m.cleared = nil
	return nil
}

// checkStreams looks at the directories of streams. The state knows the
// directory of every stream from before it was made until after it was removed.
// So one that it does not know came from elsewhere, and is left alone; and if
// it knows nothing at all, the journal of these streams was lost, and going on
// would bury their records.
func (m *metadata) checkStreams() error {
	s := m.server
	dirs, err := s.fs.List(streamsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list streams: %w", err)
	}
	if m.state.Boot == 0 && len(dirs) > 0 {
		return s.cfg.damagedMetadata(lostJournal())
	}
	for _, d := range dirs {
		if m.state.Streams[d.Name] == nil && !slices.Contains(m.state.Removed, d.Name) {
			s.logger.Warn("a directory among the streams belongs to none of them and is left alone", zap.String("directory", streamsDir+"/"+d.Name))
		}
	}
	return nil
}

// removeFiles removes the directory of a stream that the journal says is
// removed. If that fails, the next opening tries again.
func (m *metadata) removeFiles(id string, stream zap.Field) {
	if err := vfs.RemoveAll(m.server.fs, streamsDir+"/"+id); err != nil {
		m.server.logger.Warn("files of a deleted stream remain", stream, zap.Error(err))
		return
	}
	m.cleared = append(m.cleared, id)
}

// save makes an event durable and then applies it. An event that cannot be
// applied is refused before it gets into the journal, where it would keep the
// server from ever opening again.
func (m *metadata) save(e state.Event) error {
	apply, err := m.state.Prepare(e)
	if err != nil {
		return fmt.Errorf("change metadata: %w", err)
	}
	b, err := e.Encode()
	if err == nil {
		err = m.journal.Append(b)
	}
	if err != nil {
		return fmt.Errorf("save metadata: %w", err)
	}
	apply()
	m.events++
	if m.events >= compactAfter || m.journal.Size() > max(compactBytes, compactFactor*m.base) {
		m.compact()
	}
	return nil
}

// compact replaces the events of the journal by a snapshot. That it fails
// matters only if the journal does not work any more, and then the next event
// fails too; otherwise it is tried again when as many events have come anew.
func (m *metadata) compact() {
	b, err := state.Event{Snapshot: m.state}.Encode()
	if err == nil {
		err = m.journal.Rewrite(b)
	}
	if err != nil {
		m.server.logger.Warn("metadata journal was not compacted", zap.Error(err))
	}
	m.events, m.base = 0, m.journal.Size()
}

// floor is the lowest index of new records. It rises with every opening of the
// server, so an index is never given twice, even if the log lost its end.
func (m *metadata) floor() uint64 { return m.state.Boot << bootShift }

// bootShift leaves room for 2^40 records of a shard in one opening of the server.
const bootShift = 40

// indexBoot is the opening of the server in which an index was given out.
func indexBoot(index uint64) uint64 { return index >> bootShift }

// openStream opens the log of a stream and registers its shards.
func (m *metadata) openStream(st *state.Stream) (*stream, error) {
	s := m.server
	log, err := wal.Open(wal.Config{
		FS: s.fs, Dir: streamsDir + "/" + st.ID, Exists: st.Status != state.Creating, Durability: s.walDurability(),
		SegmentBytes: s.cfg.segmentBytes, Logger: s.logger.With(zap.String("stream", st.Name)), Damaged: s.cfg.tellOfDamage(st.Key),
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
	out := &stream{key: st.Key, id: st.ID, log: log, quota: newGate(s.cfg.MaxStreamBytes)}
	out.publish(newView(st))
	return out, nil
}

// openAll opens every stream of the state.
func (m *metadata) openAll() (catalog, error) {
	if err := vfs.MkdirAll(m.server.fs, streamsDir); err != nil {
		return nil, err
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
