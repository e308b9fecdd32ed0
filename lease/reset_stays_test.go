package lease_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// anew makes the leases of the stream anew, as shardrun reset does.
func (w *world) anew() {
	w.t.Helper()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	ctx, scope := w.t.Context(), checkpoint.Scope{Group: "billing"}
	v, err := w.store.View(ctx, "billing")
	must(err)
	var names []string
	for _, l := range v.Leases {
		names = append(names, l.Name)
		if !l.Free() && !l.Finished() {
			must(w.store.Reset(ctx, scope, lease.Reset{Name: l.Name, Position: checkpoint.Start(), Epoch: l.Epoch}))
		}
	}
	left, err := w.store.Collect(ctx, scope, lease.Collection{Names: names, Deleted: true})
	must(err)
	for _, err := range left {
		must(err)
	}
	s := lease.Session{ID: "by-hand", Name: "by-hand", State: lease.StatePaused}
	_, err = w.store.Beat(ctx, "billing", lease.Beat{NewIncarnation: "unused", Session: s, Number: 1, TTL: w.ttl})
	must(err)
	must(w.store.Create(ctx, scope, lease.Create{Session: s.ID, Stream: stream, Rows: w.shards}))
	must(w.store.Bye(ctx, scope, s.ID))
}

// one sets the position of every lease by hand.
func (w *world) one() {
	w.t.Helper()
	v, err := w.store.View(w.t.Context(), "billing")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, l := range v.Leases {
		r := lease.Reset{Name: l.Name, Position: checkpoint.Start(), Epoch: l.Epoch}
		if err := w.store.Reset(w.t.Context(), checkpoint.Scope{Group: "billing"}, r); err != nil {
			w.t.Fatal(err)
		}
	}
}

// Who had the leases remembers what was handled until somebody takes them, and gives
// it back after a loss; what was reset meanwhile is to be handled again.
func TestAResetByHandIsNotUndoneByWhatWorkersRemember(t *testing.T) {
	// Runners that go on until their leases are taken away may return long after the
	// table shows the reset, and while the state is being restored.
	for _, deaf := range []time.Duration{0, 50 * time.Millisecond, 1200 * time.Millisecond} {
		for what, reset := range map[string]func(*world){"the stream": (*world).anew, "each lease": (*world).one} {
			forgetful(t, 3, func(t *testing.T, w *world, forget func()) {
				testResetStays(t, w, reset, forget, deaf)
				if t.Failed() {
					t.Logf("of %s, deaf for %v", what, deaf)
				}
			})
		}
	}
}

// A worker that was away meanwhile knows the leases as they were before, and comes back
// when the state that tells of the reset is lost.
func TestAResetIsNotUndoneByAWorkerThatWasAway(t *testing.T) {
	for _, early := range []bool{false, true} {
		for what, reset := range map[string]func(*world){"the stream": (*world).anew, "each lease": (*world).one} {
			testResetStaysThoughAway(t, reset, early)
			if t.Failed() {
				t.Logf("of %s, the one that was away comes first: %v", what, early)
			}
		}
	}
}

func testResetStaysThoughAway(t *testing.T, reset func(*world), early bool) {
	forgetful(t, 3, func(t *testing.T, w *world, forget func()) {
		a, b := w.start("a"), w.start("b")
		wait(3 * time.Second)
		a.gate.set(true)
		wait(3 * time.Second) // its runners have returned
		before := w.count("shard-000")
		w.pause(true)
		wait(time.Second)
		reset(w)
		wait(time.Second)
		w.pause(false)
		wait(time.Second)
		b.gate.set(early)
		then := w.started()
		forget()
		a.gate.set(false)
		wait(300 * time.Millisecond)
		b.gate.set(false)
		wait(4 * time.Second)
		if n := len(w.owners()); n != 3 {
			t.Errorf("%d of 3 leases have a runner", n)
		}
		for _, id := range []string{"shard-000", "shard-001", "shard-002"} {
			s := w.startAfter(then, id) // what is handed over later goes on where that was
			if from, _ := strconv.ParseUint(string(s.from.Sequence), 10, 64); from > before/2 {
				t.Errorf("%s was at %d, reset, and goes on at %v after a loss", id, before, s.from)
			}
		}
	})
}

func testResetStays(t *testing.T, w *world, reset func(*world), forget func(), deaf time.Duration) {
	w.deaf = deaf > 0
	for _, name := range []string{"a", "b"} {
		w.start(name, func(c *lease.Config) {
			run := c.Run
			c.Run = func(ctx context.Context, h *lease.Held) error {
				err := run(ctx, h)
				time.Sleep(deaf)
				return err
			}
		})
	}
	wait(3 * time.Second)
	w.pause(true)
	wait(time.Second)
	reset(w)
	wait(time.Second)
	forget()
	wait(4 * time.Second)
	w.pause(false)
	wait(2 * time.Second)
	if n := len(w.owners()); n != 3 {
		t.Errorf("%d of 3 leases have a runner", n)
	}
	for _, id := range []string{"shard-000", "shard-001", "shard-002"} {
		if s := w.lastStart(id); s.from.Rank != checkpoint.RankStart {
			t.Errorf("%s was reset, and goes on at %v after a loss", id, s.from)
		}
	}
}

// Nor is what was let go on by hand paused again by a worker that was away then.
func TestAResumeIsNotUndoneByAWorkerThatWasAway(t *testing.T) {
	for what, pause := range map[string]func(*world, bool){
		"the group": (*world).pause,
		"a lease":   func(w *world, on bool) { w.pauseOne("shard-001", on) },
	} {
		forgetful(t, 3, func(t *testing.T, w *world, forget func()) {
			a := w.start("a")
			w.start("b")
			wait(3 * time.Second)
			pause(w, true)
			wait(time.Second)
			a.gate.set(true)
			wait(3 * time.Second)
			pause(w, false)
			wait(2 * time.Second)
			forget()
			a.gate.set(false)
			wait(5 * time.Second)
			v, err := w.store.View(t.Context(), "billing")
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range v.Leases {
				if v.Paused || l.Marked(lease.FlagPaused) {
					t.Errorf("%s was resumed, and %s is paused again", what, l.Name)
				}
			}
			if n := len(w.owners()); n != 3 {
				t.Errorf("%s was resumed: %d of 3 leases have a runner", what, n)
			}
		})
	}
}
