package producer

import (
	"errors"
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

// expirySteps is how finely RecordTTL is observed: records are looked at for
// their age once in TTL/expirySteps, because taking the old ones out of an
// aggregate means packing the rest again.
const expirySteps = 32

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
	missing   time.Time // since when the stream is not found; zero if it is

	room    room
	flushes flushes
	freed   []chan struct{} // to be closed by the owner, without the lock
	spare   []*entry        // empty, for reuse
}

// maxSpare and maxSpareSize bound the memory that empty entries keep: those that
// held more are left to the garbage collector.
const (
	maxSpare     = 128
	maxSpareSize = 64 << 10
)

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
	return e
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
	settled []outcome // records that expired
	list    bool      // list the shards
	wake    time.Time // zero for no need
}

// next decides what to do at now.
func (c *core) next(now time.Time) plan {
	var pl plan
	pl.settled = c.judge(now)
	c.moveRetired()
	for _, l := range c.active {
		pl.settled = append(pl.settled, c.expire(now, l)...)
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
		if e := l.head(); e != nil && !l.busy && c.cfg.RecordTTL >= 0 {
			// A time too far off to matter cannot be added, and need not be.
			if left := c.cfg.RecordTTL - now.Sub(e.records[0].at); left < time.Hour {
				soonest(latest(now.Add(left), l.nextExpiry))
			}
		}
	}
	return pl
}

// expire gives up the records of a lane that are older than RecordTTL.
func (c *core) expire(now time.Time, l *lane) (out []outcome) {
	ttl := c.cfg.RecordTTL
	if ttl < 0 || l.busy || now.Before(l.nextExpiry) {
		return nil
	}
	for e := l.head(); e != nil && e.isExpired(now, ttl); e = l.head() {
		if l.nextExpiry = now.Add(ttl / expirySteps); e == l.open {
			l.close()
		}
		old := 1
		for old < len(e.records) && now.Sub(e.records[old].at) >= ttl {
			old++
		}
		if old == len(e.records) {
			l.queue[0] = nil
			l.queue = l.queue[1:]
			out = append(out, c.failed(l, e, c.expired(l, e)))
			continue
		}
		rest := c.packer()
		for i, rec := range e.contents()[old:] {
			rest.add(e, rec, e.records[old+i])
		}
		rest.out[0].landed = e.landed
		l.queue = slices.Replace(l.queue, 0, 1, rest.out...)
		clear(e.records[old:])
		e.records = e.records[:old]
		out = append(out, c.failed(l, e, c.expired(l, e)))
	}
	return out
}

// expired says why an entry was not written in time.
func (c *core) expired(l *lane, e *entry) error {
	cause := e.err
	switch {
	case cause != nil:
	case c.mapErr != nil && (l.stale || l.retired):
		cause = c.mapErr
	case l.stale:
		cause = errors.New("waited for the shard map")
	default:
		cause = errors.New("waited for its turn: the shard takes less than is put")
	}
	return fmt.Errorf("%w after %v (RecordTTL): %w", ErrExpired, c.cfg.RecordTTL, cause)
}

// isFinal reports whether an error of a whole call means that trying again is
// no use. A missing stream is waited for, up to a limit.
func (c *core) isFinal(now time.Time, err error) bool {
	switch awserr.Classify(err) {
	case awserr.Fatal:
		return true
	case awserr.Gone:
		if c.missing.IsZero() {
			c.missing = now
		}
		return now.Sub(c.missing) >= c.cfg.NotFoundTimeout
	default:
		return false
	}
}

func (c *core) failLane(l *lane, err error) (out []outcome) {
	l.close()
	for _, e := range l.queue {
		out = append(out, c.failed(l, e, err))
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
