package consumer

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDrain(t *testing.T) {
	t.Run("lets the handler finish and saves what it did", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 9)
			b.h.then = func(int, context.Context, *Batch) error { time.Sleep(10 * time.Second); return nil }
			r := run(t, b.cfg)
			time.Sleep(5 * time.Second)
			start := time.Now()
			r.stop()
			if took := time.Since(start); took < 5*time.Second || took > 6*time.Second {
				t.Errorf("drained in %v, the handler needed 5 s", took)
			}
			b.wantBatches("1 2 3")
			b.wantPosition("103:0")
		})
	})
	t.Run("ends the pause before a retry", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 9)
			b.h.then = func(n int, _ context.Context, _ *Batch) error {
				if n == 1 {
					return FailFrom(2, RetryAfter(time.Hour, errBoom))
				}
				return nil
			}
			r := run(t, b.cfg)
			time.Sleep(time.Second)
			start := time.Now()
			r.stop()
			if took := time.Since(start); took > 100*time.Millisecond {
				t.Errorf("drained in %v", took)
			}
			b.wantBatches("1 2 3")
			b.wantPosition("102:0")
		})
	})
	t.Run("cancels a handler that takes too long, with the cause", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 9)
			b.cfg.DrainTimeout = 3 * time.Second
			var cause error
			b.h.then = func(_ int, ctx context.Context, _ *Batch) error {
				<-ctx.Done()
				cause = context.Cause(ctx)
				return FailFrom(1, cause)
			}
			r := run(t, b.cfg)
			time.Sleep(time.Second)
			start := time.Now()
			r.stop()
			if took := time.Since(start); took < 3*time.Second || took > 4*time.Second {
				t.Errorf("drained in %v", took)
			}
			if !errors.Is(cause, ErrDraining) {
				t.Errorf("cause %v", cause)
			}
			b.wantPosition("101:0")
		})
	})
	t.Run("ends a stopped shard and an idle one at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 2, 3)
			b.h.then = func(int, context.Context, *Batch) error { return Stop(errBoom) }
			r := run(t, b.cfg)
			time.Sleep(time.Minute)
			start := time.Now()
			r.stop()
			if took := time.Since(start); took > 100*time.Millisecond {
				t.Errorf("drained in %v", took)
			}
		})
	})
}

func TestNothingIsDeliveredAfterADestinationTookItsTime(t *testing.T) {
	t.Run("and the worker drains", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 100)
			b.cfg.BatchSize = 100
			b.cfg.OnFailure = FailureFunc(func(context.Context, *Failure) error { time.Sleep(200 * time.Millisecond); return nil })
			b.h.then = func(int, context.Context, *Batch) error { return FailFrom(0, Poison(errBoom)) }
			r := run(t, b.cfg)
			time.Sleep(1100 * time.Millisecond)
			before := b.h.got()
			r.stop()
			b.wantBatches(before)
		})
	})
	t.Run("and the lease is lost", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 9)
			store := &cutStore{Store: b.store}
			b.cfg.Store = store
			b.cfg.OnFailure = FailureFunc(func(context.Context, *Failure) error {
				store.cut.Store(true)
				time.Sleep(5 * time.Second)
				return nil
			})
			b.h.then = func(int, context.Context, *Batch) error { return FailFrom(0, Poison(errBoom)) }
			r := run(t, b.cfg)
			time.Sleep(20 * time.Second)
			b.wantBatches("1 2 3")
			r.cancel()
			t.Log("Run:", <-r.done) // the store is still out of reach
		})
	})
	t.Run("nor after a pause of nothing", func(t *testing.T) {
		for range 20 { // a choice at random would pass now and then
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 1, 9)
				b.h.then = func(int, context.Context, *Batch) error {
					time.Sleep(time.Second)
					return RetryAfter(0, errBoom)
				}
				r := run(t, b.cfg)
				time.Sleep(500 * time.Millisecond)
				r.stop()
				b.wantBatches("1 2 3")
			})
		}
	})
}

func TestHandlerThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		b.h.then = func(n int, _ context.Context, _ *Batch) error {
			if n == 1 {
				runtime.Goexit() // as t.FailNow does
			}
			return nil
		}
		r := run(t, b.cfg)
		time.Sleep(100 * time.Millisecond)
		if s := r.Status(); s.Healthy || s.LastError == nil || !strings.Contains(s.LastError.Error(), "Goexit") || s.Memory > 0 && s.Shards[0].State != StateFailed {
			t.Errorf("status %+v", s)
		}
		time.Sleep(time.Minute)
		b.wantBatches("1 2 3 | 1 2 3")
		r.stop()
		b.wantPosition("103:0")
	})
	t.Run("each time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 3)
			b.h.then = func(int, context.Context, *Batch) error { runtime.Goexit(); return nil }
			b.runs(time.Minute)
			b.wantPosition("START")
		})
	})
	t.Run("in a hook of the reader", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 3)
			b.cfg.Hooks.Read = func(ReadEvent) { runtime.Goexit() }
			r := run(t, b.cfg)
			time.Sleep(time.Minute)
			r.stop()
			if s := r.Status(); s.Memory != 0 || s.LastError == nil {
				t.Errorf("status %+v", s)
			}
		})
	})
}

func TestRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		r := run(t, b.cfg)
		time.Sleep(time.Second)
		if s := r.Status(); !s.Running || !s.Ready || !s.Healthy || s.Stream != "orders" || s.Worker != "one" || s.Handled != 3 {
			t.Errorf("status %+v", s)
		}
		if err := r.Run(t.Context()); !errors.Is(err, ErrRunning) {
			t.Errorf("a second Run at the same time: %v", err)
		}
		r.stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		b.fake.put(0, "k", []byte("4"))
		if err := r.Run(ctx); err != nil {
			t.Errorf("Run after Run: %v", err)
		}
		b.wantBatches("1 2 3 | 4")
	})
}

func TestStartPositions(t *testing.T) {
	// Records arrive at 0 s, 10 s, 13 s and after the group has begun; the shard
	// splits at 12 s; the group begins soon after, or an hour.
	for name, test := range map[string]struct {
		start StartAt
		want  string
	}{
		"TrimHorizon":                 {TrimHorizon(), "0 10 13 20"},
		"Latest":                      {Latest(), "20"},
		"AtTimestamp":                 {AtTimestamp(time.Date(2000, 1, 1, 0, 0, 5, 0, time.UTC)), "10 13 20"},
		"AtTimestamp at a record":     {AtTimestamp(time.Date(2000, 1, 1, 0, 0, 10, 0, time.UTC)), "10 13 20"},
		"AtTimestamp at the split":    {AtTimestamp(time.Date(2000, 1, 1, 0, 0, 12, 0, time.UTC)), "13 20"},
		"AtTimestamp after the split": {AtTimestamp(time.Date(2000, 1, 1, 0, 0, 14, 0, time.UTC)), "20"},
		"AtTimestamp before all":      {AtTimestamp(time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)), "0 10 13 20"},
	} {
		for _, pause := range []time.Duration{3 * time.Second, time.Hour} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBench(t, 1, 0)
					b.cfg.StartAt = test.start
					b.fake.put(0, "k", []byte("0"))
					time.Sleep(10 * time.Second)
					b.fake.put(0, "k", []byte("10"))
					time.Sleep(2 * time.Second)
					b.fake.split(0)
					time.Sleep(time.Second)
					b.fake.put(1, "k", []byte("13"))
					time.Sleep(pause)
					r := run(t, b.cfg)
					time.Sleep(5 * time.Second)
					b.fake.put(1, "k", []byte("20"))
					time.Sleep(2 * time.Second)
					r.stop()
					if got := strings.ReplaceAll(b.h.got(), " |", ""); got != test.want {
						t.Errorf("delivered %q, want %q", got, test.want)
					}
				})
			})
		}
	}
}

func TestLatestStaysWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 2)
		b.cfg.StartAt = Latest()
		time.Sleep(time.Second)
		b.runs(100 * time.Millisecond) // reads nothing, saves nothing
		b.fake.put(0, "k", []byte("between"))
		time.Sleep(time.Hour)
		b.runs(time.Second)
		b.wantBatches("between")
	})
}
