package producer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/shardrun/shardrun/internal/awserr"
	"github.com/shardrun/shardrun/internal/backoff"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// retryPause spaces the retries of one shard, and of the listing of shards.
var retryPause = backoff.Policy{Min: 50 * time.Millisecond, Max: 5 * time.Second}

// core decides what the producer does: which records go together, when, and
// what an answer means for them. It makes no calls and reads no clock; its
// owner holds the producer's lock and does what it says.
type core struct {
	cfg    Config
	rnd    *rand.Rand
	routes routes
	active []*lane // lanes that hold records, and some that just have ended to
	turn   int     // where in active the next call starts to gather
	calls  int     // in flight

	version   int       // number of listings of the shards that succeeded
	mapWanted bool      // the shards are to be listed (again)
	listing   bool      // and are just being
	mapFails  int       // listings in a row that failed, or were older than answers
	mapNext   time.Time // no listing before
	mapErr    error     // of the last listing, nil if it succeeded
	mapFinal  bool      // and waiting for the next is no use
	mapOld    bool      // the listing on its way began before the last forget
	missing   time.Time // since when calls do not find the stream; zero if they do
	unlisted  time.Time // the same of listings

	room      room
	flushes   flushes
	freed     []chan struct{} // to be closed by the owner, without the lock
	spare     []*entry        // empty, for reuse
	spareSize int             // bytes of memory that they keep
}

// maxSpareSize bounds the memory that empty entries keep, in bytes. Those over
// it are left to the garbage collector.
const maxSpareSize = 8 << 20

func newCore(cfg Config, now time.Time, seed uint64) *core {
	unknown := &lane{keys: hashkey.Full, stale: true, pace: newPace(0, now)}
	return &core{
		cfg:       cfg,
		rnd:       rand.New(rand.NewPCG(seed, 0)),
		routes:    routes{unknown},
		mapWanted: true,
		room:      room{maxRecords: cfg.BufferRecords, maxBytes: cfg.BufferBytes},
	}
}

func (c *core) fresh() *entry {
	n := len(c.spare)
	if n == 0 {
		return new(entry)
	}
	e := c.spare[n-1]
	c.spare[n-1] = nil
	c.spare = c.spare[:n-1]
	c.spareSize -= e.memory()
	return e
}

// recycle keeps an entry that is done with, if there is room for it.
func (c *core) recycle(e *entry) {
	if size := e.memory(); c.spareSize+size <= maxSpareSize {
		c.spareSize += size
		e.reset()
		c.spare = append(c.spare, e)
	}
}

// packer makes entries out of others' records.
func (c *core) packer() *repack {
	limit := c.cfg.aggregateLimit()
	return &repack{fresh: c.fresh, limit: limit, count: c.cfg.AggregateRecords, split: limit == 0}
}

func (c *core) activate(l *lane) {
	if !l.listed {
		l.listed = true
		c.active = append(c.active, l)
	}
}

// hurry reports whether lingering only keeps Puts waiting for room.
func (c *core) hurry() bool { return len(c.room.waiting) > 0 }

// accept takes a record, for which room has been taken, and reports whether
// next has to be asked again.
func (c *core) accept(now time.Time, r *Record, hash hashkey.Key) (wake bool) {
	l := c.routes.find(hash)
	p := pending{done: r.Done, at: now, size: r.size(), batch: c.flushes.add()}
	limit := c.cfg.aggregateLimit()
	if l.open != nil && !l.open.tryAdd(r, hash, p, limit) {
		l.close()
		wake = true
	}
	if l.open == nil {
		l.open = c.fresh()
		l.open.tryAdd(r, hash, p, limit)
		c.activate(l)
		wake = true
	}
	if l.open.build.Size() >= limit || len(l.open.records) == c.cfg.AggregateRecords {
		l.close() // no other record will fit
		wake = true
	}
	return wake && !l.busy
}

