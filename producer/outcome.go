package producer

import (
	"errors"
	"time"

	"github.com/shardrun/shardrun/internal/awserr"
)

// outcome is the end of an entry: its promises are to be kept.
type outcome struct {
	shard string // where it was to go
	entry *entry
	at    place        // where it was written
	err   *RecordError // or why not
}

// answer is what a call says of one entry.
type answer struct{ shard, sequence, code, message string }

// written ends an entry with success. Its room is free from here on.
func (c *core) written(l *lane, e *entry, at place) outcome {
	e.ended = true
	c.leaveRoom(e)
	return outcome{shard: l.shard, entry: e, at: at}
}

// failed ends an entry with an error.
func (c *core) failed(l *lane, e *entry, err error) outcome {
	e.ended = true
	c.leaveRoom(e)
	code := awserr.Code(err)
	if ee, ok := errors.AsType[*entryError](err); ok && code == "" {
		code = ee.code
	}
	return outcome{shard: l.shard, entry: e, err: &RecordError{
		Shard: l.shard, Attempts: e.attempts, Code: code, MaybeSent: e.maybeSent, Err: err,
	}}
}

func (c *core) leaveRoom(e *entry) {
	bytes := 0
	for i := range e.records {
		bytes += e.records[i].size
	}
	c.room.release(len(e.records), bytes)
}

// kept counts the records of outcomes as settled, after their promises.
func (c *core) kept(outcomes []outcome) {
	for _, o := range outcomes {
		for i := range o.entry.records {
			c.freed = c.flushes.settle(o.entry.records[i].batch, c.freed)
		}
		c.recycle(o.entry)
	}
}

// verdict is what an answer means for an entry.
type verdict uint8

const (
	ok        verdict = iota // written where it was to go
	misplaced                // written to another shard
	throttled                // refused for the shard's rate: again, later and slower
	again                    // refused, or nobody knows: again, later
	alone                    // the call was invalid, maybe for another entry: again, alone
	refused                  // will never be written
)

// verdictOn is the verdict on one entry of a call that was answered.
func verdictOn(a answer, shard string) verdict {
	if a.code == "" {
		if a.shard == shard {
			return ok
		}
		return misplaced
	}
	switch awserr.ClassifyCode(a.code) {
	case awserr.Throttle:
		return throttled
	case awserr.Fatal:
		return refused
	default:
		return again
	}
}

// verdictOnCall is the verdict on every entry of a call that failed.
func (c *core) verdictOnCall(now time.Time, entries int, err error) verdict {
	class := awserr.Classify(err)
	switch {
	case class == awserr.Throttle:
		return throttled
	case !c.isFinal(now, err, &c.missing):
		return again
	case entries > 1 && awserr.Invalid(err):
		return alone
	default:
		return refused
	}
}

// landed takes the answer to a call: as many answers as entries, or an error.
// The lanes stay busy until ended.
func (c *core) landed(now time.Time, cl *call, answers []answer, err error) (out []outcome) {
	whole, unsure, cut := ok, false, false
	if err != nil {
		whole, unsure = c.verdictOnCall(now, len(cl.entries), err), !awserr.Refused(err)
		cut = awserr.Classify(err) == awserr.Canceled // by Close
		if mayBeAnother(err) {
			c.forget()
		}
	} else {
		c.missing = time.Time{}
	}
	i := 0
	for _, s := range cl.shares {
		bad, slow := false, false
		for _, e := range cl.entries[i : i+s.entries] {
			v, at, cause := whole, place{}, err
			if err == nil {
				a := answers[i]
				v, at = verdictOn(a, s.lane.shard), place{a.shard, a.sequence}
				cause = &entryError{a.code, a.message}
			}
			i++
			if v == misplaced {
				cl.misplaced++
			}
			switch {
			case s.lane.doubted && err == nil && (v == ok || v == misplaced):
				v = doubtful(s.lane, e, at)
			case v == misplaced:
				v = c.elsewhere(s.lane, e, at)
			}
			switch v {
			case ok:
				out = append(out, c.written(s.lane, e, at))
				continue
			case misplaced:
				e.maybeSent = true
				continue
			case throttled:
				if cl.throttled++; cl.throttled == 1 && err == nil {
					cl.limit = answers[i-1].message
				}
				slow = true
			case refused:
				cl.failed++
				out = append(out, c.failed(s.lane, e, cause))
				continue
			case alone:
				cl.failed++
				e.alone = true
				e.err = cause
				continue
			case again:
				cl.failed++
				e.maybeSent = e.maybeSent || err == nil || unsure
			}
			bad = true
			if e.err == nil || !cut { // that says less than what it had
				e.err = cause
			}
		}
		s.lane.land(func(e *entry) []*entry {
			parts, failed := c.explode(s.lane, e)
			out = append(out, failed...)
			return parts
		})
		c.pause(now, s.lane, bad, slow)
	}
	return out
}

// pause sets when a lane may send again after a call.
func (c *core) pause(now time.Time, l *lane, bad, slow bool) {
	if slow {
		l.pace.throttled(now)
	}
	if !bad {
		l.failures = 0
		return
	}
	l.failures++
	l.notBefore = now.Add(retryPause.Next(l.failures, c.rnd))
}

// elsewhere decides about an entry that was written to another shard than its
// lane's: ok, or misplaced, and then its records stay in the lane.
func (c *core) elsewhere(l *lane, e *entry, at place) verdict {
	where := c.routes.byShard(at.shard)
	if where == nil {
		c.mapWanted = true
		l.stale, l.staleAt, l.stray = true, c.version, at.shard
	}
	switch {
	case !e.isAggregate():
		return ok // Kinesis chose the shard by the record's own key
	case where != nil && e.fits(where.keys):
		return ok
	default:
		e.landed = at
		return misplaced
	}
}

// doubtful is the verdict on an entry that was written while its lane's shard map
// came into doubt, and nobody knows to which stream. In the shard foreseen it
// may be right, if the next listing says so too; elsewhere it is not.
func doubtful(l *lane, e *entry, at place) verdict {
	if !e.isAggregate() {
		return ok
	}
	if at.shard == l.shard {
		e.landed = at
	}
	return misplaced
}

// ended lets the lanes of a call go on, after its promises were kept.
func (c *core) ended(cl *call) {
	c.calls--
	for _, s := range cl.shares {
		s.lane.busy = false
	}
}
