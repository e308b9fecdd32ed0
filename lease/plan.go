package lease

import (
	"cmp"
	"hash/fnv"
	"math"
	"math/bits"
	"slices"
)

// PlanVersion is the version of [Plan]; workers announce it with their
// sessions.
const PlanVersion = 1

const (
	// movesAtLeast and movesPart bound the wishes of one worker that stand at
	// a time: the larger of 8 and a tenth of its leases.
	movesAtLeast = 8
	movesPart    = 10
	// idleWeight is the load, as log2 of bytes per second, under which a lease
	// is not moved for its load: 64 KiB/s.
	idleWeight = 16
	// lightenBand and lightenLeast are the dead-band of moves for load: the
	// busier worker must have 5/4 of the other's load and 1 MiB/s more.
	lightenBand  = 1.25
	lightenLeast = 1 << 20
)

// Fleet is what a plan is made from: the same for every worker that has applied
// the same changes.
type Fleet struct {
	// Leases are all leases, in any order. Those that were never acquired have
	// their Shard.Parents.
	Leases []Lease
	// Sessions are the living ones; a lease of another session has lapsed.
	Sessions []Session
	// Now is the session time, by which wishes end.
	Now int64
	// Rebalance says whether leases of living workers may be asked for.
	Rebalance bool
	// Keep are leases that are not to be asked for, for now.
	Keep map[string]bool
}

// Assignment is what is to be done.
type Assignment struct {
	// Take are free and lapsed leases with the sessions that should acquire them.
	Take []Step
	// Move are leases of living workers with the sessions that should ask for
	// them; wishes that stand already are not repeated.
	Move []Step
	// Share is the number of leases that one worker of average capacity has.
	Share int
}

// Step is one lease and the session that it should go to.
type Step struct{ Lease, Session string }

// Plan divides the leases of a fleet. It is a pure function, and every worker
// computes it for itself:
//
//   - leases stay where they are;
//   - free and lapsed ones go to the worker that asked for them, or to the one
//     with the fewest for its capacity, then with the least load;
//   - leases of the living move only to even out: by number when two workers
//     differ by more than one, by load outside of a dead-band.
//
// A shard whose parents are not finished is not planned, and a worker gets only
// leases of the streams it declared, up to its MaxLeases.
func Plan(f Fleet) Assignment {
	p := newPlanner(f)
	p.place()
	if f.Rebalance {
		p.level()
		p.lighten()
	}
	return p.out
}

// seat is a worker in a plan.
type seat struct {
	session Session
	hash    uint64  // of the session's id
	count   int     // leases that it has after the plan
	load    float64 // their bytes per second
	wishes  int     // moves to it that stand or are planned
	held    []*item // leases that can be asked of it
	full    bool    // nothing more can be moved to it
}

