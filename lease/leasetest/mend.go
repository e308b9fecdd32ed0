package leasetest

import (
	"slices"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// mendCases are about rows that are missing, or of shards that are gone.
var mendCases = []testCase{
	{"a listed shard without a row is adopted", testAdopt},
	{"nothing is adopted before the first set is made", testAdoptNotReady},
	{"a shard with a child that has started is adopted at its end", testAdoptOver},
	{"an adoption that is not valid writes nothing", testAdoptInvalid},
	{"a large listing is adopted", testAdoptMany},
	{"a shard that is gone is retired, and its children follow", testRetire},
	{"a lease is not retired while its owner lives", testRetireHeld},
	{"a name that is waited for without a row is retired", testRetireUnknown},
	{"a retired shard leaves its state to its children", testRetireState},
	{"a row at its end that nobody waits for is collected", testCollect},
	{"a row that is needed is not collected", testCollectNeeded},
	{"a row is collected in the call that removes the last that waits for it", testCollectInOrder},
	{"leases of a deleted stream are collected wherever they are", testCollectDeleted},
	{"a row tells when it was made, and so whether it was made anew", testMadeAnew},
	{"what was removed is told for two lease times, and views that are older begin anew", testResync},
	{"a row that was removed may come again", testReborn},
	{"a view in pages goes on when something was removed before it began", testResyncPages},
}

func (w *worker) adopt(rows ...lease.Row) {
	w.t.Helper()
	w.must(w.store.Adopt(w.t.Context(), w.scope(), lease.Adoption{Stream: stream, Rows: rows}))
}

func (w *worker) retire(shard string, children ...lease.Row) error {
	w.t.Helper()
	return w.store.Retire(w.t.Context(), w.scope(), lease.Retirement{Name: name(shard), Children: children})
}

func testAdopt(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("S1"), row("S2"))
	b := a.take(name("S1"))
	a.must(a.complete(name("S1"), b.Token, row("b", "S1")))
	a.beatAll()
	// The merged shard m waits for b and c; c has no row, nor has S2's end come.
	listing := []lease.Row{row("S1"), row("S2"), row("b", "S1"), row("c", "S2"), row("m", "b", "c")}
	for range 2 { // its answer was lost
		a.adopt(listing...)
	}
	if v := a.beat(); len(v.Leases) != 2 || s.find(name("m")).Shard.EndingHashKey == "" {
		t.Errorf("adopted %v", names(v.Leases))
	}
	if l := s.find(name("S1")); !l.Finished() || len(l.Shard.Children) != 1 {
		t.Errorf("a row that was there is %+v", l)
	}
	a.refused(name("c"), lease.ErrParent)
	a.must(a.complete(name("b"), a.take(name("b")).Token, row("m", "b", "c")))
	a.refused(name("m"), lease.ErrParent)
	a.must(a.complete(name("S2"), a.take(name("S2")).Token, row("c", "S2")))
	a.must(a.complete(name("c"), a.take(name("c")).Token, row("m", "b", "c")))
	a.take(name("m"))
}

func testAdoptNotReady(t *testing.T, s *subject) {
	a := s.join("a")
	a.is(s.store.Adopt(t.Context(), a.scope(), lease.Adoption{Stream: stream, Rows: []lease.Row{row("1")}}), lease.ErrNotReady)
	a.is(s.store.Adopt(t.Context(), a.scope(), lease.Adoption{Stream: stream}), lease.ErrNotReady)
	a.is(a.retire("1"), lease.ErrNotReady)
	if len(s.view().Leases) > 0 {
		t.Error("a row was made")
	}
	a.create(row("1"))
	a.adopt() // nothing: it tells that the stream is complete
	if n := len(s.view().Leases); n != 1 {
		t.Errorf("%d leases", n)
	}
}

func testAdoptOver(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("c"), row("other")) // as a group does that starts at the latest record
	a.take(name("c"))
	a.adopt(row("g"), row("p", "g"), row("c", "p"), row("d", "p"), row("other"))
	for _, shard := range []string{"g", "p"} {
		if l := s.find(name(shard)); l == nil || !l.Finished() {
			t.Errorf("%s: %+v", shard, l)
		}
		a.refused(name(shard), lease.ErrGone)
	}
	a.take(name("d"))
}

func testAdoptInvalid(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("1"))
	for what, rows := range map[string][]lease.Row{
		"a row twice":    {row("2"), row("3"), row("3")},
		"another stream": {row("2"), {Name: "other/1"}},
		"a position":     {row("2"), {Name: name("3"), Position: checkpoint.At("x", 0)}},
	} {
		if s.store.Adopt(t.Context(), a.scope(), lease.Adoption{Stream: stream, Rows: rows}) == nil {
			t.Errorf("%s: adopted", what)
		}
	}
	if n := len(s.view().Leases); n != 1 {
		t.Errorf("%d leases", n)
	}
}

