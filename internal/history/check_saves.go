package history

import (
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// progress is how far the handlers of one tenure have come.
type progress struct {
	shard  *shard
	worker uint32
	next   int              // index of the first user record, from where it was granted on, that is not handled
	ahead  map[int]struct{} // those behind it that are
	open   []step           // handled and not saved, in order
	told   bool
	late   bool // told that it saves too late, or gives back too little
}

// step is the handling of a record that brought a tenure forward, to the index.
type step struct {
	next int
	at   int64 // Unix nanoseconds; when the worker was resumed, if that was later
}

// leaseToken is what a call names a tenure by.
type leaseToken struct{ lease, token string }

// saves judges the part of H1 that is about positions: one is saved, or the end
// of a shard told, when all user records up to there were handled, whether
// somebody was told that they were written or not. It judges the part of H11 that
// bounds repeats: positions are saved in time, and a lease is given back at the
// position of all that was handled.
func (j *judge) saves() {
	if j.truth == nil {
		return
	}
	shards := map[string]*shard{}
	for i := range j.truth.shards {
		shards[j.t.text(j.truth.shards[i].name)] = &j.truth.shards[i]
	}
	numbers := j.tenureNumbers()
	byTenure, byToken := make([]*progress, len(j.t.tenures)), map[leaseToken]*progress{}
	for e, ev := range j.t.events {
		switch ev.kind {
		case kindAnswer:
			a := &j.t.answers[ev.i]
			c := &j.t.calls[a.call]
			if c.op != OpAcquire {
				continue
			}
			for i, item := range c.items[:min(len(c.items), len(a.results))] {
				r, s := a.results[i], shards[shardOf(item.Lease)]
				key := leaseToken{item.Lease, r.Token}
				if r.Err != "" || s == nil || byToken[key] != nil {
					continue // a repeat is of the same tenure
				}
				p := &progress{shard: s, worker: c.actor, next: j.behind(s, r.Position)}
				byToken[key] = p
				if n, handles := numbers[tenureKey{c.actor, item.Lease, r.Epoch}]; handles {
					byTenure[n] = p
				}
			}
		case kindHandled:
			g := j.t.handlings[ev.i]
			if p, at := byTenure[g.tenure], j.truth.at[g.place]; p != nil && at.shard == p.shard {
				p.handled(at.i, ev.at)
			}
		case kindActor:
			if a := j.t.actors[ev.i]; j.t.text(a.state) == "resumed" {
				for _, p := range byTenure {
					p.resumed(a.name, ev.at)
				}
			}
		case kindCall:
			c := &j.t.calls[ev.i]
			if c.op != OpSave && c.op != OpComplete {
				continue
			}
			for _, item := range c.items {
				p := byToken[leaseToken{item.Lease, item.Token}]
				if p == nil {
					continue
				}
				if c.op == OpSave {
					j.inTime(c, item, p, e)
				}
				if p.told || !j.reaches(item.Position, p) {
					continue
				}
				p.told = true
				j.broken(H1, "%s of %s on %s at %s %s is ahead of its handlers: %s was not handled",
					c.op, j.t.text(c.actor), shardOf(item.Lease), item.Position, j.when(e), j.at(p.shard.users[p.next].place))
			}
		}
	}
}

// inTime judges a save by what was handled before it began.
func (j *judge) inTime(c *call, item Item, p *progress, e int) {
	if lag := p.lag(j.t.events[e].at); j.o.SaveLag > 0 && lag > j.o.SaveLag && !p.late {
		p.late = true
		j.broken(H11, "%s on %s saves %s %s what was handled up to %v before", j.t.text(c.actor), shardOf(item.Lease), item.Position, j.when(e), lag)
	}
	for len(p.open) > 0 && j.position(p.shard.users[p.open[0].next-1].place).Compare(item.Position) <= 0 {
		p.open = p.open[1:]
	}
	if item.Release && len(p.open) > 0 && !p.late {
		p.late = true
		j.broken(H11, "%s gives %s back at %s %s, and had handled up to %s", j.t.text(c.actor), shardOf(item.Lease), item.Position, j.when(e),
			j.at(p.shard.users[p.next-1].place))
	}
}

// lag is how long the oldest record that is handled and not saved has waited.
func (p *progress) lag(now int64) time.Duration {
	if len(p.open) == 0 {
		return 0
	}
	return time.Duration(now - p.open[0].at)
}

// resumed excuses a worker for the time in which it was held.
func (p *progress) resumed(worker uint32, at int64) {
	if p == nil || p.worker != worker {
		return
	}
	for i := range p.open {
		p.open[i].at = at
	}
}

// handled notes the i-th user record of the shard, at a time.
func (p *progress) handled(i int, at int64) {
	before := p.next
	if p.has(i); p.next > before {
		p.open = append(p.open, step{p.next, at})
	}
}

// has takes the i-th user record in.
func (p *progress) has(i int) {
	switch {
	case i > p.next:
		if p.ahead == nil {
			p.ahead = map[int]struct{}{}
		}
		p.ahead[i] = struct{}{}
	case i == p.next:
		p.next++
		for len(p.ahead) > 0 {
			if _, done := p.ahead[p.next]; !done {
				break
			}
			delete(p.ahead, p.next)
			p.next++
		}
	}
}

// reaches reports whether a position says that a record is done that is not.
func (j *judge) reaches(at checkpoint.Position, p *progress) bool {
	return p.next < len(p.shard.users) && j.position(p.shard.users[p.next].place).Compare(at) <= 0
}
