package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errBoom = errors.New("boom")

func TestVerdictsInARun(t *testing.T) {
	// Seven records, 101 to 107, in batches of three.
	fail := func(deliveries map[int]error) func(int, context.Context, *Batch) error {
		return func(n int, _ context.Context, _ *Batch) error { return deliveries[n] }
	}
	keep := func(into *[]string) Destination {
		return FailureFunc(func(_ context.Context, f *Failure) error {
			text := fmt.Sprintf("%s×%d:", f.Reason, f.Attempts)
			for _, r := range f.Records {
				text += " " + string(r.Data)
			}
			*into = append(*into, text)
			return nil
		})
	}
	for name, test := range map[string]struct {
		deliveries  map[int]error
		configure   func(*Config)
		destination bool
		batches     string
		failures    []string
		position    string
		stopped     error
	}{
		"all is well": {
			batches: "1 2 3 | 4 5 6 | 7", position: "107:0",
		},
		"an error is retried with the same records": {
			deliveries: map[int]error{1: errBoom, 2: errBoom},
			batches:    "1 2 3 | 1 2 3 | 1 2 3 | 4 5 6 | 7", position: "107:0",
		},
		"without a destination it is retried for ever": {
			deliveries: map[int]error{1: errBoom, 2: errBoom, 3: errBoom, 4: errBoom, 5: errBoom, 6: errBoom, 7: errBoom, 8: errBoom, 9: errBoom, 10: errBoom, 11: errBoom, 12: errBoom},
			batches:    strings.Repeat("1 2 3 | ", 13) + "4 5 6 | 7", position: "107:0",
		},
		"FailFrom goes on at the record": {
			deliveries: map[int]error{1: FailFrom(2, errBoom)},
			batches:    "1 2 3 | 3 | 4 5 6 | 7", position: "107:0",
		},
		"the attempts are used up": {
			deliveries: map[int]error{1: errBoom, 2: errBoom}, configure: func(c *Config) { c.MaxAttempts = 2 }, destination: true,
			batches: "1 2 3 | 1 2 3 | 4 5 6 | 7", failures: []string{"RetryAttemptsExhausted×2: 1 2 3"}, position: "107:0",
		},
		"the attempts of one record are used up": {
			deliveries: map[int]error{1: FailFrom(1, errBoom), 2: FailFrom(0, errBoom)}, configure: func(c *Config) { c.MaxAttempts = 2 }, destination: true,
			batches: "1 2 3 | 2 3 | 3 | 4 5 6 | 7", failures: []string{"RetryAttemptsExhausted×2: 2"}, position: "107:0",
		},
		"attempts are counted for each record": {
			deliveries: map[int]error{1: FailFrom(1, errBoom), 2: FailFrom(1, errBoom), 3: errBoom}, configure: func(c *Config) { c.MaxAttempts = 3 }, destination: true,
			batches: "1 2 3 | 2 3 | 3 | 3 | 4 5 6 | 7", position: "107:0",
		},
		"the attempts are used up and nowhere to go": {
			deliveries: map[int]error{2: FailFrom(1, errBoom), 3: errBoom}, configure: func(c *Config) { c.MaxAttempts = 2 },
			batches: "1 2 3 | 4 5 6 | 5 6", position: "104:0", stopped: ErrAttempts,
		},
		"poison goes away at once": {
			deliveries: map[int]error{1: Poison(errBoom)}, destination: true,
			batches: "1 2 3 | 4 5 6 | 7", failures: []string{"Poison×1: 1 2 3"}, position: "107:0",
		},
		"one poisoned record": {
			deliveries: map[int]error{1: FailFrom(1, Poison(errBoom))}, destination: true,
			batches: "1 2 3 | 3 | 4 5 6 | 7", failures: []string{"Poison×1: 2"}, position: "107:0",
		},
		"poison and nowhere to go": {
			deliveries: map[int]error{1: FailFrom(1, Poison(errBoom))},
			batches:    "1 2 3", position: "101:0", stopped: errBoom,
		},
		"poison is dropped when the configuration says so": {
			deliveries: map[int]error{1: Poison(errBoom)}, configure: func(c *Config) { c.OnFailure = Drop },
			batches: "1 2 3 | 4 5 6 | 7", position: "107:0",
		},
		"stop": {
			deliveries: map[int]error{2: Stop(errBoom)}, destination: true,
			batches: "1 2 3 | 4 5 6", position: "103:0", stopped: errBoom,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 1, 7)
				b.h.then = fail(test.deliveries)
				var failures []string
				if test.destination {
					b.cfg.OnFailure = keep(&failures)
				}
				if test.configure != nil {
					test.configure(&b.cfg)
				}
				r := run(t, b.cfg)
				time.Sleep(5 * time.Minute)
				s := r.Status()
				b.wantBatches(test.batches)
				if !slices.Equal(failures, test.failures) {
					t.Errorf("given up %q, want %q", failures, test.failures)
				}
				b.wantPosition(test.position)
				if s.Healthy != (test.stopped == nil) || len(s.Shards) != 1 || !errors.Is(s.Shards[0].Err, test.stopped) {
					t.Errorf("status %+v, want a shard stopped by %v", s, test.stopped)
				}
				r.stop()
				b.wantPosition(test.position)
				if s := r.Status(); s.Memory != 0 {
					t.Errorf("%d bytes of the memory budget are not given back", s.Memory)
				}
			})
		})
	}
}

func TestDroppedIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 4)
		b.cfg.OnFailure = Drop
		b.h.then = func(n int, _ context.Context, _ *Batch) error {
			if n == 1 {
				return Poison(errBoom)
			}
			return nil
		}
		r := run(t, b.cfg)
		time.Sleep(time.Second)
		if s := r.Status(); s.Dropped != 3 || s.Handled != 1 || s.Failed != 0 {
			t.Errorf("status %+v", s)
		}
		r.stop()
		if s := r.Status(); s.Dropped != 3 || s.Handled != 1 || s.Running || s.Memory != 0 {
			t.Errorf("status after the end %+v", s)
		}
	})
}

func TestRetryAfterSaysWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 1)
		var times []time.Time
		b.h.then = func(n int, _ context.Context, _ *Batch) error {
			times = append(times, time.Now())
			if n < 3 {
				return fmt.Errorf("not yet: %w", RetryAfter(7*time.Minute, errBoom))
			}
			return nil
		}
		b.runs(time.Hour)
		if len(times) != 3 || times[1].Sub(times[0]) != 7*time.Minute || times[2].Sub(times[1]) != 7*time.Minute {
			t.Errorf("delivered at %v", times)
		}
	})
}

func TestPanicIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		b.h.then = func(n int, _ context.Context, _ *Batch) error {
			if n == 1 {
				panic(errBoom)
			}
			return nil
		}
		var events []BatchEvent
		b.cfg.Hooks.Batch = func(e BatchEvent) { events = append(events, e) }
		b.runs(time.Minute)
		b.wantBatches("1 2 3 | 1 2 3")
		if !slices.Equal(b.h.attempt, []int{1, 2}) {
			t.Errorf("attempts %v", b.h.attempt)
		}
		p, ok := errors.AsType[*PanicError](events[0].Err)
		if !ok || !errors.Is(p, errBoom) || !strings.Contains(string(p.Stack), "shard_test.go") {
			t.Errorf("event %+v", events[0])
		}
		b.wantPosition("103:0")
	})
}

func TestHandlerTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 1)
		b.cfg.HandlerTimeout = time.Second
		var cause error
		b.h.then = func(n int, ctx context.Context, _ *Batch) error {
			if n > 1 {
				return nil
			}
			<-ctx.Done()
			cause = context.Cause(ctx)
			return ctx.Err()
		}
		b.runs(time.Minute)
		if !errors.Is(cause, ErrDeadline) {
			t.Errorf("cause %v", cause)
		}
		b.wantBatches("1 | 1")
	})
}

func TestDestinationThatFailsHoldsThePosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 4)
		var open atomic.Bool
		var sends atomic.Int64
		b.cfg.OnFailure = FailureFunc(func(_ context.Context, f *Failure) error {
			if got := string(f.Records[0].Data); got != "1" {
				t.Errorf("record %q sent, want what was delivered first", got)
			}
			clear(f.Records) // its own
			if n := sends.Add(1); !open.Load() {
				if n == 1 {
					panic("no such queue")
				}
				return errors.New("queue is full")
			}
			return nil
		})
		b.h.then = func(n int, _ context.Context, _ *Batch) error {
			if n == 1 {
				return Poison(errBoom)
			}
			return nil
		}
		r := run(t, b.cfg)
		time.Sleep(5 * time.Minute)
		b.wantBatches("1 2 3")
		b.wantPosition("START")
		if n := sends.Load(); n < 5 {
			t.Errorf("%d tries in five minutes", n)
		}
		if s := r.Status().Shards[0]; s.State != StateRetrying || s.Err == nil {
			t.Errorf("status %+v", s)
		}
		open.Store(true)
		time.Sleep(5 * time.Minute)
		b.wantBatches("1 2 3 | 4")
		b.wantPosition("104:0")
		r.stop()
	})
}

func TestNoRecordIsLostBehindJoinedFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 6)
		b.cfg.BatchSize = 6
		handled := map[string]bool{}
		first := true
		b.cfg.Handler = BatchFunc(func(_ context.Context, batch *Batch) error {
			var errs []error
			for i, r := range slices.Backward(batch.Records) { // such as one goroutine a key
				if first && (i == 1 || i == 4) {
					errs = append(errs, FailFrom(i, errBoom))
					continue
				}
				handled[string(r.Data)] = true
			}
			first = false
			return errors.Join(errs...)
		})
		b.runs(10 * time.Second)
		b.wantPosition("106:0")
		if len(handled) != 6 {
			t.Errorf("all is done, and only %v were handled", handled)
		}
	})
}

func TestRecordsThatEachDidNotComeToAreNotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 6)
		b.cfg.BatchSize, b.cfg.MaxAttempts, b.cfg.HandlerTimeout, b.cfg.OnFailure = 6, 1, 100*time.Millisecond, Drop
		var seen []string
		b.cfg.Handler = Each(Raw(), func(ctx context.Context, m Message[[]byte]) error {
			if m.Batch.Attempt != 1 {
				t.Errorf("record %s comes for the %d. time", m.Value, m.Batch.Attempt)
			}
			seen = append(seen, string(m.Value))
			time.Sleep(60 * time.Millisecond)
			if string(m.Value) == "4" {
				<-ctx.Done()
				return ctx.Err() // that was an attempt
			}
			return nil
		})
		r := run(t, b.cfg)
		time.Sleep(10 * time.Second)
		s := r.Status()
		r.stop()
		if got := strings.Join(seen, " "); got != "1 2 3 4 5 6" || s.Dropped != 1 || s.Handled != 5 {
			t.Errorf("handled %q, %d dropped", got, s.Dropped)
		}
	})
}

func TestFailFromOutsideTheBatchIsAboutAllOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		b.cfg.MaxAttempts = 1
		var gave []int
		b.cfg.OnFailure = FailureFunc(func(_ context.Context, f *Failure) error {
			gave = append(gave, len(f.Records))
			return nil
		})
		b.h.then = func(_ int, _ context.Context, batch *Batch) error { return FailFrom(len(batch.Records), errBoom) }
		b.runs(5 * time.Second)
		if !slices.Equal(gave, []int{3}) {
			t.Errorf("given up: %v records", gave)
		}
	})
}
