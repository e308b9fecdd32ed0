package leasetest

import (
	"testing"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// testSeedEpochs: a lease was reset by hand, which gave it a later epoch. One worker was
// away then, and knows how far the lease was before.
func testSeedEpochs(t *testing.T, s *subject) {
	s.ttl = TTL
	w := s.lost("w")
	before := func(shard string) lease.Remembered { return at(shard, checkpoint.At("100", 0)) }
	since := func(shard string) lease.Remembered {
		r := at(shard, checkpoint.At("3", 0))
		r.Epoch++
		return r
	}
	stateful := before("3")
	stateful.Entry.State = []byte("of before")
	w.seed(before("1"), since("2"), stateful, since("4"), at("5", checkpoint.ShardEnd()))
	w.seed(since("1"), before("2"), since("3"), at("4", checkpoint.ShardEnd()), since("5"))
	synced(w)
	rows := []lease.Row{row("1"), row("2"), row("3"), row("4"), row("5")}
	w.create(rows...)
	for _, shard := range []string{"1", "2", "3"} {
		e := w.take(name(shard)).Entry
		if e.Position != checkpoint.At("3", 0) || e.State != nil {
			t.Errorf("%s goes on at %v with the state %q", shard, e.Position, e.State)
		}
	}
	for _, shard := range []string{"4", "5"} { // what follows the end has begun
		w.refused(name(shard), lease.ErrGone)
	}
}

// testSeedAsOf: who was away when a pause was ended by hand knows of the pause only.
func testSeedAsOf(t *testing.T, s *subject) {
	s.ttl = TTL
	w := s.lost("w")
	seed := func(asOf int64, paused bool, flags ...string) {
		t.Helper()
		sent := lease.Seed{From: former, AsOf: asOf, Paused: paused}
		for i, shard := range []string{"1", "2"}[:len(flags)] {
			r := at(shard, checkpoint.At("5", 0))
			r.Flags = flags[i]
			sent.Rows = append(sent.Rows, r)
		}
		w.must(s.store.Seed(t.Context(), w.scope(), sent))
	}
	expect := func(paused bool, flags ...string) {
		t.Helper()
		v := s.view()
		if v.Paused != paused {
			t.Errorf("paused is %v, want %v", v.Paused, paused)
		}
		for i, shard := range []string{"1", "2"} {
			if got := s.find(name(shard)).Flags; got != flags[i] {
				t.Errorf("%s has the flags %q, want %q", shard, got, flags[i])
			}
		}
	}
	seed(10_000, true, lease.FlagPaused, "stopped:1")
	expect(true, lease.FlagPaused, "stopped:1")
	seed(9_999, false, "", lease.FlagPaused) // as of before
	expect(true, lease.FlagPaused, "stopped:1")
	seed(20_000, false, "stopped:2", lease.FlagPaused)
	expect(false, "stopped:2", "stopped:1,"+lease.FlagPaused)
	seed(15_000, true, lease.FlagPaused, "")
	expect(false, "stopped:2", "stopped:1,"+lease.FlagPaused)
	w.pause(true) // by hand, now
	seed(30_000, false)
	expect(true, "stopped:2", "stopped:1,"+lease.FlagPaused)
	w.pause(false)
	seed(40_000, true)
	expect(false, "stopped:2", "stopped:1,"+lease.FlagPaused)
	if s.store.Seed(t.Context(), w.scope(), lease.Seed{From: former, AsOf: -1}) == nil {
		t.Error("a seed as of before 1970 was taken")
	}
}