// admit accepts the records of Puts that waited for room, as far as there is
// any now, and reports whether next has to be asked again.
func (c *core) admit(now time.Time) (wake bool) {
	for w := c.room.next(); w != nil; w = c.room.next() {
		wake = c.accept(now, &w.record, w.hash) || wake
		w.accepted = true
		c.freed = append(c.freed, w.granted)
	}
	return wake
}

// plan is what to do now, and when to ask again if nothing happens before.
type plan struct {
	calls   []*call
	settled []settlement
	list    bool      // list the shards
	wake    time.Time // zero for no need
}

// settlement is the end of records of a lane that is not for a call to tell:
// they expired, say. The lane is busy until its promises have been kept.
type settlement struct {
	lane     *lane
	outcomes []outcome
}

// settle is the settlement of outcomes, if there are any.
func settle(l *lane, outcomes []outcome) []settlement {
	if len(outcomes) == 0 {
		return nil
	}
	l.busy = true
	return []settlement{{l, outcomes}}
}

// next decides what to do at now.
func (c *core) next(now time.Time) plan {
	var pl plan
	pl.settled = c.judge(now)
	c.moveRetired()
	for _, l := range c.active {
		pl.settled = append(pl.settled, settle(l, c.expire(now, l))...)
	}
	for c.calls < c.cfg.Calls {
		cl := c.compose(now)
		if cl == nil {
			break
		}
		c.calls++
		pl.calls = append(pl.calls, cl)
	}
	c.active = slices.DeleteFunc(c.active, func(l *lane) bool {
		if l.isEmpty() && !l.busy && len(l.after) == 0 {
			l.listed = false
			return true
		}
		return false
	})
	soonest := func(t time.Time) {
		if pl.wake.IsZero() || t.Before(pl.wake) {
			pl.wake = t
		}
	}
	if c.wantsMap() {
		if now.Before(c.mapNext) {
			soonest(c.mapNext)
		} else {
			c.listing, c.mapWanted, pl.list = true, false, true
		}
	}
	for _, l := range c.active {
		if c.calls < c.cfg.Calls {
			if at, ok := l.sendAt(now, c.hurry(), c.cfg.FirstKey); ok {
				soonest(at)
			}
		}
		if c.cfg.RecordTTL >= 0 && !l.busy && !l.isEmpty() {
			soonest(l.nextExpiry)
		}
	}
	return pl
}

// isFinal reports whether an error of a whole call means that trying again is
// no use. A missing stream is waited for, up to a limit; missing is since when
// calls of that kind miss it.
func (c *core) isFinal(now time.Time, err error, missing *time.Time) bool {
	switch awserr.Classify(err) {
	case awserr.Fatal:
		return true
	case awserr.Gone:
		if missing.IsZero() {
			*missing = now
		}
		return now.Sub(*missing) >= c.cfg.NotFoundTimeout
	default:
		return false
	}
}

// failLane gives up what a lane holds. What the last call said of a record is
// told with the reason.
func (c *core) failLane(l *lane, err error) (out []outcome) {
	l.close()
	for _, e := range l.queue {
		cause := err
		if e.err != nil {
			cause = fmt.Errorf("%w (last attempt: %w)", err, e.err)
		}
		out = append(out, c.failed(l, e, cause))
	}
	clear(l.queue)
	l.queue = l.queue[:0]
	return out
}

// failAll gives up every record. No call is in flight any more.
func (c *core) failAll(err error) (out []outcome) {
	for _, l := range c.active {
		out = append(out, c.failLane(l, err)...)
	}
	return out
}

// hasten makes what has been accepted so far be sent without lingering.
func (c *core) hasten() {
	for _, l := range c.active {
		if l.open != nil {
			l.open.due = true
		}
	}
}

// takeFreed gives the channels to close since it was last called.
func (c *core) takeFreed() []chan struct{} {
	free := c.freed
	c.freed = nil
	return free
}
