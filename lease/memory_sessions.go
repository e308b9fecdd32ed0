package lease

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

func (t *table) alive(session string) bool {
	s := t.sessions[session]
	return s != nil && !s.bye && s.info.Deadline > t.now
}

// beat renews a session at a time, in microseconds; beat.lua says why it does not.
func (t *table) beat(b Beat, micros int64) (View, error) {
	s, id := t.sessions[b.Session.ID], b.Session.ID
	other := t.names[b.Session.Name]
	var have member
	if s != nil {
		have = *s
	}
	switch {
	case s != nil && s.bye:
		return View{}, ErrGone
	case s != nil && b.Number <= have.number:
		return View{}, ErrStale
	case other != id && t.alive(other) && !b.First:
		return View{}, ErrSuperseded
	case have.number < b.Good, s != nil && have.number == b.Good && have.stamp != b.Stamp:
		return View{}, &RegressedError{Number: have.number}
	case b.Seen > 0 && b.Seen < t.floor && (s == nil || s.base < t.floor):
		return View{}, ErrResync
	}
	if other != id && t.alive(other) {
		t.sessions[other].info.Deadline = t.now
		t.touch("@" + other)
		t.announce = true
	}
	t.names[b.Session.Name] = id
	if s == nil {
		s = &member{}
		t.sessions[id] = s
	}
	if !sameInfo(s.info, b.Session) {
		t.touch("@" + id)
		t.announce = true
	}
	s.info = b.Session
	s.info.Deadline = t.now + t.ttl
	s.number, s.stamp = b.Number, micros
	if b.Seen == 0 {
		s.base = t.floor // a view that begins now has nothing that was removed
	}
	t.sweep()
	v := t.changes(b.Seen, beatRows)
	v.Stamp = micros
	t.trim()
	return v, nil
}

// bury logs that a lease or "@"-session was removed. The log keeps that for two
// lease times.
func (t *table) bury(subject string) {
	t.touch(subject)
	t.tombs = slices.DeleteFunc(t.tombs, func(o tomb) bool { return o.subject == subject })
	t.tombs = append(t.tombs, tomb{subject, t.now})
}

// trim forgets removals that every living worker has been told of. One that has
// not, because its view comes in pages, begins it again.
func (t *table) trim() {
	slices.SortFunc(t.tombs, func(a, b tomb) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.subject, b.subject)) })
	for n := 0; n < trimmedABeat && len(t.tombs) > 0 && t.tombs[0].at <= t.now-2*t.ttl; n++ {
		subject := t.tombs[0].subject
		t.tombs = t.tombs[1:]
		if id, ok := strings.CutPrefix(subject, "@"); t.rows[subject] == nil && (!ok || t.sessions[id] == nil) {
			t.floor = max(t.floor, t.changed[subject])
			delete(t.changed, subject)
		}
	}
}

// sameInfo compares what is logged of a session.
func sameInfo(a, b Session) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Host == b.Host && a.Plan == b.Plan && a.Version == b.Version && a.State == b.State &&
		a.Capacity == b.Capacity && a.MaxLeases == b.MaxLeases && slices.Equal(a.Streams, b.Streams)
}

// sweep removes sessions that lapsed long ago.
func (t *table) sweep() {
	left := lapsedABeat
	for _, id := range t.byDeadline() {
		s := t.sessions[id]
		if s.info.Deadline > t.now-2*t.ttl || left == 0 {
			continue
		}
		left--
		delete(t.sessions, id)
		if t.names[s.info.Name] == id {
			delete(t.names, s.info.Name)
		}
		t.bury("@" + id)
	}
}

// byDeadline are the sessions, the one that lapses first first.
func (t *table) byDeadline() []string {
	return slices.SortedFunc(maps.Keys(t.sessions), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.sessions[a].info.Deadline, t.sessions[b].info.Deadline), cmp.Compare(a, b))
	})
}

// changes are the first n rows that changed after seen.
func (t *table) changes(seen uint64, n int) View {
	v := View{
		Incarnation: t.incarnation,
		Lost:        t.lost,
		Paused:      t.paused,
		Now:         t.now,
		TTL:         time.Duration(t.ttl) * time.Millisecond,
		Through:     t.seq,
		Head:        t.seq,
		Late:        map[string]int64{},
	}
	at, _ := slices.BinarySearchFunc(t.log, seen+1, func(c change, seq uint64) int { return cmp.Compare(c.seq, seq) })
	for _, c := range t.log[at:] {
		if t.changed[c.subject] != c.seq {
			continue
		}
		if n == 0 {
			v.More = true
			break
		}
		n--
		v.Through = c.seq
		t.addTo(&v, c)
	}
	if !v.More {
		v.Through = t.seq
	}
	if t.syncing() {
		v.SyncUntil = t.sync
	}
	for id, s := range t.sessions {
		if s.info.Deadline < t.now+t.ttl/2 {
			v.Late[id] = s.info.Deadline
		}
	}
	return v
}

func (t *table) addTo(v *View, c change) {
	if id, ok := strings.CutPrefix(c.subject, "@"); ok {
		if s := t.sessions[id]; s != nil && !s.bye {
			info := s.info
			info.Streams = slices.Clone(info.Streams)
			v.Sessions = append(v.Sessions, info)
		} else {
			v.Left = append(v.Left, id)
		}
		return
	}
	r := t.rows[c.subject]
	if r == nil {
		v.Gone = append(v.Gone, c.subject)
		return
	}
	l := Lease{
		Name: c.subject, Token: r.token, Epoch: r.epoch, Want: r.want, WantUntil: r.wantUntil,
		Position: r.entry.Position, Stateful: r.stateful(), Weight: r.weight, Flags: r.flags, Seq: c.seq,
	}
	if r.epoch == 0 {
		l.Shard = r.shard.clone()
	}
	v.Leases = append(v.Leases, l)
}

func (t *table) bye(session string) {
	s := t.sessions[session]
	if s == nil || s.bye {
		return
	}
	s.bye = true
	s.info.Deadline = t.now
	if t.names[s.info.Name] == session {
		delete(t.names, s.info.Name)
	}
	t.touch("@" + session)
	t.announce = true
}
