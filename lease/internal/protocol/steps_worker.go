package protocol

// What a worker may do next.

// workerSteps is all of it.
func (m *Model) workerSteps(w *world, i int, out emit) {
	x, id := &w.workers[i], uint8(i)
	if x.state&up == 0 {
		if int(w.session) < m.Sessions && w.down == 0 {
			t := *w
			m.start(&t, i)
			out(step{evStart, id, t.session}, &t)
		}
		return
	}
	if m.left(w, crashes) {
		t := *w
		m.crash(&t, i)
		t.spent[crashes]++
		out(step{evCrash, id, 0}, &t)
		if m.Drains && x.state&leaving == 0 {
			t := *w
			m.drain(&t, i)
			t.spent[crashes]++
			out(step{evDrain, id, 0}, &t)
		}
	}
	m.beatSteps(w, i, out)
	for l := range m.Shards {
		m.leaseSteps(w, i, l, out)
	}
	if x.state&leaving != 0 && (m.idle(w, i) || m.has(ByeBeforeReturn)) && w.db.sessions[x.session].state&bye == 0 {
		t := *w
		m.leave(&t, i)
		out(step{evBye, id, 0}, &t)
	}
	if w.db.state&ready == 0 && w.db.inc != 0 && x.inc == w.db.inc && w.db.sync == 0 {
		t := *w
		m.create(&t)
		out(step{evCreate, id, 0}, &t)
	}
}

// drain asks a worker to end.
func (m *Model) drain(w *world, i int) {
	x := &w.workers[i]
	x.state |= leaving
	for l := range m.Shards {
		if x.runners[l].state&running != 0 {
			x.runners[l].state |= asked
		}
	}
}

// idle tells whether a worker holds nothing.
func (m *Model) idle(w *world, i int) bool {
	for l := range m.Shards {
		if w.workers[i].runners[l].token != 0 || awaits(w, i, l, opAcquire) {
			return false
		}
	}
	return true
}

// leave says bye and ends the process.
func (m *Model) leave(w *world, i int) {
	x := &w.workers[i]
	m.goodbye(w, x.session, x.inc)
	if !m.has(ByeBeforeReturn) {
		m.crash(w, i)
	}
}

func (m *Model) beatSteps(w *world, i int, out emit) {
	x, id := &w.workers[i], uint8(i)
	switch {
	case m.TTL == 0 && !m.Views: // one step, and only if it changes something
		t := *w
		m.beatAtOnce(&t, i)
		out(step{evBeat, id, 0}, &t)
	case x.beat.phase == 0:
		if !m.Views || m.beats(w) < m.Beats {
			t := *w
			m.sendBeat(&t, i)
			out(step{evBeatSent, id, 0}, &t)
		}
	default:
		m.beatOnItsWay(w, i, out)
	}
}

// beats is how many were sent.
func (m *Model) beats(w *world) int {
	n := 0
	for i := range m.Workers {
		n += int(w.workers[i].sent)
	}
	return n
}

// beatAtOnce is a beat without delays.
func (m *Model) beatAtOnce(w *world, i int) {
	m.sendBeat(w, i)
	x := &w.workers[i]
	m.execute(w, i)
	m.apply(w, i)
	x.touched = 0
}

func (m *Model) sendBeat(w *world, i int) {
	x := &w.workers[i]
	x.beat = m.newBeat(x)
	x.touched = 0
}

// execute is the store's part of a worker's beat.
func (m *Model) execute(w *world, i int) {
	x := &w.workers[i]
	x.beat.status = m.executeBeat(w, x.session, x.state&leaving != 0, &x.beat)
	x.beat.phase = answered
	w.chance[x.session] = 0
}

func (m *Model) beatOnItsWay(w *world, i int, out emit) {
	x, id := &w.workers[i], uint8(i)
	again := call{op: opBeat, worker: id, lease: x.beat.seen, token: x.session, pos: x.beat.k, inc: x.beat.inc, status: status(x.beat.good<<4 | x.beat.stamp)}
	t := *w
	t.workers[i].beat = beat{}
	out(step{evBeatLost, id, 0}, &t)
	if x.beat.phase == answered {
		t := *w
		m.apply(&t, i)
		out(step{evBeatAnswered, id, 0}, &t)
		return
	}
	may := m.left(w, repeats) && m.room(w)
	if may {
		t := *w
		t.workers[i].beat = beat{}
		t.spent[repeats]++
		m.send(&t, again)
		out(step{evBeatLate, id, 0}, &t)
	}
	if w.down != 0 {
		return
	}
	t = *w
	m.execute(&t, i)
	if may {
		t := t
		t.spent[repeats]++
		m.send(&t, again)
		out(step{evBeatTwice, id, 0}, &t)
	}
	out(step{evBeatExecuted, id, 0}, &t)
}