func testAdoptMany(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row(shardID(600)))
	a.take(name(shardID(600)))
	var rows []lease.Row
	for i := range 601 { // each the child of the one before
		r := row(shardID(i))
		if i > 0 {
			r.Shard.Parents = []string{name(shardID(i - 1))}
		}
		rows = append(rows, r)
	}
	a.adopt(rows...)
	ended := 0
	for _, l := range s.view().Leases {
		if l.Finished() {
			ended++
		}
	}
	if ended != 600 {
		t.Errorf("%d of 600 shards are at their end", ended)
	}
}

func testRetire(t *testing.T, s *subject) {
	s.ttl = TTL
	a, b := s.join("a"), s.join("b")
	a.create(row("p"), row("q"))
	g := a.take(name("q"))
	pass(TTL+TTL/3, b) // a lapses
	for range 2 {      // its answer was lost
		b.must(b.retire("p", row("c", "p")))
		b.must(b.retire("q", row("d", "q"), row("e", "q")))
	}
	for _, shard := range []string{"p", "q"} {
		if l := s.find(name(shard)); !l.Finished() || !l.Free() || len(l.Shard.Children) == 0 {
			t.Errorf("%s: %+v", shard, l)
		}
	}
	for _, shard := range []string{"c", "d", "e"} {
		b.take(name(shard))
	}
	a.beat()
	a.save(checkpoint.Update{Lease: name("q"), Token: g.Token, Position: checkpoint.At("5", 0)}, checkpoint.ErrFenced)
	a.is(a.complete(name("q"), g.Token, row("x", "q")), checkpoint.ErrFenced)
	if s.find(name("x")) != nil {
		t.Error("who lapsed completed the shard")
	}
}

func testRetireHeld(t *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("p"))
	g := a.take(name("p"))
	b.is(b.retire("p", row("c", "p")), lease.ErrHeld)
	a.is(a.retire("p", row("c", "p")), lease.ErrHeld) // it has a token to complete with
	if l := s.find(name("p")); l.Token != g.Token || l.Finished() || s.find(name("c")) != nil {
		t.Errorf("retired: %+v", l)
	}
}

func testRetireUnknown(_ *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("b"))
	a.is(a.retire("gone"), checkpoint.ErrNotFound)
	a.must(a.complete(name("b"), a.take(name("b")).Token, row("m", "b", "gone")))
	a.refused(name("m"), lease.ErrParent)
	for range 2 { // its answer was lost
		a.must(a.retire("gone", row("m", "b", "gone")))
	}
	a.take(name("m"))
	// A row that says when it was made is one whose shard is known.
	if l := s.find(name("gone")); !l.Finished() || l.Shard.Created.IsZero() {
		s.t.Errorf("retired: %+v", l)
	}
}

func testRetireState(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("p"))
	g := a.take(name("p"))
	a.save(checkpoint.Update{Lease: name("p"), Token: g.Token, Position: checkpoint.At("9", 0), State: []byte("sums"), Release: true}, nil)
	a.must(a.retire("p", row("c", "p")))
	inherits(t, a.take(name("c")), map[string]string{"p": "sums"})
}

func (w *worker) collect(shards ...string) []error {
	w.t.Helper()
	c := lease.Collection{}
	for _, shard := range shards {
		c.Names = append(c.Names, name(shard))
	}
	out, err := w.store.Collect(w.t.Context(), w.scope(), c)
	w.must(err)
	return out
}

func testCollect(t *testing.T, s *subject) {
	a := s.join("a")
	a.create(row("p"), row("q"))
	a.must(a.complete(name("p"), a.take(name("p")).Token, row("c", "p")))
	a.take(name("c"))
	a.beatAll()
	for range 2 { // its answer was lost
		a.is(a.collect("p")[0], nil)
	}
	if v := a.beat(); !slices.Equal(v.Gone, []string{name("p")}) || len(v.Leases) != 0 {
		t.Errorf("told %v, %v gone", names(v.Leases), v.Gone)
	}
	if all, err := s.store.Load(t.Context(), s.group, name("p")); err != nil || len(all) != 0 {
		t.Errorf("loaded %+v, %v", all, err)
	}
	a.refused(name("p"), lease.ErrGone)
	if got := names(s.view().Leases); !slices.Equal(got, []string{"c", "q"}) {
		t.Errorf("left %v", got)
	}
}

func testCollectNeeded(t *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("p"), row("q"), row("free"))
	a.must(a.complete(name("p"), a.take(name("p")).Token, row("c", "p")))
	b.take(name("q"))
	got := a.collect("p", "q", "free", "nothing")
	for i, want := range []error{lease.ErrNeeded, lease.ErrHeld, lease.ErrNeeded, nil} {
		a.is(got[i], want)
	}
	if n := len(s.view().Leases); n != 4 {
		t.Errorf("%d leases", n)
	}
	a.take(name("c")) // it waits for p, which is there
}

func testCollectInOrder(_ *testing.T, s *subject) {
	a := s.join("a")
	p, c := row("p"), row("c", "p")
	p.Position, c.Position = checkpoint.ShardEnd(), checkpoint.ShardEnd()
	a.create(p, c, row("q"))
	a.is(a.collect("p")[0], lease.ErrNeeded)
	for i, err := range a.collect("q", "c", "p") {
		a.is(err, []error{lease.ErrNeeded, nil, nil}[i])
	}
	if n := len(s.view().Leases); n != 1 {
		s.t.Errorf("%d leases", n)
	}
}

