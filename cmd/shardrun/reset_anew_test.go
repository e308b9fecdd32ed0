package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// busyStore is a store in which something happens before a reset, or after a
// collection: what is first in the list, then nothing.
type busyStore struct {
	lease.Store
	before, after []func()
}

func next(f *[]func()) {
	if len(*f) > 0 {
		(*f)[0]()
		*f = (*f)[1:]
	}
}

func (s *busyStore) Reset(ctx context.Context, scope checkpoint.Scope, r lease.Reset) error {
	next(&s.before)
	return s.Store.Reset(ctx, scope, r)
}

func (s *busyStore) Collect(ctx context.Context, scope checkpoint.Scope, c lease.Collection) ([]error, error) {
	defer next(&s.after)
	return s.Store.Collect(ctx, scope, c)
}

// holder is a worker of the group billing as the store sees it.
type holder struct {
	t     *testing.T
	store lease.Store
	scope checkpoint.Scope
	id    string
	next  uint64
}

func (f *fleet) holder() *holder {
	f.t.Helper()
	h := &holder{t: f.t, store: f.store, id: uuid.NewString(), next: 1}
	v, err := f.store.Beat(f.t.Context(), "billing", lease.Beat{
		Session: lease.Session{ID: h.id, Name: "test-" + h.id, Plan: lease.PlanVersion, State: lease.StateUp},
		Number:  1, NewIncarnation: uuid.NewString(), TTL: time.Minute,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	h.scope = checkpoint.Scope{Group: "billing", Incarnation: v.Incarnation}
	return h
}

// take acquires a lease, which goes on until it is completed with children.
func (h *holder) take(name string) (grant lease.Grant, complete func(children ...string)) {
	h.t.Helper()
	g, err := h.store.Acquire(h.t.Context(), h.scope, lease.Acquire{Session: h.id, First: h.next, Names: []string{name}})
	if err != nil || g[0].Err != nil {
		h.t.Fatal(err, g)
	}
	h.next++
	return g[0], func(children ...string) {
		h.t.Helper()
		c := lease.Completion{Name: name, Token: g[0].Token}
		for _, child := range children {
			c.Children = append(c.Children, lease.Row{Name: child, Shard: lease.Shard{Parents: []string{name}}})
		}
		if err := h.store.Complete(h.t.Context(), h.scope, c); err != nil {
			h.t.Error(err)
		}
	}
}

// save saves a position with a state.
func (h *holder) save(name string, g lease.Grant) {
	h.t.Helper()
	u := checkpoint.Update{Lease: name, Token: g.Token, Position: checkpoint.At("5", 0), State: []byte("sums")}
	if out, err := h.store.Save(h.t.Context(), h.scope, u); err != nil || out[0].Err != nil {
		h.t.Fatal(err, out)
	}
}

// resetting is a reset of the stream that has seen its leases, with a store to put
// between.
func (f *fleet) resetting() (*resetting, lease.View, *busyStore) {
	f.t.Helper()
	g, err := openGroup(f.t.Context(), groupFlags{redis: f.redis, group: "billing"})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = g.close() }) // the test is over
	v, err := g.known(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	s := &busyStore{Store: g.Store}
	g.Store = s
	r := &resetting{app: &app{}, group: g, flags: resetFlags{groupFlags: groupFlags{group: "billing"}}, stream: lease.StreamOf(v.Leases[0].Name)}
	for _, l := range v.Leases {
		r.rows = append(r.rows, lease.Row{Name: l.Name, Shard: lease.Shard{StartingHashKey: "0", EndingHashKey: "1"}})
	}
	return r, v, s
}

// What follows a shard that ends while its stream is reset is removed with it, and
// what was left to it: it comes back when the shard has ended again.
func TestAResetRemovesWhatIsBornMeanwhile(t *testing.T) {
	f := newFleet(t, 2)
	f.ok("leases", "init", "orders", "--group", "billing", "--at", "trim", "--lease-ttl", "1m")
	leases := f.leases()
	first, child := leases["0"].Lease, lease.Name(leases["0"].Stream, "shardId-000000000002")
	h := f.holder()
	g, complete := h.take(first)
	h.save(first, g)
	h.take(leases["1"].Lease)
	f.ok("pause", "billing")
	r, v, s := f.resetting()
	s.before = []func(){func() { complete(child) }}
	if err := r.anew(t.Context(), r.scope(v), v.TTL, v.Leases); err != nil {
		t.Fatal(err)
	}
	if got := f.leases(); len(got) != 2 || got["0"].Position != "START" || got["1"].Position != "START" {
		t.Errorf("leases %+v", got)
	}
	f.ok("resume", "billing")
	_, complete = h.take(first)
	complete(child)
	if g, _ := h.take(child); !g.Entry.Position.IsZero() || g.Entry.Inherited != nil {
		t.Errorf("the child begins with %+v", g.Entry)
	}
}

// Who has not heard of the pause yet may make the leases that are missing; a reset
// that is not left alone says so.
func TestAResetRemovesWhatIsMadeMeanwhile(t *testing.T) {
	f := newFleet(t, 1)
	f.ok("leases", "init", "orders", "--group", "billing", "--at", "trim", "--lease-ttl", "1m")
	h := f.holder()
	f.ok("pause", "billing")
	r, v, s := f.resetting()
	somebody := func() {
		wrong := lease.Row{Name: v.Leases[0].Name, Position: checkpoint.At("5", 0)}
		if err := f.store.Create(t.Context(), h.scope, lease.Create{Session: h.id, Stream: r.stream, Rows: []lease.Row{wrong}}); err != nil {
			t.Error(err)
		}
	}
	s.after = []func(){somebody}
	if err := r.anew(t.Context(), r.scope(v), v.TTL, v.Leases); err != nil {
		t.Fatal(err)
	}
	if got := f.leases(); len(got) != 1 || got["0"].Position != "START" {
		t.Errorf("leases %+v", got)
	}
	s.after = slices.Repeat([]func(){somebody}, 1000)
	if err := r.anew(t.Context(), r.scope(v), v.TTL, v.Leases); err == nil || !strings.Contains(err.Error(), "as fast as they are removed") {
		t.Errorf("a reset that is not left alone: %v", err)
	}
}
