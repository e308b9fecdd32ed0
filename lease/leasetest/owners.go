package leasetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// ownerCases are about who has a lease.
var ownerCases = []testCase{
	{"a lease has one owner", testOneOwner},
	{"of workers that acquire together one is granted", testAcquireRace},
	{"an acquire may be sent again", testAcquireAgain},
	{"an owner may acquire its own lease anew, and fences itself", testAcquireOwn},
	{"epochs rise", testEpochs},
	{"the grant has what was saved", testGrantEntry},
	{"a released lease waits for who asked for it", testReserved},
	{"a wish is refused, ends, or stands", testWishes},
	{"only the owner may refuse", testRefuse},
	{"a refusal leaves the wish of another session alone", testRefuseOne},
	{"a finished lease is granted to nobody", testFinished},
}

func isAny(err error, of ...error) bool {
	return slices.ContainsFunc(of, func(e error) bool { return errors.Is(err, e) })
}

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

// settle empties told, until it has been quiet for a moment.
func settle(told <-chan struct{}) {
	for {
		select {
		case <-told:
		case <-time.After(30 * time.Millisecond):
			return
		}
	}
}

func testOneOwner(t *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("1"), row("2"))
	g := a.take(name("1"))
	if lease.SessionOf(g.Token) != a.id || g.Epoch == 0 || !g.Entry.Position.IsZero() {
		t.Errorf("grant %+v", g)
	}
	got := b.acquire(name("1"), name("2"), name("3"))
	b.is(got[0].Err, lease.ErrHeld)
	b.is(got[1].Err, nil)
	b.is(got[2].Err, lease.ErrGone)
	if got[1].Token == "" || got[0].Token != "" {
		t.Errorf("grants %+v", got)
	}
	a.release(name("1"), g.Token, checkpoint.At("5", 0))
	b.take(name("1"))
	a.save(checkpoint.Update{Lease: name("1"), Token: g.Token, Position: checkpoint.At("6", 0)}, checkpoint.ErrFenced)
}

func testAcquireRace(t *testing.T, s *subject) {
	s.join("maker").create(row("1"))
	const workers = 8
	granted := make(chan bool, workers)
	for i := range workers {
		w := s.join(shardID(i))
		go func() {
			g, err := s.store.Acquire(t.Context(), w.scope(), lease.Acquire{Session: w.id, First: 1, Names: []string{name("1")}})
			if err != nil || g[0].Err != nil && !errors.Is(g[0].Err, lease.ErrHeld) {
				t.Errorf("acquire: %v, %v", g, err)
			}
			granted <- err == nil && g[0].Err == nil
		}()
	}
	n := 0
	for range workers {
		if <-granted {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d workers were granted the lease", n)
	}
}

func testAcquireAgain(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("1"), row("2"))
	req := lease.Acquire{Session: a.id, First: 1, Names: []string{name("1"), name("2")}}
	first, err := s.store.Acquire(t.Context(), a.scope(), req)
	s.must(err)
	a.release(name("2"), first[1].Token, checkpoint.At("5", 0))
	again, err := s.store.Acquire(t.Context(), a.scope(), req) // its answer was lost, and it was late
	s.must(err)
	if again[0].Err != nil || again[0].Token != first[0].Token || again[0].Epoch != first[0].Epoch {
		t.Errorf("repeat: %+v, want %+v", again[0], first[0])
	}
	s.is(again[1].Err, lease.ErrStale) // a token is never given twice
	a.numbers = 2
	if g := a.take(name("2")); g.Token == first[1].Token {
		t.Error("a token was given twice")
	}
}

func testAcquireOwn(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("1"))
	old := a.take(name("1"))
	g := a.take(name("1"))
	if g.Token == old.Token || g.Epoch <= old.Epoch {
		t.Errorf("acquired anew: %+v after %+v", g, old)
	}
	a.save(checkpoint.Update{Lease: name("1"), Token: old.Token, Position: checkpoint.At("5", 0)}, checkpoint.ErrFenced)
}

func testEpochs(t *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("1"))
	last := uint64(0)
	for i := range 20 {
		w := []*worker{a, b}[i%2]
		g := w.take(name("1"))
		if g.Epoch <= last {
			t.Fatalf("epoch %d after %d", g.Epoch, last)
		}
		last = g.Epoch
		w.release(name("1"), g.Token, checkpoint.Start())
	}
}

