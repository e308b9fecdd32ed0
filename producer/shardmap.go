package producer

import (
	"slices"
	"time"
)

// wantsMap reports whether the shards should be listed. Without records to
// send, a first listing that failed is not repeated.
func (c *core) wantsMap() bool {
	if c.listing || !c.mapWanted {
		return false
	}
	return c.version > 0 || c.mapFails == 0 || c.flushes.left > 0
}

// mapped takes a new listing of the open shards.
func (c *core) mapped(now time.Time, listing []shardRange) {
	c.version++
	c.listing, c.mapErr, c.mapFinal, c.missing = false, nil, false, time.Time{}
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
	c.listing, c.mapErr, c.mapFinal = false, err, c.isFinal(now, err)
	c.relist(now)
}

// relist asks for another listing, after a pause.
func (c *core) relist(now time.Time) {
	c.mapFails++
	c.mapWanted, c.mapNext = true, now.Add(retryPause.Next(c.mapFails, c.rnd))
}

// judge lets the lanes go that waited for a listing which has come, and fails
// those that wait for one which will not.
func (c *core) judge(now time.Time) (out []outcome) {
	older := false
	for _, l := range c.active {
		switch {
		case !l.stale || l.busy:
		case l.staleAt < c.version:
			out = append(out, c.judgeLane(l)...)
			if l.stale {
				older = true
			} else {
				c.mapFails = 0
			}
		case c.mapFinal:
			out = append(out, c.failLane(l, c.mapErr)...)
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
	if !l.retired && c.routes.byShard(l.stray) == nil {
		l.staleAt = c.version
		return nil
	}
	l.stale, l.stray = false, ""
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
			kept = append(kept, c.explode(e)...)
		}
	}
	l.queue = kept
	return out
}

// explode puts the records of an entry into Kinesis records of their own. It is
// for a stream that does not place records by their hash keys.
func (c *core) explode(e *entry) []*entry {
	parts := c.packer()
	parts.split = true
	for i, rec := range e.contents() {
		parts.add(e, rec, e.records[i])
	}
	return parts.out
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
