package lease

// PlanVersion is the version of [Plan]; workers announce it with their
// sessions. It rises when two versions would divide the same fleet in ways that
// undo one another.
const PlanVersion = 1

// oldestPlan is the oldest version that this build can plan by.
const oldestPlan = 1

// Fleet is what a plan is made from: the same for every worker that has applied
// the same changes.
type Fleet struct {
	// Leases are all leases; in the order of their names they cost least. Those
	// that were never acquired have their Shard.Parents.
	Leases []Lease
	// Sessions are the living ones; a lease of another session has lapsed.
	Sessions []Session
	// Now is the session time, by which wishes end.
	Now int64
	// Rebalance says whether leases of living workers may be asked for.
	Rebalance bool
	// Keep are leases that are not to be asked for: they changed hands a moment
	// ago.
	Keep map[string]bool
	// Fresh are leases that changed hands lately. They move to even out the
	// number of leases, and not for their load.
	Fresh map[string]bool
	// Refused are leases that the session Self is not to ask for, for now: it has
	// asked for them lately. They count in the plans of others as they did.
	Refused map[string]bool
	Self    string
}

// Assignment is what is to be done.
type Assignment struct {
	// Take are free and lapsed leases with the sessions that should acquire them.
	Take []Step
	// Move are leases of living workers with the sessions that should ask for
	// them; wishes that stand already are not repeated.
	Move []Step
	// Shares are the exact shares of the sessions that leases are planned for,
	// in leases.
	Shares map[string]float64
}

// Step is one lease and the session that it should go to.
type Step struct{ Lease, Session string }

// Plan divides the leases of a fleet. It is a pure function, and every worker
// computes it for itself:
//
//   - leases stay where they are;
//   - free and lapsed ones go to the worker that asked for them, or to the one
//     that is the furthest below its share, then to the one with the least load;
//   - leases of the living move only to even out: by number when two workers'
//     distances from their shares differ by more than one lease, by load
//     outside of a dead-band.
//
// A worker's share is in proportion to its capacity, among the workers that may
// take the same leases, and no more than its MaxLeases. A worker may take
// leases of the streams it declared, but for those that a handler of its
// version stopped at. A shard whose parents are not finished is not planned,
// nor is one that is paused by hand.
//
// The lowest version among the living counts: while one lives whose version
// this build cannot plan by, nothing is asked of the living.
func Plan(f Fleet) Assignment { return newPlanner(f).plan() }

func (p *planner) plan() Assignment {
	p.place()
	if p.f.Rebalance && p.f.version() >= oldestPlan {
		if !p.level() {
			p.lighten()
		}
	}
	p.out.Shares = make(map[string]float64, len(p.seats))
	for _, st := range p.seats {
		p.out.Shares[st.session.ID] = st.share
	}
	return p.out
}

// version is the version by which the fleet plans.
func (f Fleet) version() int {
	lowest := PlanVersion
	for _, s := range f.Sessions {
		lowest = min(lowest, s.Plan)
	}
	return lowest
}

// place gives free leases to workers, those first that the fewest may take.
func (p *planner) place() {
	for _, k := range p.kinds {
		for _, it := range k.free {
			st := p.wishedBy(it)
			if st == nil {
				st = k.neediest(it)
			}
			if st == nil {
				continue // nobody can take it
			}
			st.count++
			st.taking++
			st.load += it.load
			p.out.Take = append(p.out.Take, Step{it.Name, st.session.ID})
		}
	}
}

// wishedBy is the worker that a free lease is reserved for.
func (p *planner) wishedBy(it *item) *seat {
	if it.Want == "" || it.WantUntil <= p.f.Now {
		return nil
	}
	if st := p.living[it.Want]; st != nil && st.takes(it.kind) && st.spare() {
		return st
	}
	return nil
}

// neediest is the worker that should get a lease: the furthest below its share,
// then the one with the least load, then by rendezvous hash.
func (k *kind) neediest(it *item) *seat {
	var best *seat
	for _, st := range k.seats {
		if st.room() && st.spare() && (best == nil || st.before(best, it)) {
			best = st
		}
	}
	return best
}

// before tells whether st should rather have a lease than o. It is asked for
// each free lease and worker.
func (st *seat) before(o *seat, it *item) bool {
	if a, b := st.above(), o.above(); a != b {
		return a < b
	}
	if a, b := st.burden(), o.burden(); a != b {
		return a < b
	}
	if a, b := it.rank(st), it.rank(o); a != b {
		return a > b
	}
	return st.session.ID < o.session.ID
}