func testGrantEntry(t *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("1"))
	g := a.take(name("1"))
	a.save(checkpoint.Update{
		Lease: name("1"), Token: g.Token, Position: checkpoint.At("12345678901234567890", 7), Counter: 3, State: []byte{0, '|', 255}, Release: true,
	}, nil)
	e := b.take(name("1")).Entry
	if e.Position != checkpoint.At("12345678901234567890", 7) || e.Counter != 3 || string(e.State) != "\x00|\xff" {
		t.Errorf("granted %+v", e)
	}
}

func testReserved(t *testing.T, s *subject) {
	s.ttl = TTL
	a, b, c := s.join("a"), s.join("b"), s.join("c")
	a.create(row("1"))
	g := a.take(name("1"))
	b.is(b.request(TTL/2, name("1"))[0], nil)
	if l := s.find(name("1")); l.Want != b.id || l.Token != g.Token {
		t.Errorf("asked for: %+v", l)
	}
	a.release(name("1"), g.Token, checkpoint.At("5", 0))
	c.refused(name("1"), lease.ErrHeld)
	g = b.take(name("1"))
	if l := s.find(name("1")); l.Want != "" {
		t.Errorf("the wish stands after it was fulfilled: %+v", l)
	}
	// A reservation ends.
	c.is(c.request(TTL/2, name("1"))[0], nil)
	b.release(name("1"), g.Token, checkpoint.At("6", 0))
	b.refused(name("1"), lease.ErrHeld)
	pass(1100*time.Millisecond, a, b, c)
	b.take(name("1"))
}

func testWishes(t *testing.T, s *subject) {
	s.ttl = TTL
	a, b, c := s.join("a"), s.join("b"), s.join("c")
	a.create(row("1"), row("2"))
	g := a.take(name("1"))
	a.is(a.request(time.Minute, name("1"))[0], nil) // its own: nothing to ask
	got := b.request(time.Minute, name("1"), name("2"), name("3"))
	b.is(got[0], nil)
	b.is(got[1], nil) // free: nothing to ask
	b.is(got[2], lease.ErrGone)
	c.is(c.request(time.Minute, name("1"))[0], lease.ErrHeld)
	if l := s.find(name("2")); l.Want != "" {
		t.Errorf("a free lease is asked for: %+v", l)
	}
	s.must(s.store.Refuse(t.Context(), a.scope(), lease.Refusal{Name: name("1"), Token: g.Token, Session: b.id}))
	if l := s.find(name("1")); l.Want != "" || l.Token != g.Token {
		t.Errorf("after the refusal: %+v", l)
	}
	c.is(c.request(TTL/3, name("1"))[0], nil)
	pass(TTL, a, b, c)
	b.is(b.request(time.Minute, name("1"))[0], nil) // the other wish has ended
	// The wish of a session that left does not stand.
	s.must(s.store.Bye(t.Context(), b.scope(), b.id))
	c.is(c.request(time.Minute, name("1"))[0], nil)
}

func testRefuse(t *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("1"))
	g := a.take(name("1"))
	b.request(time.Minute, name("1"))
	s.is(s.store.Refuse(t.Context(), b.scope(), lease.Refusal{Name: name("1"), Token: checkpoint.Token(b.id + "#1"), Session: b.id}), checkpoint.ErrFenced)
	s.is(s.store.Refuse(t.Context(), b.scope(), lease.Refusal{Name: name("2"), Token: g.Token, Session: b.id}), checkpoint.ErrNotFound)
	if l := s.find(name("1")); l.Want != b.id {
		t.Errorf("the wish is gone: %+v", l)
	}
}

func testRefuseOne(t *testing.T, s *subject) {
	a, b, c := s.join("a"), s.join("b"), s.join("c")
	a.create(row("1"))
	refusal := lease.Refusal{Name: name("1"), Token: a.take(name("1")).Token, Session: b.id}
	b.is(b.request(time.Minute, name("1"))[0], nil)
	s.must(s.store.Refuse(t.Context(), a.scope(), refusal))
	c.is(c.request(time.Minute, name("1"))[0], nil)
	s.must(s.store.Refuse(t.Context(), a.scope(), refusal)) // its answer was lost
	if l := s.find(name("1")); l.Want != c.id {
		t.Errorf("the wish is that of %q, want %q", l.Want, c.id)
	}
}

func testFinished(_ *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("1"))
	a.must(a.complete(name("1"), a.take(name("1")).Token, row("2", "1")))
	a.refused(name("1"), lease.ErrGone)
	b.refused(name("1"), lease.ErrGone)
	b.take(name("2"))
}
