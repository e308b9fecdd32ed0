package consumer

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
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

// cutStore is a store that a worker can be cut from.
type cutStore struct {
	lease.Store
	cut atomic.Bool
}

var errCut = errors.New("dial tcp: connection refused")

func (s *cutStore) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	if s.cut.Load() {
		return lease.View{}, errCut
	}
	return s.Store.Beat(ctx, group, b)
}

func (s *cutStore) Save(ctx context.Context, scope checkpoint.Scope, u ...checkpoint.Update) ([]checkpoint.Outcome, error) {
	if s.cut.Load() {
		return nil, errCut
	}
	return s.Store.Save(ctx, scope, u...)
}

func (s *cutStore) Acquire(ctx context.Context, scope checkpoint.Scope, a lease.Acquire) ([]lease.Grant, error) {
	if s.cut.Load() {
		return nil, errCut
	}
	return s.Store.Acquire(ctx, scope, a)
}

func (s *cutStore) Bye(ctx context.Context, scope checkpoint.Scope, session string) error {
	if s.cut.Load() {
		return errCut
	}
	return s.Store.Bye(ctx, scope, session)
}

func TestCutFromTheStore(t *testing.T) {
	t.Run("the handler is cancelled before the lease can be taken", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 9)
			store := &cutStore{Store: b.store}
			b.cfg.Store = store
			var cause error
			var cutAt, ended time.Time
			b.h.then = func(n int, ctx context.Context, _ *Batch) error {
				if n > 1 {
					return nil
				}
				store.cut.Store(true)
				cutAt = time.Now()
				<-ctx.Done()
				cause, ended = context.Cause(ctx), time.Now()
				return ctx.Err()
			}
			r := run(t, b.cfg)
			time.Sleep(20 * time.Second)
			if !errors.Is(cause, lease.ErrLost) || ended.Sub(cutAt) > time.Second {
				t.Errorf("cancelled with %v after %v, the lease time is 1 s", cause, ended.Sub(cutAt))
			}
			b.wantBatches("1 2 3")
			store.cut.Store(false)
			time.Sleep(20 * time.Second)
			b.wantBatches("1 2 3 | 1 2 3 | 4 5 6 | 7 8 9")
			r.stop()
			b.wantPosition("109:0")
		})
	})
	t.Run("records of a cancelled handler are not given up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for _, verdict := range []func(error) error{func(err error) error { return err }, Poison, Stop} {
				b := newBench(t, 1, 3)
				store := &cutStore{Store: b.store}
				b.cfg.Store, b.cfg.MaxAttempts = store, 1
				b.cfg.OnFailure = FailureFunc(func(_ context.Context, f *Failure) error {
					t.Errorf("given up: %+v", f)
					return nil
				})
				b.h.then = func(n int, ctx context.Context, _ *Batch) error {
					if n > 1 {
						return nil
					}
					store.cut.Store(true)
					<-ctx.Done()
					return verdict(ctx.Err())
				}
				r := run(t, b.cfg)
				time.Sleep(10 * time.Second)
				store.cut.Store(false)
				time.Sleep(10 * time.Second)
				b.wantBatches("1 2 3 | 1 2 3")
				r.stop()
				b.wantPosition("103:0")
			}
		})
	})
	t.Run("another worker goes on, and the late one moves nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 9)
			store := &cutStore{Store: b.store}
			one, two := b.cfg, b.cfg
			one.Store, two.WorkerName = store, "two"
			late := &recorder{}
			one.Handler = late
			late.then = func(int, context.Context, *Batch) error {
				store.cut.Store(true)
				time.Sleep(time.Minute) // it ignores its context
				store.cut.Store(false)
				return nil
			}
			first := run(t, one)
			time.Sleep(500 * time.Millisecond)
			second := run(t, two)
			time.Sleep(10 * time.Second)
			b.wantBatches("1 2 3 | 4 5 6 | 7 8 9")
			b.wantPosition("109:0")
			time.Sleep(2 * time.Minute)
			second.stop()
			first.stop()
			if got := late.got(); got != "1 2 3" {
				t.Errorf("the late worker was given %q", got)
			}
			b.wantPosition("109:0")
		})
	})
}

func TestUnknownStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for stream, want := range map[string]string{
			"nobody": `stream "nobody"`,
			"arn:aws:kinesis:eu-west-3:123456789012:stream/nobody": `stream "nobody" in eu-west-3`,
		} {
			b := newBench(t, 1, 0)
			b.fake.setGone()
			b.cfg.Stream = stream
			start := time.Now()
			err := <-run(t, b.cfg).done
			if !errors.Is(err, ErrStreamNotFound) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "123456789012") {
				t.Errorf("error %v", err)
			}
			if time.Since(start) > 0 {
				t.Errorf("it took %v", time.Since(start))
			}
		}
	})
}

