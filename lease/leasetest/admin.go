package leasetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// adminCases are about what is done by hand.
var adminCases = []testCase{
	{"a paused group grants nothing, and beats say so", testPause},
	{"a paused lease is granted to nobody", testPausedLease},
	{"an owner marks its lease, and another may not", testMark},
	{"a lease remembers the last versions that stopped", testStopped},
	{"a flag that is not valid is refused", testMarkInvalid},
	{"a reset fences the owner and sets the position, also backwards", testReset},
	{"a reset needs a pause, or force", testResetUnpaused},
	{"a reset needs no pause of the group where the lease is paused", testResetPausedLease},
	{"a reset to a time to come is refused", testResetAhead},
	{"a lease that was acquired since is not reset", testResetChanged},
	{"a shard that ended since is not reset", testResetEnded},
	{"a reset may be sent again", testResetAgain},
	{"a reset lease waits for its parents as before", testResetChild},
	{"a reset to the end is refused", testResetEnd},
}

func (w *worker) pause(on bool) {
	w.t.Helper()
	w.must(w.store.Pause(w.t.Context(), w.scope(), on))
}

func (w *worker) mark(m lease.Mark) error {
	w.t.Helper()
	return w.store.Mark(w.t.Context(), w.scope(), m)
}

func (w *worker) reset(r lease.Reset) error {
	w.t.Helper()
	return w.store.Reset(w.t.Context(), w.scope(), r)
}

func testPause(t *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("1"), row("2"))
	g := a.take(name("1"))
	b.pause(true)
	b.pause(true) // its answer was lost
	a.refused(name("2"), lease.ErrPaused)
	if v := a.beat(); !v.Paused || !s.view().Paused {
		t.Errorf("paused: %v, %v in the view", v.Paused, s.view().Paused)
	}
	a.save(checkpoint.Update{Lease: name("1"), Token: g.Token, Position: checkpoint.At("5", 0), Release: true}, nil)
	b.pause(false)
	if b.beat().Paused {
		t.Error("paused after it was let go on")
	}
	b.take(name("1"))
	nobody := checkpoint.Scope{Group: s.group + "-other"}
	s.is(s.store.Pause(t.Context(), nobody, true), lease.ErrStateLost)
}

func testPausedLease(t *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("1"), row("2"))
	b.beat()
	pause := lease.Mark{Name: name("1"), Flag: lease.FlagPaused}
	for range 2 { // its answer was lost
		a.must(a.mark(pause))
	}
	a.refused(name("1"), lease.ErrPaused)
	a.take(name("2"))
	v := b.beat()
	if len(v.Leases) != 2 || !v.Leases[0].Marked(lease.FlagPaused) || v.Leases[1].Flags != "" {
		t.Errorf("told %+v", v.Leases)
	}
	pause.Off = true
	a.must(a.mark(pause))
	b.take(name("1"))
	a.is(a.mark(lease.Mark{Name: name("3"), Flag: lease.FlagPaused}), checkpoint.ErrNotFound)
}

func testMark(t *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("1"))
	g := a.take(name("1"))
	stop := lease.Mark{Name: name("1"), Token: g.Token, Flag: lease.FlagStopped("v1")}
	b.is(b.mark(lease.Mark{Name: name("1"), Token: checkpoint.Token(b.id + "#1"), Flag: lease.FlagPaused}), checkpoint.ErrFenced)
	a.must(a.mark(stop))
	a.release(name("1"), g.Token, checkpoint.At("5", 0))
	a.must(a.mark(stop)) // its answer was lost
	a.is(a.mark(lease.Mark{Name: name("1"), Token: g.Token, Flag: lease.FlagPaused}), checkpoint.ErrFenced)
	b.take(name("1")) // another version may
	if l := s.find(name("1")); l.Flags != "stopped:v1" || l.Position != checkpoint.At("5", 0) {
		t.Errorf("marked: %+v", l)
	}
}

