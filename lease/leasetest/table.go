package leasetest

import (
	"slices"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// tableCases are about the table and what beats say of it.
var tableCases = []testCase{
	{"a group that does not exist is empty", testEmpty},
	{"the first beat makes the group, and its lease time stands", testFirstBeat},
	{"a beat returns only what changed", testDelta},
	{"many changes come in pages", testPages},
	{"a page tells how far the log goes", testHead},
	{"a beat tells what a new lease waits for", testParentsInBeats},
	{"a view has the shards", testView},
	{"the first set is made once", testCreate},
	{"a set with a parent outside of it is refused", testCreateInvalid},
	{"nothing of a stream can be acquired before its set is made", testNotReady},
	{"a set of more than one chunk is made whole", testLargeSet},
	{"of workers that make the set together one does", testCreateRace},
	{"another incarnation is refused everywhere", testIncarnation},
	{"changes are announced", testWatch},
	{"a changed weight is logged, at most once a minute", testWeight},
}

func testEmpty(t *testing.T, s *subject) {
	v := s.view()
	if v.Incarnation != "" || len(v.Leases) > 0 || len(v.Sessions) > 0 {
		t.Errorf("view %+v", v)
	}
	w := s.worker("a")
	w.incarnation = "somebody's"
	_, err := s.store.Acquire(t.Context(), w.scope(), lease.Acquire{Session: w.id, First: 1, Names: []string{name("x")}})
	s.is(err, lease.ErrStateLost)
}

func testFirstBeat(t *testing.T, s *subject) {
	a := s.worker("a")
	v := a.beat()
	if v.Incarnation == "" || v.TTL != s.ttl || len(v.Sessions) != 1 || v.More {
		t.Errorf("first beat: %+v", v)
	}
	b := s.worker("b")
	beat := b.next()
	beat.TTL = 2 * s.ttl
	v, err := s.store.Beat(t.Context(), s.group, beat)
	s.must(err)
	if v.Incarnation != a.incarnation || v.TTL != s.ttl || len(v.Sessions) != 2 {
		t.Errorf("second worker: %+v", v)
	}
}

func testDelta(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("1"), row("2"))
	b := s.join("b")
	if v := a.beat(); !slices.Equal(names(v.Leases), []string{"1", "2"}) || len(v.Sessions) != 1 || v.Sessions[0].Name != "b" {
		t.Errorf("after create and join: %+v", v)
	}
	if v := a.beat(); len(v.Leases) != 0 || len(v.Sessions) != 0 {
		t.Errorf("nothing changed, but: %+v", v)
	}
	g := b.take(name("2"))
	v := a.beat()
	if len(v.Leases) != 1 {
		t.Fatalf("after acquire: %+v", v)
	}
	l := v.Leases[0]
	if l.Name != name("2") || l.Token != g.Token || l.Epoch != g.Epoch || lease.SessionOf(l.Token) != b.id || l.Seq == 0 {
		t.Errorf("after acquire: %+v", l)
	}
	b.save(checkpoint.Update{Lease: name("2"), Token: g.Token, Position: checkpoint.At("7", 1)}, nil)
	if v := a.beat(); len(v.Leases) != 0 {
		t.Errorf("a checkpoint is no change: %+v", v.Leases)
	}
	b.release(name("2"), g.Token, checkpoint.At("8", 0))
	if v := a.beat(); len(v.Leases) != 1 || !v.Leases[0].Free() || v.Leases[0].Position != checkpoint.At("8", 0) {
		t.Errorf("after release: %+v", v.Leases)
	}
	// What the load says is read, but is no change.
	a.load = 2.5
	a.beat()
	if v := b.beat(); len(v.Sessions) != 0 {
		t.Errorf("a load is no change: %+v", v.Sessions)
	}
	for _, m := range s.view().Sessions {
		if m.ID == a.id && (m.Load != 2.5 || m.Name != "a" || m.Host != "here" || !slices.Equal(m.Streams, []string{stream}) || m.Capacity != 1) {
			t.Errorf("session %+v", m)
		}
	}
	a.state = lease.StateDrain
	a.beat()
	if v := b.beat(); len(v.Sessions) != 1 || v.Sessions[0].State != lease.StateDrain {
		t.Errorf("a drain is a change: %+v", v.Sessions)
	}
}

func testPages(t *testing.T, s *subject) {
	a := s.join("a")
	var rows []lease.Row
	for i := range 450 {
		rows = append(rows, row(shardID(i)))
	}
	a.create(rows...)
	v := a.beat()
	if !v.More || len(v.Leases) == 0 || len(v.Leases) >= 450 {
		t.Fatalf("first page has %d leases, more %v", len(v.Leases), v.More)
	}
	got := append(v.Leases, a.beatAll().Leases...)
	if len(got) != 450 || len(slices.Compact(names(got))) != 450 {
		t.Errorf("%d leases in all pages", len(got))
	}
	if n := len(s.view().Leases); n != 450 {
		t.Errorf("%d leases in a view", n)
	}
}

