package protocol

// The scripts of internal/rediskeys/lua, each as a change of the world's store. A
// step of the model is one script, as in Redis.

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
func (m *Model) insert(w *world, lease uint8, state uint8) {
	r := &w.db.rows[lease]
	if r.state&there != 0 {
		return
	}
	*r = row{state: there | state}
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
		m.insert(w, uint8(child), 0)
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
		*s = store{inc: m.incarnation(w), state: young}
		if had || b.inc != 0 {
			s.state |= lost
			s.sync = m.leaseTime()
			b.inc = s.inc
			return stateLost
		}
	}
	if b.inc != 0 && b.inc != s.inc {
		if s.state&young != 0 && s.sync == 0 && s.state&lost == 0 {
			s.sync = m.leaseTime()
			s.state |= lost
		}
		b.inc = s.inc
		return reset
	}
	m.advance(s)
	x := &s.sessions[session]
	switch {
	case x.state&bye != 0:
		return gone
	case m.Views && m.wentBack(x, b):
		b.k, b.stamp = 0, 0
		if x.state&known != 0 {
			b.k, b.stamp = x.k, x.stamp
		}
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

// incarnation is a new one.
func (m *Model) incarnation(w *world) uint8 { return 2 + w.spent[losses] }

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

// create makes the leases of all shards that the stream has and that have no row;
// create.lua, and after a seed what it left uncovered. A shard of which a
// descendant was begun was handled to its end.
func (m *Model) create(w *world) {
	for l := range m.Shards {
		m.adopt(w, uint8(l), made)
	}
	w.db.state |= ready
}

// adopt makes the row of a listed shard. One of which a descendant was begun had
// been handled to its end, and its row says so: without it the other descendants
// would wait for ever.
func (m *Model) adopt(w *world, lease, state uint8) {
	r := &w.db.rows[lease]
	if r.state&there != 0 || !m.listed(w, lease) {
		return
	}
	switch {
	case !m.begun(w, lease) || m.has(AdoptAnAncestor):
		m.insert(w, lease, state)
	case !m.has(LeaveAncestorsOut):
		m.insert(w, lease, state)
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

// seed gives the store what a worker remembers of a row.
func (m *Model) seed(w *world, c *call) status {
	if s := enter(w, c.inc); s != ok {
		return s
	}
	s := &w.db
	if s.sync <= m.passed(s) && !m.has(SeedAfterSync) {
		return denied
	}
	r := &s.rows[c.lease]
	pos, state := c.pos&rowPos, uint8(there)
	if c.pos&rowWaits != 0 {
		state |= waiting
	}
	switch {
	case r.state&there == 0 || r.state&made != 0:
		m.checkSeed(w, c.lease)
		*r = row{state: state, c: pos, last: r.last}
		m.touch(s, c.lease)
	case pos > r.c && !m.has(SeedReplaces), m.has(SeedReplaces):
		m.checkBack(w, r.c, pos)
		r.c = pos
		r.state &= state | ^uint8(waiting)
		m.touch(s, c.lease)
	default:
		r.state &= state | ^uint8(waiting)
	}
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
