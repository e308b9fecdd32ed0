package protocol

// The steps that make rows: of a new group, of one that was lost, of shards that the
// table lacks; and those that end and remove them.

// create makes the leases of all shards that the stream has and that have no row;
// create.lua. Of a shard that began after another's end, that other was handled to
// its end, whatever a seed from before says.
func (m *Model) create(w *world) {
	for l := range m.Shards {
		lease := uint8(l)
		m.adopt(w, lease)
		if r := &w.db.rows[l]; r.state&there != 0 && r.c != end && m.begun(w, lease) && !m.has(KeepOldSeeds) {
			r.c = end
			r.state &^= waiting
		}
	}
	w.db.state |= ready
}

// adopt makes the row of a listed shard; adopt.lua. One of which a descendant was
// begun had been handled to its end, and its row says so: without it the other
// descendants would wait for ever.
func (m *Model) adopt(w *world, lease uint8) {
	r := &w.db.rows[lease]
	if r.state&there != 0 || !m.listed(w, lease) {
		return
	}
	switch {
	case !m.begun(w, lease) || m.has(AdoptAnAncestor):
		m.insert(w, lease)
	case !m.has(LeaveAncestorsOut):
		m.insert(w, lease)
		r.c = end
		r.state &^= waiting
	}
}

// listed tells whether ListShards names a shard: it was born, and is not dropped.
func (m *Model) listed(w *world, lease uint8) bool { return w.expired&(1<<lease) == 0 }

// begun tells whether a descendant of a shard was acquired.
func (m *Model) begun(w *world, lease uint8) bool {
	for _, child := range m.children[lease] {
		r := &w.db.rows[child]
		if r.state&there != 0 && r.state&waiting == 0 || m.begun(w, uint8(child)) {
			return true
		}
	}
	return false
}

// seed gives the store what a worker remembers of a row; seed.lua. The token of the
// call is the incarnation that it is of.
func (m *Model) seed(w *world, c *call) status {
	if s := enter(w, c.inc); s != ok {
		return s
	}
	s := &w.db
	if s.sync <= m.passed(s) && !m.has(SeedAfterSync) || c.token == s.void {
		return denied
	}
	r := &s.rows[c.lease]
	pos := c.pos & rowPos
	if r.state&there == 0 {
		*r = row{state: there | waiting}
	}
	if pos > r.c || m.has(SeedReplaces) {
		m.checkBack(w, r.c, pos)
		r.c = pos
	}
	if c.pos&rowWaits == 0 {
		r.state &^= waiting
	}
	m.touch(s, c.lease)
	return ok
}

// retire ends a shard whose records the stream has dropped, and makes rows for
// parents that have none.
func (m *Model) retire(w *world, lease uint8) {
	r := &w.db.rows[lease]
	if m.alive(&w.db, sessionOf(r.token)) && r.token != 0 && !m.has(RetireTheRunning) {
		return
	}
	if r.token != 0 && m.alive(&w.db, sessionOf(r.token)) {
		w.bad = stolen
	}
	w.handled[lease] = m.all() // nobody can: N5 of the guarantees
	absent := r.state&there == 0
	*r = row{state: there, c: end}
	if !absent {
		m.bear(w, lease)
	}
	m.touch(&w.db, lease)
}

// collectable tells whether gc removes a row.
func (m *Model) collectable(w *world, lease uint8) bool {
	r := &w.db.rows[lease]
	if r.state&there == 0 || r.c != end || m.listed(w, lease) {
		return false
	}
	for _, child := range m.children[lease] {
		x := &w.db.rows[child]
		if x.state&there != 0 && x.state&waiting != 0 && !m.has(CollectTooEarly) {
			return false
		}
	}
	return true
}

// rewind is reset: an operator puts a lease back to its start.
func (m *Model) rewind(w *world, lease uint8) {
	r := &w.db.rows[lease]
	if !m.has(ResetKeepsTheToken) {
		r.token = 0
	}
	r.last, r.c = 0, 0
	r.state |= rewound
	m.touch(&w.db, lease)
}
