package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// bench is a fake stream with a store and a handler, in a bubble.
type bench struct {
	t     *testing.T
	fake  *fake
	store *lease.Memory
	h     *recorder
	cfg   Config
}

func newBench(t *testing.T, shards, records int) *bench {
	b := &bench{t: t, fake: newFake(shards), store: lease.NewMemory(), h: &recorder{}}
	for i := range records {
		b.fake.put(0, "key", []byte(strconv.Itoa(i+1)))
	}
	b.cfg = Config{
		Group: "test", Stream: "orders", Client: b.fake, Store: b.store, Handler: b.h,
		WorkerName: "one", LeaseTTL: time.Second, BatchSize: 3, ReadsPerSecond: -1,
	}
	return b
}

// position is what is stored for the i-th shard.
func (b *bench) position(i int) checkpoint.Position {
	b.t.Helper()
	name := lease.Name("123456789012:eu-central-1:orders:1700000000000", b.fake.shards[i].id)
	entries, err := b.store.Load(b.t.Context(), "test", name)
	if err != nil {
		b.t.Fatal(err)
	}
	e, ok := entries[name]
	if !ok {
		b.t.Fatalf("no lease %s", name)
	}
	return e.Position
}

// runs runs a worker for a time and drains it.
func (b *bench) runs(d time.Duration) {
	b.t.Helper()
	r := run(b.t, b.cfg)
	time.Sleep(d)
	r.stop()
}

func (b *bench) wantBatches(want string) {
	b.t.Helper()
	if got := b.h.got(); got != want {
		b.t.Errorf("batches %q, want %q", got, want)
	}
}

func (b *bench) wantPosition(want string) {
	b.t.Helper()
	if got := b.position(0).String(); got != want {
		b.t.Errorf("stored position %q, want %q", got, want)
	}
}

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

func TestHandlerMayChangeItsBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		b.h.then = func(n int, _ context.Context, batch *Batch) error {
			slices.Reverse(batch.Records)
			if n == 1 {
				return FailFrom(1, errBoom)
			}
			return nil
		}
		b.runs(time.Minute)
		b.wantBatches("1 2 3 | 2 3")
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

func TestRecordAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 2)
		time.Sleep(time.Hour)
		b.fake.put(0, "key", []byte("new"))
		b.cfg.MaxRecordAge = time.Minute
		var failures []*Failure
		b.cfg.OnFailure = FailureFunc(func(_ context.Context, f *Failure) error {
			failures = append(failures, f)
			return nil
		})
		b.runs(time.Second)
		b.wantBatches("new")
		if len(failures) != 1 || failures[0].Reason != ReasonAge || len(failures[0].Records) != 2 || failures[0].Attempts != 0 {
			t.Errorf("failures %+v", failures)
		}
		b.wantPosition("103:0")
	})
	t.Run("without a destination the shard stops", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 1)
			time.Sleep(time.Hour)
			b.cfg.MaxRecordAge = time.Minute
			r := run(t, b.cfg)
			time.Sleep(time.Second)
			if s := r.Status(); s.Healthy || !errors.Is(s.Shards[0].Err, ErrTooOld) {
				t.Errorf("status %+v", s)
			}
			r.stop()
			b.wantBatches("")
			b.wantPosition("START")
		})
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

func TestBatchWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 0)
		b.cfg.BatchWindow = 10 * time.Second
		r := run(t, b.cfg)
		time.Sleep(2 * time.Second)
		b.fake.put(0, "k", []byte("1"))
		time.Sleep(8 * time.Second)
		b.fake.put(0, "k", []byte("2"))
		b.wantBatches("")
		time.Sleep(4 * time.Second)
		b.wantBatches("1 2")
		for i := 3; i <= 6; i++ {
			b.fake.put(0, "k", []byte(strconv.Itoa(i)))
		}
		time.Sleep(2 * time.Second)
		b.wantBatches("1 2 | 3 4 5") // a full batch does not wait
		r.stop()
		b.wantBatches("1 2 | 3 4 5") // what waits is left for the next owner
		b.wantPosition("105:0")
	})
}

func TestWhatWasReadAheadJoinsTheBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 8)
		b.cfg.PageSize = 4
		b.h.then = func(int, context.Context, *Batch) error { time.Sleep(time.Second); return nil }
		b.runs(time.Minute)
		b.wantBatches("1 2 3 | 4 5 6 | 7 8")
	})
}

func TestMaxBatchBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 0)
		b.cfg.MaxBatchBytes = 10
		for _, d := range []string{"aaaa", "bbbb", "cccccccccccccccc", "dddd"} {
			b.fake.put(0, "k", []byte(d))
		}
		b.runs(time.Second)
		b.wantBatches("aaaa bbbb | cccccccccccccccc | dddd")
	})
}

func TestResumeInsideAnAggregate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 0)
		b.fake.put(0, "x", packed("a=1", "b=2", "c=3", "d=4"))
		b.fake.put(0, "x", packed("a=5", "b=6"))
		b.h.then = func(n int, _ context.Context, _ *Batch) error {
			if n == 2 {
				return Stop(errBoom)
			}
			return nil
		}
		b.runs(time.Second)
		b.wantPosition("101:2")
		b.runs(time.Second)
		b.wantBatches("1 2 3 | 4 5 6 | 4 5 6")
		b.wantPosition("102:1")
		if want := []string{"TRIM_HORIZON", "AT_SEQUENCE_NUMBER 101"}; !slices.Equal(b.fake.iterators, want) {
			t.Errorf("iterators %v, want %v", b.fake.iterators, want)
		}
	})
}

func TestShardEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 4)
		b.fake.split(0)
		b.fake.put(1, "k", []byte("left"))
		b.fake.put(2, "k", []byte("right"))
		b.runs(time.Second)
		got := b.h.got()
		if got != "1 2 3 | 4 | left | right" && got != "1 2 3 | 4 | right | left" {
			t.Errorf("batches %q", got)
		}
		b.wantPosition("SHARD_END")
		if n := b.fake.count("ListShards"); n != 1 {
			t.Errorf("%d lists of shards, want the one at the start", n)
		}
	})
	t.Run("children that the last page does not name are listed", func(t *testing.T) {
		for name, edit := range map[string]func(*kinesis.GetRecordsOutput){
			"none":         func(o *kinesis.GetRecordsOutput) { o.ChildShards = nil },
			"one of two":   func(o *kinesis.GetRecordsOutput) { o.ChildShards = o.ChildShards[:min(1, len(o.ChildShards))] },
			"without keys": func(o *kinesis.GetRecordsOutput) { clear(o.ChildShards) },
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBench(t, 1, 1)
					b.fake.split(0)
					b.fake.put(1, "k", []byte("left"))
					b.fake.put(2, "k", []byte("right"))
					b.fake.edit = edit
					late := time.Now().Add(30 * time.Second)
					b.fake.list = func(in *kinesis.ListShardsInput, s []types.Shard) []types.Shard {
						if in.ShardFilter == nil && time.Now().Before(late) {
							return s[:1] // the listing is behind
						}
						return s
					}
					r := run(t, b.cfg)
					time.Sleep(29 * time.Second)
					b.wantBatches("1")
					if p := b.position(0); p.IsEnd() {
						t.Error("the shard ended without its children")
					}
					time.Sleep(10 * time.Second)
					r.stop()
					if got := b.h.got(); got != "1 | left | right" && got != "1 | right | left" {
						t.Errorf("batches %q", got)
					}
				})
			})
		}
	})
}

func TestPositionMovesOverRecordsOfOtherShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2, 0)
		stray := "k0"
		for i := 0; b.fake.shards[0].keys.Contains(hashOf(stray)); i++ {
			stray = fmt.Sprintf("k%d", i)
		}
		b.fake.put(0, "x", packed(stray+"=1", stray+"=2"))
		r := run(t, b.cfg)
		time.Sleep(time.Second)
		if s := r.Status(); s.OutOfRange != 2 {
			t.Errorf("status %+v", s)
		}
		r.stop()
		b.wantBatches("")
		b.wantPosition("101:1")
	})
}

func TestMalformedAggregateIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 0)
		bad := packed("a=1", "b=2")
		bad[len(bad)-1]++
		b.fake.put(0, "x", bad)
		r := run(t, b.cfg)
		time.Sleep(time.Second)
		if s := r.Status(); s.Malformed != 1 {
			t.Errorf("status %+v", s)
		}
		r.stop()
		b.wantBatches(string(bad))
	})
}

func TestExpiredRecordsAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		b.runs(time.Second)
		for i := range 3 {
			b.fake.put(0, "k", []byte(strconv.Itoa(i+4)))
		}
		b.fake.shards[0].records = b.fake.shards[0].records[4:] // retention took 101 to 104
		var gaps []string
		b.cfg.Hooks.RecordsExpired = func(shard string, saved, oldest checkpoint.Position) {
			gaps = append(gaps, fmt.Sprint(saved, " ", oldest))
		}
		b.runs(time.Second)
		b.wantBatches("1 2 3 | 5 6")
		if want := []string{"103:0 105:0"}; !slices.Equal(gaps, want) {
			t.Errorf("gaps %v, want %v", gaps, want)
		}
		b.runs(time.Second)
		if len(gaps) != 1 {
			t.Errorf("gaps %v after nothing was lost", gaps)
		}
	})
}

func TestListedShardNeverEndsUnread(t *testing.T) {
	for name, list := range map[string]func(n int, s []types.Shard) []types.Shard{
		"listed":                  func(_ int, s []types.Shard) []types.Shard { return s },
		"listed the second time":  func(n int, s []types.Shard) []types.Shard { return s[n%2:] },
		"listed, and no children": func(_ int, s []types.Shard) []types.Shard { return s[:1] },
		"not listed, no children": func(_ int, s []types.Shard) []types.Shard { return s[3:] },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 1, 3)
				b.runs(time.Second)
				b.fake.split(0)
				b.fake.put(0, "k", []byte("4"))
				lists := 0
				b.fake.list = func(_ *kinesis.ListShardsInput, s []types.Shard) []types.Shard {
					lists++
					return list(lists, s)
				}
				b.fake.fault = func(op string, _ int) error {
					if op == "GetRecords" {
						return apiError("ResourceNotFoundException", "Shard shardId-000000000000 does not exist")
					}
					return nil
				}
				b.runs(time.Minute)
				b.wantPosition("103:0")
				b.fake.fault = nil
				b.runs(5 * time.Minute)
				b.wantBatches("1 2 3 | 4")
			})
		})
	}
}

func TestExpiredShardLetsItsChildrenStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		b.runs(time.Second)
		b.fake.split(0)
		b.fake.put(1, "k", []byte("left"))
		b.fake.expire(true, 0)
		b.runs(20 * time.Second)
		b.wantBatches("1 2 3 | left")
		b.wantPosition("SHARD_END")
	})
}
