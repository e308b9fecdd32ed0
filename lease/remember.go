package lease

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"
)

const (
	// seedRows and seedBytes bound one call, so that each has the time of one.
	seedRows  = 250
	seedBytes = 4 << 20
)

// recall is what a worker remembers of state that was lost, until the state that
// was made anew takes nothing more. One goroutine uses it.
type recall struct {
	from   string // the incarnation that was lost
	paused bool   // it was paused by hand
	asOf   int64  // when that was heard last
	rows   map[string]Remembered
	own    map[string]bool // names of rows that ran here; nobody else knows these as well
	unsent []string        // names of the rows that the store does not have yet
	told   bool            // the store has an answer given: nothing but unsent is left
	busy   bool            // a call is in flight
	due    time.Time
	round  int    // how often all was to be sent anew
	beats  uint64 // beats sent when the last call was answered
}

// remember keeps what is known of the state that was lost: the table, and what
// runners here have handled. What is remembered of a state that was lost before,
// and is not restored yet, stays.
func (r *run) remember() {
	for _, t := range r.tenures {
		r.note(t)
	}
	if r.former != nil { // the table was being read anew
		r.former.yield(r.table, r.past)
	}
	rows := r.table.remembered(r.past)
	if r.former != nil {
		rows = joined(r.former.remembered(r.past), rows)
	}
	c := &recall{from: r.scope.Incarnation, paused: r.hold, asOf: r.asOf}
	if was := r.recall; was != nil {
		rows = joined(was.rows, rows)
		c.paused = c.paused || was.paused
		if len(r.table.leases) == 0 {
			c.from = was.from
		}
	}
	c.rows, c.own = rows, map[string]bool{}
	for name := range r.past {
		c.own[name] = true
	}
	c.again()
	r.recall = c
}

// again has all sent, because the store does not have it, or has it no more.
func (c *recall) again() {
	if c == nil {
		return
	}
	c.round++
	c.told, c.unsent = false, c.order(slices.Collect(maps.Keys(c.rows)))
}

// order sorts names for what is to be sent first.
func (c *recall) order(names []string) []string {
	slices.SortFunc(names, func(a, b string) int {
		if c.own[a] != c.own[b] {
			return map[bool]int{true: -1, false: 1}[c.own[a]]
		}
		return cmp.Compare(a, b)
	})
	return names
}

// note keeps what a runner handled, as long as nobody took its lease since.
func (r *run) note(t *tenure) {
	if n, ok := t.remembered(); ok && r.past[t.lease.Name].Epoch <= n.Epoch {
		r.past[t.lease.Name] = n
	}
}

// add takes what a runner of the state that was lost finished since.
func (c *recall) add(t *tenure) {
	if c == nil {
		return
	}
	name := t.lease.Name
	was, known := c.rows[name]
	n, ok := t.remembered()
	if !ok || !known || was.Epoch > n.Epoch || remade(was.Shard, n.Shard) || !newer(was, n) {
		return
	}
	was.Entry, was.Epoch = n.Entry, max(was.Epoch, n.Epoch)
	c.rows[name] = was
	if !slices.Contains(c.unsent, name) {
		c.unsent = append(c.unsent, name)
	}
}

// next is the next call's part.
func (c *recall) next() Seed {
	s, size := Seed{From: c.from, Paused: c.paused, AsOf: c.asOf}, 0
	for _, name := range c.unsent {
		n := c.rows[name]
		if len(s.Rows) == seedRows || len(s.Rows) > 0 && size+n.size() > seedBytes {
			break
		}
		s.Rows, size = append(s.Rows, n), size+n.size()
	}
	return s
}

// pending reports whether there is something to give back yet.
func (c *recall) pending() bool { return c != nil && (len(c.unsent) > 0 || c.paused && !c.told) }

// sent are the names of the rows that a call brought, but for those that changed
// since.
func (c *recall) sent(s Seed) map[string]bool {
	out := map[string]bool{}
	for _, n := range s.Rows {
		now := c.rows[n.Name].Entry
		out[n.Name] = now.Position == n.Entry.Position && now.Counter == n.Entry.Counter
	}
	return out
}

// giveBack sends the next part of what is remembered to the store that lost it.
func (r *run) giveBack(now time.Time) {
	c := r.recall
	if !c.pending() || c.busy || now.Before(c.due) {
		return
	}
	c.busy = true
	scope, seed, round := r.scope, c.next(), c.round
	r.async(func(ctx context.Context) func() {
		err := r.cfg.Store.Seed(ctx, scope, seed)
		return func() {
			if c == r.recall {
				r.gaveBack(seed, round, err, time.Now())
			}
		}
	})
}

// gaveBack takes the answer to a call of a round.
func (r *run) gaveBack(seed Seed, round int, err error, now time.Time) {
	c := r.recall
	c.busy, c.beats = false, r.sent
	switch {
	case err == nil && round != c.round: // it may be what the store lost
	case err == nil:
		sent := c.sent(seed)
		c.told, c.unsent = true, slices.DeleteFunc(c.unsent, func(name string) bool { return sent[name] })
		r.log.Info("given back what was lost", zap.Int("leases", len(seed.Rows)), zap.Int("left", len(c.unsent)), zap.Int("of", len(c.rows)))
		r.events.tell(Event{Kind: EventRestored, Leases: len(seed.Rows)})
		if !c.pending() {
			r.beatSoon(now) // it shows whether all is there
		}
	case errors.Is(err, ErrSeeded):
		r.log.Warn("what was lost cannot be given back", zap.Int("leases", len(c.unsent)), zap.Error(err))
		r.recall = nil
	default:
		if errors.Is(err, ErrReset) || errors.Is(err, ErrStateLost) {
			r.beatSoon(now)
		}
		r.log.Warn("give back what was lost, will try again", zap.Error(err))
		c.due = now.Add(r.ttl / 16)
	}
}

// checkGivenBack looks, in the table as of beat number no, for what was given back. A
// fail-over that took it back is not told of when every beat that the store answered is
// older: the first that is not shows what is missing.
func (r *run) checkGivenBack(no uint64, now time.Time) {
	c := r.recall
	if c == nil || c.pending() || c.busy || no <= c.beats {
		return
	}
	last := r.table.generations()
	var missing []string
	for name, n := range c.rows {
		if n.Shard.Generation >= last[StreamOf(name)] && !n.in(r.table.leases[name]) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return
	}
	r.log.Warn("what was given back is lost again; will give it back again", zap.Int("leases", len(missing)))
	c.unsent, c.due = c.order(missing), now.Add(r.ttl/16)
}
