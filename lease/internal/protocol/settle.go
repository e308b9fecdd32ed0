package protocol

import "fmt"

// What a fair schedule without faults comes to. Everybody acts in turn: the workers
// by their rules, those who look after the table, and time.

const (
	ownRounds = 9  // in which every lease must find a runner
	endRounds = 14 // in which every shard must then be handled to its end
)

// unsettled says what a fair schedule leaves undone, empty when nothing. What is on
// its way arrives first, or late, or never.
func (m *Model) unsettled(w *world) string {
	for _, s := range []struct {
		when string
		late int
	}{{"lost", -1}, {"executed first", 0}, {"executed after two rounds", 2}} {
		t := *w
		if why := m.settle(&t, s.late); why != "" {
			return fmt.Sprintf("     with what was on its way %s: %s", s.when, why)
		}
	}
	return ""
}

// settle runs the schedule. Calls that are on their way are executed in round late.
func (m *Model) settle(w *world, late int) string {
	calls := w.calls
	w.calls = [maxCalls]call{}
	w.down = 0
	for k := range calls {
		if c := &calls[k]; c.state&awaited != 0 && (late != 0 || c.state&executed != 0) {
			m.failed(w, c)
			c.state &^= awaited
		}
	}
	m.arouse(w)
	for round := range ownRounds + endRounds {
		if round == late {
			for k := range calls {
				if calls[k].op != 0 && calls[k].state&executed == 0 {
					m.callNow(w, calls[k])
				}
			}
		}
		m.round(w, round)
		if round == ownRounds-1 {
			if why := m.orphaned(w); why != "" {
				return why
			}
		}
	}
	return m.unfinished(w)
}

// arouse starts a worker if none is left to work.
func (m *Model) arouse(w *world) {
	for i := range m.Workers {
		x := &w.workers[i]
		x.beat = beat{}
		if x.state&up != 0 && x.state&leaving == 0 {
			return
		}
	}
	for i := range m.Workers {
		if w.workers[i].state&up == 0 {
			m.start(w, i)
			return
		}
	}
	w.workers[0] = worker{session: w.workers[0].session} // the last one that drained has gone
	m.start(w, 0)
}

// round has everybody act once.
func (m *Model) round(w *world, n int) {
	m.passTime(w, n)
	for i := range m.Workers {
		if w.workers[i].state&up != 0 {
			m.turn(w, i, n)
		}
	}
	if m.Audit && w.db.inc != 0 {
		for l := range m.Shards {
			lease := uint8(l)
			switch {
			case m.mayAdopt(w, lease):
				m.adopt(w, lease)
			case m.mayRetire(w, lease):
				m.retire(w, lease)
			case m.collectable(w, lease):
				m.collect(w, lease)
			}
		}
	}
}

// passTime lets a tick pass, or what time does where there is none: the sessions of
// the dead lapse, wishes end, and so does the time for seeds.
func (m *Model) passTime(w *world, n int) {
	if m.TTL > 0 {
		m.tick(w)
		return
	}
	for s := 1; s < maxSessions; s++ {
		alive := false
		for i := range m.Workers {
			alive = alive || w.workers[i].state&up != 0 && int(w.workers[i].session) == s
		}
		if !alive {
			w.db.sessions[s].left = 0
		}
	}
	if n >= 3 {
		for l := range m.Shards {
			w.db.rows[l].until = 0
		}
		w.db.sync = 0
		w.db.state &^= young
	}
}

// turn is one round of a worker: it beats, seeds, creates, takes, gives back, and
// in the later rounds handles.
func (m *Model) turn(w *world, i, n int) {
	x := &w.workers[i]
	m.beatAtOnce(w, i)
	if x.state&up == 0 || w.db.inc == 0 || x.inc != w.db.inc {
		return
	}
	for l := range m.Shards {
		if m.Memory && w.db.sync > 0 && x.memory[l]&rowThere != 0 && x.from != x.inc {
			m.sendSeed(w, i, l)
			m.answerNow(w)
		}
	}
	if w.db.state&ready == 0 && w.db.sync == 0 {
		m.create(w)
	}
	for l := range m.Shards {
		m.tend(w, i, l, n)
	}
	if x.state&leaving != 0 && m.idle(w, i) {
		m.leave(w, i)
	}
}

// tend is what a worker does about one lease.
func (m *Model) tend(w *world, i, l, n int) {
	x := &w.workers[i]
	r := &x.runners[l]
	want := m.sees(w, x, l).want
	switch {
	case r.token == 0:
		if x.numbers < 30 && m.takes(w, i, l) {
			m.sendAcquire(w, i, l)
			m.answerNow(w)
		}
	case r.state == releasing, x.state&leaving != 0,
		want != 0 && want != x.session && m.alive(&w.db, want):
		r.state = releasing
		m.sendSave(w, i, l)
		m.answerNow(w)
	case n >= ownRounds && w.expired&(1<<l) == 0:
		m.handleAll(w, i, l)
		m.sendComplete(w, i, l)
		m.answerNow(w)
	case n >= ownRounds: // ResourceNotFound: given back, for the auditor to retire
		r.state = releasing
		m.sendSave(w, i, l)
		m.answerNow(w)
	}
}

// answerNow executes what was just sent and brings the answer.
func (m *Model) answerNow(w *world) {
	for w.calls[0].op != 0 {
		c := w.calls[0]
		w.calls[0] = call{}
		m.callNow(w, c)
	}
}

// callNow executes one call, and brings the answer if it is awaited.
func (m *Model) callNow(w *world, c call) {
	kept := w.calls[0]
	w.calls[0] = c
	m.executeCall(w, 0)
	c = w.calls[0]
	w.calls[0] = kept
	if c.state&executed != 0 {
		m.reply(w, &c)
	}
}

// orphaned says which lease that can be handled has no runner on exactly its token.
func (m *Model) orphaned(w *world) string {
	for l := range m.Shards {
		r := &w.db.rows[l]
		if r.state&there == 0 || r.c == end || m.waits(w, uint8(l)) || !m.listed(w, uint8(l)) || m.owned(w, l) {
			continue
		}
		return fmt.Sprintf("lease %d has token %d#%d and no runner on it", l, sessionOf(r.token), numberOf(r.token))
	}
	return ""
}

// owned tells whether a living worker runs the lease on its token.
func (m *Model) owned(w *world, l int) bool {
	r := &w.db.rows[l]
	for i := range m.Workers {
		x := &w.workers[i]
		if x.state&up != 0 && r.token != 0 && x.runners[l].token == r.token && m.alive(&w.db, sessionOf(r.token)) {
			return true
		}
	}
	return false
}

// unfinished says which shard was not handled to its end.
func (m *Model) unfinished(w *world) string {
	if m.Records == 0 {
		return ""
	}
	for l := range m.Shards {
		r := &w.db.rows[l]
		if w.db.removed&(1<<l) == 0 && (r.state&there == 0 || r.c != end) {
			return fmt.Sprintf("shard %d is not handled to its end", l)
		}
		if !m.reached(w, uint8(l), end) {
			return fmt.Sprintf("records of shard %d are not handled", l)
		}
	}
	return ""
}
