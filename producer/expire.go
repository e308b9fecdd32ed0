package producer

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// expirySteps is how finely RecordTTL is observed: records are looked at for
// their age once in TTL/expirySteps, because taking the old ones out of an
// aggregate means packing the rest again.
const expirySteps = 32

// expire gives up the records of a lane that are older than RecordTTL. It looks
// at all of them: behind a merge, the records of one shard are queued in front
// of the other's, which may be older.
func (c *core) expire(now time.Time, l *lane) (out []outcome) {
	ttl := c.cfg.RecordTTL
	if ttl < 0 || l.busy || l.isEmpty() || now.Before(l.nextExpiry) {
		return nil
	}
	if now.Sub(l.oldest()) >= ttl {
		if l.open != nil && l.open.isExpired(now, ttl) {
			l.close()
		}
		var kept []*entry
		for _, e := range l.queue {
			if !e.isExpired(now, ttl) {
				kept = append(kept, e)
				continue
			}
			kept = append(kept, c.part(e, now)...)
			out = append(out, c.failed(l, e, c.expired(l, e)))
		}
		l.queue = kept
	}
	wait := ttl / expirySteps
	if !l.isEmpty() {
		wait = max(wait, ttl-now.Sub(l.oldest()))
	}
	// A time that is too far off cannot be added. To look once an hour is nothing.
	l.nextExpiry = now.Add(min(wait, time.Hour))
	return out
}

// part leaves the records that are too old in an entry, and packs the others
// anew. Where the entry may have been written is forgotten: it is another now.
func (c *core) part(e *entry, now time.Time) []*entry {
	isOld := func(p pending) bool { return now.Sub(p.at) >= c.cfg.RecordTTL }
	if !slices.ContainsFunc(e.records, func(p pending) bool { return !isOld(p) }) {
		return nil
	}
	rest, old := c.packer(), e.records[:0]
	for i, rec := range e.contents() {
		if p := e.records[i]; isOld(p) {
			old = append(old, p)
		} else {
			rest.add(e, rec, p)
		}
	}
	clear(e.records[len(old):])
	e.records = old
	return rest.out
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
