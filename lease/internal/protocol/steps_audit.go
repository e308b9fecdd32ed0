package protocol

// What operators and the auditor may do, and the stream.

// auditSteps is what those do who look after the table, and what they mend.
func (m *Model) auditSteps(w *world, out emit) {
	act := func(e event, l int, f func(t *world)) {
		t := *w
		f(&t)
		out(step{e, uint8(l), 0}, &t)
	}
	if w.db.inc == 0 {
		return
	}
	for l := range m.Shards {
		lease := uint8(l)
		r := &w.db.rows[l]
		if m.Faults[operations] > 0 && !m.Wants && !m.Audit && m.left(w, operations) && r.state&there != 0 && r.c != end {
			act(evReset, l, func(t *world) { m.rewind(t, lease); t.spent[operations]++ })
		}
		if !m.Audit {
			continue
		}
		if m.mayExpire(w, l) && m.left(w, operations) {
			act(evExpire, l, func(t *world) { t.expired |= 1 << l; t.spent[operations]++ })
		}
		if m.Damage && m.left(w, operations) && r.state&there != 0 {
			act(evDamage, l, func(t *world) { t.db.rows[l] = row{}; t.spent[operations]++ })
		}
		if m.mayAdopt(w, lease) {
			act(evAdopt, l, func(t *world) { m.adopt(t, lease) })
		}
		if m.mayRetire(w, lease) {
			act(evRetire, l, func(t *world) { m.retire(t, lease) })
		}
		if m.collectable(w, lease) {
			act(evCollect, l, func(t *world) { m.collect(t, lease) })
		}
	}
}

// mayExpire tells whether the stream may drop a shard: it has children, and its
// parents were dropped before.
func (m *Model) mayExpire(w *world, l int) bool {
	if w.expired&(1<<l) != 0 || len(m.children[l]) == 0 {
		return false
	}
	for _, p := range m.Shards[l] {
		if w.expired&(1<<p) == 0 {
			return false
		}
	}
	return true
}

// mayAdopt tells whether the auditor finds a listed shard without a row, which
// complete is not yet to make.
func (m *Model) mayAdopt(w *world, lease uint8) bool {
	r := &w.db.rows[lease]
	return r.state&there == 0 && m.listed(w, lease) && w.db.removed&(1<<lease) == 0 && (!m.has(LeaveAncestorsOut) || !m.begun(w, lease))
}

// mayRetire tells whether the auditor finds a lease whose records are gone.
func (m *Model) mayRetire(w *world, lease uint8) bool {
	r := &w.db.rows[lease]
	if m.listed(w, lease) || r.c == end {
		return false
	}
	if r.state&there != 0 {
		return r.token == 0 || !m.alive(&w.db, sessionOf(r.token)) || m.has(RetireTheRunning)
	}
	for _, child := range m.children[lease] {
		if x := &w.db.rows[child]; x.state&there != 0 && x.state&waiting != 0 && !m.has(CollectTooEarly) {
			return true
		}
	}
	return false
}

// collect is gc of one row.
func (m *Model) collect(w *world, lease uint8) {
	w.db.rows[lease] = row{}
	w.db.removed |= 1 << lease
	m.touch(&w.db, lease)
}
