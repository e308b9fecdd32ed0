package leasetest

import (
	"maps"
	"testing"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// shardCases are about the ends of shards and what follows.
var shardCases = []testCase{
	{"a child waits for its parent's end", testChild},
	{"a merged shard waits for both parents", testMerge},
	{"a parent that nobody knows is not an end", testUnknownParent},
	{"parents before children through splits and merges", testLineage},
	{"a complete may be sent again, and is fenced", testComplete},
	{"a child that exists keeps its row", testChildExists},
	{"state is left to the children, once", testInherit},
	{"a merged shard inherits from both parents", testInheritBoth},
	{"state that was left and never saved is left on", testInheritOn},
	{"a child that runs inherits nothing", testInheritLate},
	{"a row tells that it has a state", testStateful},
}

// testStateful: what has a state is known to all, because nobody can give it back
// without.
func testStateful(t *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("x"), row("y"))
	x, y := a.take(name("x")), a.take(name("y"))
	a.save(checkpoint.Update{Lease: name("x"), Token: x.Token, Position: checkpoint.At("5", 0)}, nil)
	b.beatAll()
	told := func(want map[string]bool) {
		t.Helper()
		for _, l := range b.beatAll().Leases {
			shard := lease.ShardOf(l.Name)
			if stateful, known := want[shard]; !known || stateful != l.Stateful {
				t.Errorf("told of %s, stateful: %v", shard, l.Stateful)
			}
			delete(want, shard)
		}
		for shard := range want {
			t.Errorf("told nothing of %s", shard)
		}
	}
	told(map[string]bool{})
	for _, at := range []checkpoint.SequenceNumber{"6", "7"} { // only the first is news
		a.save(checkpoint.Update{Lease: name("x"), Token: x.Token, Position: checkpoint.At(at, 0), State: []byte("sums")}, nil)
	}
	told(map[string]bool{"x": true})
	a.must(a.complete(name("y"), y.Token, row("m", "x", "y")))
	told(map[string]bool{"y": false, "m": false})
	a.must(a.complete(name("x"), x.Token, row("m", "x", "y")))
	told(map[string]bool{"x": false, "m": true})
	m := a.take(name("m"))
	told(map[string]bool{"m": true})
	a.save(checkpoint.Update{Lease: name("m"), Token: m.Token, Position: checkpoint.At("8", 0), State: []byte("more"), Release: true}, nil)
	told(map[string]bool{"m": true})
	a.must(a.reset(lease.Reset{Name: name("m"), Epoch: m.Epoch, Forced: true}))
	told(map[string]bool{"m": false})
}

func testChild(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("p"), row("c", "p"))
	a.refused(name("c"), lease.ErrParent)
	g := a.take(name("p"))
	a.refused(name("c"), lease.ErrParent)
	a.save(checkpoint.Update{Lease: name("p"), Token: g.Token, Position: checkpoint.At("9", 0)}, nil)
	a.refused(name("c"), lease.ErrParent)
	a.must(a.complete(name("p"), g.Token, row("c", "p"), row("d", "p")))
	a.take(name("c"))
	if g := a.take(name("d")); !g.Entry.Position.IsZero() {
		t.Errorf("a child starts at %v", g.Entry.Position)
	}
}

func testMerge(_ *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("x"), row("y"))
	x, y := a.take(name("x")), a.take(name("y"))
	a.must(a.complete(name("x"), x.Token, row("m", "x", "y")))
	a.refused(name("m"), lease.ErrParent)
	a.must(a.complete(name("y"), y.Token, row("m", "x", "y")))
	a.take(name("m"))
}

func testUnknownParent(_ *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("b"), row("other"))
	g := a.take(name("b"))
	a.must(a.complete(name("b"), g.Token, row("m", "b", "c"))) // c has no row yet
	a.refused(name("m"), lease.ErrParent)
}

// testLineage is S1 → a, b; S2 → c, d; b + c → m, in the order that tempts most.
func testLineage(t *testing.T, s *subject) {
	w := s.join("w")
	w.create(row("S1"), row("S2"))
	m := row("m", "b", "c")
	tokens := map[string]checkpoint.Token{}
	take := func(shards ...string) {
		for _, shard := range shards {
			tokens[shard] = w.take(name(shard)).Token
		}
	}
	take("S1", "S2")
	w.must(w.complete(name("S1"), tokens["S1"], row("a", "S1"), row("b", "S1")))
	take("a", "b")
	w.must(w.complete(name("b"), tokens["b"], m))
	w.refused(name("m"), lease.ErrParent) // c does not exist
	w.must(w.complete(name("S2"), tokens["S2"], row("c", "S2"), row("d", "S2")))
	w.refused(name("m"), lease.ErrParent) // c is not handled
	take("c", "d")
	w.refused(name("m"), lease.ErrParent)
	w.must(w.complete(name("c"), tokens["c"], m))
	take("m")
	if got := names(s.view().Leases); len(got) != 7 {
		t.Errorf("leases %v", got)
	}
}

