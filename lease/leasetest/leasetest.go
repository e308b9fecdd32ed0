// Package leasetest is what every lease.Store must do, as a test suite for
// those who write one. It contains the suite of checkpointtest.
package leasetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/checkpoint/checkpointtest"
	"github.com/shardrun/shardrun/lease"
)

// TTL is the lease time of groups in which a session lapses: the time that those
// cases take, outside of a bubble. It is longer than it could be, since other
// sessions must not lapse on a machine that has much else to do.
const TTL = 2 * lease.MinTTL

// unhurried is the lease time of all other groups, in which nobody lapses.
const unhurried = 30 * time.Second

// stream is the stream of all cases.
const stream = "000000000000:us-east-1:orders:1700000000000"

// Run tests a store. It calls open once for each case; open calls test with a
// store, in a bubble of testing/synctest if it likes. Cases use groups of
// their own, so the stores may share a server.
func Run(t *testing.T, open func(t *testing.T, test func(*testing.T, lease.Store))) {
	t.Run("checkpoints", func(t *testing.T) {
		checkpointtest.Run(t, func(t *testing.T, test func(*testing.T, checkpointtest.Backend)) {
			open(t, func(t *testing.T, s lease.Store) { test(t, Checkpoints(s)) })
		})
	})
	for _, cases := range [][]testCase{tableCases, ownerCases, shardCases, sessionCases, adminCases, lossCases, mendCases} {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				open(t, func(t *testing.T, s lease.Store) { c.test(t, newSubject(t, s)) })
			})
		}
	}
}

type testCase struct {
	name string
	test func(*testing.T, *subject)
}

// Checkpoints is a store as checkpointtest wants it: each group has one worker,
// which acquires a lease anew whenever it is to be granted.
func Checkpoints(s lease.Store) checkpointtest.Backend {
	holders := map[string]*worker{}
	return checkpointtest.Backend{Store: s, Grant: func(t *testing.T, group, name string, start checkpoint.Position) checkpoint.Token {
		t.Helper()
		w := holders[group]
		if w == nil {
			w = (&subject{t: t, store: s, group: group, ttl: unhurried}).join("holder")
			w.create(row("of-the-set"))
			holders[group] = w
		}
		w.beat()
		if all, err := s.Load(t.Context(), group, name); err != nil || len(all) == 0 {
			w.must(err)
			// A lease is made where it is wanted: as the child of another.
			parent := lease.Name(stream+uuid.NewString(), "parent")
			w.must(s.Create(t.Context(), w.scope(), lease.Create{
				Session: w.id, Stream: lease.StreamOf(parent), Rows: []lease.Row{{Name: parent}},
			}))
			tok := w.take(parent).Token
			w.must(s.Complete(t.Context(), w.scope(), lease.Completion{
				Name: parent, Token: tok, Children: []lease.Row{{Name: name, Position: start}},
			}))
		}
		return w.take(name).Token
	}}
}

// subject is a store with the group of one case.
type subject struct {
	t     *testing.T
	store lease.Store
	group string
	ttl   time.Duration // of the group; a case in which something lapses takes TTL
}

func newSubject(t *testing.T, s lease.Store) *subject {
	return &subject{t: t, store: s, group: "leasetest-" + uuid.NewString(), ttl: unhurried}
}

// worker is a session, with what a worker knows of the group.
type worker struct {
	*subject
	name        string
	id          string
	incarnation string
	named       bool   // a beat was answered
	sent        uint64 // beats sent
	good        uint64 // the number of the last that was answered
	stamp       int64  // of its answer
	seen        uint64
	numbers     uint64
	state       lease.State
	load        float64
}

// join is the first beat of a new worker.
func (s *subject) join(name string) *worker {
	s.t.Helper()
	w := s.worker(name)
	w.beat()
	return w
}

// worker is one that has not joined.
func (s *subject) worker(name string) *worker {
	return &worker{subject: s, name: name, id: uuid.NewString(), state: lease.StateUp}
}

func (w *worker) scope() checkpoint.Scope {
	return checkpoint.Scope{Group: w.group, Incarnation: w.incarnation}
}

// next is the worker's next beat.
func (w *worker) next() lease.Beat {
	w.sent++
	return lease.Beat{
		Incarnation: w.incarnation, NewIncarnation: uuid.NewString(), TTL: w.ttl,
		First: !w.named, Number: w.sent, Good: w.good, Stamp: w.stamp, Seen: w.seen,
		Session: lease.Session{
			ID: w.id, Name: w.name, Host: "here", Plan: 1, Streams: []string{stream}, Capacity: 1, State: w.state, Load: w.load,
		},
	}
}

// try beats; a good answer counts.
func (w *worker) try() (lease.View, error) {
	v, err := w.store.Beat(w.t.Context(), w.group, w.next())
	if err == nil {
		w.named, w.good, w.stamp = true, w.sent, v.Stamp
		w.incarnation, w.seen = v.Incarnation, v.Through
	}
	return v, err
}

