package producer

import "time"

// call is the content of one PutRecords call.
type call struct {
	entries []*entry
	shares  []share // whose they are, in order
	bytes   int     // keys and data of the entries
	records int     // user records in them

	// Filled in from the answer.
	throttled, failed, misplaced int
	limit                        string // what is said of the first that is throttled
}

// share is a run of entries of one lane.
type share struct {
	lane    *lane
	entries int
}

// compose gathers what may be sent now into one call, nil if that is nothing.
// Lanes take turns at being first, so that none can keep the others out.
func (c *core) compose(now time.Time) *call {
	var cl *call
	for range c.active {
		c.turn++
		if c.turn >= len(c.active) {
			c.turn = 0
		}
		l := c.active[c.turn]
		if !l.maySend() || now.Before(l.notBefore) {
			continue
		}
		if cl == nil {
			cl = new(call)
		}
		before := len(cl.entries)
		if full := c.load(now, cl, l); full {
			if len(cl.entries) == before {
				c.turn-- // first in the next call
			}
			return cl
		}
	}
	if cl == nil || len(cl.entries) == 0 {
		return nil
	}
	return cl
}

// load moves what may be sent of a lane into the call, and reports whether the
// call is full. In order means one entry at a time: when one of several is
// refused, those behind it are written before it.
func (c *core) load(now time.Time, cl *call, l *lane) (full bool) {
	n := 0
	for !full && (n == 0 || !c.cfg.Ordered) {
		if n == len(l.queue) {
			if l.open == nil || now.Before(l.dueAt(c.hurry())) {
				break
			}
			l.adapt(now, c.cfg.Linger)
			l.close()
		}
		e := l.queue[n]
		size := e.size(c.cfg.FirstKey)
		if l.pace.delay(now, size) > 0 {
			break
		}
		if len(cl.entries) > 0 && (e.alone || cl.bytes+size > c.cfg.CallBytes) {
			full = true
			break
		}
		l.pace.spend(size)
		e.attempts++
		cl.entries = append(cl.entries, e)
		cl.bytes += size
		cl.records += len(e.records)
		n++
		full = e.alone || len(cl.entries) >= c.cfg.CallRecords
	}
	if n > 0 {
		l.flying, l.busy = n, true
		cl.shares = append(cl.shares, share{l, n})
	}
	return full
}
