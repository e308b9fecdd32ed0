package witness

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/lease"
)

// Store tells h what a worker asks of its store, and what it is answered.
func Store(h *history.History, worker string, s lease.Store) lease.Store {
	return &store{Store: s, h: h, worker: worker}
}

type store struct {
	lease.Store
	h       *history.History
	worker  string
	granted func(lease string, epoch uint64) // told of what was acquired; may be nil
	joined  string                           // the incarnation that the last beat was told of
}

// began tells of a call.
func (s *store) began(op history.Op, items []history.Item) int {
	return s.h.Began(history.StoreCall{Actor: s.worker, Op: op, Items: items})
}

// refusals are the errors of a whole call with which nothing was written.
var refusals = []error{
	lease.ErrReset, lease.ErrStateLost, lease.ErrVersion, lease.ErrHeld, lease.ErrExists, lease.ErrExpired,
	lease.ErrSyncing, lease.ErrSeeded,
	checkpoint.ErrFenced, checkpoint.ErrNotFound,
}

// answered tells of the answer of a call as a whole. With an error that the
// store itself gave nothing was written; with any other nobody knows.
func (s *store) answered(call, items int, err error) {
	known := err == nil
	for _, r := range refusals {
		known = known || errors.Is(err, r)
	}
	if !known {
		s.h.Answered(call, nil, err)
		return
	}
	results := make([]history.Result, items)
	if err != nil {
		for i := range results {
			results[i].Err = err.Error()
		}
	}
	s.h.Answered(call, results, nil)
}

// Beat tells of an answer that the store lost what it had, and of another
// incarnation of it. A worker has one beat in flight.
func (s *store) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	began := time.Now()
	v, err := s.Store.Beat(ctx, group, b)
	if errors.Is(err, lease.ErrStateLost) {
		s.h.LossSeen(s.worker, began)
	}
	known := err == nil || errors.Is(err, lease.ErrReset) || errors.Is(err, lease.ErrStateLost)
	if known && v.Incarnation != s.joined {
		s.joined = v.Incarnation
		s.h.Joined(s.worker, v.Incarnation)
	}
	return v, err
}

func (s *store) Acquire(ctx context.Context, scope checkpoint.Scope, a lease.Acquire) ([]lease.Grant, error) {
	items := make([]history.Item, len(a.Names))
	for i, name := range a.Names {
		items[i] = history.Item{Lease: name, Token: a.Session + "#" + strconv.FormatUint(a.First+uint64(i), 10)}
	}
	call := s.began(history.OpAcquire, items)
	grants, err := s.Store.Acquire(ctx, scope, a)
	if err != nil {
		s.answered(call, len(items), err)
		return grants, err
	}
	results := make([]history.Result, len(grants))
	for i, g := range grants {
		if g.Err != nil {
			results[i].Err = g.Err.Error()
			continue
		}
		if s.granted != nil {
			s.granted(a.Names[i], g.Epoch)
		}
		results[i] = history.Result{Token: string(g.Token), Epoch: g.Epoch, Position: g.Entry.Position, Stored: true}
	}
	s.h.Answered(call, results, nil)
	return grants, nil
}

func (s *store) Save(ctx context.Context, scope checkpoint.Scope, updates ...checkpoint.Update) ([]checkpoint.Outcome, error) {
	items := make([]history.Item, len(updates))
	for i, u := range updates {
		items[i] = history.Item{Lease: u.Lease, Token: string(u.Token), Position: u.Position, Release: u.Release}
	}
	call := s.began(history.OpSave, items)
	outcomes, err := s.Store.Save(ctx, scope, updates...)
	if err != nil && len(outcomes) == 0 {
		s.answered(call, len(items), err)
		return outcomes, err
	}
	results := make([]history.Result, len(outcomes))
	for i, o := range outcomes {
		results[i] = history.Result{Position: o.Position, Stored: o.Err == nil || errors.Is(o.Err, checkpoint.ErrRegress)}
		if o.Err != nil {
			results[i].Err = o.Err.Error()
		}
	}
	s.h.Answered(call, results, err)
	return outcomes, err
}

func (s *store) Complete(ctx context.Context, scope checkpoint.Scope, c lease.Completion) error {
	item := history.Item{Lease: c.Name, Token: string(c.Token), Position: checkpoint.ShardEnd()}
	for _, child := range c.Children {
		item.Children = append(item.Children, child.Name)
	}
	call := s.began(history.OpComplete, []history.Item{item})
	err := s.Store.Complete(ctx, scope, c)
	s.answered(call, 1, err)
	return err
}

func (s *store) Create(ctx context.Context, scope checkpoint.Scope, c lease.Create) error {
	items := make([]history.Item, len(c.Rows))
	for i, r := range c.Rows {
		items[i] = history.Item{Lease: r.Name, Position: r.Position}
	}
	call := s.began(history.OpCreate, items)
	err := s.Store.Create(ctx, scope, c)
	s.answered(call, len(items), err)
	return err
}

func (s *store) Seed(ctx context.Context, scope checkpoint.Scope, seed lease.Seed) error {
	items := make([]history.Item, len(seed.Rows))
	for i, r := range seed.Rows {
		items[i] = history.Item{Lease: r.Name, Position: r.Entry.Position}
	}
	call := s.began(history.OpSeed, items)
	err := s.Store.Seed(ctx, scope, seed)
	s.answered(call, len(items), err)
	return err
}

func (s *store) Bye(ctx context.Context, scope checkpoint.Scope, session string) error {
	call := s.began(history.OpBye, nil)
	err := s.Store.Bye(ctx, scope, session)
	s.answered(call, 0, err)
	return err
}

// Owners is a lease table for [history.History.Owners]: who lives, by the
// deadlines in the table, and owns what.
func Owners(v lease.View) []history.Owner {
	names := map[string]string{}
	for _, m := range v.Sessions {
		if m.Deadline > v.Now {
			names[m.ID] = m.Name
		}
	}
	out := make([]history.Owner, len(v.Leases))
	for i, l := range v.Leases {
		out[i] = history.Owner{
			Lease: l.Name, Worker: names[lease.SessionOf(l.Token)], Position: l.Position, Parents: l.Shard.Parents,
			StartHashKey: l.Shard.StartingHashKey, EndHashKey: l.Shard.EndingHashKey,
		}
	}
	return out
}
