package lease

import (
	"cmp"
	"math"
	"slices"
)

func (st *seat) wishesLeft() bool { return st.wishes < max(movesAtLeast, st.count/movesPart) }

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

func (p *planner) emptiest() *seat {
	var best *seat
	for _, st := range p.seats {
		if !st.full && st.wishesLeft() && (best == nil || st.per(st.count+1) < best.per(best.count+1)) {
			best = st
		}
	}
	return best
}

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

func gains(from, to *seat) bool { return to.per(to.count+1) < from.per(from.count) }

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

func betterMove(a, b *item, ideal float64, to string) bool {
	return cmp.Or(
		cmp.Compare(math.Abs(a.load-ideal), math.Abs(b.load-ideal)),
		cmp.Compare(rendezvous(b.Name, to), rendezvous(a.Name, to)),
		cmp.Compare(a.Name, b.Name),
	) < 0
}

func (p *planner) move(it *item, from, to *seat) {
	from.held = slices.DeleteFunc(from.held, func(o *item) bool { return o == it })
	from.count--
	from.load -= it.load
	to.count++
	to.load += it.load
	to.wishes++
	p.out.Move = append(p.out.Move, Step{it.Name, to.session.ID})
}

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

func outsideBand(aLoad, aCap, bLoad, bCap float64) float64 {
	return aLoad/aCap - max(lightenBand*bLoad/bCap, bLoad/bCap+lightenLeast)
}

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

func (st *seat) declares(it *item) bool {
	return slices.Contains(st.session.Streams, StreamOf(it.Name))
}

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

func (p *planner) seatOf(session string) *seat {
	for _, st := range p.seats {
		if st.session.ID == session {
			return st
		}
	}
	return nil
}
