package history

import (
	"slices"
	"time"
)

// liveness judges H12: when no fault is active any more, every lease that can be
// worked on is owned by a living worker within the lease time and two beats, of
// its birth if that was later, and everything acknowledged is handled within the
// bound.
func (j *judge) liveness() {
	healed := slices.IndexFunc(j.t.events, func(e event) bool { return e.kind == kindHealed })
	if healed < 0 {
		j.broken(H12, "the end of the faults was not recorded")
		return
	}
	due := j.t.events[healed].at + int64(j.o.TTL+2*j.o.Beat)
	living := map[uint32]bool{} // actors that were told of
	born := map[string]int64{}  // by lease: when its last parent was completed
	judged := false
	for e, ev := range j.t.events {
		switch ev.kind {
		case kindActor:
			a := j.t.actors[ev.i]
			switch j.t.text(a.state) {
			case "started":
				living[a.name] = true
			case "stopped", "crashed":
				living[a.name] = false
			}
		case kindOwners:
			if !judged && e > healed && ev.at > due {
				judged = true
				for lease, at := range born {
					if ev.at > at+due-j.t.events[healed].at {
						delete(born, lease)
					}
				}
				j.allOwned(e, j.t.tables[ev.i], living, born)
			}
		case kindCall:
			j.born(j.t.calls[ev.i].items, ev.at, born)
		case kindAnswer:
			j.born(j.t.calls[j.t.answers[ev.i].call].items, ev.at, born)
		case kindPut, kindEnd, kindDelivered, kindHandled, kindReturned, kindLost, kindHealed, kindNote, kindStream, kindRead:
		}
	}
	if !judged {
		j.broken(H12, "no lease table was recorded later than %s after the faults", j.o.TTL+2*j.o.Beat)
	}
	if j.o.Lag > 0 {
		j.handledInTime(j.t.events[healed].at)
	}
}

// born notes the leases that a completion makes, or makes ready, at a time.
func (*judge) born(items []Item, at int64, born map[string]int64) {
	for _, item := range items {
		for _, child := range item.Children {
			born[child] = at
		}
	}
}

// allOwned judges a table, but for leases that were born just now.
func (j *judge) allOwned(e int, table []Owner, living map[uint32]bool, born map[string]int64) {
	finished := map[string]bool{}
	for _, o := range table {
		finished[o.Lease] = o.Position.IsEnd()
	}
	dead := map[string]bool{}
	for name, lives := range living {
		dead[j.t.text(name)] = !lives
	}
	for _, o := range table {
		if _, young := born[o.Lease]; young {
			continue
		}
		startable := !slices.ContainsFunc(o.Parents, func(p string) bool { return !finished[p] })
		switch {
		case finished[o.Lease] || !startable:
		case o.Worker == "":
			j.broken(H12, "nobody owns %s %s", shardOf(o.Lease), j.when(e))
		case dead[o.Worker]:
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
