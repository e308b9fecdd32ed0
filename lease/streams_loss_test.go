package lease_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// lagging is a store that beats take a while to reach, so that what is given back
// after a loss is there before the first of them.
type lagging struct {
	*gate
	makes func() (ok bool, err error) // whether leases are made, and the answer if not
}

func (s lagging) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	time.Sleep(20 * time.Millisecond)
	return s.gate.Beat(ctx, group, b)
}

func (s lagging) Create(ctx context.Context, in checkpoint.Scope, c lease.Create) error {
	if ok, err := s.makes(); !ok {
		return err
	}
	return s.gate.Create(ctx, in, c)
}

func makesLeases() (bool, error)  { return true, nil }
func makesNothing() (bool, error) { return false, errCut }
func unchanged(*lease.Config)     {}

// halfKnown is a group of two shards of which the living workers can give back the
// first alone, and nobody takes that: it is paused by hand. The state of the second
// died with the worker that had it.
func halfKnown(t *testing.T, makes func() (bool, error), change func(*lease.Config), test func(w *world, a *worker, store *lease.Memory)) {
	t.Helper()
	forgetful(t, 2, func(t *testing.T, w *world, forget func()) {
		stateful := func(name string) func(*lease.Config) {
			return func(c *lease.Config) {
				c.Run = func(ctx context.Context, h *lease.Held) error {
					if lease.ShardOf(h.Lease().Name) == "shard-000" {
						return w.run(ctx, name, h)
					}
					return sums(w, name)(ctx, h)
				}
			}
		}
		b := w.start("b", stateful("b"))
		wait(2 * time.Second)
		mark := lease.Mark{Name: lease.Name(stream, "shard-000"), Flag: lease.FlagPaused}
		if err := w.store.Mark(t.Context(), w.scope(), mark); err != nil {
			t.Fatal(err)
		}
		a := w.start("a", stateful("a"), func(c *lease.Config) {
			if g, ok := c.Store.(*gate); ok {
				c.Store = lagging{g, makes}
			}
			change(c)
		})
		wait(5 * time.Second) // a has read the shards
		expectCounts(t, w, map[string]int{"b": 1})
		b.kill()
		forget()
		store, ok := w.store.(*lease.Memory)
		if !ok {
			t.Fatal("another store")
		}
		test(w, a, store)
	})
}

// goesOn fails the test unless the second shard is read from where nothing is
// skipped, and the first is left alone.
func goesOn(w *world, by string) {
	w.t.Helper()
	expectCounts(w.t, w, map[string]int{by: 1})
	if s := w.lastStart("shard-001"); s.worker != by || s.from != checkpoint.Start() {
		w.t.Errorf("shard-001 starts on %s at %v", s.worker, s.from)
	}
}

func TestAStreamOfWhichNothingIsTakenIsMadeWholeAfterALoss(t *testing.T) {
	halfKnown(t, makesLeases, unchanged, func(w *world, _ *worker, _ *lease.Memory) {
		wait(5 * time.Second)
		goesOn(w, "a")
	})
}

func TestAWorkerThatComesAfterTheSeedsMakesTheStreamWhole(t *testing.T) {
	for _, later := range []time.Duration{700 * time.Millisecond, 10 * time.Second} {
		halfKnown(t, makesNothing, unchanged, func(w *world, a *worker, _ *lease.Memory) {
			wait(700 * time.Millisecond)
			a.kill() // it has given back what it knew, and made nothing
			wait(later)
			w.start("c")
			wait(5 * time.Second)
			goesOn(w, "c")
		})
	}
}

func TestAStreamWhoseRemovalWasBrokenOffIsMadeWhole(t *testing.T) {
	bubble(t, 2, func(t *testing.T, w *world) {
		failures := 3
		w.start("a", func(c *lease.Config) {
			discover := c.Discover
			c.Discover = func(ctx context.Context, s string) ([]lease.Row, error) {
				if failures--; failures >= 0 {
					return nil, errors.New("not now")
				}
				return discover(ctx, s)
			}
		})
		wait(5 * time.Second)
		scope := w.scope()
		if err := w.store.Pause(t.Context(), scope, true); err != nil {
			t.Fatal(err)
		}
		wait(time.Second)
		mark := lease.Mark{Name: lease.Name(stream, "shard-000"), Flag: lease.FlagPaused}
		if err := w.store.Mark(t.Context(), scope, mark); err != nil {
			t.Fatal(err)
		}
		gone := lease.Collection{Names: []string{lease.Name(stream, "shard-001")}, Deleted: true}
		if errs, err := w.store.Collect(t.Context(), scope, gone); err != nil || errs[0] != nil {
			t.Fatal(errs, err)
		}
		failures = 3
		wait(5 * time.Second)
		expectCounts(t, w, map[string]int{})
		if err := w.store.Pause(t.Context(), scope, false); err != nil {
			t.Fatal(err)
		}
		wait(10 * time.Second)
		goesOn(w, "a")
	})
}

func TestAStreamIsMadeWholeOnceMoreWhenThatIsLost(t *testing.T) {
	halfKnown(t, makesLeases, unchanged, func(w *world, _ *worker, store *lease.Memory) {
		wait(900 * time.Millisecond)
		back := store.Snapshot("billing") // with the seeds alone
		if v, err := store.View(w.t.Context(), "billing"); err != nil || len(v.Leases) != 1 {
			w.t.Fatalf("%d leases, %v", len(v.Leases), err)
		}
		wait(5 * time.Second)
		goesOn(w, "a")
		back()
		wait(5 * time.Second)
		goesOn(w, "a")
	})
}