func testComplete(t *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("p"))
	a.is(a.complete(name("nothing"), "x#1"), checkpoint.ErrNotFound)
	old := a.take(name("p"))
	g := a.take(name("p"))
	a.is(a.complete(name("p"), old.Token, row("c", "p")), checkpoint.ErrFenced)
	if s.find(name("c")) != nil || s.find(name("p")).Finished() {
		t.Fatal("a fenced complete wrote something")
	}
	b.request(TTL, name("p"))
	a.must(a.complete(name("p"), g.Token, row("c", "p")))
	a.must(a.complete(name("p"), g.Token, row("c", "p"))) // its answer was lost
	a.save(checkpoint.Update{Lease: name("p"), Token: g.Token, Position: checkpoint.At("9", 0)}, nil)
	l := s.find(name("p"))
	if !l.Finished() || !l.Free() || l.Want != "" {
		t.Errorf("completed: %+v", l)
	}
	if v := b.beat(); len(v.Leases) != 2 {
		t.Errorf("changes after complete: %v", names(v.Leases))
	}
}

func testChildExists(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("x"), row("y"))
	x, y := a.take(name("x")), a.take(name("y"))
	a.must(a.complete(name("x"), x.Token, row("c")))
	c := a.take(name("c"))
	a.save(checkpoint.Update{Lease: name("c"), Token: c.Token, Position: checkpoint.At("9", 0)}, nil)
	a.must(a.complete(name("y"), y.Token, row("c")))
	if l := s.find(name("c")); l.Token != c.Token || l.Position != checkpoint.At("9", 0) {
		t.Errorf("the child was made anew: %+v", l)
	}
}

// inherits checks what a lease is granted with.
func inherits(t *testing.T, g lease.Grant, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for name, state := range g.Entry.Inherited {
		got[lease.ShardOf(name)] = string(state)
	}
	if !maps.Equal(got, want) || g.Entry.State != nil {
		t.Errorf("inherited %q and has %q, want %q", got, g.Entry.State, want)
	}
}

func testInherit(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("p"))
	g := a.take(name("p"))
	a.save(checkpoint.Update{Lease: name("p"), Token: g.Token, Position: checkpoint.At("9", 0), State: []byte("sums|\x00")}, nil)
	for range 2 { // its answer was lost
		a.must(a.complete(name("p"), g.Token, row("c", "p"), row("d", "p")))
	}
	want := map[string]string{"p": "sums|\x00"}
	inherits(t, a.take(name("d")), want)
	c := a.take(name("c"))
	inherits(t, c, want)
	if all, err := s.store.Load(t.Context(), s.group, name("c"), name("p")); err != nil ||
		all[name("c")].State != nil || all[name("c")].Inherited != nil || all[name("p")].State != nil {
		t.Errorf("loaded %+v, %v", all, err)
	}
	// It stays until there is a state of its own.
	a.save(checkpoint.Update{Lease: name("c"), Token: c.Token, Position: checkpoint.At("1", 0)}, nil)
	c = a.take(name("c"))
	inherits(t, c, want)
	a.save(checkpoint.Update{Lease: name("c"), Token: c.Token, Position: checkpoint.At("2", 0), State: []byte("own")}, nil)
	if g := a.take(name("c")); g.Entry.Inherited != nil || string(g.Entry.State) != "own" {
		t.Errorf("granted %+v", g.Entry)
	}
	// And until an operator resets the lease.
	l := s.find(name("d"))
	a.must(a.reset(lease.Reset{Name: name("d"), Position: checkpoint.Start(), Epoch: l.Epoch, Forced: true}))
	inherits(t, a.take(name("d")), nil)
}

func testInheritBoth(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("x"), row("y"))
	for _, p := range []string{"x", "y"} {
		g := a.take(name(p))
		a.save(checkpoint.Update{Lease: name(p), Token: g.Token, Position: checkpoint.At("9", 0), State: []byte("of " + p)}, nil)
		a.must(a.complete(name(p), g.Token, row("m", "x", "y")))
	}
	inherits(t, a.take(name("m")), map[string]string{"x": "of x", "y": "of y"})
}

func testInheritOn(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("p"))
	g := a.take(name("p"))
	a.save(checkpoint.Update{Lease: name("p"), Token: g.Token, Position: checkpoint.At("9", 0), State: []byte("of p")}, nil)
	a.must(a.complete(name("p"), g.Token, row("c", "p")))
	a.must(a.complete(name("c"), a.take(name("c")).Token, row("e", "c")))
	inherits(t, a.take(name("e")), map[string]string{"p": "of p"})
}

func testInheritLate(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("p"), row("c"))
	g := a.take(name("p"))
	a.save(checkpoint.Update{Lease: name("p"), Token: g.Token, Position: checkpoint.At("9", 0), State: []byte("of p")}, nil)
	a.take(name("c"))
	a.must(a.complete(name("p"), g.Token, row("c", "p")))
	inherits(t, a.take(name("c")), nil)
}
