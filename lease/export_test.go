package lease

import (
	"maps"
	"slices"
)

// Snapshot returns what sets a group back to what it is now, as a fail-over does
// that loses the latest writes.
func (m *Memory) Snapshot(group string) (restore func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.groups[group]
	if old == nil {
		return func() { m.Forget(group) }
	}
	kept := old.copy()
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.groups[group] = kept.copy()
	}
}

func (t *table) copy() *table {
	out := *t
	out.rows = map[string]*row{}
	for name, r := range t.rows {
		c := *r
		c.entry, c.shard = r.entry.Clone(), r.shard.clone()
		out.rows[name] = &c
	}
	out.sessions = map[string]*member{}
	for id, s := range t.sessions {
		c := *s
		out.sessions[id] = &c
	}
	out.names, out.ready, out.changed = maps.Clone(t.names), maps.Clone(t.ready), maps.Clone(t.changed)
	out.generation = maps.Clone(t.generation)
	out.log, out.tombs = slices.Clone(t.log), slices.Clone(t.tombs)
	return &out
}