func testStopped(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("1"))
	a.must(a.mark(lease.Mark{Name: name("1"), Flag: lease.FlagPaused}))
	for i := range 10 {
		a.must(a.mark(lease.Mark{Name: name("1"), Flag: lease.FlagStopped(fmt.Sprint(i))}))
	}
	l := s.find(name("1"))
	if !l.Marked(lease.FlagPaused) || l.Marked(lease.FlagStopped("1")) || !l.Marked(lease.FlagStopped("2")) || !l.Marked(lease.FlagStopped("9")) {
		t.Errorf("flags %q", l.Flags)
	}
}

func testMarkInvalid(_ *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("1"))
	for _, flag := range []string{"", "halted", "stopped:", "stopped:a,b", "stopped:a|b", "stopped:a\nb"} {
		if a.mark(lease.Mark{Name: name("1"), Flag: flag}) == nil {
			s.t.Errorf("the flag %q was taken", flag)
		}
	}
	if a.mark(lease.Mark{Flag: lease.FlagPaused}) == nil {
		s.t.Error("a mark of no lease was taken")
	}
}

func testReset(t *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("1"))
	g := a.take(name("1"))
	a.save(checkpoint.Update{Lease: name("1"), Token: g.Token, Position: checkpoint.At("900", 2), Counter: 7, State: []byte("sums")}, nil)
	a.beat()
	b.beat()
	b.request(time.Minute, name("1"))
	a.pause(true)
	since := checkpoint.StartAt(time.UnixMilli(900_000_000_001))
	b.must(b.reset(lease.Reset{Name: name("1"), Position: since, Epoch: g.Epoch}))
	a.save(checkpoint.Update{Lease: name("1"), Token: g.Token, Position: checkpoint.At("901", 0)}, checkpoint.ErrFenced)
	a.save(checkpoint.Update{Lease: name("1"), Token: g.Token, Position: checkpoint.Start()}, checkpoint.ErrFenced)
	v := a.beat()
	if len(v.Leases) != 1 || !v.Leases[0].Free() || v.Leases[0].Want != "" || v.Leases[0].Epoch <= g.Epoch || v.Leases[0].Position != since {
		t.Errorf("told %+v", v.Leases)
	}
	a.pause(false)
	n := a.take(name("1"))
	if n.Epoch <= v.Leases[0].Epoch || n.Entry.Position != since || n.Entry.Counter != 0 || n.Entry.State != nil {
		t.Errorf("granted %+v", n)
	}
}

func testResetUnpaused(_ *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("1"))
	g := a.take(name("1"))
	r := lease.Reset{Name: name("1"), Position: checkpoint.At("5", 0), Epoch: g.Epoch}
	a.is(a.reset(r), lease.ErrNotPaused)
	a.save(checkpoint.Update{Lease: name("1"), Token: g.Token, Position: checkpoint.At("9", 0)}, nil)
	r.Forced = true
	a.must(a.reset(r))
	if p := a.take(name("1")).Entry.Position; p != r.Position {
		s.t.Errorf("granted at %v", p)
	}
	r.Name = name("2")
	a.is(a.reset(r), checkpoint.ErrNotFound)
}

func testResetPausedLease(_ *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("1"), row("2"))
	g := a.take(name("1"))
	pause := lease.Mark{Name: name("2"), Flag: lease.FlagPaused}
	a.must(a.mark(pause))
	r := lease.Reset{Name: name("1"), Position: checkpoint.At("5", 0), Epoch: g.Epoch}
	a.is(a.reset(r), lease.ErrNotPaused) // another lease is
	a.must(a.mark(lease.Mark{Name: name("1"), Flag: lease.FlagStopped("v1")}))
	a.is(a.reset(r), lease.ErrNotPaused)
	pause.Name = name("1")
	a.must(a.mark(pause))
	a.must(a.reset(r))
	if l := s.find(name("1")); l.Position != r.Position || !l.Free() || !l.Marked(lease.FlagPaused) {
		s.t.Errorf("reset: %+v", l)
	}
	a.refused(name("1"), lease.ErrPaused)
}