func TestStartTimeout(t *testing.T) {
	unsigned := &smithy.OperationError{ServiceID: "Kinesis", OperationName: "DescribeStreamSummary",
		Err: errors.New("get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found")}
	for name, test := range map[string]struct {
		fault  error
		status types.StreamStatus
		store  bool // cut
		want   []string
	}{
		"no credentials":        {fault: unsigned, want: []string{`"orders"`, "30s", "no AWS credentials: set AWS_ACCESS_KEY_ID", "no EC2 IMDS role"}},
		"endpoint unreachable":  {fault: errors.New("dial tcp 10.0.0.1:443: i/o timeout"), want: []string{`"orders"`, "30s", "i/o timeout"}},
		"still being created":   {status: types.StreamStatusCreating, want: []string{`"orders"`, "30s", "created"}},
		"the store unreachable": {store: true, want: []string{"group \"test\"", "connection refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 1, 1)
				b.fake.status = types.StreamStatusActive
				if test.status != "" {
					b.fake.status = test.status
				}
				b.fake.fault = failing("DescribeStreamSummary", 1e9, test.fault)
				core, logs := observer.New(zap.WarnLevel)
				b.cfg.Logger = zap.New(core)
				store := &cutStore{Store: b.store}
				store.cut.Store(test.store)
				b.cfg.Store = store
				start := time.Now()
				err := <-run(t, b.cfg).done
				if err == nil {
					t.Fatal("no error")
				}
				for _, w := range test.want {
					if !strings.Contains(err.Error(), w) {
						t.Errorf("error %q does not name %q", err, w)
					}
				}
				if took := time.Since(start); took < 20*time.Second || took > 35*time.Second {
					t.Errorf("gave up after %v", took)
				}
				if n := logs.FilterMessage("no AWS credentials yet, will try again").Len(); (n > 0) != (test.fault == unsigned) { //nolint:errorlint // the very same
					t.Errorf("told of credentials %d times", n)
				}
			})
		})
	}
	t.Run("what passes in time is waited for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 1)
			b.fake.fault = failing("DescribeStreamSummary", 4, errors.New("connection refused"))
			b.runs(time.Minute)
			b.wantBatches("1")
		})
	})
	t.Run("refused credentials are not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 1)
			b.fake.fault = failing("DescribeStreamSummary", 1, apiError("AccessDeniedException", "not authorized"))
			start := time.Now()
			if err := <-run(t, b.cfg).done; err == nil || time.Since(start) > 0 {
				t.Errorf("error %v after %v", err, time.Since(start))
			}
		})
	})
	t.Run("nor is a refused list of shards", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 1)
			b.fake.fault = failing("ListShards", 1, apiError("AccessDeniedException", "not authorized to perform: kinesis:ListShards"))
			start := time.Now()
			if err := <-run(t, b.cfg).done; err == nil || !strings.Contains(err.Error(), "kinesis:ListShards") || time.Since(start) > time.Second {
				t.Errorf("error %v after %v", err, time.Since(start))
			}
		})
	})
	t.Run("a list that is out of reach is waited for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 1)
			b.fake.fault = failing("ListShards", 4, errors.New("connection refused"))
			b.runs(time.Minute)
			b.wantBatches("1")
		})
	})
	t.Run("a worker that is cancelled before it began ends in peace", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 1)
			b.fake.status = types.StreamStatusCreating
			r := run(t, b.cfg)
			time.Sleep(5 * time.Second)
			r.stop()
		})
	})
}

func TestStreamDeletedWhileItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2, 3)
		r := run(t, b.cfg)
		time.Sleep(time.Second)
		b.fake.setGone()
		start := time.Now()
		err := <-r.done
		if !errors.Is(err, ErrStreamNotFound) || !strings.Contains(err.Error(), `stream "orders" was deleted`) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(start); took < 20*time.Second || took > 40*time.Second {
			t.Errorf("given up after %v, the StartTimeout is 30 s", took)
		}
		b.wantPosition("103:0") // not the end
	})
	for name, start := range map[string]StartAt{"its oldest records": TrimHorizon(), "its oldest records, too, when the group began at the latest": Latest()} {
		t.Run("and made anew, it is read from "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 1, 0)
				b.cfg.StartAt = start
				r := run(t, b.cfg)
				time.Sleep(time.Second)
				b.fake.put(0, "k", []byte("old"))
				time.Sleep(2 * time.Second)
				b.fake.setGone()
				time.Sleep(10 * time.Second)
				b.fake.mu.Lock()
				b.fake.gone, b.fake.created = false, b.fake.created.Add(time.Hour)
				b.fake.shards[0].id, b.fake.shards[0].records = "shardId-other", nil
				b.fake.mu.Unlock()
				b.fake.put(0, "k", []byte("new"))
				time.Sleep(20 * time.Second)
				b.wantBatches("old | new")
				if s := r.Status(); !s.Healthy || !s.Ready || len(s.Shards) != 1 {
					t.Errorf("status %+v", s)
				}
				r.stop()
			})
		})
	}
	t.Run("and made anew, which the audit finds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 3)
			b.cfg.AuditInterval = 10 * time.Second
			idle := b.cfg
			idle.MaxLeases, idle.WorkerName = 1, "idle"
			one, two := run(t, b.cfg), run(t, idle)
			time.Sleep(20 * time.Second)
			b.fake.mu.Lock()
			b.fake.created = b.fake.created.Add(time.Hour) // iterators of the old one go on
			b.fake.mu.Unlock()
			time.Sleep(2 * time.Minute)
			b.wantBatches("1 2 3 | 1 2 3")
			one.stop()
			two.stop()
		})
	})
	t.Run("one wrong answer ends nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 0)
			b.fake.fault = func(op string, call int) error {
				if op == "GetRecords" && call == 1 || op == "DescribeStreamSummary" && call == 2 {
					return errNotFound
				}
				return nil
			}
			r := run(t, b.cfg)
			time.Sleep(30 * time.Second)
			b.fake.put(0, "k", []byte("1"))
			time.Sleep(5 * time.Second)
			r.stop()
			b.wantBatches("1")
		})
	})
}

func TestStreamDeletedBeforeItWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		b.fake.fault = func(op string, _ int) error {
			b.fake.gone = op == "ListShards" || b.fake.gone
			return nil
		}
		if err := <-run(t, b.cfg).done; !errors.Is(err, ErrStreamNotFound) {
			t.Errorf("error %v", err)
		}
	})
}

func TestRefusalOfALaterListIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		r := run(t, b.cfg)
		time.Sleep(time.Second)
		var refuse atomic.Bool
		refuse.Store(true)
		b.fake.mu.Lock()
		b.fake.fault = func(op string, _ int) error {
			if op == "ListShards" && refuse.Load() {
				return apiError("AccessDeniedException", "not authorized to perform: kinesis:ListShards")
			}
			return nil
		}
		b.fake.mu.Unlock()
		b.store.Forget("test")
		time.Sleep(time.Minute)
		if s := r.Status(); s.Healthy || !s.Running || s.LastError == nil || !strings.Contains(s.LastError.Error(), "kinesis:ListShards") {
			t.Errorf("status %+v", s)
		}
		refuse.Store(false)
		time.Sleep(time.Minute)
		if s := r.Status(); !s.Healthy {
			t.Errorf("status %+v", s)
		}
		b.wantBatches("1 2 3")
		r.stop()
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

func TestLostStateIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 2)
		b.cfg.StartAt = Latest()
		time.Sleep(time.Second)
		r := run(t, b.cfg)
		time.Sleep(time.Second)
		b.fake.put(0, "k", []byte("3"))
		time.Sleep(2 * time.Second)
		b.wantBatches("3")
		b.store.Forget("test")
		b.fake.put(0, "k", []byte("4"))
		time.Sleep(20 * time.Second)
		b.wantBatches("3 | 4")
		r.stop()
	})
}

// lose has the state of the group lost, and nobody remembers it.
func (b *bench) lose() {
	b.t.Helper()
	b.store.Forget("test")
	former := lease.Beat{Incarnation: "former", NewIncarnation: "latter", TTL: 10 * time.Second}
	if _, err := b.store.Beat(b.t.Context(), "test", former); !errors.Is(err, lease.ErrStateLost) {
		b.t.Fatal(err)
	}
}

func TestStateThatNobodyRemembers(t *testing.T) {
	for name, test := range map[string]struct {
		on   StartAt
		want string
	}{
		"TrimHorizon": {StartAt{}, "1 2 3 4"},
		"AtTimestamp": {AtTimestamp(time.Date(2000, 1, 1, 0, 0, 5, 0, time.UTC)), "4"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 1, 3)
				b.cfg.StartAt, b.cfg.OnStateLoss = Latest(), test.on
				time.Sleep(10 * time.Second)
				b.fake.put(0, "k", []byte("4"))
				time.Sleep(10 * time.Second)
				b.lose()
				b.runs(20 * time.Second)
				if got := strings.ReplaceAll(b.h.got(), " |", ""); got != test.want {
					t.Errorf("delivered %q, want %q", got, test.want)
				}
			})
		})
	}
}

func TestHaltNamesWhatNobodyRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2, 3)
		b.cfg.OnStateLoss = Halt()
		b.lose()
		c, err := New(b.cfg)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		err = c.Run(t.Context())
		lost, ok := errors.AsType[*lease.UnrestoredError](err)
		if !ok || len(lost.Leases) != 2 || !strings.Contains(err.Error(), "shardrun leases init") || !strings.Contains(err.Error(), lost.Leases[1]) {
			t.Errorf("Run returned %v", err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("after %v", took)
		}
		if got := b.h.got(); got != "" {
			t.Errorf("delivered %q", got)
		}
	})
}

func TestHaltGoesOnWithWhatIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		b.cfg.OnStateLoss = Halt()
		r := run(t, b.cfg)
		time.Sleep(2 * time.Second)
		b.fake.split(0)
		time.Sleep(10 * time.Second)
		b.store.Forget("test")
		b.fake.put(1, "k", []byte("4"))
		time.Sleep(20 * time.Second)
		b.wantBatches("1 2 3 | 4")
		r.stop()
	})
}
