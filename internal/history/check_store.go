package history

import (
	"cmp"
	"sort"

	"github.com/shardrun/shardrun/checkpoint"
)

// row is what the calls about one lease have shown so far. What is said of the
// stored position, and of which token gave way to which, is of the branch of the
// store's history that the run is in: a loss begins another.
type row struct {
	floor
	floors []floor // what it was set to, in order
	tokens map[string]*grant
	held   []*grant // granted, and not known to have given way
}

// floor is the highest stored position that an answer has shown.
type floor struct {
	set  int64 // when, in Unix nanoseconds
	at   checkpoint.Position
	some bool // an answer has shown one
}

func (r *row) set(f floor) {
	r.floor = f
	r.floors = append(r.floors, f)
}

// floorAt is what the floor was before an instant.
func (r *row) floorAt(then int64) floor {
	i := sort.Search(len(r.floors), func(i int) bool { return r.floors[i].set >= then })
	if i == 0 {
		return floor{}
	}
	return r.floors[i-1]
}

// grant is one token of one lease. Times are numbers of events, 0 for not yet.
type grant struct {
	token    string
	epoch    uint64
	branch   int // that it is known to have been granted in, none while it is not known
	began    int // the first call that asked for it
	granted  int // the first answer that gave it
	gaveWay  int // the first answer, in this branch, that gave the lease to another after it
	to       *grant
	released checkpoint.Position // the highest position that a release was sent with
	release  bool
}

// pending is a call that has not been answered.
type pending struct {
	began, branch int
	floors        []floor // by item: of the row, when the call began
	excused       []bool  // by item: the token had sent a release before
}

// store judges what can be seen of the lease store: H4, H5 and, for the
// positions that leases are granted with, H11. Only calls of which one was
// answered before the other began are in an order.
func (j *judge) store() {
	s := storeJudge{j: j, rows: map[string]*row{}, open: map[uint32]*pending{}}
	if len(j.t.calls) == 0 {
		for _, r := range []Rule{H4, H5, H6, H11} {
			j.broken(r, "no call of the store was recorded")
		}
	}
	for e, ev := range j.t.events {
		switch ev.kind {
		case kindLost:
			s.lost(loss{ev.at, j.t.losses[ev.i].since})
			s.anew += anewALoss
		case kindAnew:
			s.lost(loss{at: ev.at})
			if s.anew--; s.anew < 0 {
				j.broken(H4, "the store began anew %s, as %s was told, and had lost nothing", j.when(e), j.t.text(j.t.actors[ev.i].name))
			}
		case kindCall:
			s.began(e+1, ev.i)
		case kindAnswer:
			s.answered(e+1, &j.t.answers[ev.i])
		}
	}
}

// anewALoss is how often the store may begin anew for one loss: when it has lost
// what it had, and when it finds out that those who began it then did not know.
const anewALoss = 2

type storeJudge struct {
	j      *judge
	anew   int // how often it may begin anew
	branch int
	losses losses
	rows   map[string]*row
	open   map[uint32]*pending
}

func (s *storeJudge) row(lease string) *row {
	r := s.rows[lease]
	if r == nil {
		r = &row{tokens: map[string]*grant{}}
		s.rows[lease] = r
	}
	return r
}

func (r *row) grant(token string) *grant {
	g := r.tokens[token]
	if g == nil {
		g = &grant{token: token}
		r.tokens[token] = g
	}
	return g
}

// lost begins a branch: the store is as it was at some time before.
func (s *storeJudge) lost(l loss) {
	s.branch++
	s.losses = append(s.losses, l)
	kept := func(event int) bool { return s.losses.kept(s.j.t.events[event-1].at, forEver) }
	for _, r := range s.rows {
		was := r.floorAt(l.since)
		was.set = l.at
		r.set(was)
		r.held = nil
		for _, g := range r.tokens {
			if g.gaveWay > 0 && !kept(g.gaveWay) {
				g.gaveWay, g.to = 0, nil
			}
			if g.granted == 0 {
				continue
			}
			if g.branch != none && kept(g.granted) {
				g.branch = s.branch
			}
			if g.gaveWay == 0 {
				r.held = append(r.held, g)
			}
		}
	}
}

func (s *storeJudge) began(now int, n uint32) {
	c := &s.j.t.calls[n]
	p := &pending{began: now, branch: s.branch}
	for _, item := range c.items {
		r := s.row(item.Lease)
		p.floors = append(p.floors, r.floor)
		excused := false
		switch c.op {
		case OpAcquire:
			g := r.grant(item.Token)
			g.began = cmp.Or(g.began, now)
		case OpSave:
			g := r.tokens[item.Token]
			if g == nil {
				break
			}
			excused = g.release && item.Position.Compare(g.released) <= 0
			if item.Release && (!g.release || item.Position.Compare(g.released) > 0) {
				g.release, g.released = true, item.Position
			}
		case OpComplete, OpCreate, OpSeed, OpBye:
		}
		p.excused = append(p.excused, excused)
	}
	s.open[n] = p
}

