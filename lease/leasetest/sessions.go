package leasetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// sessionCases are about the lives of workers.
var sessionCases = []testCase{
	{"a silent session lapses and is told to be late", testLapse},
	{"an outage lapses nobody", testOutage},
	{"a lapsed session may come back", testComeBack},
	{"a lapsed session acquires nothing", testLapsedAcquires},
	{"a session that lapsed long ago is removed", testRemoved},
	{"a goodbye frees what is held", testBye},
	{"a new start takes the name, and the old session lapses", testName},
	{"a worker that died under a name keeps it no longer than its lease time", testNameOfTheDead},
	{"state that was lost is remembered to have been", testLossRemembered},
	{"a beat that the store does not remember is a regress", testRegressed},
	{"a beat may be sent again", testBeatAgain},
	{"a beat that comes late or twice changes nothing", testBeatLate},
}

func testLapse(t *testing.T, s *subject) {
	s.ttl = TTL
	a, b := s.join("a"), s.join("b")
	a.create(row("1"))
	g := a.take(name("1"))
	// Half a lease time at most passes between two beats, however slow the
	// machine is.
	v := b.beat()
	for v.Late[a.id] == 0 {
		time.Sleep(TTL / 20)
		v = b.beat()
	}
	b.refused(name("1"), lease.ErrHeld)
	if deadline, late := v.Late[a.id]; !late || deadline <= v.Now {
		t.Errorf("late %v at %d", v.Late, v.Now)
	}
	if _, late := v.Late[b.id]; late {
		t.Errorf("who beats is late: %v", v.Late)
	}
	pass(TTL/2, b)
	if v := b.beat(); v.Late[a.id] > v.Now {
		t.Errorf("not lapsed: %v at %d", v.Late, v.Now)
	}
	n := b.take(name("1"))
	if n.Epoch <= g.Epoch {
		t.Errorf("epoch %d after %d", n.Epoch, g.Epoch)
	}
	a.save(checkpoint.Update{Lease: name("1"), Token: g.Token, Position: checkpoint.At("5", 0)}, checkpoint.ErrFenced)
	a.beat()
	a.save(checkpoint.Update{Lease: name("1"), Token: g.Token, Position: checkpoint.At("5", 0), Release: true}, checkpoint.ErrFenced)
}

func testOutage(_ *testing.T, s *subject) {
	s.ttl = TTL
	a, b := s.join("a"), s.join("b")
	a.create(row("1"))
	g := a.take(name("1"))
	pass(3 * TTL) // nobody reaches the store
	b.beat()
	b.refused(name("1"), lease.ErrHeld)
	a.beat()
	pass(TTL/4, b)
	b.refused(name("1"), lease.ErrHeld)
	a.save(checkpoint.Update{Lease: name("1"), Token: g.Token, Position: checkpoint.At("5", 0)}, nil)
}

func testComeBack(_ *testing.T, s *subject) {
	s.ttl = TTL
	a, b := s.join("a"), s.join("b")
	a.create(row("1"), row("2"))
	kept, lost := a.take(name("1")), a.take(name("2"))
	pass(TTL+TTL/3, b)
	b.take(name("2"))
	a.beat()
	a.save(checkpoint.Update{Lease: name("1"), Token: kept.Token, Position: checkpoint.At("5", 0)}, nil)
	a.save(checkpoint.Update{Lease: name("2"), Token: lost.Token, Position: checkpoint.At("5", 0)}, checkpoint.ErrFenced)
	b.refused(name("1"), lease.ErrHeld)
}

func testLapsedAcquires(_ *testing.T, s *subject) {
	s.ttl = TTL
	a, b := s.join("a"), s.join("b")
	a.create(row("1"))
	pass(TTL+TTL/3, b)
	a.refused(name("1"), lease.ErrExpired)
	a.is(a.request(time.Second, name("1"))[0], lease.ErrExpired)
	a.is(s.store.Create(s.t.Context(), a.scope(), lease.Create{Session: a.id, Stream: "x", Rows: []lease.Row{{Name: "x/1"}}}), lease.ErrExpired)
	a.beat()
	a.take(name("1"))
}

func testRemoved(t *testing.T, s *subject) {
	s.ttl = TTL
	a, b := s.join("a"), s.join("b")
	b.beat()
	var left []string
	for range 15 {
		time.Sleep(TTL / 3)
		left = append(left, b.beat().Left...)
	}
	if !slices.Contains(left, a.id) {
		t.Errorf("left: %v, want %s", left, a.id)
	}
	if v := s.view(); len(v.Sessions) != 1 || v.Sessions[0].ID != b.id {
		t.Errorf("sessions %+v", v.Sessions)
	}
	_, err := a.try() // it wakes up: the store does not know it
	s.is(err, lease.ErrRegressed)
	a.forget()
	a.beat()
}