// audited has a worker audit its stream of two shards each 20 seconds, and returns
// what it warns of.
func audited() (func(*lease.Config), *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.WarnLevel)
	return func(c *lease.Config) {
		c.Logger, c.AuditInterval = zap.New(core), 20*time.Second
		c.List = func(context.Context, string) (lease.Listing, error) {
			return lease.Listing{Shards: []lease.Row{half("shard-000", 0), half("shard-001", 1)}, Retention: 24 * time.Hour}, nil
		}
	}, logs
}

// What was made may be lost with the store's latest writes before a beat was told of
// it: then none tells of the loss.
func TestAnAuditHasAStreamMadeWhole(t *testing.T) {
	made := 0
	change, _ := audited()
	halfKnown(t, func() (bool, error) { made++; return made > 1, nil }, change, func(w *world, _ *worker, _ *lease.Memory) {
		wait(time.Minute)
		goesOn(w, "a")
	})
}

func TestAuditsWarnOfAStreamThatIsNotMadeWhole(t *testing.T) {
	change, logs := audited()
	halfKnown(t, makesNothing, change, func(*world, *worker, *lease.Memory) {
		const most = 600 / 5 // one audit each 5 seconds at most, as each that would repair takes that long
		wait(10 * time.Minute)
		n := logs.FilterMessage("the leases of the stream are not complete; audits can do nothing").Len()
		if n == 0 || n > most/5 {
			t.Errorf("warned %d times", n)
		}
	})
}

// named is the test stream as if it was made at a time.
func named(made time.Time) string {
	return fmt.Sprintf("000000000000:us-east-1:orders:%d", made.UnixMilli())
}

// readsAnew has a worker read another stream of one shard, at the latest records
// if the group has not read it before.
func readsAnew(name string) func(*lease.Config) {
	return func(c *lease.Config) {
		row := lease.Row{Name: lease.Name(name, "shard-000"), Position: checkpoint.StartAt(time.Now())}
		c.Streams = []string{name}
		c.Discover = func(context.Context, string) ([]lease.Row, error) { return []lease.Row{row}, nil }
	}
}

func halts(c *lease.Config) { c.HaltOnLoss = true }

// expectStart is where the reading of another stream began.
func expectStart(t *testing.T, w *world, stream string, want checkpoint.Position) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.starts {
		if lease.StreamOf(s.lease) == stream {
			if s.from != want {
				t.Errorf("starts at %v, want %v", s.from, want)
			}
			return
		}
	}
	t.Errorf("%s is not read", stream)
}

func TestAStreamThatWasMadeLongAfterALossIsNew(t *testing.T) {
	for _, change := range []func(*lease.Config){unchanged, halts} {
		forgetful(t, 2, func(t *testing.T, w *world, forget func()) {
			w.ttl = 10 * time.Second
			w.start("a", idle, change)
			wait(40 * time.Second)
			forget()
			wait(2 * time.Hour)
			name, at := named(time.Now()), checkpoint.StartAt(time.Now())
			b, c := w.start("b", readsAnew(name), change), w.start("c", readsAnew(name), change)
			wait(100 * time.Second)
			expectStart(t, w, name, at)
			if err := errors.Join(b.drain(), c.drain()); err != nil {
				t.Error(err)
			}
		})
	}
}

// The group may have read it, and all who knew that may be gone.
func TestAStreamThatIsOlderThanALossIsNotNew(t *testing.T) {
	forgetful(t, 2, func(t *testing.T, w *world, forget func()) {
		w.ttl = 10 * time.Second
		name := named(time.Now())
		w.start("a", idle)
		wait(40 * time.Second)
		forget()
		wait(2 * time.Hour)
		b := w.start("b", readsAnew(name), halts)
		wait(100 * time.Second)
		lost, ok := errors.AsType[*lease.UnrestoredError](b.drain())
		if !ok || lost.Stream != name || lost.Kept != 0 || lost.Seen.Before(time.Now().Add(-3*time.Hour)) || lost.Seen.After(time.Now()) {
			t.Errorf("with Halt it ends with %v: %+v", b.drain(), lost)
		}
		w.start("c", readsAnew(name))
		wait(100 * time.Second)
		expectStart(t, w, name, checkpoint.Start())
	})
}

// The clock of the service may be far ahead of the store's.
func TestAWorkerThatReadAStreamBeforeALossKnowsThat(t *testing.T) {
	forgetful(t, 0, func(t *testing.T, w *world, forget func()) {
		w.ttl = 10 * time.Second
		name := named(time.Now().Add(90 * time.Minute))
		var missing atomic.Bool
		w.start("a", readsAnew(name), func(c *lease.Config) {
			rediscover := c.Discover
			c.Discover = func(ctx context.Context, s string) ([]lease.Row, error) {
				if missing.Load() {
					return nil, errors.New("not now")
				}
				return rediscover(ctx, s)
			}
			c.Store = secretive{c.Store} // else there is nothing to make anew
		})
		wait(40 * time.Second)
		w.mu.Lock()
		w.starts = nil
		w.mu.Unlock()
		missing.Store(true)
		forget()
		wait(time.Hour)
		missing.Store(false)
		wait(time.Minute)
		expectStart(t, w, name, checkpoint.Start())
	})
}
