package wal

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/vfs"
)

// Log is the commit log of one stream. Make one with [Open]. All methods may be
// called concurrently.
type Log struct {
	cfg      Config
	files    *files
	cache    *blockCache
	recovery Recovery

	// w belongs to the leader: the caller that commits for everybody, see
	// append.go. Leadership is handed over under mu or by a channel.
	w writer

	calls   sync.Pool     // of *call
	buffers sync.Pool     // of *buffered, for writing
	chunks  sync.Pool     // of *chunk, for reading
	records sync.Pool     // of *[]Record, for reading
	flusher *flusher      // nil unless Async
	trim    chan struct{} // holds a token while a Trim runs; capacity 1 makes it a lock that may be held over I/O

	// mu guards everything below. It is never held over I/O.
	mu     sync.Mutex
	shards map[uint32]*shard
	segs   []*segment // oldest first; the last is the active one
	doomed []*segment // trimmed, their files not yet removed
	size   int64
	synced int64        // offset in the active segment up to which it is synced
	damage *DamageError // of all shards
	err    error        // why the log takes no more writes
	closed bool

	queue   []*call // calls that no leader has taken yet
	queued  int     // bytes of the calls that wait or are being committed
	leading bool    // there is a leader
	room    sync.Cond
}

// Open opens the log in a directory, which is made if it does not exist.
//
// The end of the last segment is read and checked; a batch that a crash left
// unfinished is cut off, and what is kept is synced. Damage to what had been
// synced does not fail Open: it is logged, reported by [Log.Recovery], and the
// shards that it concerns refuse to be read and written.
func Open(cfg Config) (*Log, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	l := &Log{
		cfg:    cfg,
		files:  newFiles(cfg.FS),
		cache:  newBlockCache(maxCachedBytes),
		shards: map[uint32]*shard{},
		trim:   make(chan struct{}, 1),
	}
	l.room.L = &l.mu
	if err := l.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("open log %s: %w", cfg.Dir, err), l.closeFiles())
	}
	if cfg.Durability == Async {
		l.flusher = newFlusher()
		l.flusher.Go(l.flushLoop)
	}
	return l, nil
}

// Remove removes a log that is not open, durably. One that does not exist is no
// error.
func Remove(fsys vfs.FS, dir string) error { return vfs.RemoveAll(fsys, dir) }

// OpenShard makes a shard known. Its next record is numbered floor, or one more
// than the last record found in the log, or what it already was, whichever is
// highest. The log cannot know the numbers of records that were trimmed, or that
// a power failure took from an Async log, so for numbers never to be given out
// twice floor must be above all those of earlier runs.
func (l *Log) OpenShard(shard uint32, floor uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.shard(shard)
	s.open = true
	if s.next < floor {
		if s.tip == s.next { // nothing is being committed
			s.tip = floor
		}
		s.next = floor
	}
}

// shard returns the shard with this number, whether open or not. mu is held.
func (l *Log) shard(id uint32) *shard {
	s := l.shards[id]
	if s == nil {
		s = &shard{id: id}
		l.shards[id] = s
	}
	return s
}

// usable returns a shard that was opened and is undamaged. mu is held.
func (l *Log) usable(id uint32) (*shard, error) {
	s := l.shards[id]
	switch {
	case s == nil || !s.open:
		return nil, &UnknownShardError{id}
	case l.damage != nil:
		return nil, l.damage
	case len(s.damage) > 0:
		return nil, s.damage[0]
	}
	return s, nil
}