func testBye(t *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("1"))
	g := a.take(name("1"))
	b.beat()
	s.must(s.store.Bye(t.Context(), a.scope(), a.id))
	s.must(s.store.Bye(t.Context(), a.scope(), a.id)) // its answer was lost
	if v := b.beat(); !slices.Contains(v.Left, a.id) {
		t.Errorf("left: %v", v.Left)
	}
	b.take(name("1"))
	a.save(checkpoint.Update{Lease: name("1"), Token: g.Token, Position: checkpoint.At("5", 0)}, checkpoint.ErrFenced)
	_, err := a.try()
	s.is(err, lease.ErrGone)
	a.refused(name("1"), lease.ErrExpired)
	s.join("a") // the name is free
}

func testName(_ *testing.T, s *subject) {
	old, b := s.join("a"), s.join("b")
	old.create(row("1"))
	old.take(name("1"))
	n := s.join("a")
	n.take(name("1"))
	_, err := old.try()
	s.is(err, lease.ErrSuperseded)
	old.refused(name("1"), lease.ErrExpired)
	n.beat()
	b.beat()
	// The name is free when its session has left.
	s.must(s.store.Bye(s.t.Context(), n.scope(), n.id))
	old.beat()
}

func testRegressed(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("1"))
	a.beat()
	a.sent, a.good = a.sent+5, a.good+5 // the store lost five beats
	_, err := a.try()
	s.is(err, lease.ErrRegressed)
	if r, ok := errors.AsType[*lease.RegressedError](err); !ok || r.Number != 2 {
		t.Fatalf("regressed %+v", r)
	}
	a.forget()
	a.beat()
	a.stamp++ // the store has one of that number, and not the one that was answered
	_, err = a.try()
	s.is(err, lease.ErrRegressed)
	a.forget()
	if v := a.beat(); len(v.Leases) != 1 {
		t.Errorf("the whole table is %+v", v.Leases)
	}
	ghost := s.worker("ghost")
	ghost.incarnation, ghost.sent, ghost.good = a.incarnation, 7, 7
	_, err = ghost.try()
	s.is(err, lease.ErrRegressed)
}

func testBeatAgain(t *testing.T, s *subject) {
	a := s.join("a")
	first, err := s.store.Beat(t.Context(), s.group, a.next()) // its answer is lost
	s.must(err)
	again := a.beat()
	if again.Through != first.Through || len(again.Sessions) != len(first.Sessions) {
		t.Errorf("repeat %+v, want %+v", again, first)
	}
	a.beat()
}

func testBeatLate(_ *testing.T, s *subject) {
	s.ttl = TTL
	old, b := s.worker("a"), s.join("b")
	first := old.next()
	_, err := s.store.Beat(s.t.Context(), s.group, first)
	s.must(err)
	old.beat()
	old.create(row("1"))
	twice := func(b lease.Beat) {
		s.t.Helper()
		_, err := s.store.Beat(s.t.Context(), s.group, b)
		s.is(err, lease.ErrStale)
	}
	twice(first)
	next := old.next()
	_, err = s.store.Beat(s.t.Context(), s.group, next)
	s.must(err)
	twice(next)
	young := s.join("a")
	twice(first) // takes no name back
	twice(next)
	young.beat()
	old.refused(name("1"), lease.ErrExpired)
	pass(TTL+TTL/3, b)
	twice(next) // renews nothing
	old.refused(name("1"), lease.ErrExpired)
}

func testNameOfTheDead(t *testing.T, s *subject) {
	s.ttl = TTL
	old := s.join("a")
	s.join("a")                                                 // takes the name, and never beats again
	for end := time.Now().Add(5 * TTL); ; time.Sleep(TTL / 3) { // session time falls behind the clock
		_, err := old.try()
		if err == nil {
			return
		}
		s.is(err, lease.ErrSuperseded)
		if time.Now().After(end) {
			t.Fatal("superseded by a dead worker for five lease times")
		}
	}
}

func testLossRemembered(t *testing.T, s *subject) {
	a := s.worker("a")
	a.incarnation = "one that is gone"
	v, err := a.try()
	s.is(err, lease.ErrStateLost)
	a.incarnation = v.Incarnation
	if first, other := a.beat(), s.worker("b").beat(); !first.Lost || !other.Lost || !s.view().Lost {
		t.Errorf("lost: %v, %v to a new worker, %v in the view", first.Lost, other.Lost, s.view().Lost)
	}
	fresh := newSubject(t, s.store)
	if fresh.join("a").beat().Lost {
		t.Error("a new group is told to have been lost")
	}
}
