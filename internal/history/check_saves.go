package history

import (
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// progress is how far the handlers of one tenure have come.
type progress struct {
	shard  *shard
	lease  string
	worker uint32
	sure   int              // the event that began the call that last showed that it has the lease
	held   int              // the last event that held or resumed its worker
	over   bool             // it gave the lease back or ended the shard, or may have lost it
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
// position of all that was handled, before or when its worker says goodbye.
func (j *judge) saves() {
	if j.truth == nil {
		return
	}
	shards := map[string]*shard{}
	for i := range j.truth.shards {
		shards[j.t.text(j.truth.shards[i].name)] = &j.truth.shards[i]
	}
	s := savesJudge{
		j: j, shards: shards, numbers: j.tenureNumbers(), byTenure: make([]*progress, len(j.t.tenures)),
		byToken: map[leaseToken]*progress{}, began: make([]int, len(j.t.calls)),
		asked: map[string]int{}, superseded: map[uint32]bool{},
	}
	for e, ev := range j.t.events {
		switch ev.kind {
		case kindAnswer:
			s.answered(int(ev.i))
		case kindHandled:
			g := j.t.handlings[ev.i]
			if p, at := s.byTenure[g.tenure], j.truth.at[g.place]; p != nil && at.shard == p.shard {
				p.handled(at.i, ev.at)
			}
		case kindActor:
			s.actor(e, j.t.actors[ev.i])
		case kindLost, kindAnew:
			for _, p := range s.tenures {
				p.over = true
			}
		case kindCall:
			s.called(e, int(ev.i))
		}
	}
}

// savesJudge goes through the events once.
type savesJudge struct {
	j          *judge
	shards     map[string]*shard
	numbers    map[tenureKey]int
	tenures    []*progress // in the order of their grants
	byTenure   []*progress
	byToken    map[leaseToken]*progress
	began      []int           // by call: its event
	asked      map[string]int  // by lease: the last call that was granted it, or may have been
	superseded map[uint32]bool // by actor
}

// called takes a call of the store.
func (s *savesJudge) called(e, n int) {
	j, c := s.j, &s.j.t.calls[n]
	s.began[n] = e
	switch c.op {
	case OpAcquire:
		for i, item := range c.items {
			if r, known := j.outcome(n, i); !known || r.Err == "" {
				s.asked[item.Lease] = n
				s.gone(func(p *progress) bool { return p.lease == item.Lease })
			}
		}
	case OpSave, OpComplete:
		for _, item := range c.items {
			p := s.byToken[leaseToken{item.Lease, item.Token}]
			if p == nil {
				continue
			}
			if c.op == OpSave {
				j.inTime(c, item, p, e)
			}
			p.over = p.over || item.Release || c.op == OpComplete
			if p.told || !j.reaches(item.Position, p) {
				continue
			}
			p.told = true
			j.broken(H1, "%s of %s on %s at %s %s is ahead of its handlers: %s was not handled",
				c.op, j.t.text(c.actor), shardOf(item.Lease), item.Position, j.when(e), j.at(p.shard.users[p.next].place))
		}
	case OpBye:
		s.left(e, c.actor)
	case OpCreate, OpSeed:
	}
}

// answered takes an answer of the store.
func (s *savesJudge) answered(n int) {
	a := &s.j.t.answers[n]
	c := &s.j.t.calls[a.call]
	for i, item := range c.items[:min(len(c.items), len(a.results))] {
		switch r := a.results[i]; {
		case c.op == OpAcquire && r.Err == "":
			s.granted(int(a.call), item, r)
		case c.op == OpSave:
			if p := s.byToken[leaseToken{item.Lease, item.Token}]; p != nil {
				p.over = p.over || r.Err != "" && !r.Stored
				p.sure = max(p.sure, s.began[a.call])
			}
		}
	}
}

// granted begins a tenure.
func (s *savesJudge) granted(call int, item Item, r Result) {
	c, sh := &s.j.t.calls[call], s.shards[shardOf(item.Lease)]
	key := leaseToken{item.Lease, r.Token}
	if sh == nil || s.byToken[key] != nil {
		return // a repeat is of the same tenure
	}
	p := &progress{
		shard: sh, lease: item.Lease, worker: c.actor, next: s.j.behind(sh, r.Position),
		sure: s.began[call], over: s.asked[item.Lease] != call || s.superseded[c.actor],
	}
	s.tenures, s.byToken[key] = append(s.tenures, p), p
	if n, handles := s.numbers[tenureKey{c.actor, item.Lease, r.Epoch}]; handles {
		s.byTenure[n] = p
	}
}

// actor takes what became of a worker.
func (s *savesJudge) actor(e int, a actorChange) {
	of := func(p *progress) bool { return p.worker == a.name }
	switch s.j.t.text(a.state) {
	case "held", "resumed":
		for _, p := range s.tenures {
			if of(p) {
				p.held = e
				p.resumed(s.j.t.events[e].at)
			}
		}
	case "superseded":
		s.superseded[a.name] = true
		s.gone(of)
	case "stopped":
		s.left(e, a.name)
		s.gone(of)
	case "started", "crashed":
		delete(s.superseded, a.name)
		s.gone(of)
	}
}

// gone notes tenures that may be over.
func (s *savesJudge) gone(which func(*progress) bool) {
	for _, p := range s.tenures {
		p.over = p.over || which(p)
	}
}

// left judges a worker that says goodbye, which frees its leases, or has ended:
// it gives back, or has saved, all that it handled. Of a tenure that it may have
// lost, or of which the store has not said for half a lease time that it has the
// lease, it can save nothing.
func (s *savesJudge) left(e int, worker uint32) {
	j := s.j
	for _, p := range s.tenures {
		sure := p.sure > p.held && j.t.events[e].at-j.t.events[p.sure].at <= int64(j.o.TTL/2)
		if p.worker != worker || p.over || p.late || !sure || len(p.open) == 0 {
			continue
		}
		p.late = true
		j.broken(H11, "%s leaves %s without giving %s back, and had handled up to %s that is not saved",
			j.t.text(worker), j.when(e), shardOf(p.lease), j.at(p.shard.users[p.next-1].place))
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
func (p *progress) resumed(at int64) {
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
