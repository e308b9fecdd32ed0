package history

// handlerCalls judges the part of H5 that is about calls of handlers: whoever gives a
// lease back, ends its shard, or says goodbye, which frees all its leases, has no
// call of a handler open. Else that would go on beside the calls of the next owner.
// Only workers that tell when calls return are judged.
func (j *judge) handlerCalls() {
	tells := map[uint32]bool{} // actors
	for _, n := range j.t.returns {
		tells[j.t.tenures[n].worker] = true
	}
	if len(tells) == 0 {
		return
	}
	numbers, byToken := j.tenureNumbers(), map[leaseToken]int{}
	open := map[int]uint32{} // by tenure: the first record of the call
	leaves := func(e, tenure int, how string) {
		place, some := open[tenure]
		if u := j.t.tenures[tenure]; some && tells[u.worker] {
			delete(open, tenure)
			j.broken(H5, "%s %s %s, while a call of its handler, which begins with %s, has not returned", j.who(uint32(tenure)), how, j.when(e), j.at(place))
		}
	}
	for e, ev := range j.t.events {
		switch ev.kind {
		case kindDelivered:
			d := &j.t.deliveries[ev.i]
			if _, some := open[int(d.tenure)]; !some {
				open[int(d.tenure)] = d.place
			}
		case kindReturned:
			delete(open, int(j.t.returns[ev.i]))
		case kindActor:
			if a := j.t.actors[ev.i]; j.t.text(a.state) == "crashed" || j.t.text(a.state) == "started" {
				for n := range open {
					if j.t.tenures[n].worker == a.name {
						delete(open, n)
					}
				}
			}
		case kindAnswer:
			a := &j.t.answers[ev.i]
			c := &j.t.calls[a.call]
			if c.op != OpAcquire {
				continue
			}
			for i, item := range c.items[:min(len(c.items), len(a.results))] {
				r := a.results[i]
				if n, delivers := numbers[tenureKey{c.actor, item.Lease, r.Epoch}]; delivers && r.Err == "" {
					byToken[leaseToken{item.Lease, r.Token}] = n
				}
			}
		case kindCall:
			c := &j.t.calls[ev.i]
			for _, item := range c.items {
				n, known := byToken[leaseToken{item.Lease, item.Token}]
				switch {
				case !known:
				case c.op == OpSave && item.Release:
					leaves(e, n, "gives its lease back")
				case c.op == OpComplete:
					leaves(e, n, "ends its shard")
				}
			}
			if c.op == OpBye {
				for n := range j.t.tenures {
					if j.t.tenures[n].worker == c.actor {
						leaves(e, n, "says goodbye")
					}
				}
			}
		}
	}
}
