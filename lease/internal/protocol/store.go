package protocol

// What the scripts of internal/rediskeys/lua share. Each script is a change of the
// world's store, in one step.

// passed is the session time since the last beat; prelude.lua, read.
func (m *Model) passed(s *store) uint8 {
	if s.since == behind {
		return 0
	}
	if m.has(WallClock) {
		return s.since
	}
	return min(s.since, uint8(m.TTL/2))
}

// alive tells whether a session has not lapsed; prelude.lua, alive.
func (m *Model) alive(s *store, session uint8) bool {
	return session != 0 && s.sessions[session].state&known != 0 && s.sessions[session].left > m.passed(s)
}

// touch logs a change; prelude.lua, touch.
func (m *Model) touch(s *store, lease uint8) {
	if m.Views {
		s.seq++
		s.rows[lease].seq = s.seq
	}
}

// wanted tells whether a living session's wish stands; prelude.lua, wanted.
func (m *Model) wanted(s *store, r *row) bool {
	if m.has(WantForEver) {
		return r.want != 0
	}
	return r.want != 0 && r.until > m.passed(s) && m.alive(s, r.want)
}

// free gives a lease back; prelude.lua, release.
func (m *Model) free(s *store, lease uint8) {
	r := &s.rows[lease]
	if m.wanted(s, r) {
		r.until = 1 + m.passed(s)
	} else {
		r.want, r.until = 0, 0
	}
	r.token, r.last = 0, r.token
	if m.Lean {
		r.last = 0 // only tells a call that was sent again that it is done
	}
	m.touch(s, lease)
}

// insert makes a row where there is none; prelude.lua, insert.
func (m *Model) insert(w *world, lease uint8) {
	r := &w.db.rows[lease]
	if r.state&there != 0 {
		return
	}
	*r = row{state: there}
	if len(m.Shards[lease]) > 0 {
		r.state |= waiting
	}
	m.touch(&w.db, lease)
}

// enter is what every script but beat begins with; prelude.lua, enter.
func enter(w *world, inc uint8) status {
	switch {
	case w.db.inc == 0:
		return stateLost
	case w.db.inc != inc:
		return reset
	}
	return ok
}