// forget has the worker begin its view anew.
func (w *worker) forget() { w.good, w.stamp, w.seen = 0, 0, 0 }

func (w *worker) beat() lease.View {
	w.t.Helper()
	v, err := w.try()
	w.must(err)
	return v
}

// beatAll beats until there is no more, and returns all rows.
func (w *worker) beatAll() lease.View {
	w.t.Helper()
	all := w.beat()
	for v := all; v.More; {
		v = w.beat()
		v.Leases, v.Sessions = append(all.Leases, v.Leases...), append(all.Sessions, v.Sessions...)
		v.Gone, v.Left = append(all.Gone, v.Gone...), append(all.Left, v.Left...)
		all = v
	}
	return all
}

func (s *subject) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// is checks an error.
func (s *subject) is(err, want error) {
	s.t.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		s.t.Fatalf("error %v, want %v", err, want)
	}
}

// row is a lease of the test stream, with parents.
func row(shard string, parents ...string) lease.Row {
	r := lease.Row{Name: name(shard), Shard: lease.Shard{StartingHashKey: "0", EndingHashKey: "340282366920938463463374607431768211455"}}
	for _, p := range parents {
		r.Shard.Parents = append(r.Shard.Parents, name(p))
	}
	return r
}

func name(shard string) string { return lease.Name(stream, shard) }

func (w *worker) create(rows ...lease.Row) {
	w.t.Helper()
	w.must(w.store.Create(w.t.Context(), w.scope(), lease.Create{Session: w.id, Stream: stream, Rows: rows}))
}

// acquire asks for leases, and returns the grants.
func (w *worker) acquire(names ...string) []lease.Grant {
	w.t.Helper()
	a := lease.Acquire{Session: w.id, First: w.numbers + 1, Names: names}
	w.numbers += uint64(len(names))
	grants, err := w.store.Acquire(w.t.Context(), w.scope(), a)
	w.must(err)
	if len(grants) != len(names) {
		w.t.Fatalf("%d grants of %d", len(grants), len(names))
	}
	return grants
}

// take acquires a lease, which must be granted.
func (w *worker) take(name string) lease.Grant {
	w.t.Helper()
	g := w.acquire(name)[0]
	if g.Err != nil {
		w.t.Fatalf("acquire %s: %v", name, g.Err)
	}
	return g
}

// refused acquires a lease, which must not be granted.
func (w *worker) refused(name string, want error) {
	w.t.Helper()
	w.is(w.acquire(name)[0].Err, want)
}

func (w *worker) save(u checkpoint.Update, want error) {
	w.t.Helper()
	out, err := w.store.Save(w.t.Context(), w.scope(), u)
	w.must(err)
	w.is(out[0].Err, want)
}

func (w *worker) release(name string, token checkpoint.Token, at checkpoint.Position) {
	w.t.Helper()
	w.save(checkpoint.Update{Lease: name, Token: token, Position: at, Release: true}, nil)
}

func (w *worker) complete(name string, token checkpoint.Token, children ...lease.Row) error {
	return w.store.Complete(w.t.Context(), w.scope(), lease.Completion{Name: name, Token: token, Children: children})
}

func (w *worker) request(wish time.Duration, names ...string) []error {
	w.t.Helper()
	out, err := w.store.Request(w.t.Context(), w.scope(), lease.Request{Session: w.id, For: wish, Names: names})
	w.must(err)
	return out
}

func (s *subject) view() lease.View {
	s.t.Helper()
	v, err := s.store.View(s.t.Context(), s.group)
	s.must(err)
	return v
}

// find is a lease in the table, nil when there is none.
func (s *subject) find(name string) *lease.Lease {
	s.t.Helper()
	v := s.view()
	i := slices.IndexFunc(v.Leases, func(l lease.Lease) bool { return l.Name == name })
	if i < 0 {
		return nil
	}
	return &v.Leases[i]
}

// names are the shards of leases, in order.
func names(leases []lease.Lease) []string {
	out := make([]string, 0, len(leases))
	for _, l := range leases {
		out = append(out, lease.ShardOf(l.Name))
	}
	slices.Sort(out)
	return out
}

// pass lets time pass, in so many steps that a beating worker stays alive. With
// one it is session time, which falls behind the clock when a machine is slow.
func pass(d time.Duration, alive ...*worker) {
	if len(alive) == 0 {
		time.Sleep(d)
		return
	}
	start := alive[0].beat().Now
	for now := start; now-start < d.Milliseconds(); {
		time.Sleep(min(d-time.Duration(now-start)*time.Millisecond, TTL/3))
		for i, w := range alive {
			if v := w.beat(); i == 0 {
				now = v.Now
			}
		}
	}
}

func shardID(i int) string { return fmt.Sprintf("shardId-%012d", i) }
