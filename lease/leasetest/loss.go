package leasetest

import (
	"slices"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// lossCases are about state that was lost and is taken back from workers.
var lossCases = []testCase{
	{"after a loss nothing is granted until the seeds are in", testSync},
	{"a seed that comes late, or of nothing lost, is refused", testSeedLate},
	{"a group that was new to one worker was lost to another", testVoid},
	{"a seeded row goes on where it was", testSeed},
	{"of seeds that differ the newest counts", testSeedOrder},
	{"of seeds of two epochs those of the later one count", testSeedEpochs},
	{"whether there is a pause says the seed as of the latest time", testSeedAsOf},
	{"of seeds that differ in their states the one with a state counts", testSeedState},
	{"of seeds from before a reset and since then those since count", testSeedGenerations},
	{"all leases of a stream are of one generation, and those made anew of a later one", testGenerations},
	{"the state of a seeded row is told", testSeedStateTold},
	{"a seed may be sent again, and logs nothing then", testSeedAgain},
	{"what was paused by hand stays so", testSeedPaused},
	{"a stream of which all was seeded is ready with its listing", testSeedReady},
	{"what no seed knows is read from where nothing is skipped", testSeedHole},
	{"the end of a seeded shard whose children nobody knows is followed", testSeedEndAlone},
	{"a shard before a seeded one that has started is at its end", testSeedStarted},
	{"a seed that is not valid writes nothing", testSeedInvalid},
	{"many seeds, and large states, are taken", testSeedMany},
}

// former is the incarnation that is lost in these cases.
const former = "former"

// lost is a worker of a group that has just been lost.
func (s *subject) lost(workerName string) *worker {
	s.t.Helper()
	w := s.worker(workerName)
	w.incarnation = former
	v, err := w.try()
	s.is(err, lease.ErrStateLost)
	w.incarnation = v.Incarnation
	w.beat()
	return w
}

func (w *worker) seed(rows ...lease.Remembered) {
	w.t.Helper()
	w.must(w.store.Seed(w.t.Context(), w.scope(), lease.Seed{From: former, Rows: rows}))
}

// at is a row of which a worker remembers the position, and that it was acquired.
func at(shard string, p checkpoint.Position) lease.Remembered {
	return lease.Remembered{Name: name(shard), Epoch: 7, Entry: checkpoint.Entry{Position: p}, Shard: row(shard).Shard}
}

// synced lets the time for seeds pass.
func synced(alive ...*worker) {
	for alive[0].beat().SyncUntil > 0 {
		pass(TTL/3, alive...)
	}
}

func testSync(t *testing.T, s *subject) {
	s.ttl = TTL
	w := s.lost("w")
	v := w.beat()
	if v.SyncUntil <= v.Now || v.SyncUntil > v.Now+TTL.Milliseconds() || s.view().SyncUntil != v.SyncUntil {
		t.Errorf("takes seeds until %d at %d", v.SyncUntil, v.Now)
	}
	set := lease.Create{Session: w.id, Stream: stream, Rows: []lease.Row{row("1")}}
	w.is(s.store.Create(t.Context(), w.scope(), set), lease.ErrSyncing)
	w.refused(name("1"), lease.ErrSyncing)
	w.is(s.store.Adopt(t.Context(), w.scope(), lease.Adoption{Stream: stream, Rows: set.Rows}), lease.ErrSyncing)
	w.is(s.store.Adopt(t.Context(), w.scope(), lease.Adoption{Stream: stream}), lease.ErrSyncing)
	w.is(s.store.Retire(t.Context(), w.scope(), lease.Retirement{Name: name("1")}), lease.ErrSyncing)
	_, err := s.store.Collect(t.Context(), w.scope(), lease.Collection{Names: []string{name("1")}})
	w.is(err, lease.ErrSyncing)
	w.is(w.mark(lease.Mark{Name: name("1"), Flag: lease.FlagPaused}), lease.ErrSyncing)
	w.is(w.reset(lease.Reset{Name: name("1"), Forced: true}), lease.ErrSyncing)
	w.seed(at("1", checkpoint.At("5", 0)))
	w.refused(name("1"), lease.ErrSyncing)
	synced(w)
	w.refused(name("1"), lease.ErrNotReady)
	w.create(row("1"))
	w.take(name("1"))
	if w.beat().SyncUntil != 0 {
		t.Error("takes seeds when it does not")
	}
}

func testSeedLate(t *testing.T, s *subject) {
	a := s.join("a")
	seed := lease.Seed{From: former, Rows: []lease.Remembered{at("1", checkpoint.At("5", 0))}}
	a.is(s.store.Seed(t.Context(), a.scope(), seed), lease.ErrSeeded) // nothing was lost
	o := newSubject(t, s.store)
	o.ttl = TTL
	w := o.lost("w")
	synced(w)
	w.is(s.store.Seed(t.Context(), w.scope(), seed), lease.ErrSeeded)
	if len(s.view().Leases)+len(o.view().Leases) > 0 {
		t.Error("a seed was taken")
	}
}

// testVoid: all was lost, and the first to come is a new worker. It makes the
// leases where its user said new groups start.
func testVoid(t *testing.T, s *subject) {
	s.ttl = TTL
	n := s.join("new")
	n.pause(true)
	n.pause(false)
	latest := row("1")
	latest.Position = checkpoint.StartAt(time.UnixMilli(1_700_000_000_001))
	n.create(latest)
	g := n.take(name("1"))
	n.save(checkpoint.Update{Lease: name("1"), Token: g.Token, Position: checkpoint.At("900", 0)}, nil)
	began := n.incarnation
	w := s.lost("old")
	w.seed(at("1", checkpoint.At("5", 0)))

	// What the new worker made does not count, and it is told.
	_, err := s.store.Save(t.Context(), n.scope(), checkpoint.Update{Lease: name("1"), Token: g.Token, Position: checkpoint.At("901", 0)})
	n.is(err, lease.ErrReset)
	v, err := n.try()
	n.is(err, lease.ErrReset)
	n.incarnation = v.Incarnation
	n.forget()
	if v := n.beat(); !v.Lost || v.Incarnation == began {
		t.Errorf("told %+v", v)
	}
	mistaken := lease.Seed{From: began, Rows: []lease.Remembered{at("1", checkpoint.At("901", 0))}}
	n.is(s.store.Seed(t.Context(), n.scope(), mistaken), lease.ErrSeeded)
	synced(n, w)
	w.create(row("1"))
	if p := n.take(name("1")).Entry.Position; p != checkpoint.At("5", 0) {
		t.Errorf("granted at %v", p)
	}
	// Known to be lost, it is not lost again.
	third := s.worker("third")
	third.incarnation = former
	_, err = third.try()
	third.is(err, lease.ErrReset)
}

func testSeed(t *testing.T, s *subject) {
	s.ttl = TTL
	w := s.lost("w")
	r := lease.Remembered{
		Name: name("1"), Shard: row("1", "gone").Shard, Epoch: 1 << 52, Weight: 20, Flags: "stopped:v1",
		Entry: checkpoint.Entry{
			Position: checkpoint.At("12345678901234567890", 7), Counter: 3, State: []byte("sums|\x00"),
		},
	}
	heir := at("2", checkpoint.At("3", 0))
	heir.Entry.Inherited = map[string][]byte{name("gone"): []byte("left")}
	w.seed(r, heir)
	w.save(checkpoint.Update{Lease: name("1"), Token: checkpoint.Token(w.id + "#1"), Position: checkpoint.At("5", 0)}, checkpoint.ErrFenced)
	l := s.find(name("1"))
	if l == nil || !l.Free() || l.Epoch != r.Epoch || l.Weight != 20 || l.Flags != r.Flags || l.Shard.EndingHashKey == "" || len(l.Shard.Parents) > 0 {
		t.Fatalf("seeded: %+v", l)
	}
	synced(w)
	w.create(row("1"), row("2"))
	g := w.take(name("1"))
	if !l.Stateful || !s.find(name("2")).Stateful {
		t.Error("a seeded row does not say that it has a state")
	}
	if g.Epoch <= r.Epoch || g.Entry.Position != r.Entry.Position || g.Entry.Counter != 3 || string(g.Entry.State) != "sums|\x00" {
		t.Errorf("granted %+v", g)
	}
	inherits(t, w.take(name("2")), map[string]string{"gone": "left"})
}

// both seeds two rows of one shard, in both orders, and returns what is granted.
func (s *subject) both(one, other lease.Remembered, check func(g lease.Grant)) {
	s.t.Helper()
	var seeded []*worker
	for _, seeds := range [][]lease.Remembered{{one, other}, {other, one}} {
		o := newSubject(s.t, s.store)
		o.ttl = TTL
		w := o.lost("w")
		for _, r := range seeds {
			w.seed(r)
		}
		seeded = append(seeded, w)
	}
	for _, w := range seeded {
		synced(w)
		w.create(row("1"), row("2"))
		g := w.acquire(name("1"))[0]
		check(g)
	}
}

func testSeedOrder(t *testing.T, s *subject) {
	low, high := at("1", checkpoint.At("99", 0)), at("1", checkpoint.At("100", 0))
	s.both(low, high, func(g lease.Grant) {
		if g.Err != nil || g.Entry.Position != high.Entry.Position {
			t.Errorf("granted %+v", g)
		}
	})
	low.Entry.Position, low.Entry.Counter, high.Entry.Counter = high.Entry.Position, 9, 10
	s.both(low, high, func(g lease.Grant) {
		if g.Err != nil || g.Entry.Counter != 10 {
			t.Errorf("granted %+v", g)
		}
	})
	// Not started with its parents, as an older view has it, and started.
	older := at("1", checkpoint.Start())
	older.Epoch, older.Shard = 0, row("1", "gone").Shard
	s.both(older, low, func(g lease.Grant) {
		if g.Err != nil || g.Entry.Position != low.Entry.Position {
			t.Errorf("granted %+v", g)
		}
	})
	early, late := at("1", checkpoint.StartAt(time.UnixMilli(999))), at("1", checkpoint.StartAt(time.UnixMilli(1000)))
	s.both(early, late, func(g lease.Grant) {
		if g.Err != nil || g.Entry.Position != early.Entry.Position {
			t.Errorf("granted %+v", g)
		}
	})
	s.both(early, at("1", checkpoint.Start()), func(g lease.Grant) {
		if g.Err != nil || !g.Entry.Position.IsZero() {
			t.Errorf("granted %+v", g)
		}
	})
	s.both(high, at("1", checkpoint.ShardEnd()), func(g lease.Grant) { s.is(g.Err, lease.ErrGone) })
}

func testSeedState(t *testing.T, s *subject) {
	with, without := at("1", checkpoint.At("50", 0)), at("1", checkpoint.At("60", 0))
	with.Entry.State = []byte("sums up to 50")
	s.both(with, without, func(g lease.Grant) {
		if g.Err != nil || g.Entry.Position != with.Entry.Position || string(g.Entry.State) != "sums up to 50" {
			t.Errorf("granted %+v", g)
		}
	})
	without.Entry.State = []byte("sums up to 60")
	s.both(with, without, func(g lease.Grant) {
		if g.Err != nil || g.Entry.Position != without.Entry.Position || string(g.Entry.State) != "sums up to 60" {
			t.Errorf("granted %+v", g)
		}
	})
}

// testSeedStateTold seeds a position, and then the same one with its state: workers that
// were told the row of the first seed are told that it has a state.
func testSeedStateTold(t *testing.T, s *subject) {
	w := s.lost("w")
	r, left := at("1", checkpoint.At("5", 0)), at("2", checkpoint.At("5", 0))
	w.seed(r, left)
	w.beat()
	r.Entry.State, left.Entry.Inherited = []byte("s"), map[string][]byte{name("p"): []byte("s")}
	w.seed(r, left)
	if v := w.beat(); len(v.Leases) != 2 || !v.Leases[0].Stateful || !v.Leases[1].Stateful {
		t.Errorf("told %+v", v.Leases)
	}
}

func testSeedAgain(t *testing.T, s *subject) {
	w := s.lost("w")
	r := at("1", checkpoint.At("5", 0))
	r.Entry.State, r.Weight, r.Flags = []byte("s"), 20, "paused"
	w.seed(r)
	if v := w.beat(); len(v.Leases) != 1 {
		t.Errorf("told %+v", v.Leases)
	}
	w.seed(r) // its answer was lost
	if v := w.beat(); len(v.Leases) != 0 {
		t.Errorf("told again %+v", v.Leases)
	}
	r.Entry.Position = checkpoint.At("6", 0)
	w.seed(r)
	if v := w.beat(); len(v.Leases) != 1 || v.Leases[0].Position != r.Entry.Position {
		t.Errorf("told %+v", v.Leases)
	}
}

func testSeedPaused(t *testing.T, s *subject) {
	w := s.lost("w")
	seed := lease.Seed{From: former, Paused: true}
	w.must(s.store.Seed(t.Context(), w.scope(), seed))
	if !w.beat().Paused {
		t.Error("not paused")
	}
	w.pause(false)
	w.must(s.store.Seed(t.Context(), w.scope(), seed)) // another worker's
	if w.beat().Paused {
		t.Error("paused after it was let go on")
	}
}

func testSeedReady(t *testing.T, s *subject) {
	s.ttl = TTL
	a := s.lost("a")
	end := at("p", checkpoint.ShardEnd())
	end.Shard.Children = []string{name("c"), name("d")}
	a.seed(end, at("c", checkpoint.At("5", 0)), at("d", checkpoint.At("6", 0)))
	synced(a)
	a.beatAll()
	a.create(row("p"), row("c", "p"), row("d", "p"))
	if v := a.beat(); len(v.Leases) != 0 {
		t.Errorf("the listing changed %v", names(v.Leases))
	}
	a.is(s.store.Create(t.Context(), a.scope(), lease.Create{Session: a.id, Stream: stream, Rows: []lease.Row{row("p")}}), lease.ErrExists)
	a.refused(name("p"), lease.ErrGone)
	if c, d := a.take(name("c")), a.take(name("d")); c.Entry.Position != checkpoint.At("5", 0) || d.Entry.Position != checkpoint.At("6", 0) {
		t.Errorf("granted %+v, %+v", c, d)
	}
}

func testSeedHole(t *testing.T, s *subject) {
	s.ttl = TTL
	a := s.lost("a")
	a.seed(at("1", checkpoint.At("5", 0)))
	synced(a)
	a.create(row("1"), row("2"))
	if p := a.take(name("2")).Entry.Position; !p.IsZero() {
		t.Errorf("granted at %v", p)
	}
	if p := a.take(name("1")).Entry.Position; p != checkpoint.At("5", 0) {
		t.Errorf("granted at %v", p)
	}
}

func testSeedEndAlone(t *testing.T, s *subject) {
	s.ttl = TTL
	a, b := s.lost("a"), s.worker("b")
	b.incarnation = a.incarnation
	b.beat()
	a.seed(at("p", checkpoint.At("70", 0))) // an older view
	b.seed(at("p", checkpoint.ShardEnd()))  // a newer one, in part
	synced(a, b)
	a.create(row("p"), row("c", "p"), row("d", "p"))
	a.refused(name("p"), lease.ErrGone)
	for _, shard := range []string{"c", "d"} {
		if g := b.take(name(shard)); !g.Entry.Position.IsZero() {
			t.Errorf("%s is granted at %v", shard, g.Entry.Position)
		}
	}
}

// testSeedStarted: a child started, so its parents were handled to their ends,
// whether they are seeded from before, or not at all. The other child waits for
// them no longer.
func testSeedStarted(t *testing.T, s *subject) {
	for _, seeds := range [][]lease.Remembered{
		{at("c", checkpoint.At("5", 0))},
		{at("c", checkpoint.At("5", 0)), at("p", checkpoint.At("70", 0))},
	} {
		o := newSubject(t, s.store)
		o.ttl = TTL
		w := o.lost("w")
		w.seed(seeds...)
		synced(w)
		w.create(row("g"), row("p", "g"), row("c", "p"), row("d", "p"))
		for _, shard := range []string{"g", "p"} {
			if l := o.find(name(shard)); !l.Finished() || len(l.Shard.Parents) > 0 {
				t.Errorf("%s: %+v", shard, l)
			}
		}
		w.take(name("c"))
		if g := w.take(name("d")); !g.Entry.Position.IsZero() {
			t.Errorf("d is granted at %v", g.Entry.Position)
		}
	}
}

func testSeedInvalid(t *testing.T, s *subject) {
	w := s.lost("w")
	good := at("1", checkpoint.At("5", 0))
	for what, r := range map[string]lease.Remembered{
		"no name":               {},
		"no shard":              {Name: stream},
		"an epoch":              {Name: name("2"), Epoch: 1 << 60},
		"a position":            {Name: name("2"), Entry: checkpoint.Entry{Position: checkpoint.At("1|2", 0)}},
		"a generation":          {Name: name("2"), Shard: lease.Shard{Generation: 1e14}},
		"a generation below 0":  {Name: name("2"), Shard: lease.Shard{Generation: -1}},
		"a flag":                {Name: name("2"), Flags: "halted"},
		"a state":               {Name: name("2"), Entry: checkpoint.Entry{State: make([]byte, checkpoint.MaxState+1)}},
		"a state that was left": {Name: name("2"), Entry: checkpoint.Entry{Inherited: map[string][]byte{"x": make([]byte, checkpoint.MaxState+1)}}},
	} {
		if s.store.Seed(t.Context(), w.scope(), lease.Seed{From: former, Rows: []lease.Remembered{good, r}}) == nil {
			t.Errorf("%s: taken", what)
		}
	}
	if s.store.Seed(t.Context(), w.scope(), lease.Seed{Rows: []lease.Remembered{good}}) == nil {
		t.Error("of no incarnation: taken")
	}
	if v := s.view(); len(v.Leases) != 0 {
		t.Errorf("rows were made: %v", names(v.Leases))
	}
}

func testSeedMany(t *testing.T, s *subject) {
	s.ttl = TTL
	w := s.lost("w")
	var rows []lease.Row
	var seeds []lease.Remembered
	for i := range 300 {
		r := at(shardID(i), checkpoint.At("5", 0))
		if i%50 == 0 {
			r.Entry.State = make([]byte, checkpoint.MaxState)
		}
		rows, seeds = append(rows, row(shardID(i))), append(seeds, r)
	}
	w.seed(seeds...)
	synced(w)
	w.create(rows...)
	if n := len(s.view().Leases); n != 300 {
		t.Errorf("%d leases", n)
	}
	if g := w.take(name(shardID(250))); len(g.Entry.State) != checkpoint.MaxState {
		t.Errorf("granted with %d bytes of state", len(g.Entry.State))
	}
	if !slices.Contains(names(s.view().Leases), shardID(299)) {
		t.Error("the last row is missing")
	}
}
