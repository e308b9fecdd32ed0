package protocol

// What must never happen. Some of it shows in a state, the rest only in the step
// that does it.

// violation is what a step broke.
type violation uint8

// The violations.
const (
	none violation = iota
	recordLost
	savedUnfenced
	wentBack
	childBeforeParent
	rangeUncovered
	tokenTwice
	twoOwners
	stolen
	releasedUnsaved
	goodRunnerStopped
	neverSettles
)

// String is the promise that was broken.
func (v violation) String() string {
	return [...]string{
		none:              "nothing",
		recordLost:        "no loss: a position is stored, and nobody handled a record up to it",
		savedUnfenced:     "one checkpointer: a save was accepted from a runner without the lease",
		wentBack:          "monotone: a stored position went back",
		childBeforeParent: "parents first: a shard was begun before the end of its parent",
		rangeUncovered:    "cover: a part of the hash range has no lease",
		tokenTwice:        "a token was issued twice",
		twoOwners:         "two workers believe in one lease",
		stolen:            "a lease was taken from the living",
		releasedUnsaved:   "hand-over: a lease was given back without what its runner handled",
		goodRunnerStopped: "a runner with the lease was stopped",
		neverSettles:      "liveness: without faults, a lease stays without a runner or is never finished",
	}[v]
}

// broken returns what a state breaks.
func (m *Model) broken(w *world) violation {
	switch {
	case w.bad != none:
		return w.bad
	case !m.honest(w, &w.db), !m.honest(w, &w.replica):
		return recordLost
	case !m.covered(w):
		return rangeUncovered
	case w.db.state&ready != 0 && !m.inOrder(w):
		return childBeforeParent
	case m.Exclusive && m.shared(w):
		return twoOwners
	}
	return none
}

// honest tells whether every record up to each stored position was handled.
func (m *Model) honest(w *world, s *store) bool {
	for l := range m.Shards {
		if r := &s.rows[l]; r.c != 0 && !m.reached(w, uint8(l), r.c) {
			return false
		}
	}
	return true
}

// covered tells whether each shard that follows an ended one has a row, or had one
// that ended too.
func (m *Model) covered(w *world) bool {
	s := &w.db
	if s.state&ready == 0 || m.Damage {
		return true
	}
	for l, parents := range m.Shards {
		if s.rows[l].state&there != 0 || s.removed&(1<<l) != 0 {
			continue
		}
		if len(parents) == 0 {
			return false
		}
		for _, p := range parents {
			if r := &s.rows[p]; r.state&there != 0 && r.c == end {
				return false
			}
		}
	}
	return true
}

// inOrder tells whether no shard was begun that has an unfinished parent in the
// stream.
func (m *Model) inOrder(w *world) bool {
	s := &w.db
	for l, parents := range m.Shards {
		if r := &s.rows[l]; r.state&there == 0 || r.state&waiting != 0 {
			continue
		}
		for _, p := range parents {
			if r := &s.rows[p]; r.state&there != 0 && r.c != end && m.listed(w, uint8(p)) {
				return false
			}
		}
	}
	return true
}

// shared tells whether two workers believe in one lease: a runner is there, and
// the time that the last good beat gave has not passed.
func (m *Model) shared(w *world) bool {
	for l := range m.Shards {
		owners := 0
		for i := range m.Workers {
			if x := &w.workers[i]; x.runners[l].state&running != 0 && m.valid(x) {
				owners++
			}
		}
		if owners > 1 {
			return true
		}
	}
	return false
}

// checkGrant looks at a grant before it is written.
func (m *Model) checkGrant(w *world, c *call) {
	s, r, me := &w.db, &w.db.rows[c.lease], sessionOf(c.token)
	for _, p := range m.Shards[c.lease] {
		if !m.reached(w, uint8(p), end) {
			w.bad = childBeforeParent
		}
	}
	if s.sessions[me].issued&(1<<(numberOf(c.token)%8)) != 0 {
		w.bad = tokenTwice
	}
	holder := sessionOf(r.token)
	if holder != 0 && holder != me {
		x := &s.sessions[holder]
		switch {
		case m.alive(s, holder):
			w.bad = stolen
		case x.state&bye == 0 && m.TTL > 0 && int(w.chance[holder]) < m.TTL/2:
			w.bad = stolen // it had no time to beat
		case x.state&bye != 0 && m.runs(w, c.lease, r.token):
			w.bad = twoOwners
		}
	}
	if holder == 0 && r.last != 0 && w.spent[failovers] == 0 && m.runs(w, c.lease, r.last) {
		w.bad = twoOwners
	}
}

// runs tells whether a runner on that token has not returned.
func (m *Model) runs(w *world, lease, token uint8) bool {
	for i := range m.Workers {
		if r := &w.workers[i].runners[lease]; r.token == token && r.state&running != 0 {
			return true
		}
	}
	return false
}

// checkSave looks at a position that is about to be written.
func (m *Model) checkSave(w *world, c *call, r *row) {
	switch {
	case r.token != c.token, r.state&rewound != 0:
		w.bad = savedUnfenced
	case c.op == opSave:
		m.checkBack(w, r.c, c.pos)
	}
}

// checkBack looks at a position that replaces another.
func (m *Model) checkBack(w *world, old, pos uint8) {
	if pos < old {
		w.bad = wentBack
	}
}

// checkRelease looks at a lease that is given back.
func (m *Model) checkRelease(w *world, c *call) {
	r := &w.workers[c.worker].runners[c.lease]
	if r.token == c.token && c.state&awaited != 0 && r.pos > c.pos {
		w.bad = releasedUnsaved
	}
}

// checkStart looks at a runner that starts.
func (m *Model) checkStart(w *world, token uint8) {
	if m.Lean {
		return
	}
	bit := uint8(1) << (numberOf(token) % 8)
	if w.ran[sessionOf(token)]&bit != 0 {
		w.bad = tokenTwice
	}
	w.ran[sessionOf(token)] |= bit
}
