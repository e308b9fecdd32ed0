package lease

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// mirror is a worker's copy of the group's table, made of beats; only the shards of
// leases that others acquired before are read otherwise. One goroutine uses it.
type mirror struct {
	leases   map[string]*Lease    // with the shard, as far as it is known
	rows     []*Lease             // all leases by name, nil when they are to be sorted anew
	moved    map[string]time.Time // when leases changed hands, of those that did lately
	sessions map[string]Session
	late     map[string]int64 // sessions near their deadline, or past it
	now      int64            // session time of the last beat
	at       time.Time        // when it was answered
	ttl      time.Duration
	members  []string  // the living at the last plan, with their states
	quiet    time.Time // when they last changed
	partial  bool      // the last beat left rows to the next
}

func newMirror() *mirror {
	return &mirror{
		leases:   map[string]*Lease{},
		moved:    map[string]time.Time{},
		sessions: map[string]Session{},
		late:     map[string]int64{},
	}
}

// apply takes a beat's answer.
func (m *mirror) apply(v View, at time.Time) {
	for _, l := range v.Leases {
		m.put(l, at)
	}
	for _, name := range v.Gone {
		m.drop(name)
	}
	for _, s := range v.Sessions {
		m.sessions[s.ID] = s
	}
	for _, id := range v.Left {
		delete(m.sessions, id)
	}
	m.late, m.now, m.at, m.ttl, m.partial = maps.Clone(v.Late), v.Now, at, v.TTL, v.More
}

// nameOf is the name of a session, or its ID when it is not known any more.
func (m *mirror) nameOf(session string) string {
	if s, known := m.sessions[session]; known {
		return s.Name
	}
	return session
}

// put takes a row of a beat.
func (m *mirror) put(l Lease, at time.Time) {
	old, known := m.leases[l.Name]
	switch {
	case !known:
		m.leases[l.Name], m.rows = &l, nil
		return
	case l.Token != "" && old.Token != l.Token:
		m.moved[l.Name] = at
	}
	told := l
	l.Shard = old.Shard
	*old = l
	m.learn(told)
}

// learn notes the shard of a lease, if it is told: beats do of leases that were never
// acquired. What one that was acquired, or ended, had waited for is known no more to
// the store.
func (m *mirror) learn(l Lease) {
	row := m.leases[l.Name]
	if row == nil || !l.Shard.known() {
		return
	}
	parents := row.Shard.Parents
	row.Shard = l.Shard
	if len(l.Shard.Parents) == 0 && (l.Epoch > 0 || l.Finished()) {
		row.Shard.Parents = parents
	}
}

// followed notes the shards that follow one that ended here.
func (m *mirror) followed(name string, children []Row) {
	row := m.leases[name]
	if row == nil {
		return
	}
	row.Shard.Children = nil
	for _, c := range children {
		row.Shard.Children = append(row.Shard.Children, c.Name)
	}
}

// vague reports whether there are leases of which the shard is not known: they were
// acquired before this worker heard of them.
func (m *mirror) vague() bool {
	return slices.ContainsFunc(m.order(), func(l *Lease) bool { return !l.Shard.known() })
}

// drop forgets a row.
func (m *mirror) drop(name string) {
	m.rows = nil
	delete(m.leases, name)
	delete(m.moved, name)
}

// order are all leases, in the order of their names.
func (m *mirror) order() []*Lease {
	if m.rows == nil {
		m.rows = slices.SortedFunc(maps.Values(m.leases), byName)
	}
	return m.rows
}

func byName(a, b *Lease) int { return cmp.Compare(a.Name, b.Name) }

// meet notes who lives at a plan, and when that changed. A session that lapses
// is missing from then on, and not from when its row is removed.
func (m *mirror) meet(living []Session, now time.Time) {
	members := make([]string, 0, len(living))
	for _, s := range living {
		members = append(members, s.ID+"|"+string(s.State))
	}
	if !slices.Equal(members, m.members) {
		m.members, m.quiet = members, now
	}
}

// failing reports whether one of the living has missed beats so that it is about to
// lapse. Others may take it for dead a moment sooner, and what they took of it makes
// it seem to have too few.
func (m *mirror) failing(living []Session, at int64) bool {
	soon := at + (m.ttl / failingPart).Milliseconds()
	return slices.ContainsFunc(living, func(s Session) bool {
		deadline, late := m.late[s.ID]
		return late && deadline <= soon
	})
}

// time is the session time now, as far as it can be told without asking: the
// store's own may be later, never more than half a lease time.
func (m *mirror) time(now time.Time) int64 {
	return m.now + min(now.Sub(m.at), m.ttl/2).Milliseconds()
}

// living are the sessions that have not lapsed at a session time, in order.
func (m *mirror) living(at int64) []Session {
	var out []Session
	for _, id := range sortedKeys(m.sessions) {
		if deadline, late := m.late[id]; !late || deadline > at {
			out = append(out, m.sessions[id])
		}
	}
	return out
}

// lapses are the times, by this machine's clock, at which late sessions will
// have lapsed for as long as grace says; those in the past are left out.
func (m *mirror) lapses(now time.Time, grace time.Duration) []time.Time {
	var out []time.Time
	for id, deadline := range m.late {
		at := m.at.Add(time.Duration(deadline-m.now)*time.Millisecond + grace)
		if _, known := m.sessions[id]; known && at.After(now) {
			out = append(out, at)
		}
	}
	return out
}

// has reports whether any lease of the stream is known.
func (m *mirror) has(stream string) bool {
	rows := m.order()
	i, _ := slices.BinarySearchFunc(rows, &Lease{Name: stream + "/"}, byName)
	return i < len(rows) && StreamOf(rows[i].Name) == stream
}
