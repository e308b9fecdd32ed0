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
		if best == nil || betterMove(it, best, ideal, to) {
			best = it
		}
	}
	return best
}

// betterMove orders leases by how near their load is to the ideal, then by
// rendezvous, then by name, so that all workers choose alike.
func betterMove(a, b *item, ideal float64, to *seat) bool {
	if c := cmp.Compare(math.Abs(a.load-ideal), math.Abs(b.load-ideal)); c != 0 {
		return c < 0
	}
	if c := cmp.Compare(b.rank(to), a.rank(to)); c != 0 {
		return c < 0
	}
	return a.Name < b.Name
}

// move counts a lease as moved and notes the step.
func (p *planner) move(it *item, from, to *seat) {
	from.held = without(from.held, it)
	from.count--
	from.load -= it.load
	to.count++
	to.load += it.load
	to.wishes++
	p.out.Move = append(p.out.Move, Step{it.Name, to.session.ID})
}

func without(list []*item, it *item) []*item {
	if i := slices.Index(list, it); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// lighten exchanges a busy lease of the busiest worker for a lighter one of the
// least busy, while that helps by more than the dead-band.
func (p *planner) lighten() {
	for _, st := range p.seats {
		slices.SortFunc(st.held, func(a, b *item) int { return cmp.Or(cmp.Compare(a.load, b.load), byName(a, b)) })
	}
	var last, pair exchange
	for ; ; last = pair {
		a, b := p.extremes()
		if a == nil || a == b || !a.wishesLeft() || !b.wishesLeft() || outsideBand(a.load, a.capacity(), b.load, b.capacity()) <= 0 {
			return
		}
		if pair = last; pair.a != a || pair.b != b {
			pair = exchange{a, b, p.movable(a, b, idleWeight), p.movable(b, a, 0)}
		}
		busy, light := pair.best()
		if busy == nil {
			return
		}
		p.move(busy, a, b)
		p.move(light, b, a)
		pair.from, pair.to = without(pair.from, busy), without(pair.to, light)
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

// swapPart is the least part of the gap between two workers, for each lease of
// the busier, that one exchange must close. A single exchange may do little
// where the load is spread over many leases; less than this is noise.
const swapPart = 4

// exchange is a busy worker and a less busy one, with the leases that may go
// from each to the other.
type exchange struct {
	a, b     *seat
	from, to []*item
}

// best is the exchange that brings two workers closest, if it lowers the load
// of the busier by enough.
//
// It looks for the pair whose difference is nearest to what would make them
// equal. Both hold their leases in the order of their load, so that each lease
// is looked at once.
func (x exchange) best() (busy, light *item) {
	a, b, from, to := x.a, x.b, x.from, x.to
	high := a.load / a.capacity()
	gap := high - b.load/b.capacity()
	best := high - gap/float64(swapPart*max(len(a.held), 1))
	equal := (a.load*b.capacity() - b.load*a.capacity()) / (a.capacity() + b.capacity())
	for i, k := 0, 0; i < len(from) && k < len(to); {
		d := from[i].load - to[k].load
		if worst := max((a.load-d)/a.capacity(), (b.load+d)/b.capacity()); d > 0 && worst < best {
			best, busy, light = worst, from[i], to[k]
		}
		if d < equal {
			i++
		} else {
			k++
		}
	}
	return busy, light
}

// movable are the leases of a worker that may go to another, in the order in
// which it holds them.
func (p *planner) movable(from, to *seat, least uint8) []*item {
	out := make([]*item, 0, len(from.held))
	for _, it := range from.held {
		if it.Weight >= least && !p.f.Keep[it.Name] && to.declares(it) {
			out = append(out, it)
		}
	}
	return out
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
	return i >= 0 && newPlanner(f).agrees(f.Leases[i])
}

// agrees is Agrees for a lease of the plan's fleet, before anything is planned.
// A wish that is refused does not count against the next.
func (p *planner) agrees(l Lease) bool {
	from, to := p.seatOf(SessionOf(l.Token)), p.seatOf(l.Want)
	if from == nil || to == nil || from == to || l.Finished() || l.WantUntil <= p.f.Now {
		return false
	}
	it := newItem(l)
	// As it is without the wish.
	to.count, to.load = to.count-1, to.load-it.load
	from.count, from.load = from.count+1, from.load+it.load
	if !to.takes(it) || to.per(to.count+1) > from.per(from.count) && (l.Weight < idleWeight || to.load >= from.load) {
		return false
	}
	to.count, to.load = to.count+1, to.load+it.load
	from.count, from.load = from.count-1, from.load-it.load
	return true
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
