package lease

import (
	"cmp"
	"math"
	"slices"
)

const (
	// movesAtLeast and movesPart bound the moves to and from one worker that
	// stand at a time: the larger of 8 and a tenth of its leases.
	movesAtLeast = 8
	movesPart    = 10
	// gain is by how many leases two workers' distances from their shares must
	// differ for a lease to move: one, and more than a rounding error.
	gain = 1 + 1e-6
	// idleWeight is the load, as log2 of bytes per second, under which a lease
	// is not moved for its load: 64 KiB/s.
	idleWeight = 16
	// lightenBand and lightenLeast are the dead-band of moves for load: the
	// busier worker must have 5/4 of the other's load and 1 MiB/s more.
	lightenBand  = 1.25
	lightenLeast = 1 << 20
)

// asks and gives report whether one more move to or from the worker may stand.
func (st *seat) asks() bool  { return st.coming < max(movesAtLeast, st.count/movesPart) }
func (st *seat) gives() bool { return st.leaving < max(movesAtLeast, st.owned/movesPart) }

// transfer is a lease of a kind from a worker to another.
type transfer struct {
	from, to *seat
	kind     *kind
}

// level moves leases until no two workers' distances from their shares differ
// by more than one lease. It reports whether there is any to move.
//
// How many leases go from whom to whom is counted out to the end before the
// first is chosen, and then only as many are as may stand at a time: a worker
// that may not ask for more yet will later, and nobody else gets what is his.
func (p *planner) level() bool {
	transfers := p.countOut()
	for _, tr := range transfers {
		if !tr.to.asks() || !tr.from.gives() {
			continue
		}
		if it := p.bestMove(tr); it != nil {
			p.move(it, tr.from, tr.to)
		}
	}
	return len(transfers) > 0
}

// countOut finds who gives to whom, by number. The workers' counts are as
// before when it returns.
func (p *planner) countOut() []transfer {
	if len(p.seats) < 2 {
		return nil
	}
	counts := make([]int, len(p.seats))
	open := make([]*seat, 0, len(p.seats)) // may get more
	for i, st := range p.seats {
		counts[i] = st.count
		open = append(open, st)
		for _, it := range st.held {
			if p.f.Keep[it.Name] {
				continue
			}
			st.loose[it.kind.index]++
			if p.f.Refused[it.Name] {
				st.refused[it.kind.index]++
			}
		}
	}
	var out []transfer
	for len(open) > 0 {
		to := lowest(open)
		tr, ok := p.donor(to)
		if !ok {
			open = slices.DeleteFunc(open, func(st *seat) bool { return st == to })
			continue
		}
		tr.from.loose[tr.kind.index]--
		tr.from.count--
		to.count++
		out = append(out, tr)
	}
	for i, st := range p.seats {
		st.count = counts[i]
	}
	return out
}

// lowest is the worker that is the furthest below its share.
func lowest(seats []*seat) *seat {
	best := seats[0]
	for _, st := range seats[1:] {
		if st.above() < best.above() {
			best = st
		}
	}
	return best
}

// donor is the worker furthest above its share that has a lease for another,
// if the move is a gain.
func (p *planner) donor(to *seat) (transfer, bool) {
	best, found := transfer{to: to}, false
	if !to.room() {
		return best, false
	}
	for _, st := range p.seats {
		if st.above()-to.above() <= gain || found && st.above() <= best.from.above() {
			continue
		}
		for _, k := range p.kinds {
			least := 0
			if to.session.ID == p.f.Self {
				least = st.refused[k.index]
			}
			if st.loose[k.index] > least && to.may[k.index] {
				best.from, best.kind, found = st, k, true
				break
			}
		}
	}
	return best, found
}

// bestMove is the lease whose move evens out the load of two workers best, nil
// when none may move.
func (p *planner) bestMove(tr transfer) *item {
	ideal := (tr.from.load - tr.to.load) / 2
	var best *item
	for _, it := range tr.from.held {
		if it.kind != tr.kind || !p.free(it, tr.to) {
			continue
		}
		if best == nil || betterMove(it, best, ideal, tr.to) {
			best = it
		}
	}
	return best
}

// free reports whether a worker may ask for a lease.
func (p *planner) free(it *item, to *seat) bool {
	return !p.f.Keep[it.Name] && (to.session.ID != p.f.Self || !p.f.Refused[it.Name])
}

// betterMove orders leases by how near their load is to the ideal, then by
// rendezvous, then by name, so that all workers choose alike.
func betterMove(a, b *item, ideal float64, to *seat) bool {
	if x, y := math.Abs(a.load-ideal), math.Abs(b.load-ideal); x != y {
		return x < y
	}
	if x, y := a.rank(to), b.rank(to); x != y {
		return x > y
	}
	return a.Name < b.Name
}

// move counts a lease as moved and notes the step.
func (p *planner) move(it *item, from, to *seat) {
	from.held = without(from.held, it)
	from.count--
	from.load -= it.load
	from.leaving++
	to.count++
	to.load += it.load
	to.coming++
	p.out.Move = append(p.out.Move, Step{it.Name, to.session.ID})
}

