package protocol

// The scripts that take leases, move them, and save what was handled.

// waits tells whether a parent is not finished; acquire.lua, waits.
func (m *Model) waits(w *world, lease uint8) bool {
	if w.db.rows[lease].state&waiting == 0 {
		return false
	}
	for i, p := range m.Shards[lease] {
		r := &w.db.rows[p]
		switch {
		case m.has(ForgetAParent) && i > 0:
		case r.state&there == 0:
			if !m.has(AbsenceIsAnEnd) {
				return true
			}
		case r.c != end:
			return true
		}
	}
	return false
}

// acquire takes a lease; acquire.lua. A grant puts the position into the call.
func (m *Model) acquire(w *world, c *call) status {
	if s := enter(w, c.inc); s != ok {
		return s
	}
	s, me := &w.db, sessionOf(c.token)
	x, r := &s.sessions[me], &s.rows[c.lease]
	used := x.n
	if x.state&known != 0 && !m.has(TokenReused) {
		x.n = max(x.n, numberOf(c.token))
	}
	if m.has(TokenReused) { // the store counts the tokens, not the session
		c.token = token(me, used+1)
	}
	switch {
	case s.state&paused != 0, s.state&ready == 0,
		!m.alive(s, me) || x.state&bye != 0,
		s.sync > m.passed(s),
		r.state&there == 0:
		return denied
	case r.token == c.token && !m.has(TokenReused):
		m.granted(c, r)
		return ok
	case r.c == end,
		numberOf(c.token) <= used && !m.has(NoStaleCheck),
		m.waits(w, c.lease):
		return denied
	}
	holder := sessionOf(r.token)
	switch {
	case m.has(TakeFromTheLiving):
	case holder == 0 && m.wanted(s, r) && r.want != me,
		holder != 0 && holder != me && m.alive(s, holder):
		return denied
	}
	m.checkGrant(w, c)
	if m.has(TokenReused) {
		x.n = used + 1
	}
	r.token, r.want, r.until = c.token, 0, 0
	r.state &^= waiting | rewound
	if m.has(FenceByEpoch) {
		r.epoch++
	}
	if !m.Lean {
		x.issued |= 1 << (numberOf(c.token) % 8)
	}
	m.touch(s, c.lease)
	m.granted(c, r)
	return ok
}

// granted puts what the caller gets into the call.
func (m *Model) granted(c *call, r *row) {
	c.pos = r.c
	c.state = c.state&(1<<epochBit-1) | r.epoch<<epochBit
}

// mine tells whether a call was made under the token that the lease has.
func (m *Model) mine(c *call, r *row) bool {
	if m.has(FenceByEpoch) {
		return r.token != 0 && r.epoch == c.state>>epochBit
	}
	return r.token == c.token
}

// save stores a position, and gives the lease back if the call says so;
// checkpoint.lua.
func (m *Model) save(w *world, c *call) status {
	if s := enter(w, c.inc); s != ok {
		return s
	}
	r := &w.db.rows[c.lease]
	switch {
	case r.state&there == 0:
		return fenced
	case !m.mine(c, r):
		if r.last == c.token && c.pos <= r.c {
			return ok // a release that was sent again
		}
		return fenced
	case c.pos < r.c && !m.has(NoMonotoneCheck):
		c.pos = r.c
		return regress
	}
	m.checkSave(w, c, r)
	r.c = c.pos
	if c.state&release != 0 {
		m.checkRelease(w, c)
		m.free(&w.db, c.lease)
	}
	return ok
}

// complete ends a shard; complete.lua.
func (m *Model) complete(w *world, c *call) status {
	if s := enter(w, c.inc); s != ok {
		return s
	}
	r := &w.db.rows[c.lease]
	if c.state&second != 0 {
		m.bear(w, c.lease)
		return ok
	}
	switch {
	case r.state&there == 0:
		return fenced
	case !m.mine(c, r):
		if r.last == c.token && r.c == end {
			return ok // sent again
		}
		return fenced
	}
	m.checkSave(w, c, r)
	r.c, r.want, r.until = end, 0, 0
	if !m.has(CompleteInTwoSteps) {
		m.bear(w, c.lease)
	}
	m.free(&w.db, c.lease)
	return ok
}

// bear makes the rows of a shard's children.
func (m *Model) bear(w *world, lease uint8) {
	for i, child := range m.children[lease] {
		if m.has(ForgetAChild) && i > 0 {
			break
		}
		m.insert(w, uint8(child))
	}
}

// request asks the owner of a lease for it; request.lua.
func (m *Model) request(w *world, c *call) status {
	if s := enter(w, c.inc); s != ok {
		return s
	}
	s, r := &w.db, &w.db.rows[c.lease]
	holder := sessionOf(r.token)
	switch {
	case !m.alive(s, c.token), r.state&there == 0:
		return denied
	case holder == c.token || !m.alive(s, holder):
		return ok
	case m.wanted(s, r) && r.want != c.token:
		return denied
	}
	r.want, r.until = c.token, wish+m.passed(s)
	m.touch(s, c.lease)
	return ok
}

// wish is how many ticks a wish stands.
const wish = 2

// refuse withdraws a wish; refuse.lua.
func (m *Model) refuse(w *world, c *call) status {
	if s := enter(w, c.inc); s != ok {
		return s
	}
	r := &w.db.rows[c.lease]
	if r.state&there == 0 || r.token != c.token {
		return fenced
	}
	if r.want == c.pos && r.want != 0 {
		r.want, r.until = 0, 0
		m.touch(&w.db, c.lease)
	}
	return ok
}

// goodbye ends a session; bye.lua.
func (m *Model) goodbye(w *world, session, inc uint8) {
	if enter(w, inc) != ok {
		return
	}
	x := &w.db.sessions[session]
	if x.state&known == 0 || x.state&bye != 0 {
		return
	}
	x.state |= bye
	x.left = 0
}
