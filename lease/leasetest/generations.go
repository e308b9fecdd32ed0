package leasetest

import (
	"testing"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// of are seeds of one generation of the stream's leases.
func of(generation int64, rows ...lease.Remembered) []lease.Remembered {
	for i := range rows {
		rows[i].Shard.Generation = generation
	}
	return rows
}

// testSeedGenerations: one worker was away as the stream was reset. What it knows of
// shards that were not come to again is as old as the rest.
func testSeedGenerations(t *testing.T, s *subject) {
	ended := at("p", checkpoint.ShardEnd())
	ended.Shard.Children = []string{name("c"), name("d")}
	kept := at("c", checkpoint.At("50", 0))
	kept.Entry.State = []byte("sums")
	for what, seeds := range map[string][][]lease.Remembered{
		"the older first":             {of(1, ended, kept, at("d", checkpoint.At("60", 0))), of(2, at("p", checkpoint.At("5", 0)))},
		"the older last":              {of(2, at("p", checkpoint.At("5", 0))), of(1, ended, kept, at("d", checkpoint.At("60", 0)))},
		"the older again":             {of(1, ended, kept), of(2, at("p", checkpoint.At("5", 0))), of(1, ended, kept)},
		"one that knows of none":      {of(0, ended, kept), of(2, at("p", checkpoint.At("5", 0)))},
		"one that knows of none last": {of(2, at("p", checkpoint.At("5", 0))), of(0, ended, kept)},
	} {
		o := newSubject(t, s.store)
		o.ttl = TTL
		w := o.lost("w")
		for _, rows := range seeds {
			w.seed(rows...)
			w.beat()
		}
		if v := o.view(); len(v.Leases) != 1 || v.Leases[0].Shard.Generation != 2 {
			t.Errorf("%s: seeded %+v", what, v.Leases)
		}
		synced(w)
		w.create(row("p"), row("c", "p"), row("d", "p"))
		w.refused(name("c"), lease.ErrParent)
		g := w.take(name("p"))
		if g.Entry.Position != checkpoint.At("5", 0) {
			t.Errorf("%s: granted %+v", what, g)
		}
		w.must(s.store.Complete(t.Context(), w.scope(), lease.Completion{Name: name("p"), Token: g.Token}))
		if g := w.take(name("c")); !g.Entry.Position.IsZero() || g.Entry.State != nil || g.Shard.Generation != 2 {
			t.Errorf("%s: the child is granted %+v", what, g)
		}
	}
	// Of other streams it says nothing.
	o := newSubject(t, s.store)
	o.ttl = TTL
	w := o.lost("w")
	other := at("1", checkpoint.At("7", 0))
	other.Name = lease.Name("000000000000:us-east-1:other:1", "1")
	w.seed(append(of(1, other), of(2, at("1", checkpoint.At("5", 0)))...)...)
	if v := o.view(); len(v.Leases) != 2 {
		t.Errorf("seeded %+v", v.Leases)
	}
}

func testGenerations(t *testing.T, s *subject) {
	w := s.join("w")
	generation := func(shards ...string) (all int64) {
		t.Helper()
		for _, shard := range shards {
			l := s.find(name(shard))
			switch {
			case l == nil || l.Shard.Generation == 0:
				t.Fatalf("%s: %+v", shard, l)
			case all != 0 && all != l.Shard.Generation:
				t.Errorf("%s is of generation %d, another lease of %d", shard, l.Shard.Generation, all)
			}
			all = l.Shard.Generation
		}
		return all
	}
	w.create(row("p"))
	pass(TTL/3, w)
	g := w.take(name("p"))
	w.must(s.store.Complete(t.Context(), w.scope(), lease.Completion{Name: name("p"), Token: g.Token, Children: []lease.Row{row("c", "p")}}))
	w.must(s.store.Adopt(t.Context(), w.scope(), lease.Adoption{Stream: stream, Rows: []lease.Row{row("x", "gone"), row("1")}}))
	w.must(s.store.Retire(t.Context(), w.scope(), lease.Retirement{Name: name("gone")}))
	first := generation("p", "x", "c", "1", "gone")
	if g := w.take(name("c")); g.Shard.Generation != first {
		t.Errorf("granted as of generation %d, made as %d", g.Shard.Generation, first)
	}
	w.pause(true)
	for _, shard := range []string{"p", "x", "c", "1", "gone"} {
		if l := s.find(name(shard)); !l.Free() {
			w.must(w.reset(lease.Reset{Name: l.Name, Epoch: l.Epoch}))
		}
		left, err := s.store.Collect(t.Context(), w.scope(), lease.Collection{Names: []string{name(shard)}, Deleted: true})
		w.must(err)
		w.must(left[0])
	}
	w.create(row("p"), row("1"))
	if anew := generation("p", "1"); anew <= first {
		t.Errorf("made anew as of generation %d, before as of %d", anew, first)
	}
}
