package protocol

// What a worker does, after the rules of a client: each function is what one event
// makes of a worker, as in package lease.

// start begins a process with a new session. It takes the name from the session
// that this worker had before, which lapses at once; beat.lua.
func (m *Model) start(w *world, i int) {
	x := &w.workers[i]
	if old := x.session; old != 0 {
		w.db.sessions[old].left = 0
		w.chance[old] = m.leaseTime()
	}
	w.session++
	*x = worker{state: up, session: w.session}
}

// crash ends a process. What it sent may arrive yet; start finds the old session
// under its name.
func (m *Model) crash(w *world, i int) {
	x := &w.workers[i]
	*x = worker{session: x.session}
	for k := range w.calls {
		if c := &w.calls[k]; c.op != 0 && int(c.worker) == i {
			if c.state&executed != 0 {
				*c = call{}
			} else {
				c.state &^= awaited
			}
		}
	}
}

// valid tells whether the worker's leases are good; lease/term.go.
func (m *Model) valid(x *worker) bool {
	return m.TTL == 0 || x.age < m.validity()
}

// validity is for how many ticks a beat keeps the leases: those before 0.9 of the
// lease time.
func (m *Model) validity() uint8 {
	if m.has(ValidTooLong) {
		return uint8(2 * m.TTL)
	}
	return uint8((9*m.TTL + 9) / 10)
}

// awaits tells whether the worker waits for the answer of a call about a lease.
func awaits(w *world, i, l int, o op) bool {
	for k := range w.calls {
		c := &w.calls[k]
		if c.op == o && c.state&awaited != 0 && int(c.worker) == i && int(c.lease) == l {
			return true
		}
	}
	return false
}

// room tells whether one more call may be on its way.
func (m *Model) room(w *world) bool {
	n := 0
	for k := range w.calls {
		if w.calls[k].op != 0 {
			n++
		}
	}
	return n < m.Calls
}

// send puts a call on its way. There is room.
func (m *Model) send(w *world, c call) {
	for k := range w.calls {
		if w.calls[k].op == 0 {
			w.calls[k] = c
			return
		}
	}
	panic("protocol: no room for a call")
}

// newCall is a call of a worker about a lease.
func newCall(w *world, i, l int, o op) call {
	x := &w.workers[i]
	return call{op: o, state: awaited, worker: uint8(i), lease: uint8(l), inc: x.inc}
}

// sendAcquire asks for a lease; lease/assign.go, take.
func (m *Model) sendAcquire(w *world, i, l int) {
	x := &w.workers[i]
	x.numbers++
	c := newCall(w, i, l, opAcquire)
	c.token = token(x.session, x.numbers)
	m.send(w, c)
}

// sendSave sends what the store does not have yet; lease/saver.go.
func (m *Model) sendSave(w *world, i, l int) {
	r := &w.workers[i].runners[l]
	c := newCall(w, i, l, opSave)
	c.token, c.pos = r.token, r.pos
	c.state |= r.epoch << epochBit
	if r.state == releasing {
		c.state |= release
	}
	if m.has(SaveAhead) && int(c.pos) < m.Records {
		c.pos++
	}
	if m.has(ReleaseUnsaved) && r.state == releasing {
		c.pos = r.saved
	}
	m.send(w, c)
}

// sendComplete ends a shard; lease/held.go, Complete.
func (m *Model) sendComplete(w *world, i, l int) {
	r := &w.workers[i].runners[l]
	c := newCall(w, i, l, opComplete)
	c.token = r.token
	c.state |= r.epoch << epochBit
	m.send(w, c)
}

// failed is a call without an answer: its time ran out.
func (m *Model) failed(w *world, c *call) {
	if c.op == opAcquire || c.op == opSave || c.op == opComplete {
		m.note(&w.workers[c.worker], c.lease)
	}
}

// note keeps that a call about a lease ended, until the next beat is sent. Where the
// worker's view is never old it makes no difference.
func (m *Model) note(x *worker, lease uint8) {
	if m.Views || m.TTL > 0 {
		x.touched |= 1 << lease
	}
}

// reply takes the answer of a call.
func (m *Model) reply(w *world, c *call) {
	x := &w.workers[c.worker]
	r := &x.runners[c.lease]
	switch c.op {
	case opAcquire:
		m.note(x, c.lease)
		if c.status == ok && sessionOf(c.token) == x.session && c.inc == x.inc {
			m.begin(w, x, c)
		}
	case opSave:
		m.saved(x, r, c)
	case opComplete:
		switch {
		case c.status == denied, r.token != c.token:
		case c.status == ok && m.has(CompleteInTwoSteps) && c.state&second == 0:
			*r = runner{}
			n := *c
			n.state, n.status = awaited|second, ok
			m.send(w, n)
			m.note(x, c.lease)
		default: // ended, or lost
			*r = runner{}
			m.note(x, c.lease)
		}
	}
}

