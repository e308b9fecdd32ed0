package lease

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease/internal/lineage"
)

// Seed implements [Store].
func (m *Memory) Seed(ctx context.Context, scope checkpoint.Scope, s Seed) error {
	if err := s.Validate(); err != nil {
		return err
	}
	return m.with(ctx, scope, func(t *table) error { return t.seed(s) })
}

// Adopt implements [Store].
func (m *Memory) Adopt(ctx context.Context, scope checkpoint.Scope, a Adoption) error {
	if err := a.Validate(); err != nil {
		return err
	}
	return m.with(ctx, scope, func(t *table) error { return t.adopt(a) })
}

// Retire implements [Store].
func (m *Memory) Retire(ctx context.Context, scope checkpoint.Scope, r Retirement) error {
	for _, c := range r.Children {
		if err := c.Position.Validate(); err != nil {
			return fmt.Errorf("retire %s: %s: %w", r.Name, c.Name, err)
		}
	}
	return m.with(ctx, scope, func(t *table) error { return t.retire(r) })
}

// Collect implements [Store].
func (m *Memory) Collect(ctx context.Context, scope checkpoint.Scope, c Collection) ([]error, error) {
	out := make([]error, len(c.Names))
	err := m.with(ctx, scope, func(t *table) error {
		if t.syncing() {
			return ErrSyncing
		}
		for i, name := range c.Names {
			out[i] = t.collect(name, c.Deleted)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (t *table) collect(name string, deleted bool) error {
	r := t.rows[name]
	switch {
	case r == nil:
		return nil // a repeat
	case t.alive(SessionOf(r.token)):
		return ErrHeld
	case !deleted && (!r.entry.Position.IsEnd() || t.awaited(name)):
		return ErrNeeded
	}
	delete(t.rows, name)
	t.bury(name)
	if deleted {
		delete(t.ready, StreamOf(name))
		delete(t.generation, StreamOf(name))
	}
	return nil
}

func (t *table) seed(s Seed) error {
	if !t.syncing() || s.From == t.void {
		return ErrSeeded
	}
	if !t.byHand && (s.AsOf > t.asOf || s.AsOf == t.asOf && s.Paused) {
		t.paused, t.asOf = s.Paused, s.AsOf
	}
	for _, n := range s.Rows {
		if t.outdated(n) {
			continue
		}
		if r := t.rows[n.Name]; r != nil {
			t.merge(r, n, s.AsOf)
		} else {
			t.remember(n, s.AsOf)
		}
	}
	t.announce = true
	return nil
}

// outdated reports whether a seed is of leases that were removed by hand before those
// that other seeds know. It drops the rows of all seeds that it shows to be so.
func (t *table) outdated(n Remembered) bool {
	stream := StreamOf(n.Name)
	have, known := t.generation[stream]
	if known && n.Shard.Generation <= have {
		return n.Shard.Generation < have
	}
	t.generation[stream] = n.Shard.Generation
	for name := range t.rows {
		if StreamOf(name) == stream {
			delete(t.rows, name)
			t.bury(name)
		}
	}
	return false
}

// remember makes a row from a seed.
func (t *table) remember(n Remembered, asOf int64) {
	n.Shard = n.Shard.clone()
	r := &row{epoch: n.Epoch, entry: n.Entry.Clone(), weight: n.Weight, flags: n.Flags, shard: n.Shard, seeded: true, asOf: asOf}
	if r.epoch > 0 || r.entry.Position.IsEnd() {
		r.shard.Parents = nil
	}
	t.rows[n.Name] = r
	t.touch(n.Name)
}

// merge takes another seed of a row.
func (t *table) merge(r *row, n Remembered, asOf int64) {
	epoch, at, weight, flags, stateful := r.epoch, r.entry, r.weight, r.flags, r.stateful()
	better := newer(Remembered{Epoch: r.epoch, Entry: r.entry}, n)
	r.epoch = max(r.epoch, n.Epoch)
	if paused := marked(n.Flags, FlagPaused); asOf > r.asOf && paused != marked(r.flags, FlagPaused) {
		r.flags = remark(r.flags, FlagPaused, !paused)
	} else if asOf < r.asOf {
		n.Flags = remark(n.Flags, FlagPaused, true)
	}
	r.asOf = max(r.asOf, asOf)
	for flag := range strings.SplitSeq(n.Flags, ",") {
		if flag != "" && !marked(r.flags, flag) {
			r.flags = strings.TrimPrefix(r.flags+","+flag, ",")
		}
	}
	r.shard.StartingHashKey = cmp.Or(r.shard.StartingHashKey, n.Shard.StartingHashKey)
	r.shard.EndingHashKey = cmp.Or(r.shard.EndingHashKey, n.Shard.EndingHashKey)
	if r.shard.Children == nil {
		r.shard.Children = slices.Clone(n.Shard.Children)
	}
	if r.shard.Created.IsZero() {
		r.shard.Created = n.Shard.Created
	}
	if better {
		r.entry = n.Entry.Clone()
	}
	r.weight = cmp.Or(r.weight, n.Weight)
	if r.epoch > 0 || r.entry.Position.IsEnd() {
		r.shard.Parents = nil
	}
	if r.epoch != epoch || r.entry.Position != at.Position || r.entry.Counter != at.Counter || r.weight != weight || r.flags != flags ||
		r.stateful() != stateful {
		t.touch(n.Name)
	}
}

// newer reports whether a seed replaces the position that another left. The end of
// a shard does, as what follows it has begun. Else one of a later epoch does, which
// somebody had after the other, or which a reset by hand made. Of one epoch one with its
// state does: it would be wrong with the state of another position, or none. Of two
// starts the earlier one does.
func newer(was, n Remembered) bool {
	old, e := was.Entry, n.Entry
	switch {
	case old.Position.IsEnd() || e.Position.IsEnd():
		return !old.Position.IsEnd()
	case was.Epoch != n.Epoch:
		return n.Epoch > was.Epoch
	}
	have, has := old.State != nil || old.Inherited != nil, e.State != nil || len(e.Inherited) > 0
	if have != has {
		return has
	}
	switch order := e.Position.Compare(old.Position); {
	case order != 0:
		return order > 0
	case old.Position.Rank == checkpoint.RankStart && !old.Position.Since.Equal(e.Position.Since):
		return e.Position.Since.IsZero() || !old.Position.Since.IsZero() && e.Position.Since.Before(old.Position.Since)
	}
	return e.Counter > old.Counter
}

// descend calls f for each row, children before parents, with its listed children.
func descend(rows []Row, f func(n Row, children []string)) {
	names := make([]string, len(rows))
	for i, n := range rows {
		names[i] = n.Name
	}
	order, children := lineage.Descending(names, func(i int) []string { return rows[i].Shard.Parents })
	for _, i := range order {
		f(rows[i], children[names[i]])
	}
}

// over reports whether a shard was handled to its end, because one of its children
// has started, or has ended.
func (t *table) over(children []string) bool {
	return slices.ContainsFunc(children, func(child string) bool {
		r := t.rows[child]
		return r != nil && (r.entry.Position.IsEnd() || len(r.shard.Parents) == 0)
	})
}

// fill makes the row of a listed shard that has none, at its end when that is
// known. It reports whether it made one.
func (t *table) fill(n Row, children []string) bool {
	if t.rows[n.Name] != nil {
		return false
	}
	if t.over(children) {
		n.Position, n.Shard.Parents, n.Shard.Children = checkpoint.ShardEnd(), nil, children
	}
	t.insert(n)
	return true
}

func (t *table) adopt(a Adoption) error {
	switch {
	case t.syncing():
		return ErrSyncing
	case !t.ready[a.Stream]:
		return ErrNotReady
	}
	descend(a.Rows, func(n Row, children []string) {
		if t.fill(n, children) {
			t.announce = true
		}
	})
	return nil
}

func (t *table) retire(ret Retirement) error {
	r := t.rows[ret.Name]
	switch {
	case t.syncing():
		return ErrSyncing
	case !t.ready[StreamOf(ret.Name)]:
		return ErrNotReady
	case r == nil && !t.awaited(ret.Name):
		return checkpoint.ErrNotFound
	case r == nil:
		r = &row{shard: Shard{Created: stamped(), Generation: t.generation[StreamOf(ret.Name)]}}
		t.rows[ret.Name] = r
	case r.entry.Position.IsEnd():
		return nil // a repeat, or completed
	case t.alive(SessionOf(r.token)):
		return ErrHeld
	}
	r.token = "" // who lapsed is fenced
	t.finish(ret.Name, r, ret.Children)
	return nil
}

// awaited reports whether a lease waits for one of a name.
func (t *table) awaited(name string) bool {
	for _, r := range t.rows {
		if slices.Contains(r.shard.Parents, name) {
			return true
		}
	}
	return false
}
