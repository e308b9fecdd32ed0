package lease

import (
	"maps"
	"time"
)

// mirror is a worker's copy of the group's table, made of beats only. One
// goroutine uses it.
type mirror struct {
	leases   map[string]Lease
	shards   map[string]Shard // as far as they are known; beats do not tell them
	sessions map[string]Session
	late     map[string]int64 // sessions near their deadline, or past it
	now      int64            // session time of the last beat
	at       time.Time        // when it was answered
	ttl      time.Duration
	quiet    time.Time // when the set of workers last changed
}

func newMirror() *mirror {
	return &mirror{
		leases:   map[string]Lease{},
		shards:   map[string]Shard{},
		sessions: map[string]Session{},
		late:     map[string]int64{},
	}
}

// apply takes a beat's answer.
func (m *mirror) apply(v View, at time.Time) {
	for _, l := range v.Leases {
		m.leases[l.Name] = l
	}
	for _, name := range v.Gone {
		delete(m.leases, name)
		delete(m.shards, name)
	}
	for _, s := range v.Sessions {
		old, known := m.sessions[s.ID]
		if !known || old.State != s.State {
			m.quiet = at
		}
		m.sessions[s.ID] = s
	}
	for _, id := range v.Left {
		if _, known := m.sessions[id]; known {
			m.quiet = at
		}
		delete(m.sessions, id)
	}
	m.late, m.now, m.at, m.ttl = maps.Clone(v.Late), v.Now, at, v.TTL
}

// learn notes the shard of a lease: its range, and what it waits for if it was
// never acquired. The parents of one that was are known no more to the store.
func (m *mirror) learn(name string, s Shard) {
	if old, known := m.shards[name]; known && len(s.Parents) == 0 {
		s.Parents = old.Parents
	}
	m.shards[name] = s
}

// followed notes the shards that follow one that ended here.
func (m *mirror) followed(name string, children []Row) {
	s, known := m.shards[name]
	if !known {
		return
	}
	s.Children = nil
	for _, c := range children {
		s.Children = append(s.Children, c.Name)
	}
	m.shards[name] = s
}

// vague reports whether there are leases of which the shard is not known.
func (m *mirror) vague() bool {
	for name := range m.leases {
		if _, ok := m.shards[name]; !ok {
			return true
		}
	}
	return false
}

// unknown reports whether there are leases of which the parents are not known.
func (m *mirror) unknown() bool {
	for name, l := range m.leases {
		if l.Epoch == 0 {
			if _, ok := m.shards[name]; !ok {
				return true
			}
		}
	}
	return false
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
	for name := range m.leases {
		if StreamOf(name) == stream {
			return true
		}
	}
	return false
}