func testView(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("p"), row("c", "p"))
	l := s.find(name("c"))
	if l == nil || !slices.Equal(l.Shard.Parents, []string{name("p")}) || l.Shard.EndingHashKey == "" || l.Shard.Created.IsZero() {
		t.Fatalf("view of c: %+v", l)
	}
	g := a.take(name("p"))
	a.must(a.complete(name("p"), g.Token, row("c", "p")))
	if l := s.find(name("p")); !l.Finished() || !l.Free() || !slices.Equal(l.Shard.Children, []string{name("c")}) {
		t.Errorf("view of p: %+v", l)
	}
	g = a.take(name("c"))
	if len(g.Shard.Parents) != 0 || g.Shard.EndingHashKey == "" {
		t.Errorf("granted shard %+v", g.Shard)
	}
	if l := s.find(name("c")); len(l.Shard.Parents) != 0 || l.Token != g.Token {
		t.Errorf("view of c after its first acquisition: %+v", l)
	}
	if v := s.view(); v.Incarnation != a.incarnation || v.TTL != s.ttl || len(v.Sessions) != 1 || v.Sessions[0].ID != a.id {
		t.Errorf("view %+v", v)
	}
}

func testCreate(t *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	since := checkpoint.StartAt(time.UnixMilli(1_700_000_000_001))
	r := row("1")
	r.Position = since
	a.create(r)
	for _, w := range []*worker{a, b} {
		w.is(s.store.Create(t.Context(), w.scope(), lease.Create{Session: w.id, Stream: stream, Rows: []lease.Row{row("2")}}), lease.ErrExists)
	}
	if s.find(name("2")) != nil {
		t.Error("a second set was made")
	}
	if l := s.find(name("1")); l.Position != since {
		t.Errorf("starts at %v, want %v", l.Position, since)
	}
	if g := b.take(name("1")); g.Entry.Position != since {
		t.Errorf("granted at %v, want %v", g.Entry.Position, since)
	}
}

func testCreateInvalid(t *testing.T, s *subject) {
	a := s.join("a")
	for what, rows := range map[string][]lease.Row{
		"no rows":                  nil,
		"a parent outside the set": {row("1"), row("2", "gone")},
		"a row twice":              {row("1"), row("1")},
		"another stream":           {{Name: "other/1"}},
	} {
		if s.store.Create(t.Context(), a.scope(), lease.Create{Session: a.id, Stream: stream, Rows: rows}) == nil {
			t.Errorf("%s: created", what)
		}
	}
	if v := s.view(); len(v.Leases) != 0 {
		t.Errorf("rows were made: %v", names(v.Leases))
	}
}

func testNotReady(_ *testing.T, s *subject) {
	a := s.join("a")
	a.refused(name("1"), lease.ErrNotReady)
	a.create(row("1"))
	a.take(name("1"))
	a.refused(name("2"), lease.ErrGone)
}

func testLargeSet(t *testing.T, s *subject) {
	a := s.join("a")
	var rows []lease.Row
	for i := range 700 {
		rows = append(rows, row(shardID(i)))
	}
	a.create(rows...)
	var all []string
	for _, r := range rows {
		all = append(all, r.Name)
	}
	for i, g := range a.acquire(all...) {
		if g.Err != nil {
			t.Fatalf("%s: %v", all[i], g.Err)
		}
	}
}

func testCreateRace(t *testing.T, s *subject) {
	const workers = 6
	errs := make(chan error, workers)
	for i := range workers {
		w := s.join(shardID(i))
		go func() {
			var rows []lease.Row
			for k := range 300 {
				rows = append(rows, row(shardID(k)))
			}
			errs <- s.store.Create(t.Context(), w.scope(), lease.Create{Session: w.id, Stream: stream, Rows: rows})
		}()
	}
	made := 0
	for range workers {
		err := <-errs
		if err == nil {
			made++
		} else if !isAny(err, lease.ErrExists, lease.ErrHeld) {
			t.Error(err)
		}
	}
	if n := len(s.view().Leases); made != 1 || n != 300 {
		t.Errorf("%d workers made the set, it has %d leases", made, n)
	}
}