func testCollectDeleted(_ *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("p"), row("c", "p"))
	a.take(name("p"))
	gone := lease.Collection{Names: []string{name("p"), name("c")}, Deleted: true}
	out, err := s.store.Collect(s.t.Context(), b.scope(), gone)
	s.must(err)
	s.is(out[0], lease.ErrHeld)
	s.is(out[1], nil)
	s.must(s.store.Bye(s.t.Context(), a.scope(), a.id))
	out, err = s.store.Collect(s.t.Context(), b.scope(), gone)
	s.must(err)
	s.is(out[0], nil)
	if len(s.view().Leases) > 0 {
		s.t.Error("rows are left")
	}
	b.refused(name("p"), lease.ErrNotReady)
}

// testMadeAnew holds that a row has one time at which it was made, whoever is told it and
// however often it changes hands, and another one when it is made anew.
func testMadeAnew(t *testing.T, s *subject) {
	a, b := s.join("a"), s.join("b")
	a.create(row("x"))
	v := b.beatAll()
	if len(v.Leases) != 1 || v.Leases[0].Shard.Created.IsZero() {
		t.Fatalf("told %+v", v.Leases)
	}
	made := v.Leases[0].Shard.Created
	g := a.take(name("x"))
	if in := s.find(name("x")).Shard.Created; !in.Equal(made) || !g.Shard.Created.Equal(made) {
		t.Errorf("made at %v, granted as of %v, and seen as of %v", made, g.Shard.Created, in)
	}
	a.release(name("x"), g.Token, checkpoint.At("5", 0))
	out, err := s.store.Collect(t.Context(), b.scope(), lease.Collection{Names: []string{name("x")}, Deleted: true})
	s.must(err)
	s.is(out[0], nil)
	pass(10*time.Millisecond, a, b)
	a.create(row("x"))
	if v := b.beatAll(); len(v.Leases) != 1 || v.Leases[0].Epoch != 0 || !v.Leases[0].Shard.Created.After(made) {
		t.Errorf("made at %v, and anew as %+v", made, v.Leases)
	}
}

func testResync(t *testing.T, s *subject) {
	s.ttl = TTL
	a, b := s.join("a"), s.join("b")
	a.create(row("p"), row("q"))
	a.must(a.complete(name("p"), a.take(name("p")).Token, row("c", "p")))
	a.take(name("c"))
	a.beatAll()
	b.beatAll()
	a.collect("p")
	old := b.seen
	if v := b.beat(); len(v.Gone) != 1 {
		t.Errorf("told %v gone", v.Gone)
	}
	pass(3*TTL, a, b)
	if v := s.worker("c").beatAll(); len(v.Gone) != 0 || len(v.Leases) != 2 {
		t.Errorf("a new worker is told %v, %v gone", names(v.Leases), v.Gone)
	}
	b.beat()
	b.seen = old // as if it had slept
	_, err := b.try()
	b.is(err, lease.ErrResync)
	b.seen = 0
	if v := b.beatAll(); len(v.Leases) != 2 {
		t.Errorf("told %v", names(v.Leases))
	}
	b.beat()
}

func testReborn(t *testing.T, s *subject) {
	s.ttl = TTL
	a := s.join("a")
	a.create(row("p"), row("q"))
	a.must(a.complete(name("p"), a.take(name("p")).Token))
	a.collect("p")
	a.adopt(row("p"))
	pass(3*TTL, a)
	if v := a.beat(); len(v.Leases) != 0 {
		t.Errorf("told %v", names(v.Leases))
	}
	a.seen = 0
	if v := a.beatAll(); !slices.Equal(names(v.Leases), []string{"p", "q"}) {
		t.Errorf("a view has %v", names(v.Leases))
	}
	a.take(name("p"))
}

func testResyncPages(t *testing.T, s *subject) {
	s.ttl = TTL
	a := s.join("a")
	rows := []lease.Row{row("p")}
	for i := range 450 {
		rows = append(rows, row(shardID(i)))
	}
	a.create(rows...)
	a.must(a.complete(name("p"), a.take(name("p")).Token))
	a.collect("p")
	pass(3*TTL, a)
	b := s.join("b")
	b.beatAll() // in pages, each behind the removal that is forgotten
	if n := len(s.view().Leases); n != 450 {
		t.Errorf("%d leases", n)
	}
	b.seen = 0
	if v := b.beatAll(); len(v.Leases) != 450 {
		t.Errorf("%d leases in pages", len(v.Leases))
	}
	// A removal that is forgotten while the pages are read: they begin anew.
	b.seen = 0
	b.beat()
	a.beatAll()
	a.must(a.complete(name(shardID(0)), a.take(name(shardID(0))).Token))
	a.collect(shardID(0))
	for range 9 {
		pass(TTL/3, a)
		if _, err := s.store.Beat(t.Context(), s.group, b.next()); err != nil { // the same page again
			b.is(err, lease.ErrResync)
			return
		}
	}
	t.Error("pages went on over a removal that was forgotten")
}