func without(list []*item, it *item) []*item {
	if i := slices.Index(list, it); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// lighten exchanges a busy lease of the busiest worker for a lighter one of the
// least busy, while that helps by more than the dead-band. A worker that cannot
// be helped is left to its load, and the next one is looked at.
func (p *planner) lighten() {
	var last exchange
	for sorted := false; ; {
		a, b := p.extremes()
		if a == nil || !b.asks() || !b.gives() || outsideBand(a.load, a.capacity(), b.load, b.capacity()) <= 0 {
			return
		}
		if !sorted {
			p.sortByLoad()
			sorted = true
		}
		pair := last
		if pair.a != a || pair.b != b {
			pair = exchange{a, b, p.movable(a, b, idleWeight), p.movable(b, a, 0)}
		}
		busy, light := pair.best()
		if busy == nil || !a.asks() || !a.gives() {
			a.stuck = true
			continue
		}
		p.move(busy, a, b)
		p.move(light, b, a)
		pair.from, pair.to = without(pair.from, busy), without(pair.to, light)
		last = pair
	}
}

// sortByLoad orders what every worker holds by load.
func (p *planner) sortByLoad() {
	for _, st := range p.seats {
		slices.SortFunc(st.held, func(a, b *item) int {
			return cmp.Or(cmp.Compare(a.load, b.load), cmp.Compare(a.Name, b.Name))
		})
	}
}

// extremes are the workers with the most load, of those that are not stuck, and
// the least; nil when they are one. Either half of an exchange may come first, so
// that both must have room for one more.
func (p *planner) extremes() (most, least *seat) {
	for _, st := range p.seats {
		if !st.room() {
			continue
		}
		if !st.stuck && (most == nil || st.burden() > most.burden()) {
			most = st
		}
		if least == nil || st.burden() < least.burden() {
			least = st
		}
	}
	if most == nil || most == least {
		return nil, nil
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
// equal. The busy lease alone must leave its new owner no busier than the old
// one was, so that this one agrees though it does not know of the other half.
// Both hold their leases in the order of their load, so that each lease
// is looked at once.
func (x exchange) best() (busy, light *item) {
	a, b, from, to := x.a, x.b, x.from, x.to
	high := a.burden()
	gap := high - b.burden()
	best := high - gap/float64(swapPart*max(len(a.held), 1))
	equal := (a.load*b.capacity() - b.load*a.capacity()) / (a.capacity() + b.capacity())
	for i, k := 0, 0; i < len(from) && k < len(to); {
		d := from[i].load - to[k].load
		worst := max((a.load-d)/a.capacity(), (b.load+d)/b.capacity())
		if d > 0 && worst < best && lightens(from[i].Lease, a, b) {
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

// movable are the leases of a worker that may go to another for their load, in
// the order in which it holds them.
func (p *planner) movable(from, to *seat, least uint8) []*item {
	out := make([]*item, 0, len(from.held))
	for _, it := range from.held {
		if it.Weight >= least && to.may[it.kind.index] && p.free(it, to) && !p.f.Fresh[it.Name] {
			out = append(out, it)
		}
	}
	return out
}

// Agrees reports whether the owner of a lease should give it to the session
// that asks for it: whether the division is no worse after it, in number or in
// load. The other wishes that stand are counted as fulfilled.
func Agrees(f Fleet, name string) bool {
	i := slices.IndexFunc(f.Leases, func(l Lease) bool { return l.Name == name })
	return i >= 0 && newPlanner(f).agrees(&f.Leases[i])
}

// agrees is Agrees for a lease of the plan's fleet, before anything is planned.
// A wish that is refused does not count against the next.
func (p *planner) agrees(l *Lease) bool {
	from, to := p.living[SessionOf(l.Token)], p.living[l.Want]
	if from == nil || to == nil || from == to || !to.up || l.Finished() || l.WantUntil <= p.f.Now {
		return false
	}
	load := loadOf(l)
	// As it is without the wish.
	to.count, to.load = to.count-1, to.load-load
	from.count, from.load = from.count+1, from.load+load
	if k := p.kindAt(l); k == nil || !to.takes(k) || !evens(from, to) && !lightens(l, from, to) {
		to.coming--
		from.leaving--
		return false
	}
	to.count, to.load = to.count+1, to.load+load
	from.count, from.load = from.count-1, from.load-load
	return true
}

// evens reports whether one lease from a worker to another leaves neither
// further above its share than the first was.
func evens(from, to *seat) bool { return from.above()-to.above() >= 2-gain }

// lightens reports whether a busy lease's move leaves the other no busier than
// its owner was.
func lightens(l *Lease, from, to *seat) bool {
	return l.Weight >= idleWeight && (to.load+loadOf(l))/to.capacity() <= from.burden()
}

// kindAt is the kind of a lease, nil when no lease like it is planned.
func (p *planner) kindAt(l *Lease) *kind {
	i := slices.IndexFunc(p.kinds, func(k *kind) bool { return k.has(l) })
	if i < 0 {
		return nil
	}
	return p.kinds[i]
}
