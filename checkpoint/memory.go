package checkpoint

import (
	"context"
	"sync"
)

// Memory is a [Store] in the memory of one process, for tests and for programs
// that bring their own leases: they tell it who holds what with
// [Memory.Grant]. It knows no incarnations and ignores [Scope.Incarnation] and
// [Update.Weight]. Its methods may be called concurrently.
type Memory struct {
	mu   sync.Mutex // guards rows and what they point to
	rows map[key]*row
}

type key struct{ group, lease string }

// row is one lease: who may save under it, who last released it, how far it is.
type row struct {
	token, last Token
	entry       Entry
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{rows: map[key]*row{}} }

// Grant gives a lease to token, and makes its row, at the start of the shard,
// if there is none. A token that held it before is fenced from now on. It
// returns where to go on from.
func (m *Memory) Grant(group, lease string, token Token) Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rows[key{group, lease}]
	if r == nil {
		r = &row{}
		m.rows[key{group, lease}] = r
	}
	r.token, r.last = token, ""
	return r.entry.Clone()
}

// Put sets where a lease is to go on from, under no token and in any direction,
// as an operator does. A lease without a row gets one that nobody holds.
func (m *Memory) Put(group, lease string, at Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rows[key{group, lease}]
	if r == nil {
		r = &row{}
		m.rows[key{group, lease}] = r
	}
	r.entry = Entry{Position: at}
}

// Load implements [Store].
func (m *Memory) Load(ctx context.Context, group string, leases ...string) (map[string]Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[string]Entry, len(leases))
	for _, lease := range leases {
		if r := m.rows[key{group, lease}]; r != nil {
			out[lease] = r.entry.Clone()
		}
	}
	return out, nil
}

// Save implements [Store].
func (m *Memory) Save(ctx context.Context, scope Scope, updates ...Update) ([]Outcome, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, u := range updates {
		if err := u.Validate(); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Outcome, len(updates))
	for i, u := range updates {
		out[i] = m.rows[key{scope.Group, u.Lease}].save(u)
	}
	return out, nil
}

// save is one update on the row, which is nil when there is none.
func (r *row) save(u Update) Outcome {
	switch {
	case r == nil:
		return Outcome{Err: ErrNotFound}
	case u.Token == r.token:
		next, err := r.entry.Apply(u)
		r.entry = next
		if err == nil && u.Release {
			r.token, r.last = "", r.token
		}
		return Outcome{Err: err, Position: next.Position}
	case u.Token == r.last && u.Position.Compare(r.entry.Position) <= 0:
		return Outcome{Position: r.entry.Position} // a repeat of what the release wrote
	default:
		return Outcome{Err: ErrFenced}
	}
}
