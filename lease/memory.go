package lease

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// Memory is a [Store] in the memory of one process, for tests and for workers
// that all live in it. Its methods may be called concurrently. What it holds
// is gone when the process ends.
type Memory struct {
	born time.Time // the zero of its clock

	mu       sync.Mutex // guards all below, and the tables
	groups   map[string]*table
	watchers map[string]map[*func()]struct{}
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{
		born:     time.Now(),
		groups:   map[string]*table{},
		watchers: map[string]map[*func()]struct{}{},
	}
}

// Forget drops all that the store has of a group, as a store does that lost
// its data. Workers of the group notice with their next call.
func (m *Memory) Forget(group string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.groups, group)
}

// millis is the store's clock. It stands still while the machine sleeps.
func (m *Memory) millis() int64 { return time.Since(m.born).Milliseconds() }

// with runs f on the group's table as one atomic step, and then wakes the
// group's watchers if f announced something. Scopes of another incarnation are
// refused before f.
func (m *Memory) with(ctx context.Context, scope checkpoint.Scope, f func(*table) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	wake, err := m.step(scope, f)
	for _, notify := range wake {
		notify()
	}
	return err
}

func (m *Memory) step(scope checkpoint.Scope, f func(*table) error) (wake []func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.groups[scope.Group]
	switch {
	case t == nil:
		return nil, ErrStateLost
	case scope.Incarnation != "" && scope.Incarnation != t.incarnation:
		return nil, ErrReset
	}
	t.now = t.sessionTime(m.millis())
	err = f(t)
	return m.announced(scope.Group, t), err
}

// announced returns whom to notify of what f did. The caller holds mu.
func (m *Memory) announced(group string, t *table) []func() {
	if !t.announce {
		return nil
	}
	t.announce = false
	wake := make([]func(), 0, len(m.watchers[group]))
	for notify := range m.watchers[group] {
		wake = append(wake, *notify)
	}
	return wake
}

// Beat implements [Store].
func (m *Memory) Beat(ctx context.Context, group string, b Beat) (View, error) {
	if err := ctx.Err(); err != nil {
		return View{}, err
	}
	view, wake, err := m.beat(group, b)
	for _, notify := range wake {
		notify()
	}
	return view, err
}

func (m *Memory) beat(group string, b Beat) (_ View, wake []func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.groups[group]
	switch {
	case t == nil:
		t = newTable(b.NewIncarnation, b.TTL, m.millis())
		m.groups[group] = t
		if b.Incarnation != "" {
			t.lose("")
			return View{Incarnation: t.incarnation}, nil, ErrStateLost
		}
	case b.Incarnation != "" && b.Incarnation != t.incarnation && !t.lost && t.sessionTime(m.millis()) < t.ttl:
		// The group looked new to whoever came first, but it was lost: what they
		// made began in the wrong place. They join again, and their rows are no
		// seeds.
		void := t
		t = newTable(b.NewIncarnation, b.TTL, m.millis())
		t.paused, t.byHand = void.paused, void.byHand
		t.lose(void.incarnation)
		m.groups[group] = t
		return View{Incarnation: t.incarnation}, nil, ErrStateLost
	case b.Incarnation != "" && b.Incarnation != t.incarnation:
		return View{Incarnation: t.incarnation}, nil, ErrReset
	}
	t.tick(m.millis())
	view, err := t.beat(b, time.Now().UnixMicro())
	return view, m.announced(group, t), err
}

// View implements [Store].
func (m *Memory) View(ctx context.Context, group string) (View, error) {
	var view View
	err := m.with(ctx, checkpoint.Scope{Group: group}, func(t *table) error {
		view = t.changes(0, len(t.log))
		view.Gone, view.Left = nil, nil
		for i := range view.Leases {
			view.Leases[i].Shard = t.rows[view.Leases[i].Name].shard.clone()
		}
		return nil
	})
	if errors.Is(err, ErrStateLost) {
		return View{}, nil
	}
	return view, err
}

