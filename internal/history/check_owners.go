package history

import "time"

// claim is what is known of one tenure's right to deliver. Places of events are
// numbers from 1, 0 for none.
type claim struct {
	token   string
	granted int  // the answer that granted it
	branch  int  // of the store's history, that its acquisition began in
	told    bool // it broke the rule

	last    uint64 // height of the record delivered last, and 1
	busy    bool   // a call of its handler has that record, as far as is known
	resumed int    // the end of its worker's last hold, as far as it has been seen here
	begun   uint64 // the height, and 1, of what was delivered last since then
	over    bool   // the batch that it may have had then is over
}

const (
	// wakes is how long after a hold a worker begins at the latest what it was
	// about to begin.
	wakes = 5 * time.Second
	// reign is how many lease times one whose name another takes lives on at
	// most. The other may need some to come to the store, and two after that the
	// former gives up.
	reign = 5
)

// title is a grant of a lease.
type title struct {
	worker  uint32 // name
	epoch   uint64
	granted int
}

// owners judges the part of H5 that is about deliveries: nothing is delivered
// under an epoch when a higher one was granted before.
func (j *judge) owners() {
	o := ownersJudge{
		j: j, claims: make([]claim, len(j.t.tenures)), numbers: j.tenureNumbers(),
		titles: map[string][]title{}, top: map[string]title{}, branchOf: make([]int, len(j.t.calls)),
		held: map[uint32]bool{}, resumed: map[uint32]int{}, superseded: map[uint32]int64{},
	}
	for e, ev := range j.t.events {
		switch ev.kind {
		case kindLost:
			o.lost(loss{ev.at, j.t.losses[ev.i].since})
		case kindAnew:
			o.lost(loss{at: ev.at})
		case kindActor:
			o.actor(e+1, j.t.actors[ev.i])
		case kindCall:
			o.branchOf[ev.i] = len(o.losses)
		case kindAnswer:
			o.answered(e+1, &j.t.answers[ev.i])
		case kindDelivered:
			o.delivered(e+1, &j.t.deliveries[ev.i])
		case kindHandled:
			o.handled(j.t.handlings[ev.i])
		case kindReturned:
			o.claims[j.t.returns[ev.i]].busy = false
		}
	}
}

type ownersJudge struct {
	j        *judge
	claims   []claim // by tenure
	numbers  map[tenureKey]int
	losses   losses
	branchOf []int              // by call: how many losses came before it
	titles   map[string][]title // by lease: all of which it is known in which branch they were granted
	top      map[string]title   // by lease: the highest in this branch
	held     map[uint32]bool    // by actor
	resumed  map[uint32]int     // by actor: the end of its last hold

	superseded map[uint32]int64 // by actor: when, in Unix nanoseconds
	jumped     int64            // when the store's clock did last
}

// answered takes the leases that were granted.
func (o *ownersJudge) answered(now int, a *answer) {
	c := &o.j.t.calls[a.call]
	if c.op != OpAcquire || o.j.answerOf[a.call] != int(o.j.t.events[now-1].i) {
		return
	}
	sure := o.branchOf[a.call] == len(o.losses) // else it may have been granted before the loss
	for i, item := range c.items[:min(len(c.items), len(a.results))] {
		res := a.results[i]
		if res.Err != "" {
			continue
		}
		if n, delivers := o.numbers[tenureKey{c.actor, item.Lease, res.Epoch}]; delivers {
			if o.claims[n].granted > 0 && o.claims[n].token == res.Token {
				continue // a repeat
			}
			o.claims[n] = claim{token: res.Token, granted: now, branch: o.branchOf[a.call]}
		}
		if t := (title{c.actor, res.Epoch, now}); sure {
			o.titles[item.Lease] = append(o.titles[item.Lease], t)
			o.raise(item.Lease, t)
		}
	}
}

func (o *ownersJudge) raise(lease string, t title) {
	if t.epoch > o.top[lease].epoch {
		o.top[lease] = t
	}
}