func (s *storeJudge) answered(now int, a *answer) {
	p := s.open[a.call]
	if p == nil {
		return // answered twice: the first counts
	}
	delete(s.open, a.call)
	c, at := &s.j.t.calls[a.call], s.j.t.events[now-1].at
	for i, item := range c.items[:min(len(c.items), len(a.results))] {
		r, res := s.row(item.Lease), a.results[i]
		switch c.op {
		case OpAcquire:
			if res.Err == "" {
				s.stored(H11, c, item, p, i, at, res.Position)
				s.granted(r, item, res, p, now)
			}
		case OpSave:
			if res.Err == "" {
				s.accepted(r, c, item, p, i)
				if res.Stored && res.Position.Compare(item.Position) < 0 {
					s.j.broken(H4, "%s of %s on %s was accepted at %s, and the stored position is %s",
						c.op, s.j.t.text(c.actor), shardOf(item.Lease), item.Position, res.Position)
				}
			}
			if res.Stored {
				s.stored(H4, c, item, p, i, at, res.Position)
			}
		case OpComplete:
			if res.Err == "" {
				s.accepted(r, c, item, p, i)
				s.stored(H4, c, item, p, i, at, checkpoint.ShardEnd())
			}
		case OpSeed:
			// The store may have more of another worker, never less.
			if res.Err == "" && p.branch == s.branch && (!r.some || item.Position.Compare(r.at) > 0) {
				r.set(floor{at, item.Position, true})
			}
		case OpCreate, OpBye:
		}
	}
}

// stored takes a stored position that an answer showed: it is not below what
// answers showed before the call began.
func (s *storeJudge) stored(rule Rule, c *call, item Item, p *pending, i int, now int64, at checkpoint.Position) {
	if p.branch != s.branch {
		return
	}
	if p.floors[i].some && at.Compare(p.floors[i].at) < 0 {
		s.j.broken(rule, "%s of %s on %s %s showed position %s, after %s was stored",
			c.op, s.j.t.text(c.actor), shardOf(item.Lease), s.j.when(p.began-1), at, p.floors[i].at)
	}
	r := s.row(item.Lease)
	if !r.some || at.Compare(r.at) > 0 {
		r.set(floor{now, at, true})
	}
}

// granted takes an acquisition: those of which it is known that they came before
// it have given way.
func (s *storeJudge) granted(r *row, item Item, res Result, p *pending, now int) {
	g := r.grant(res.Token)
	if res.Token != item.Token {
		s.j.broken(H5, "acquire on %s was granted under token %s, and asked for %s", shardOf(item.Lease), res.Token, item.Token)
		g.began = cmp.Or(g.began, p.began)
	}
	if g.granted > 0 {
		return // a repeat
	}
	g.granted, g.epoch, g.branch = now, res.Epoch, none
	if p.branch == s.branch {
		g.branch = s.branch
		keep := r.held[:0]
		for _, o := range r.held {
			if o.granted >= g.began {
				keep = append(keep, o)
				continue
			}
			o.gaveWay, o.to = now, g
			if o.branch == s.branch && o.epoch >= g.epoch {
				s.j.broken(H5, "%s was granted with epoch %d, after epoch %d", shardOf(item.Lease), g.epoch, o.epoch)
			}
		}
		clear(r.held[len(keep):])
		r.held = keep
	}
	r.held = append(r.held, g)
}

// accepted judges H5 for a save, or the end of a shard, that the store accepted.
func (s *storeJudge) accepted(r *row, c *call, item Item, p *pending, i int) {
	g := r.tokens[item.Token]
	switch {
	case g == nil || g.began == 0 || g.began > p.began:
		s.j.broken(H5, "%s of %s on %s %s was accepted under token %q, which no call had asked for",
			c.op, s.j.t.text(c.actor), shardOf(item.Lease), s.j.when(p.began-1), item.Token)
	case g.gaveWay > 0 && g.gaveWay < p.began && p.branch == s.branch && !p.excused[i]:
		s.j.broken(H5, "%s of %s on %s at %s, begun %s, was accepted under epoch %d, after epoch %d was granted %s",
			c.op, s.j.t.text(c.actor), shardOf(item.Lease), item.Position, s.j.when(p.began-1), g.epoch, g.to.epoch, s.j.when(g.gaveWay-1))
	}
}
