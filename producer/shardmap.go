package producer

import (
	"errors"
	"slices"
	"time"

	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/awserr"
)

// wantsMap reports whether the shards should be listed. Without records to
// send, a listing that failed is not repeated.
func (c *core) wantsMap() bool {
	return c.mapWanted && !c.listing && (c.mapFails == 0 || c.flushes.left > 0)
}

// mayBeAnother reports whether after the error of a call the stream may be
// another one of the same name: it was missing, or nobody answered for it.
func mayBeAnother(err error) bool {
	return awserr.Classify(err) == awserr.Gone || awserr.Unreached(err)
}

// forget makes all lanes wait for a listing that is yet to begin. A stream that
// was created again has shards of the same ids, and other hash keys: by the old
// map, members of an aggregate would land outside of their shards' ranges, and
// the answers, which name the shards by their ids, would not tell.
func (c *core) forget() {
	c.mapWanted, c.mapOld = true, c.listing
	for _, lanes := range [][]*lane{c.routes, c.active} {
		for _, l := range lanes {
			if l.stale { // what waits for a judgement waits for the old stream's
				for _, e := range l.queue[l.flying:] {
					e.landed = place{}
				}
			}
			l.stale, l.staleAt, l.stray, l.doubted = true, c.version, "", l.busy
		}
	}
}

// mapped takes a new listing of the open shards.
func (c *core) mapped(now time.Time, listing []shardRange) {
	c.listing, c.mapErr, c.mapFinal = false, nil, false
	if !c.unlisted.IsZero() { // it has come back, for calls too
		c.missing, c.unlisted = time.Time{}, time.Time{}
	}
	if c.mapOld {
		c.mapOld = false
		return // and list again
	}
	c.version++
	c.mapWanted = false // judge asks again if it still misses something
	next, retired := c.routes.succeed(listing, func(s shardRange) *lane {
		return &lane{shard: s.id, keys: s.keys, pace: newPace(c.cfg.RateLimit, now)}
	})
	c.routes = next
	for _, l := range retired {
		c.activate(l)
	}
}

// unmapped takes the failure of a listing.
func (c *core) unmapped(now time.Time, err error) {
	c.listing, c.mapErr, c.mapFinal = false, err, c.isFinal(now, err, &c.unlisted)
	c.mapOld = false
	if mayBeAnother(err) {
		c.forget()
	}
	c.relist(now)
}

// relist asks for another listing, after a pause.
func (c *core) relist(now time.Time) {
	c.mapFails++
	c.mapWanted, c.mapNext = true, now.Add(retryPause.Next(c.mapFails, c.rnd))
}

// judge lets the lanes go that waited for a listing which has come, and fails
// those that wait for one which will not.
func (c *core) judge(now time.Time) (out []settlement) {
	older := false
	for _, l := range c.active {
		switch {
		case !l.stale || l.busy:
		case l.staleAt < c.version:
			out = append(out, settle(l, c.judgeLane(l))...)
			if l.stale {
				older = true
			} else {
				c.mapFails = 0
			}
		case c.mapFinal:
			out = append(out, settle(l, c.failLane(l, c.mapErr))...)
		}
	}
	c.mapFinal = false
	if older {
		c.relist(now)
	}
	return out
}

// judgeLane looks at the entries of a lane that were written to a shard that was
// not known, after a new listing. The lane stays stale when the listing is
// older than the answers: it shows the lane's shard open still, and not yet the
// one that took its records.
func (c *core) judgeLane(l *lane) (out []outcome) {
	if !l.retired && l.stray != "" && c.routes.byShard(l.stray) == nil {
		l.staleAt = c.version
		return nil
	}
	l.stale, l.stray, l.doubted = false, "", false
	var kept []*entry
	for _, e := range l.queue {
		where := c.routes.byShard(e.landed.shard)
		switch {
		case e.landed.shard == "":
			kept = append(kept, e)
		case where != nil && e.fits(where.keys):
			out = append(out, c.written(l, e, e.landed))
		case l.retired: // its records are sent again, to the new shards
			e.landed = place{}
			kept = append(kept, e)
		case where == nil: // another stray, judged by the next listing
			l.stale, l.staleAt, l.stray = true, c.version, e.landed.shard
			kept = append(kept, e)
		default:
			parts, failed := c.explode(l, e)
			kept, out = append(kept, parts...), append(out, failed...)
		}
	}
	l.queue = kept
	return out
}

// errKeysIgnored is why an aggregate that is a user record's data is given up.
var errKeysIgnored = errors.New("the stream does not place records by their keys, and the data is an aggregate, which would be unpacked")

// explode puts the records of an entry of l into Kinesis records of their own,
// each as it is. It is for a stream that does not place records by their hash
// keys, where no aggregate has a right place, not even of one record.
func (c *core) explode(l *lane, e *entry) (parts []*entry, failed []outcome) {
	rest := c.packer()
	rest.split = true
	for i, rec := range e.contents() {
		rest.add(e, rec, e.records[i])
	}
	for _, part := range rest.out {
		if part.wrapped {
			part.wrapped = false
			if _, v := aggregate.Decode(part.build.First().Data, nil); v == aggregate.Unpacked {
				failed = append(failed, c.failed(l, part, errKeysIgnored))
				continue
			}
		}
		parts = append(parts, part)
	}
	return parts, failed
}

// moveRetired moves the records of retired lanes to their heirs, oldest lane
// first.
func (c *core) moveRetired() {
	for {
		i := slices.IndexFunc(c.active, (*lane).mayMove)
		if i < 0 {
			return
		}
		for _, heir := range c.active[i].moveOn(c.packer) {
			c.activate(heir)
		}
	}
}