// item is a lease in a plan.
type item struct {
	Lease
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

func newItem(l Lease) *item {
	it := &item{Lease: l}
	if l.Weight > 0 {
		it.load = math.Ldexp(1, int(min(l.Weight, 40)))
	}
	return it
}

type planner struct {
	f     Fleet
	seats []*seat // by session
	free  []*item
	out   Assignment
}

func newPlanner(f Fleet) *planner {
	p := &planner{f: f}
	seats, living := map[string]*seat{}, map[string]bool{}
	for _, s := range f.Sessions {
		living[s.ID] = true
		if s.State == StateUp {
			st := &seat{session: s, hash: hashOf(s.ID)}
			seats[s.ID] = st
			p.seats = append(p.seats, st)
		}
	}
	slices.SortFunc(p.seats, func(a, b *seat) int { return cmp.Compare(a.session.ID, b.session.ID) })

	finished := map[string]bool{}
	for _, l := range f.Leases {
		finished[l.Name] = l.Finished()
	}
	planned := 0
	for _, l := range f.Leases {
		if l.Finished() || waits(l, finished) {
			continue
		}
		planned++
		p.seat(newItem(l), seats, living)
	}
	for _, st := range p.seats {
		slices.SortFunc(st.held, byName)
	}
	slices.SortFunc(p.free, byName)
	if n := len(p.seats); n > 0 {
		p.out.Share = (planned + n - 1) / n
	}
	return p
}

func byName(a, b *item) int { return cmp.Compare(a.Name, b.Name) }

// waits reports whether a lease that was never acquired has a parent that is
// not finished; a parent without a row is not.
func waits(l Lease, finished map[string]bool) bool {
	return l.Epoch == 0 && slices.ContainsFunc(l.Shard.Parents, func(p string) bool { return !finished[p] })
}

// seat puts a lease where it is, or where a standing wish will bring it.
func (p *planner) seat(it *item, seats map[string]*seat, living map[string]bool) {
	owner := SessionOf(it.Token)
	wished := seats[it.Want]
	if it.WantUntil <= p.f.Now {
		wished = nil
	}
	switch {
	case !living[owner]: // free or lapsed
		p.free = append(p.free, it)
	case wished != nil && it.Want != owner:
		wished.count++
		wished.load += it.load
		wished.wishes++
	case seats[owner] != nil:
		st := seats[owner]
		st.count++
		st.load += it.load
		st.held = append(st.held, it)
	}
}

// place gives free leases to workers.
func (p *planner) place() {
	for _, it := range p.free {
		st := p.wishedBy(it)
		if st == nil {
			st = p.lightest(it)
		}
		if st == nil {
			continue // nobody can take it
		}
		st.count++
		st.load += it.load
		p.out.Take = append(p.out.Take, Step{it.Name, st.session.ID})
	}
}

// wishedBy is the worker that a free lease is reserved for.
func (p *planner) wishedBy(it *item) *seat {
	if it.Want == "" || it.WantUntil <= p.f.Now {
		return nil
	}
	for _, st := range p.seats {
		if st.session.ID == it.Want && st.takes(it) {
			return st
		}
	}
	return nil
}

// lightest is the worker that should get a lease: the one with the fewest for
// its capacity, then with the least load, then by rendezvous hash.
func (p *planner) lightest(it *item) *seat {
	var best *seat
	for _, st := range p.seats {
		if st.takes(it) && (best == nil || st.before(best, it)) {
			best = st
		}
	}
	return best
}

// before tells whether st should rather have a lease than o. It is asked for
// each lease and worker: the hashes are of whole names only once.
func (st *seat) before(o *seat, it *item) bool {
	if c := cmp.Compare(st.per(st.count+1), o.per(o.count+1)); c != 0 {
		return c < 0
	}
	if c := cmp.Compare(st.load/st.capacity(), o.load/o.capacity()); c != 0 {
		return c < 0
	}
	if c := cmp.Compare(it.rank(o), it.rank(st)); c != 0 {
		return c < 0
	}
	return st.session.ID < o.session.ID
}

func (st *seat) capacity() float64 {
	if st.session.Capacity <= 0 {
		return 1
	}
	return st.session.Capacity
}

// per is a number of leases for the worker's capacity.
func (st *seat) per(count int) float64 { return float64(count) / st.capacity() }

// takes reports whether the worker can have one more lease of that stream.
func (st *seat) takes(it *item) bool {
	return (st.session.MaxLeases == 0 || st.count < st.session.MaxLeases) &&
		slices.Contains(st.session.Streams, StreamOf(it.Name))
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
// that nobody takes: the candidates in the order of their rendezvous hash.
func turn(f Fleet, l Lease, k int) string {
	var candidates []string
	for _, s := range f.Sessions {
		if s.State == StateUp && slices.Contains(s.Streams, StreamOf(l.Name)) {
			candidates = append(candidates, s.ID)
		}
	}
	if len(candidates) == 0 {
		return ""
	}
	hash := hashOf(l.Name)
	slices.SortFunc(candidates, func(a, b string) int {
		return cmp.Compare(rendezvous(hash, hashOf(b)), rendezvous(hash, hashOf(a)))
	})
	return candidates[k%len(candidates)]
}
