package protocol

// The script that renews a session, and tells what changed.

// renew is what a good beat does to its session; beat.lua.
func (m *Model) renew(w *world, session uint8) {
	x := &w.db.sessions[session]
	if x.state&known == 0 {
		*x = member{state: known}
	}
	x.left = m.leaseTime()
}

// leaseTime is for how long a beat keeps a session.
func (m *Model) leaseTime() uint8 { return uint8(max(m.TTL, 1)) }

// advance stores the session time; beat.lua.
func (m *Model) advance(s *store) {
	by := m.passed(s)
	s.since = 0
	for i := range s.sessions {
		s.sessions[i].left -= min(s.sessions[i].left, by)
	}
	for i := range s.rows {
		s.rows[i].until -= min(s.rows[i].until, by)
	}
	s.sync -= min(s.sync, by)
}

// executeBeat is beat.lua. What it answers stands in b.
func (m *Model) executeBeat(w *world, session uint8, drains bool, b *beat) status {
	s := &w.db
	if s.inc == 0 {
		had := s.state&remnant != 0
		m.anew(w, had || b.inc != 0, 0)
		if s.state&lost != 0 {
			b.inc = s.inc
			return stateLost
		}
	}
	if b.inc != 0 && b.inc != s.inc {
		// The group looked new to whoever came first, but it was lost.
		if s.state&young != 0 && s.state&lost == 0 {
			m.anew(w, true, s.inc)
			b.inc = s.inc
			return stateLost
		}
		b.inc = s.inc
		return reset
	}
	m.advance(s)
	x := &s.sessions[session]
	switch {
	case x.state&bye != 0:
		return gone
	case m.Views && x.state&known != 0 && b.k <= x.k && !m.has(CountAnswers):
		return stale // it comes late, or twice
	case m.Views && m.wentBack(x, b):
		return regressed
	}
	m.renew(w, session)
	if drains && x.state&draining == 0 {
		x.state |= draining
	}
	b.inc = s.inc
	if m.Views {
		b.stamp = w.spent[failovers]
		if x.k < b.k {
			x.k, x.stamp = b.k, b.stamp
		}
	}
	m.answer(s, b)
	return ok
}

// wentBack tells whether the store has lost the beat whose answer the caller last
// applied, and so what that showed. Each beat that is sent has its own number, and
// says the number of the last answered one and when that was executed. The rule of
// counting answers instead lets a lost repeat of a beat pass for its first try.
func (m *Model) wentBack(x *member, b *beat) bool {
	joined := x.state&known != 0
	switch {
	case m.has(NoRegressedCheck):
		return false
	case m.has(CountAnswers):
		return !joined && b.k > 1 || joined && x.k+1 < b.k
	case !joined:
		return b.good > 0
	case m.has(NoStamp):
		return x.k < b.good
	}
	return x.k < b.good || x.k == b.good && x.stamp != b.stamp
}

// anew begins an incarnation; beat.lua, begin. One after a loss takes seeds for a
// lease time, but for those of an incarnation that was begun in ignorance of it.
func (m *Model) anew(w *world, after bool, void uint8) {
	w.incs++
	w.db = store{inc: w.incs, state: young, void: void}
	if after {
		w.db.state |= lost
		w.db.sync = m.leaseTime()
	}
}

// answer lists what changed, or all in models without views; prelude.lua, changes.
func (m *Model) answer(s *store, b *beat) {
	b.through, b.rows = s.seq, 0
	for l := range m.Shards {
		b.view[l] = seenRow{}
		if s.rows[l].seq > b.seen || !m.Views {
			b.rows |= 1 << l
			b.view[l] = shown(&s.rows[l])
		}
	}
}

// shown is a row as a beat tells it.
func shown(r *row) seenRow {
	if r.state&there == 0 {
		return seenRow{}
	}
	c := r.c | rowThere
	if r.state&waiting != 0 {
		c |= rowWaits
	}
	return seenRow{token: r.token, want: r.want, c: c}
}
