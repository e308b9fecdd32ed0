package history

import (
	"sort"

	"github.com/shardrun/shardrun/checkpoint"
)

// run is one tenure on its way.
type run struct {
	granted bool
	at      int // the event that granted it
	token   string
	from    checkpoint.Position // where it was granted
	shard   *shard              // nil when the truth does not have it
	start   int                 // index of the first user record behind from
	last    int                 // index of the user record delivered last, start-1 at first
	started bool                // a record was delivered
	parents []string            // leases that must have been completed, not yet seen to be
	early   bool                // H6 was broken
}

// tenureKey finds a tenure by what a call shows.
type tenureKey struct {
	worker uint32
	lease  string
	epoch  uint64
}

// deliveries judges what belongs to tenures: that each begins behind the
// position that its lease was granted with (H11) and goes on from record to
// record (the third part of H3), and that its shard's parents ended before (H6).
func (j *judge) deliveries() {
	w := j.newWalk()
	for e, ev := range j.t.events {
		switch ev.kind {
		case kindLost, kindAnew:
			w.anew.lost = true
		case kindCall:
			w.began(e, int(ev.i))
		case kindAnswer:
			w.answered(e, &j.t.answers[ev.i])
		case kindOwners:
			for _, o := range j.t.tables[ev.i] {
				if o.Position.IsEnd() {
					w.ended[o.Lease] = true
				}
				w.anew.has(o.Lease)
			}
		case kindDelivered:
			w.delivered(&j.t.deliveries[ev.i])
		case kindHandled:
			g := j.t.handlings[ev.i]
			w.handledBy[g.place] = by{int(g.tenure), e}
		}
	}
}

// walk goes through the events once.
type walk struct {
	j         *judge
	runs      []run // by tenure
	numbers   map[tenureKey]int
	ended     map[string]bool // leases whose completion began and was accepted, or that a table shows to have ended
	maybe     map[string]int  // leases whose completion nobody knows the outcome of: when the first began
	handledBy []by            // by place: who handled it last
	anew      beginningAnew   // that the walk has come by last
}

// by is who did something, and the event.
type by struct{ tenure, event int }

func (j *judge) newWalk() *walk {
	w := &walk{
		j: j, runs: make([]run, len(j.t.tenures)), numbers: j.tenureNumbers(),
		ended: map[string]bool{}, maybe: map[string]int{}, handledBy: make([]by, len(j.t.places)),
	}
	parents := j.parents()
	for n, u := range j.t.tenures {
		r := &w.runs[n]
		r.parents = parents[j.t.text(u.lease)]
		if j.truth != nil {
			r.shard = j.truth.byName[j.shardName[n]]
		}
	}
	return w
}

// tenureNumbers finds tenures by what calls show.
func (j *judge) tenureNumbers() map[tenureKey]int {
	out := make(map[tenureKey]int, len(j.t.tenures))
	for n, u := range j.t.tenures {
		out[tenureKey{u.worker, j.t.text(u.lease), u.epoch}] = n
	}
	return out
}

// began notes what was made, or may have been: completions, and the first leases
// of a group.
func (w *walk) began(now, n int) {
	c := &w.j.t.calls[n]
	if c.op == OpCreate {
		w.makes(n)
	}
	if c.op != OpComplete {
		return
	}
	for i, item := range c.items {
		res, known := w.j.outcome(n, i)
		for _, child := range item.Children {
			w.anew.has(child)
		}
		_, some := w.maybe[item.Lease]
		switch {
		case known && res.Err == "":
			w.ended[item.Lease] = true
		case !known && !some:
			w.maybe[item.Lease] = now
		}
	}
}

// answered begins the tenures of leases that were granted.
func (w *walk) answered(now int, a *answer) {
	c := &w.j.t.calls[a.call]
	if c.op != OpAcquire {
		return
	}
	for i, item := range c.items[:min(len(c.items), len(a.results))] {
		res := a.results[i]
		n, delivers := w.numbers[tenureKey{c.actor, item.Lease, res.Epoch}]
		if res.Err != "" || !delivers {
			continue
		}
		r := &w.runs[n]
		if r.granted && r.token == res.Token {
			continue // a repeat
		}
		*r = run{granted: true, at: now, token: res.Token, from: res.Position, shard: r.shard, parents: r.parents}
		if r.shard != nil {
			r.start = w.j.behind(r.shard, res.Position)
			r.last = r.start - 1
		}
	}
}

// behind is the index of the first user record of a shard behind a position.
func (j *judge) behind(s *shard, at checkpoint.Position) int {
	switch {
	case at.IsEnd():
		return len(s.users)
	case at.Rank == checkpoint.RankRecord:
		return sort.Search(len(s.users), func(i int) bool { return j.position(s.users[i].place).Compare(at) > 0 })
	case at.Since.IsZero():
		return 0
	}
	since := at.Since.UnixMilli()
	first := 0
	for _, r := range s.raws {
		if r.arrival >= since {
			break
		}
		first = int(r.users)
	}
	return first
}

func (w *walk) delivered(d *delivery) {
	j, r := w.j, &w.runs[d.tenure]
	w.afterParents(d, r)
	first := !r.started
	if first {
		r.started = true
		switch {
		case !r.granted:
			j.broken(H11, "%s delivers %s without having acquired the lease", j.who(d.tenure), j.at(d.place))
		case r.from.Compare(j.position(d.place)) >= 0:
			j.broken(H11, "%s begins with %s, and was granted the lease at %s", j.who(d.tenure), j.at(d.place), r.from)
		}
	}
	if !r.granted || r.shard == nil || j.truth.at[d.place].shard != r.shard {
		return
	}
	i := j.truth.at[d.place].i
	switch {
	case i == r.last+1:
	case i > r.last:
		if n := w.skipped(r, d.tenure, i); n > 0 {
			j.broken(H3, "%s delivers %s, and skips %d records behind %s", j.who(d.tenure), j.at(d.place), n, j.before(r))
		}
	case i < r.start && first: // told above
	case i < r.start:
		j.broken(H3, "%s goes back to %s, before where it began", j.who(d.tenure), j.at(d.place))
	case w.did(d.tenure, d.place):
		j.broken(H3, "%s delivers %s again, which it had handled", j.who(d.tenure), j.at(d.place))
	}
	r.last = i
}

// skipped counts the records between the one that a tenure delivered last and
// the i-th, without those that it gave up and so never delivered.
func (w *walk) skipped(r *run, tenure uint32, i int) int {
	n := 0
	for _, u := range r.shard.users[r.last+1 : i] {
		if !w.did(tenure, u.place) {
			n++
		}
	}
	return n
}

// did reports whether a tenure was the last to handle a record. A store that lost
// a grant may give the same epoch once more: that is another tenure.
func (w *walk) did(tenure, place uint32) bool {
	last := w.handledBy[place]
	return last.tenure == int(tenure) && last.event > w.runs[tenure].at
}

// before is where a tenure was before a delivery.
func (j *judge) before(r *run) string {
	if r.last < r.start {
		return r.from.String()
	}
	return j.at(r.shard.users[r.last].place).String()
}
