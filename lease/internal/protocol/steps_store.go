package protocol

// What may happen to the store, and to time.

// storeSteps is what happens to the store.
func (m *Model) storeSteps(w *world, out emit) {
	act := func(e event, a int, f func(t *world)) {
		t := *w
		f(&t)
		out(step{e, uint8(a), 0}, &t)
	}
	if m.left(w, snapshots) {
		act(evSnapshot, 0, func(t *world) { t.replica = t.db; t.spent[snapshots]++ })
	}
	if m.left(w, failovers) && w.replica.inc != 0 {
		act(evFailover, 0, func(t *world) { m.failover(t) })
	}
	if m.left(w, losses) && w.db.inc != 0 {
		act(evLoss, 0, func(t *world) { t.db = store{}; t.spent[losses]++ })
		act(evRemnant, 0, func(t *world) { t.db = store{state: remnant}; t.spent[losses]++ })
	}
	if m.TTL > 0 {
		return
	}
	for i := 1; i <= int(w.session); i++ {
		if w.db.sessions[i].left > 0 && !m.Steady {
			act(evLapse, i, func(t *world) { t.db.sessions[i].left = 0 })
		}
	}
	for l := range m.Shards {
		if w.db.rows[l].until > 0 {
			act(evWishEnds, l, func(t *world) { t.db.rows[l].until = 0 })
		}
	}
	if w.db.sync > 0 {
		act(evSyncEnds, 0, func(t *world) { t.db.sync = 0 })
	}
	if w.db.state&young != 0 {
		act(evGrownUp, 0, func(t *world) { t.db.state &^= young })
	}
}

// failover makes the replica's copy the store.
func (m *Model) failover(w *world) {
	w.db = w.replica
	w.spent[failovers]++
	if !m.left(w, failovers) {
		w.replica = store{} // nothing comes of it any more
	}
}

// timeSteps lets time pass, and the store's clock jump.
func (m *Model) timeSteps(w *world, out emit) {
	t := *w
	m.tick(&t)
	out(step{evTick, 0, 0}, &t)
	if m.left(w, jumps) {
		t := *w
		t.spent[jumps]++
		t.db.since = m.longest()
		out(step{evJumpAhead, 0, 0}, &t)
		t.db.since = behind
		out(step{evJumpBack, 0, 0}, &t)
	}
	if w.down == 0 && m.left(w, outages) {
		t := *w
		t.down = 1
		t.spent[outages]++
		out(step{evOutage, 0, 0}, &t)
	}
	if w.down != 0 {
		t := *w
		t.down = 0
		out(step{evBack, 0, 0}, &t)
	}
}

// longest is where store.since stops: more makes no difference.
func (m *Model) longest() uint8 {
	if m.has(WallClock) {
		return uint8(2 * m.TTL)
	}
	return uint8(m.TTL / 2)
}

// tick lets one tick pass on all clocks.
func (m *Model) tick(w *world) {
	for i := range m.Workers {
		x := &w.workers[i]
		if x.state&up == 0 {
			continue
		}
		was := m.valid(x)
		x.age = min(x.age+1, m.validity())
		if x.beat.phase != 0 {
			x.beat.age = min(x.beat.age+1, m.validity())
		}
		if was && !m.valid(x) {
			m.runOut(w, i)
		}
	}
	if w.db.since != behind {
		w.db.since = min(w.db.since+1, m.longest())
	}
	if w.down == 0 {
		for i := range w.chance {
			if w.db.sessions[i].state&known != 0 {
				w.chance[i] = min(w.chance[i]+1, uint8(m.TTL/2))
			}
		}
	}
}

// runOut notes on the acquires of a worker that its term ran out meanwhile.
func (m *Model) runOut(w *world, i int) {
	for k := range w.calls {
		if c := &w.calls[k]; c.op == opAcquire && c.state&awaited != 0 && int(c.worker) == i {
			c.state |= overrun
		}
	}
}