// begin starts a runner where the store says; lease/tenure.go. A worker whose term
// is over starts none, nor one whose term was over since it asked: its session may
// have lapsed meanwhile, and another worker have the lease.
func (m *Model) begin(w *world, x *worker, c *call) {
	if !m.valid(x) || c.state&overrun != 0 && !m.has(BelieveALateGrant) {
		return
	}
	m.checkStart(w, c.token)
	x.runners[c.lease] = runner{token: c.token, pos: c.pos, saved: c.pos, state: running, epoch: c.state >> epochBit}
	if x.state&leaving != 0 {
		x.runners[c.lease].state |= asked
	}
}

// saved takes the answer of a save; lease/saver.go, outcome.
func (m *Model) saved(x *worker, r *runner, c *call) {
	if r.token != c.token {
		return // of a tenure that is over
	}
	switch c.status {
	case ok:
		r.saved = max(r.saved, c.pos)
		if c.state&release != 0 {
			*r = runner{}
			m.note(x, c.lease)
		}
	case regress:
		r.pos, r.saved = max(r.pos, c.pos), max(r.saved, c.pos)
	default:
		*r = runner{}
		m.note(x, c.lease)
	}
}

// look keeps what the worker would seed.
func (m *Model) look(w *world, x *worker) {
	if !m.Memory || w.db.state&ready == 0 {
		return
	}
	x.from = x.inc
	for l := range m.Shards {
		x.memory[l] = shown(&w.db.rows[l]).c
	}
}

// newBeat is the worker's next beat.
func (m *Model) newBeat(x *worker) beat {
	b := beat{phase: sent, seen: x.seen, inc: x.inc}
	if m.Views {
		x.sent++
		b.k, b.good, b.stamp = x.sent, x.k, x.stamp
		if m.has(CountAnswers) {
			b.k = x.k + 1
		}
	}
	return b
}

// apply takes the answer of a beat; lease/beat.go.
func (m *Model) apply(w *world, i int) {
	x := &w.workers[i]
	b := x.beat
	x.beat = beat{}
	switch b.status {
	case ok:
		if !m.valid(x) && !m.has(OutliveTheTerm) { // what runs was to be cancelled
			x.runners = [maxLeases]runner{}
		}
		x.inc, x.age = b.inc, b.age
		if m.has(ValidFromTheAnswer) {
			x.age = 0
		}
		m.look(w, x)
		if m.Views {
			x.k, x.stamp, x.seen = b.k, b.stamp, b.through
			m.applyView(x, &b)
			b.view = x.view
		}
		m.reconcile(w, i, &b.view)
	case reset, stateLost:
		x.inc, x.k, x.stamp, x.seen, x.state = b.inc, 0, 0, 0, x.state&^synced
		x.runners = [maxLeases]runner{}
		x.view, x.touched = [maxLeases]seenRow{}, 0
	case regressed:
		x.k, x.stamp, x.seen, x.state = 0, 0, 0, x.state&^synced
		x.view = [maxLeases]seenRow{}
	case gone:
		m.crash(w, i)
	}
}

// applyView takes the rows of a beat; lease/mirror.go.
func (m *Model) applyView(x *worker, b *beat) {
	for l := range m.Shards {
		if b.rows&(1<<l) != 0 {
			x.view[l] = b.view[l]
		}
	}
	x.state |= synced
}

// reconcile stops runners without a lease; lease/tenure.go. What a call in flight,
// or one since the beat was sent, may explain is left alone.
func (m *Model) reconcile(w *world, i int, view *[maxLeases]seenRow) {
	x := &w.workers[i]
	for l := range m.Shards {
		r := &x.runners[l]
		if r.state&running == 0 || view[l].token == r.token && view[l].c&rowThere != 0 || m.has(NoReconcile) {
			continue
		}
		if !m.has(ReconcileInFlight) && (x.touched&(1<<l) != 0 || awaits(w, i, l, opComplete)) {
			continue
		}
		if w.db.rows[l].token == r.token && w.db.inc == x.inc && w.spent[failovers] == 0 {
			w.bad = goodRunnerStopped
		}
		*r = runner{}
		m.note(x, uint8(l))
	}
}

// takes tells whether the worker asks for a lease: one that its view shows as free
// or lapsed, or as its own without a runner; lease/assign.go. Which sessions have
// lapsed each beat tells anew, so that is taken from the store.
func (m *Model) takes(w *world, i, l int) bool {
	x := &w.workers[i]
	if x.inc == 0 || x.runners[l].token != 0 || !m.valid(x) || awaits(w, i, l, opAcquire) {
		return false
	}
	v := m.sees(w, x, l)
	holder := sessionOf(v.token)
	switch {
	case v.c&rowThere == 0, v.c&rowPos == end, m.Views && x.state&synced == 0:
		return false
	case holder == x.session:
		return !m.has(NoReconcile) && x.touched&(1<<l) == 0
	case x.state&leaving != 0, m.alive(&w.db, holder):
		return false
	}
	if v.c&rowWaits != 0 {
		for _, p := range m.Shards[l] {
			if m.sees(w, x, p).c != rowThere|end {
				return false
			}
		}
	}
	return true
}

// sees is a row as the worker knows it. In models without views it has just looked.
func (m *Model) sees(w *world, x *worker, l int) seenRow {
	if m.Views {
		return x.view[l]
	}
	return shown(&w.db.rows[l])
}
