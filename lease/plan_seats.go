package lease

import (
	"cmp"
	"hash/fnv"
	"math"
	"math/bits"
	"slices"
)

// seat is a living worker in a plan.
type seat struct {
	session *Session
	up      bool    // leases are planned for it
	hash    uint64  // of the session's id
	may     []bool  // which kinds of leases it may take, by their index
	share   float64 // leases that it should have, exactly
	count   int     // leases that it has after the plan
	owned   int     // leases that it has now
	taking  int     // leases that it takes by the plan
	load    float64 // bytes per second of those it has after the plan
	coming  int     // moves to it that stand or are planned
	leaving int     // moves from it that stand or are planned
	held    []*item // leases that can be asked of it
	loose   []int   // how many of each kind can be, when leases are counted out
	refused []int   // how many of those Self is not to ask for
	stuck   bool    // no load can be taken from it
}

// above is by how many leases a worker is above its share.
func (st *seat) above() float64 { return float64(st.count) - st.share }

func (st *seat) capacity() float64 {
	if st.session.Capacity <= 0 {
		return 1
	}
	return st.session.Capacity
}

// burden is the load of a worker for its capacity.
func (st *seat) burden() float64 { return st.load / st.capacity() }

// room reports whether the worker can have one more lease.
func (st *seat) room() bool {
	return st.session.MaxLeases == 0 || st.count < st.session.MaxLeases
}

// spare reports whether the worker can take one more lease at once, before any
// that it is asked for has gone.
func (st *seat) spare() bool {
	return st.session.MaxLeases == 0 || st.owned+st.taking < st.session.MaxLeases
}

// takes reports whether the worker can have one more lease of that kind.
func (st *seat) takes(k *kind) bool { return st.up && st.may[k.index] && st.room() }

// kind are the leases that the same workers may take: those of one stream, less
// those that a version of the program stopped at.
type kind struct {
	stream, flags string
	index         int
	count         int     // leases of living workers and free ones
	free          []*item // by name
	seats         []*seat // by session
}

// item is a lease in a plan.
type item struct {
	*Lease
	kind *kind
	load float64
	hash uint64 // of the name, 0 before the first rank
}

// rank is the rendezvous of the lease and a worker.
func (it *item) rank(st *seat) uint64 {
	if it.hash == 0 {
		it.hash = hashOf(it.Name)
	}
	return rendezvous(it.hash, st.hash)
}

type planner struct {
	f      Fleet
	seats  []*seat          // of those that are up, by session
	living map[string]*seat // all, by session
	kinds  []*kind          // first those that the fewest workers may take
	items  []item           // by name
	out    Assignment
}

// newPlanner puts every lease where it is.
func newPlanner(f Fleet) *planner {
	p := &planner{f: f, living: make(map[string]*seat, len(f.Sessions)), items: make([]item, 0, len(f.Leases))}
	for i := range f.Sessions {
		s := &f.Sessions[i]
		st := &seat{session: s, up: s.State == StateUp, hash: hashOf(s.ID)}
		p.living[s.ID] = st
		if st.up {
			p.seats = append(p.seats, st)
		}
	}
	slices.SortFunc(p.seats, func(a, b *seat) int { return cmp.Compare(a.session.ID, b.session.ID) })
	p.sort()
	finished := finishedOf(f.Leases)
	kinds := map[[2]string]*kind{}
	var last *kind
	for i := range p.f.Leases {
		l := &p.f.Leases[i]
		if l.Finished() || waits(l, finished) {
			continue
		}
		if last == nil || !last.has(l) {
			last = p.kindOf(kinds, l)
		}
		p.items = append(p.items, item{Lease: l, kind: last, load: loadOf(l)})
		p.seat(&p.items[len(p.items)-1])
	}
	p.seatKinds()
	p.shares()
	return p
}

// sort puts the leases in the order of their names, in which they mostly are.
func (p *planner) sort() {
	for i := 1; i < len(p.f.Leases); i++ {
		if p.f.Leases[i].Name < p.f.Leases[i-1].Name {
			p.f.Leases = slices.Clone(p.f.Leases)
			slices.SortFunc(p.f.Leases, func(a, b Lease) int { return cmp.Compare(a.Name, b.Name) })
			return
		}
	}
}

