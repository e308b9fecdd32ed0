package consumer

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

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