func testResetAhead(_ *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("1"))
	r := lease.Reset{Name: name("1"), Position: checkpoint.StartAt(time.Now().Add(2 * time.Minute)), Forced: true}
	if a.reset(r) == nil {
		s.t.Error("a time to come was taken")
	}
	r.Position = checkpoint.StartAt(time.Now())
	a.must(a.reset(r))
}

func testResetChanged(_ *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("1"))
	old := a.take(name("1"))
	g := a.take(name("1"))
	a.is(a.reset(lease.Reset{Name: name("1"), Position: checkpoint.At("5", 0), Epoch: old.Epoch, Forced: true}), lease.ErrChanged)
	a.save(checkpoint.Update{Lease: name("1"), Token: g.Token, Position: checkpoint.At("1", 0)}, nil)
}

// The epoch of a shard that ends stays as it is, so it does not tell.
func testResetEnded(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("1"), row("p"))
	g := a.take(name("1"))
	r := lease.Reset{Name: name("1"), Position: checkpoint.At("5", 0), Epoch: g.Epoch, Forced: true}
	a.must(a.complete(name("1"), g.Token, row("c", "1")))
	a.is(a.reset(r), lease.ErrChanged)
	if l := s.find(name("1")); !l.Finished() || l.Epoch != g.Epoch {
		t.Errorf("reset: %+v", l)
	}
	a.take(name("c")) // its parent has ended yet
	r.Ended = true
	for range 2 { // its answer was lost
		a.must(a.reset(r))
	}
	if p := a.take(name("1")).Entry.Position; p != r.Position {
		t.Errorf("granted at %v", p)
	}
	// One that was never acquired may end too.
	a.must(a.retire("p"))
	a.is(a.reset(lease.Reset{Name: name("p"), Forced: true}), lease.ErrChanged)
	a.must(a.reset(lease.Reset{Name: name("p"), Forced: true, Ended: true}))
}

func testResetAgain(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("1"))
	r := lease.Reset{Name: name("1"), Position: checkpoint.At("5", 0), Epoch: a.take(name("1")).Epoch, Forced: true}
	a.must(a.reset(r))
	g := a.take(name("1"))
	a.save(checkpoint.Update{Lease: name("1"), Token: g.Token, Position: checkpoint.At("7", 0)}, nil)
	a.must(a.reset(r)) // its answer was lost, and it was late
	if l := s.find(name("1")); l.Token != g.Token || l.Position != checkpoint.At("7", 0) {
		t.Errorf("reset twice: %+v", l)
	}
	r.Position = checkpoint.At("6", 0)
	a.is(a.reset(r), lease.ErrChanged) // another reset
}

func testResetChild(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("p"), row("c", "p"))
	a.must(a.reset(lease.Reset{Name: name("c"), Position: checkpoint.At("5", 0), Forced: true}))
	if l := s.find(name("c")); l.Epoch != 0 {
		t.Errorf("a lease that was never acquired has the epoch %d", l.Epoch)
	}
	a.refused(name("c"), lease.ErrParent)
	a.must(a.complete(name("p"), a.take(name("p")).Token, row("c", "p")))
	if p := a.take(name("c")).Entry.Position; p != checkpoint.At("5", 0) {
		t.Errorf("granted at %v", p)
	}
}

func testResetEnd(_ *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("1"))
	for _, r := range []lease.Reset{
		{Name: name("1"), Position: checkpoint.ShardEnd(), Forced: true},
		{Name: name("1"), Position: checkpoint.At("12x", 0), Forced: true},
		{Position: checkpoint.At("12", 0), Forced: true},
	} {
		if a.reset(r) == nil {
			s.t.Errorf("%+v was taken", r)
		}
	}
	if l := s.find(name("1")); !l.Position.IsZero() {
		s.t.Errorf("at %v", l.Position)
	}
}