// finishedOf tells which leases are finished, nil when no lease waits for one.
func finishedOf(leases []Lease) map[string]bool {
	if !slices.ContainsFunc(leases, func(l Lease) bool { return l.Epoch == 0 && len(l.Shard.Parents) > 0 }) {
		return nil
	}
	finished := make(map[string]bool, len(leases))
	for i := range leases {
		if leases[i].Finished() {
			finished[leases[i].Name] = true
		}
	}
	return finished
}

// waits reports whether a lease that was never acquired has a parent that is
// not finished; a parent without a row is not.
func waits(l *Lease, finished map[string]bool) bool {
	return l.Epoch == 0 && slices.ContainsFunc(l.Shard.Parents, func(p string) bool { return !finished[p] })
}

// has reports whether a lease is of this kind.
func (k *kind) has(l *Lease) bool {
	n := len(k.stream)
	return len(l.Name) > n && l.Name[n] == '/' && l.Name[:n] == k.stream && k.flags == l.Flags
}

func (p *planner) kindOf(known map[[2]string]*kind, l *Lease) *kind {
	key := [2]string{StreamOf(l.Name), l.Flags}
	k := known[key]
	if k == nil {
		k = &kind{stream: key[0], flags: key[1], index: len(p.kinds)}
		known[key] = k
		p.kinds = append(p.kinds, k)
	}
	return k
}

// seatKinds tells who may take which leases.
func (p *planner) seatKinds() {
	for _, st := range p.living {
		st.may = make([]bool, len(p.kinds))
	}
	for _, st := range p.seats {
		st.loose, st.refused = make([]int, len(p.kinds)), make([]int, len(p.kinds))
		for _, k := range p.kinds {
			if slices.Contains(st.session.Streams, k.stream) && !k.stops(st.session.Version) {
				st.may[k.index] = true
				k.seats = append(k.seats, st)
			}
		}
	}
	slices.SortStableFunc(p.kinds, func(a, b *kind) int { return cmp.Compare(len(a.seats), len(b.seats)) })
}

// seat puts a lease where it is, or where a standing wish will bring it.
func (p *planner) seat(it *item) {
	owner := p.living[SessionOf(it.Token)]
	if owner == nil { // free or lapsed
		if !it.paused() {
			it.kind.count++
			it.kind.free = append(it.kind.free, it)
		}
		return
	}
	it.kind.count++
	owner.owned++
	if it.Want != "" && it.WantUntil > p.f.Now {
		if wished := p.living[it.Want]; wished != nil && wished.up && wished != owner {
			wished.count++
			wished.load += it.load
			wished.coming++
			owner.leaving++
			return
		}
	}
	owner.count++
	owner.load += it.load
	if !it.paused() {
		owner.held = append(owner.held, it)
	}
}

// paused reports whether the lease is paused by hand.
func (l *Lease) paused() bool { return l.Flags != "" && l.Marked(FlagPaused) }

// stops reports whether a handler of a version stopped at leases of the kind.
func (k *kind) stops(version string) bool {
	return k.flags != "" && marked(k.flags, FlagStopped(version))
}

// loadOf is the load of a lease in bytes per second.
func loadOf(l *Lease) float64 {
	if l.Weight == 0 {
		return 0
	}
	return math.Ldexp(1, int(min(l.Weight, 40)))
}

// hashOf is the hash of a name, for [rendezvous].
func hashOf(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash never fails
	return mix(h.Sum64())
}

// rendezvous is the weight of a lease and a session, given by their hashes, by
// which all workers order the candidates for a lease alike.
func rendezvous(lease, session uint64) uint64 { return mix(lease ^ bits.RotateLeft64(session, 32)) }

// mix lets each bit reach all others.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return x
}

// turn is the session whose turn it is, at the k-th asking, to take a lease
// that nobody takes: the candidates that have room, in the order of their
// rendezvous hash. It is empty when there is none.
func (p *planner) turn(name string, k int) string {
	i, known := slices.BinarySearchFunc(p.items, name, func(it item, name string) int { return cmp.Compare(it.Name, name) })
	if !known {
		return ""
	}
	it := &p.items[i]
	candidates := slices.DeleteFunc(slices.Clone(it.kind.seats), func(st *seat) bool {
		return st.session.MaxLeases > 0 && st.owned >= st.session.MaxLeases
	})
	if len(candidates) == 0 {
		return ""
	}
	slices.SortFunc(candidates, func(a, b *seat) int { return cmp.Compare(it.rank(b), it.rank(a)) })
	return candidates[k%len(candidates)].session.ID
}
