package producer

import (
	"slices"
	"time"

	"github.com/shardrun/shardrun/internal/hashkey"
)

// lane is the records on their way to one shard, in order.
//
// Before the shards are known there is one lane, of no shard, for all keys. It
// never sends; like every lane whose shard is gone it retires when the shard
// map comes, and its records move to the lanes of the shards that took over.
type lane struct {
	shard string
	keys  hashkey.Range

	queue  []*entry // closed aggregates; the first flying of them are in a call
	flying int
	open   *entry // takes further records; behind queue
	busy   bool   // a call carries some of it, or its promises are being kept

	stale   bool // a newer shard map than number staleAt is needed to send
	staleAt int
	stray   string // the unknown shard where something of it was written
	doubted bool   // and to judge the answer to the call that carries some of it

	retired bool
	before  []*lane // hold records of keys that are ours now; to be moved first
	after   []*lane // take over the keys of a retired lane

	pace       pace
	linger     time.Duration
	failures   int       // calls in a row that refused something of this lane
	notBefore  time.Time // pause after a failure
	nextExpiry time.Time // records are not looked at for their age before; none will be old

	listed bool // in core.active
}

func (l *lane) isEmpty() bool { return len(l.queue) == 0 && l.open == nil }

// head is the oldest entry that is not in a call, nil if there is none.
func (l *lane) head() *entry {
	if len(l.queue) > l.flying {
		return l.queue[l.flying]
	}
	return l.open
}

// oldest is when the oldest record was accepted. The lane holds some.
func (l *lane) oldest() time.Time {
	var at time.Time
	for _, e := range l.queue {
		if at.IsZero() || e.oldest.Before(at) {
			at = e.oldest
		}
	}
	if l.open != nil && (at.IsZero() || l.open.oldest.Before(at)) {
		at = l.open.oldest
	}
	return at
}

// mayMove reports whether a retired lane's records can move on now: none is in
// a call, and none of an older lane is still to come.
func (l *lane) mayMove() bool {
	return len(l.after) > 0 && !l.busy && len(l.before) == 0
}

// maySend reports whether the lane may send at all, apart from time.
func (l *lane) maySend() bool {
	return !l.busy && !l.stale && !l.retired && len(l.before) == 0
}

// close moves the open aggregate to the queue.
func (l *lane) close() {
	if l.open != nil {
		l.queue = append(l.queue, l.open)
		l.open = nil
	}
}

// dueAt is when the open aggregate has lingered long enough.
func (l *lane) dueAt(hurry bool) time.Time {
	if l.open.due || hurry {
		return l.open.opened
	}
	return l.open.opened.Add(l.linger)
}

// adapt sets the lane's linger time when its open aggregate is taken at now.
func (l *lane) adapt(now time.Time, longest time.Duration) {
	e := l.open
	l.linger = nextLinger(l.linger, longest, now.Sub(e.opened), e.lastAdd.Sub(e.opened))
}

// sendAt is when the lane has something to send, and reports false when that
// does not depend on time alone.
func (l *lane) sendAt(now time.Time, hurry, firstKey bool) (time.Time, bool) {
	if !l.maySend() || l.isEmpty() {
		return time.Time{}, false
	}
	at := now
	if len(l.queue) == 0 {
		at = l.dueAt(hurry)
	}
	at = latest(at, l.notBefore)
	if at.After(now) {
		return at, true
	}
	return now.Add(l.pace.delay(now, l.head().size(firstKey))), true
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// land takes the entries whose fate is known out of those that were in a call.
// The others go again, first and in order. What was written to a shard that is
// known and not right, although this lane's is open, goes in records of its own.
func (l *lane) land(explode func(*entry) []*entry) {
	var again []*entry
	for _, e := range l.queue[:l.flying] {
		switch {
		case e.ended:
		case e.landed.shard != "" && !l.stale && !l.retired:
			again = append(again, explode(e)...)
		default:
			again = append(again, e)
		}
	}
	if gone := l.flying - len(again); gone >= 0 {
		clear(l.queue[:gone])
		copy(l.queue[gone:], again)
		l.queue = l.queue[gone:]
	} else { // more than there were: some were taken apart
		l.queue = append(again, l.queue[l.flying:]...)
	}
	l.flying = 0
}

// routes are the lanes of the open shards, by hash key, which they tile.
type routes []*lane

// find is the lane that holds the key.
func (r routes) find(k hashkey.Key) *lane {
	i, found := slices.BinarySearchFunc(r, k, func(l *lane, k hashkey.Key) int { return l.keys.Start.Compare(k) })
	if !found {
		i--
	}
	return r[i]
}

// byShard is the lane of a shard, nil if the shard is not in the map.
func (r routes) byShard(id string) *lane {
	for _, l := range r {
		if l.shard == id {
			return l
		}
	}
	return nil
}

// over are the lanes that hold some key of the range.
func (r routes) over(keys hashkey.Range) []*lane {
	var out []*lane
	for k := keys.Start; ; {
		l := r.find(k)
		out = append(out, l)
		if l.keys.End.Compare(keys.End) >= 0 {
			return out
		}
		k = l.keys.End.Next()
	}
}

// shardRange is an open shard of a listing.
type shardRange struct {
	id   string
	keys hashkey.Range
}

// succeed makes the routes of a new listing out of the old ones. A lane whose
// shard is still open stays. The others retire, and the lanes that take over
// their keys wait for them.
func (r routes) succeed(listing []shardRange, fresh func(shardRange) *lane) (next routes, retired []*lane) {
	old := make(map[string]*lane, len(r))
	for _, l := range r {
		old[l.shard] = l
	}
	for _, s := range listing {
		l := old[s.id]
		if l == nil || l.keys != s.keys {
			l = fresh(s)
		} else {
			delete(old, s.id)
		}
		next = append(next, l)
	}
	for _, l := range r {
		if old[l.shard] != l {
			continue
		}
		l.retired = true
		l.after = next.over(l.keys)
		for _, heir := range l.after {
			heir.before = append(heir.before, l)
		}
		retired = append(retired, l)
	}
	return next, retired
}

// moveOn gives a retired lane's records to the lanes after it, ahead of what
// those hold, and lets those go.
func (l *lane) moveOn(packer func() *repack) (heirs []*lane) {
	l.close()
	parts := make(map[*lane]*repack, len(l.after))
	for _, e := range l.queue {
		for i, rec := range e.contents() {
			k := rec.Hash()
			heir := l.after[slices.IndexFunc(l.after, func(h *lane) bool { return h.keys.Contains(k) })]
			if parts[heir] == nil {
				parts[heir] = packer()
			}
			parts[heir].add(e, rec, e.records[i])
		}
	}
	for _, heir := range l.after {
		heir.before = slices.DeleteFunc(heir.before, func(b *lane) bool { return b == l })
		if p := parts[heir]; p != nil {
			// Nothing of the heir is in a call: it waited for this lane.
			heir.queue = append(p.out, heir.queue...)
			heir.nextExpiry = time.Time{}
		}
	}
	heirs, l.after, l.queue = l.after, nil, nil
	return heirs
}