func testIncarnation(t *testing.T, s *subject) {
	s.ttl = TTL
	a := s.join("a")
	a.create(row("1"))
	g := a.take(name("1"))
	pass(TTL+TTL/3, a) // a group that is new would be taken for one that was lost
	ctx, other := t.Context(), checkpoint.Scope{Group: s.group, Incarnation: "another"}
	beat := a.next()
	beat.Incarnation = other.Incarnation
	v, err := s.store.Beat(ctx, s.group, beat)
	s.is(err, lease.ErrReset)
	if v.Incarnation != a.incarnation {
		t.Errorf("told incarnation %q, want %q", v.Incarnation, a.incarnation)
	}
	_, err = s.store.Acquire(ctx, other, lease.Acquire{Session: a.id, First: 99, Names: []string{name("1")}})
	s.is(err, lease.ErrReset)
	_, err = s.store.Save(ctx, other, checkpoint.Update{Lease: name("1"), Token: g.Token, Position: checkpoint.At("1", 0)})
	s.is(err, lease.ErrReset)
	s.is(s.store.Complete(ctx, other, lease.Completion{Name: name("1"), Token: g.Token}), lease.ErrReset)
	s.is(s.store.Create(ctx, other, lease.Create{Session: a.id, Stream: stream, Rows: []lease.Row{row("1")}}), lease.ErrReset)
	_, err = s.store.Request(ctx, other, lease.Request{Session: a.id, For: time.Second, Names: []string{name("1")}})
	s.is(err, lease.ErrReset)
	s.is(s.store.Refuse(ctx, other, lease.Refusal{Name: name("1"), Token: g.Token}), lease.ErrReset)
	s.is(s.store.Bye(ctx, other, a.id), lease.ErrReset)
	s.is(s.store.Seed(ctx, other, lease.Seed{From: "gone", Rows: []lease.Remembered{{Name: name("2")}}}), lease.ErrReset)
	s.is(s.store.Adopt(ctx, other, lease.Adoption{Stream: stream, Rows: []lease.Row{row("2")}}), lease.ErrReset)
	s.is(s.store.Retire(ctx, other, lease.Retirement{Name: name("1")}), lease.ErrReset)
	_, err = s.store.Collect(ctx, other, lease.Collection{Names: []string{name("1")}, Deleted: true})
	s.is(err, lease.ErrReset)
	s.is(s.store.Mark(ctx, other, lease.Mark{Name: name("1"), Flag: lease.FlagPaused}), lease.ErrReset)
	s.is(s.store.Pause(ctx, other, true), lease.ErrReset)
	s.is(s.store.Reset(ctx, other, lease.Reset{Name: name("1"), Epoch: g.Epoch, Forced: true}), lease.ErrReset)
	if l := s.find(name("1")); l.Token != g.Token || !l.Position.IsZero() || l.Flags != "" || s.find(name("2")) != nil || s.view().Paused {
		t.Errorf("something was written: %+v", l)
	}
}

func testWatch(t *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("1"), row("2"))
	told := make(chan struct{}, 100)
	ended := make(chan error, 1)
	ctx, stop := contextWithCancel(t)
	go func() { ended <- s.store.Watch(ctx, s.group, func() { told <- struct{}{} }) }()
	defer func() {
		stop()
		if err := <-ended; err == nil {
			t.Error("the watch ended without an error")
		}
	}()
	// The watch may take a moment to begin: announce until it hears.
	for heard := false; !heard; {
		a.state = map[lease.State]lease.State{lease.StateUp: lease.StateDrain, lease.StateDrain: lease.StateUp}[a.state]
		a.beat()
		select {
		case <-told:
			heard = true
		case <-time.After(20 * time.Millisecond):
		}
	}
	g := a.take(name("1"))
	for _, step := range []struct {
		what string
		do   func()
	}{
		{"a wish", func() { b.request(time.Second, name("1")) }},
		{"a refusal", func() {
			s.must(s.store.Refuse(t.Context(), a.scope(), lease.Refusal{Name: name("1"), Token: g.Token, Session: b.id}))
		}},
		{"a release", func() { a.release(name("1"), g.Token, checkpoint.At("1", 0)) }},
		{"the end of a shard", func() {
			g := a.take(name("2"))
			a.must(a.complete(name("2"), g.Token, row("3", "2")))
		}},
		{"a drain", func() { b.state = lease.StateDrain; b.beat() }},
		{"a goodbye", func() { s.must(s.store.Bye(t.Context(), b.scope(), b.id)) }},
	} {
		settle(told)
		step.do()
		select {
		case <-told:
		case <-time.After(5 * time.Second):
			t.Errorf("%s was not announced", step.what)
		}
	}
}

func testWeight(t *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("1"))
	g := a.take(name("1"))
	b.beat()
	weigh := func(n uint64, weight uint8) []lease.Lease {
		p := checkpoint.At(checkpoint.SequenceNumber(shardID(int(n))[8:]), 0)
		p.Sequence = "1" + p.Sequence
		a.save(checkpoint.Update{Lease: name("1"), Token: g.Token, Position: p, Weight: weight}, nil)
		return b.beat().Leases
	}
	if l := weigh(1, 20); len(l) != 1 || l[0].Weight != 20 {
		t.Errorf("first weight: %+v", l)
	}
	if l := weigh(2, 21); len(l) != 0 {
		t.Errorf("a weight a moment later: %+v", l)
	}
	if l := weigh(3, 0); len(l) != 0 || s.find(name("1")).Weight != 20 {
		t.Errorf("no weight: %+v", l)
	}
}