// Load implements [checkpoint.Store].
func (m *Memory) Load(ctx context.Context, group string, leases ...string) (map[string]checkpoint.Entry, error) {
	out := make(map[string]checkpoint.Entry, len(leases))
	err := m.with(ctx, checkpoint.Scope{Group: group}, func(t *table) error {
		for _, name := range leases {
			if r := t.rows[name]; r != nil {
				e := r.entry
				e.Inherited = nil
				out[name] = e.Clone()
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, ErrStateLost) {
		return nil, err
	}
	return out, nil
}

// Save implements [checkpoint.Store].
func (m *Memory) Save(ctx context.Context, scope checkpoint.Scope, updates ...checkpoint.Update) ([]checkpoint.Outcome, error) {
	for _, u := range updates {
		if err := u.Validate(); err != nil {
			return nil, err
		}
	}
	out := make([]checkpoint.Outcome, len(updates))
	err := m.with(ctx, scope, func(t *table) error {
		for i, u := range updates {
			out[i] = t.save(u)
		}
		return nil
	})
	if scope.Incarnation == "" && errors.Is(err, ErrStateLost) {
		for i := range out {
			out[i].Err = checkpoint.ErrNotFound
		}
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Acquire implements [Store].
func (m *Memory) Acquire(ctx context.Context, scope checkpoint.Scope, a Acquire) ([]Grant, error) {
	grants := make([]Grant, len(a.Names))
	err := m.with(ctx, scope, func(t *table) error {
		t.acquire(a, grants)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return grants, nil
}

// Complete implements [Store].
func (m *Memory) Complete(ctx context.Context, scope checkpoint.Scope, c Completion) error {
	return m.with(ctx, scope, func(t *table) error { return t.complete(c) })
}

// Create implements [Store].
func (m *Memory) Create(ctx context.Context, scope checkpoint.Scope, c Create) error {
	if err := c.Validate(); err != nil {
		return err
	}
	return m.with(ctx, scope, func(t *table) error { return t.create(c) })
}

// Request implements [Store].
func (m *Memory) Request(ctx context.Context, scope checkpoint.Scope, r Request) ([]error, error) {
	out := make([]error, len(r.Names))
	err := m.with(ctx, scope, func(t *table) error {
		for i, name := range r.Names {
			out[i] = t.request(r, name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Refuse implements [Store].
func (m *Memory) Refuse(ctx context.Context, scope checkpoint.Scope, r Refusal) error {
	return m.with(ctx, scope, func(t *table) error { return t.refuse(r) })
}

// Bye implements [Store].
func (m *Memory) Bye(ctx context.Context, scope checkpoint.Scope, session string) error {
	return m.with(ctx, scope, func(t *table) error {
		t.bye(session)
		return nil
	})
}

// Watch implements [Store].
func (m *Memory) Watch(ctx context.Context, group string, notify func()) error {
	w := &notify
	m.mu.Lock()
	if m.watchers[group] == nil {
		m.watchers[group] = map[*func()]struct{}{}
	}
	m.watchers[group][w] = struct{}{}
	m.mu.Unlock()

	<-ctx.Done()

	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.watchers[group], w)
	return ctx.Err()
}

// Validate reports what is wrong with a first set of leases: a row of another
// stream, a name twice, a parent outside the set (which would never end).
func (c Create) Validate() error {
	if len(c.Rows) == 0 {
		return fmt.Errorf("create leases of %s: no shards", c.Stream)
	}
	if err := validateRows(c.Stream, c.Rows); err != nil {
		return fmt.Errorf("create leases of %s: %w", c.Stream, err)
	}
	names := make(map[string]bool, len(c.Rows))
	for _, row := range c.Rows {
		names[row.Name] = true
	}
	for _, row := range c.Rows {
		for _, parent := range row.Shard.Parents {
			if !names[parent] {
				return fmt.Errorf("create leases of %s: %s has the parent %s, which is not in the set", c.Stream, row.Name, parent)
			}
		}
	}
	return nil
}

func (s Shard) clone() Shard {
	s.Parents, s.Children = slices.Clone(s.Parents), slices.Clone(s.Children)
	return s
}

// sortedKeys are the keys of m in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