func (m *Model) leaseSteps(w *world, i, l int, out emit) {
	x, r := &w.workers[i], &w.workers[i].runners[l]
	id, lease := uint8(i), uint8(l)
	act := func(e event, f func(t *world)) {
		t := *w
		f(&t)
		out(step{e, id, lease}, &t)
	}
	if m.Passive&(1<<l) != 0 {
		return
	}
	room := m.room(w)
	switch {
	case r.token == 0:
		if room && int(x.numbers) < m.Tokens && m.maySend(w, i, l) {
			act(evAcquire, func(t *world) { m.sendAcquire(t, i, l) })
		}
	case r.state == releasing:
		if room && !awaits(w, i, l, opSave) {
			act(evSave, func(t *world) { m.sendSave(t, i, l) })
		}
	case m.Lean:
		if room && !awaits(w, i, l, opComplete) {
			act(evComplete, func(t *world) { m.handleAll(t, i, l); m.sendComplete(t, i, l) })
		}
	default:
		if int(r.pos) < m.Records && m.valid(x) && w.expired&(1<<l) == 0 {
			act(evHandle, func(t *world) { m.handle(t, i, l) })
		}
		if room && r.pos > r.saved && !awaits(w, i, l, opSave) {
			act(evSave, func(t *world) { m.sendSave(t, i, l) })
		}
		if room && m.Records > 0 && int(r.pos) == m.Records && !awaits(w, i, l, opComplete) {
			act(evComplete, func(t *world) { m.sendComplete(t, i, l) })
		}
		if !awaits(w, i, l, opComplete) {
			if m.valid(x) {
				act(evReturn, func(t *world) { t.workers[i].runners[l].state = releasing })
			}
			if m.Views || !m.valid(x) {
				act(evPause, func(t *world) { m.drop(t, i, l) })
			}
		}
	}
	if m.Wants && room {
		m.wantSteps(w, i, l, act)
	}
	if m.Memory && room && x.memory[l]&rowThere != 0 && w.db.inc != 0 && x.inc == w.db.inc && !awaits(w, i, l, opSeed) && (w.db.sync > 0 || m.has(SeedAfterSync)) {
		act(evSeed, func(t *world) { m.sendSeed(t, i, l) })
	}
}

// handle is one record that a runner handled.
func (m *Model) handle(w *world, i, l int) {
	r := &w.workers[i].runners[l]
	w.handled[l] |= 1 << r.pos
	r.pos++
	if x := &w.workers[i]; m.Memory && x.memory[l]&rowThere != 0 {
		x.memory[l] = rowThere | max(x.memory[l]&rowPos, r.pos)
	}
}

// handleAll is all that is left of a shard.
func (m *Model) handleAll(w *world, i, l int) {
	for int(w.workers[i].runners[l].pos) < m.Records {
		m.handle(w, i, l)
	}
}

// drop ends a tenure without a release; the row stays as it is.
func (m *Model) drop(w *world, i, l int) {
	x := &w.workers[i]
	x.runners[l] = runner{}
	m.note(x, uint8(l))
}

func (m *Model) sendSeed(w *world, i, l int) {
	c := newCall(w, i, l, opSeed)
	c.pos, c.token = w.workers[i].memory[l], w.workers[i].from
	m.send(w, c)
}

// maySend tells whether a worker could send an acquire. It is more than a worker
// would: safety does not rest on what it believes.
func (m *Model) maySend(w *world, i, l int) bool {
	x := &w.workers[i]
	if x.inc == 0 || !m.valid(x) || awaits(w, i, l, opAcquire) {
		return false
	}
	if m.Views {
		return m.takes(w, i, l)
	}
	return x.state&leaving == 0 && w.db.rows[l].state&there != 0 && w.db.rows[l].c != end
}

func (m *Model) wantSteps(w *world, i, l int, act func(event, func(*world))) {
	x := &w.workers[i]
	v := &x.view[l]
	holder := sessionOf(v.token)
	if m.left(w, operations) && holder != 0 && holder != x.session &&
		v.want != x.session && x.state&leaving == 0 && !awaits(w, i, l, opRequest) {
		act(evRequest, func(t *world) {
			c := newCall(t, i, l, opRequest)
			c.token = x.session
			m.send(t, c)
			t.spent[operations]++
		})
	}
	if x.runners[l].state&running != 0 && v.want != 0 && v.want != x.session && !awaits(w, i, l, opRefuse) {
		act(evRefuse, func(t *world) { m.sendRefuse(t, i, l) })
	}
}

func (m *Model) sendRefuse(w *world, i, l int) {
	x := &w.workers[i]
	c := newCall(w, i, l, opRefuse)
	c.token, c.pos = x.runners[l].token, x.view[l].want
	m.send(w, c)
}