// Seal refuses further appends to a shard, and returns when all earlier ones
// are committed. It holds until the log is closed: the caller remembers which
// shards are sealed and seals them anew after [Open]. A damaged shard is sealed
// as well, for the damage may be trimmed; the error still tells of it.
func (l *Log) Seal(shard uint32) error {
	l.mu.Lock()
	if s := l.shards[shard]; s != nil && s.open {
		s.closed = true
	}
	s, err := l.usable(shard)
	if err != nil {
		l.mu.Unlock()
		return fmt.Errorf("seal shard %d: %w", shard, err)
	}
	l.mu.Unlock()

	if err := l.barrier(false); err != nil {
		return fmt.Errorf("seal shard %d: %w", shard, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.wake()
	return nil
}

// Tip returns the number of the next record to be committed to a shard, which
// is where a reader starts who wants only what comes later, and the arrival of
// the last one, 0 if there is none. Both are 0 for a shard that is not open.
func (l *Log) Tip(shard uint32) (next uint64, lastArrival int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.shards[shard]; s != nil {
		return s.tip, s.tipArrival
	}
	return 0, 0
}

// Changed returns a channel that is closed at the next commit to a shard, or
// when it is sealed, or the log closed or found damaged. Take it before reading:
// then no change falls between. It is closed already for a shard that cannot be
// read.
func (l *Log) Changed(shard uint32) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.usable(shard)
	if err != nil || l.closed {
		done := make(chan struct{})
		close(done)
		return done
	}
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// Size is what the log takes on disk, in bytes.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size
}

// Err is why the log refuses all appends, nil if it does not: a write or a sync
// that failed, damage that may concern any shard, or [ErrClosed].
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refusal()
}

// Damaged reports whether damage is known that concerns some shard, which then
// refuses to be used.
func (l *Log) Damaged() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.shards {
		if len(s.damage) > 0 {
			return true
		}
	}
	return l.damage != nil
}

// refusal is what Err returns. mu is held.
func (l *Log) refusal() error {
	if err := l.unusable(); err != nil {
		return err
	}
	return l.err
}

// unusable is why even what needs no write is refused. mu is held.
func (l *Log) unusable() error {
	switch {
	case l.closed:
		return ErrClosed
	case l.damage != nil:
		return l.damage
	}
	return nil
}

// Recovery tells what [Open] found.
func (l *Log) Recovery() Recovery { return l.recovery }

// Close commits what was appended, syncs it whatever the durability, and closes
// the files. Reads that run end in their own time. A second call does nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.room.Broadcast()
	for _, s := range l.shards {
		s.wake()
	}
	l.mu.Unlock()

	// First, because a sync that fails there must be known before the last one.
	if l.flusher != nil {
		l.flusher.stop()
	}
	err := l.barrier(true)
	if err = errors.Join(err, l.closeFiles()); err != nil {
		return fmt.Errorf("close log %s: %w", l.cfg.Dir, err)
	}
	return nil
}

// closeFiles ends the writer's use of its file, and closes all of which nobody
// else is a user. Nothing is written any more.
func (l *Log) closeFiles() error {
	var err error
	if l.w.file != nil {
		err = l.files.put(l.w.file)
	}
	return errors.Join(err, l.files.close())
}

// fail makes the log refuse appends from now on. mu is held.
func (l *Log) fail(err error) {
	if l.err != nil {
		return
	}
	l.err = fmt.Errorf("log %s takes no more writes: %w", l.cfg.Dir, err)
	l.cfg.Logger.Error("log takes no more writes", zap.Error(err))
	l.room.Broadcast()
}

// tellOf tells of damage.
func (l *Log) tellOf(d *DamageError) {
	l.cfg.Logger.Error("log is damaged", zap.Error(d))
	l.cfg.Damaged(d)
}

// poison makes the shards that damage concerns refuse to be used from now on,
// and tells of it once, however many come upon it.
func (l *Log) poison(d *DamageError) {
	if l.refuse(d) {
		l.tellOf(d)
	}
}

// refuse notes damage, and reports whether it was not known.
func (l *Log) refuse(d *DamageError) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !d.AllShards {
		s := l.shard(d.Shard)
		if slices.ContainsFunc(s.damage, func(known *DamageError) bool { return *known == *d }) {
			return false
		}
		s.damage = append(s.damage, d)
		s.wake()
		return true
	}
	if l.damage != nil && *l.damage == *d {
		return false
	}
	l.damage = d
	for _, s := range l.shards {
		s.wake()
	}
	return true
}

func (l *Log) path(name string) string { return path.Join(l.cfg.Dir, name) }
