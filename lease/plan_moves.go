package lease

import (
	"cmp"
	"math"
	"slices"
)

// wishesLeft reports whether the worker may ask for one more lease.
func (st *seat) wishesLeft() bool { return st.wishes < max(movesAtLeast, st.count/movesPart) }

// level moves leases until no two workers differ by more than one lease for
// their capacity, or enough is on its way.
func (p *planner) level() {
	for _, st := range p.seats {
		st.full = false
	}
	for {
		to := p.emptiest()
		if to == nil {
			return
		}
		from, it := p.donor(to)
		if it == nil {
			to.full = true
			continue
		}
		p.move(it, from, to)
	}
}

// emptiest is the worker with the fewest leases that may ask for more.
func (p *planner) emptiest() *seat {
	var best *seat
	for _, st := range p.seats {
		if !st.full && st.wishesLeft() && (best == nil || st.per(st.count+1) < best.per(best.count+1)) {
			best = st
		}
	}
	return best
}

// donor is the fullest worker that would still have no fewer leases than to
// after a move, and its lease that evens out their load best.
func (p *planner) donor(to *seat) (*seat, *item) {
	var (
		from *seat
		best *item
	)
	for _, st := range p.seats {
		if st == to || !gains(st, to) || from != nil && st.per(st.count) <= from.per(from.count) {
			continue
		}
		if it := p.bestMove(st, to); it != nil {
			from, best = st, it
		}
	}
	return from, best
}

// gains reports whether one lease from a worker to another makes the more
// burdened of the two less burdened than it is.
func gains(from, to *seat) bool { return to.per(to.count+1) < from.per(from.count) }

// bestMove is the lease whose move evens out the load of two workers best, nil
// when none may move.
func (p *planner) bestMove(from, to *seat) *item {
	ideal := (from.load - to.load) / 2
	var best *item
	for _, it := range from.held {
		if p.f.Keep[it.Name] || !to.takes(it) {
			continue
		}
		if best == nil || betterMove(it, best, ideal, to.session.ID) {
			best = it
		}
	}
	return best
}

// betterMove orders leases by how near their load is to the ideal, then by
// rendezvous, then by name, so that all workers choose alike.
func betterMove(a, b *item, ideal float64, to string) bool {
	return cmp.Or(
		cmp.Compare(math.Abs(a.load-ideal), math.Abs(b.load-ideal)),
		cmp.Compare(rendezvous(b.Name, to), rendezvous(a.Name, to)),
		cmp.Compare(a.Name, b.Name),
	) < 0
}

// move counts a lease as moved and notes the step.
func (p *planner) move(it *item, from, to *seat) {
	from.held = slices.DeleteFunc(from.held, func(o *item) bool { return o == it })
	from.count--
	from.load -= it.load
	to.count++
	to.load += it.load
	to.wishes++
	p.out.Move = append(p.out.Move, Step{it.Name, to.session.ID})
}

// lighten exchanges a busy lease of the busiest worker for a lighter one of the
// least busy, while that helps by more than the dead-band.
func (p *planner) lighten() {
	for {
		a, b := p.extremes()
		if a == nil || a == b || !a.wishesLeft() || !b.wishesLeft() || outsideBand(a.load, a.capacity(), b.load, b.capacity()) <= 0 {
			return
		}
		busy, light := p.swap(a, b)
		if busy == nil {
			return
		}
		p.move(busy, a, b)
		p.move(light, b, a)
	}
}

// extremes are the workers with the most and the least load.
func (p *planner) extremes() (most, least *seat) {
	for _, st := range p.seats {
		if most == nil || st.load/st.capacity() > most.load/most.capacity() {
			most = st
		}
		if least == nil || st.load/st.capacity() < least.load/least.capacity() {
			least = st
		}
	}
	return most, least
}

// outsideBand is by how much a's load for its capacity is beyond the dead-band
// around b's, 0 or less when it is inside.
func outsideBand(aLoad, aCap, bLoad, bCap float64) float64 {
	return aLoad/aCap - max(lightenBand*bLoad/bCap, bLoad/bCap+lightenLeast)
}

// swap is the exchange that brings two workers closest, if it lowers the load
// of the busier by a tenth at least.
func (p *planner) swap(a, b *seat) (busy, light *item) {
	best := 0.9 * a.load / a.capacity()
	for _, x := range a.held {
		if x.Weight < idleWeight || p.f.Keep[x.Name] || !b.declares(x) {
			continue
		}
		for _, y := range b.held {
			if p.f.Keep[y.Name] || !a.declares(y) || y.load >= x.load {
				continue
			}
			d := x.load - y.load
			if worst := max((a.load-d)/a.capacity(), (b.load+d)/b.capacity()); worst < best {
				best, busy, light = worst, x, y
			}
		}
	}
	return busy, light
}

// declares reports whether the worker takes leases of that stream.
func (st *seat) declares(it *item) bool {
	return slices.Contains(st.session.Streams, StreamOf(it.Name))
}

// Agrees reports whether the owner of a lease should give it to the session
// that asks for it: whether the division is no worse after it, in number or in
// load. The other wishes that stand are counted as fulfilled.
func Agrees(f Fleet, name string) bool {
	i := slices.IndexFunc(f.Leases, func(l Lease) bool { return l.Name == name })
	if i < 0 {
		return false
	}
	l := f.Leases[i]
	wish := l.Want
	f.Leases = slices.Clone(f.Leases)
	f.Leases[i].Want = ""
	p := newPlanner(f)
	from, to := p.seatOf(SessionOf(l.Token)), p.seatOf(wish)
	if from == nil || to == nil {
		return false
	}
	it := &item{Lease: l}
	return to.takes(it) && (to.per(to.count+1) <= from.per(from.count) || l.Weight >= idleWeight && to.load < from.load)
}

// seatOf is the seat of a session that plans, nil for others.
func (p *planner) seatOf(session string) *seat {
	for _, st := range p.seats {
		if st.session.ID == session {
			return st
		}
	}
	return nil
}