// lost goes back to the grants that the store still has.
func (o *ownersJudge) lost(l loss) {
	o.losses = append(o.losses, l)
	clear(o.top)
	for lease, titles := range o.titles {
		for _, t := range titles {
			if o.losses.kept(o.j.t.events[t.granted-1].at, forEver) {
				o.raise(lease, t)
			}
		}
	}
}

// unaware reports whether a tenure need not have seen yet that the store lost
// something: with its grant, or the last beats of its worker, it may have lost
// the lease.
func (o *ownersJudge) unaware(c *claim, now int) bool {
	n := len(o.losses)
	return c.branch < n && o.j.t.events[now-1].at <= o.losses[n-1].at+int64(o.j.o.TTL+2*o.j.o.Beat)
}

// unseen reports whether a worker need not have seen yet that another took its
// name: when the lease was granted its own session had been ended, and its last
// good beat was before that. It does not live on for long.
func (o *ownersJudge) unseen(worker uint32, t title, now int) bool {
	at, ttl, since := o.j.t.events, int64(o.j.o.TTL), o.superseded[worker]
	return since > 0 && at[now-1].at <= min(at[t.granted-1].at+ttl, since+reign*ttl)
}

// hurried reports whether the store's clock jumped shortly before a grant: the
// lease of another that could not reach it may have ended early.
func (o *ownersJudge) hurried(t title, now int) bool {
	granted, ttl := o.j.t.events[t.granted-1].at, int64(o.j.o.TTL)
	return o.jumped > 0 && granted <= o.jumped+ttl && o.j.t.events[now-1].at <= granted+ttl
}

// actor follows who is held.
func (o *ownersJudge) actor(now int, a actorChange) {
	switch o.j.t.text(a.state) {
	case "held":
		o.held[a.name] = true
	case "resumed":
		o.held[a.name], o.resumed[a.name] = false, now
	case "superseded":
		o.superseded[a.name] = o.j.t.events[now-1].at
	case "jumped":
		o.jumped = o.j.t.events[now-1].at
	case "told":
	default: // another life
		o.held[a.name], o.resumed[a.name], o.superseded[a.name] = false, 0, 0
	}
}

func (o *ownersJudge) delivered(now int, d *delivery) {
	j, c, u := o.j, &o.claims[d.tenure], o.j.t.tenures[d.tenure]
	excused := o.excused(c, now, u.worker, j.height(d.place)+1)
	c.last, c.busy = j.height(d.place)+1, true
	t := o.top[j.t.text(u.lease)]
	if c.granted == 0 || c.told || excused || t.epoch <= u.epoch {
		return
	}
	if o.unaware(c, now) || o.unseen(u.worker, t, now) || o.hurried(t, now) {
		return
	}
	c.told = true
	j.broken(H5, "%s delivers %s %s, after epoch %d was granted to %s %s",
		j.who(d.tenure), j.at(d.place), j.when(now-1), t.epoch, j.t.text(t.worker), j.when(t.granted-1))
}

// excused reports whether a tenure may deliver a record because its worker is
// held, or was when the batch began: it had seen that the lease was its own, and
// could not see that time went on. That is one batch of each lease, which was in
// progress or begins at once; a record that is not behind the one before it belongs
// to the next.
func (o *ownersJudge) excused(c *claim, now int, worker uint32, height uint64) bool {
	if o.held[worker] {
		return true
	}
	end := o.resumed[worker]
	if end <= c.granted {
		return false
	}
	if c.resumed < end {
		at := o.j.t.events
		c.resumed, c.begun, c.over = end, 0, !c.busy && at[now-1].at > at[end-1].at+int64(wakes)
	}
	c.over = c.over || height <= c.begun
	c.begun = height
	return !c.over
}

// handled ends the batch that a tenure had when its worker was resumed. Records
// that were given up before they were delivered do not.
func (o *ownersJudge) handled(g handling) {
	c, worker := &o.claims[g.tenure], o.j.t.tenures[g.tenure].worker
	if o.j.height(g.place)+1 == c.last {
		c.busy = false
	}
	if end := o.resumed[worker]; end > c.granted && !o.held[worker] && o.j.height(g.place) < c.last {
		if c.resumed < end {
			c.resumed, c.begun = end, 0
		}
		c.over = true
	}
}
