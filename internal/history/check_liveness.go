package history

import (
	"slices"
	"time"
)

// liveness judges H12: when no fault is active any more, every lease that can be
// worked on is owned by a living worker within the lease time and two beats, of when
// it came free if that was later, or the table was whole again after a loss, and
// everything acknowledged is handled within the bound.
func (j *judge) liveness() {
	healed := slices.IndexFunc(j.t.events, func(e event) bool { return e.kind == kindHealed })
	if healed < 0 {
		j.broken(H12, "the end of the faults was not recorded")
		return
	}
	l := livenessJudge{
		j: j, since: j.t.events[healed].at, within: int64(j.o.TTL + 2*j.o.Beat),
		living: map[uint32]bool{}, freed: map[string]int64{}, told: map[string]bool{},
	}
	lost := restoring{j: j}
	for e, ev := range j.t.events {
		if lost.event(ev) && e > healed {
			l.since = max(l.since, ev.at) // nothing was granted before
		}
		switch ev.kind {
		case kindActor:
			l.actor(j.t.actors[ev.i], ev.at)
		case kindOwners:
			if e < healed || lost.now {
				continue
			}
			l.judged = l.judged || ev.at > j.t.events[healed].at+l.within
			if ev.at > l.since+l.within {
				l.allOwned(e, j.t.tables[ev.i])
			}
		case kindCall:
			l.frees(&j.t.calls[ev.i], ev.at)
		case kindAnswer:
			l.frees(&j.t.calls[j.t.answers[ev.i].call], ev.at)
		case kindPut, kindEnd, kindDelivered, kindHandled, kindReturned, kindLost, kindAnew, kindHealed, kindNote, kindStream, kindRead:
		}
	}
	if !l.judged {
		j.broken(H12, "no lease table was recorded later than %s after the faults", time.Duration(l.within))
	}
	if j.o.Lag > 0 {
		j.handledInTime(j.t.events[healed].at)
	}
}

// livenessJudge goes through the events once.
type livenessJudge struct {
	j      *judge
	since  int64            // when the faults ended, or a worker later; Unix nanoseconds
	within int64            // how long a lease may be without an owner
	living map[uint32]bool  // actors that were told of
	freed  map[string]int64 // by lease: when it was given back, or its last parent completed
	told   map[string]bool  // by lease
	judged bool             // some table was
}

// actor follows who lives. When one ends after the faults, the others have as long
// again.
func (l *livenessJudge) actor(a actorChange, at int64) {
	switch l.j.t.text(a.state) {
	case "started":
		l.living[a.name] = true
	case "stopped", "crashed":
		l.living[a.name] = false
		l.since = max(l.since, at)
	}
}

// frees notes the leases that a call gives back, makes, or makes ready, which may
// have been at its beginning or at its answer.
func (l *livenessJudge) frees(c *call, at int64) {
	for _, item := range c.items {
		if c.op == OpSave && item.Release {
			l.freed[item.Lease] = at
		}
		for _, child := range item.Children {
			l.freed[child] = at
		}
	}
}

// allOwned judges a table.
func (l *livenessJudge) allOwned(e int, table []Owner) {
	j, now := l.j, l.j.t.events[e].at
	finished := map[string]bool{}
	for _, o := range table {
		finished[o.Lease] = o.Position.IsEnd()
	}
	dead := map[string]bool{}
	for name, lives := range l.living {
		dead[j.t.text(name)] = !lives
	}
	for _, o := range table {
		waits := slices.ContainsFunc(o.Parents, func(p string) bool { return !finished[p] })
		if finished[o.Lease] || waits || l.told[o.Lease] || now <= max(l.since, l.freed[o.Lease])+l.within {
			continue
		}
		if l.told[o.Lease] = o.Worker == "" || dead[o.Worker]; !l.told[o.Lease] {
			continue
		}
		if o.Worker == "" {
			j.broken(H12, "nobody owns %s %s", shardOf(o.Lease), j.when(e))
		} else {
			j.broken(H12, "%s is owned %s by %s, which is dead", shardOf(o.Lease), j.when(e), o.Worker)
		}
	}
}

func (j *judge) handledInTime(healed int64) {
	for n, p := range j.t.puts {
		e, acked := j.acked(n)
		if !acked {
			continue
		}
		at := j.handledAt[e.place]
		if at == none {
			continue // H1 tells it
		}
		from := max(j.t.events[j.endAt[n]].at, healed)
		if took := time.Duration(j.t.events[at].at - from); took > j.o.Lag {
			j.broken(H12, "put %d, key %s, %s, was handled %s after it was acknowledged or the faults ended",
				n, j.key(p.key), j.at(e.place), took)
		}
	}
}
