package consumer

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/shardrun/shardrun/lease"
)

// failingBeats is a store that beats do not reach after a time.
type failingBeats struct {
	lease.Store
	after time.Time
	good  atomic.Int64 // start of the last beat that did, in Unix nanoseconds
}

func (s *failingBeats) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	start := time.Now()
	if start.After(s.after) {
		return lease.View{}, errBoom
	}
	s.good.Store(start.UnixNano())
	return s.Store.Beat(ctx, group, b)
}

// A process that was stalled for longer than its lease finds its runners awake
// before the manager that would cancel them. Here the manager sleeps on, in its
// logger.
func TestNoBatchBeginsAfterTheLeaseRanOut(t *testing.T) {
	handlers := map[string]func(*Batch) error{
		"batch after batch": func(*Batch) error { return nil },
		"a batch again":     func(*Batch) error { return RetryAfter(time.Millisecond, errBoom) },
		"the rest of a batch": func(b *Batch) error {
			if len(b.Records) == 1 {
				return nil
			}
			return FailFrom(1, RetryAfter(time.Millisecond, errBoom))
		},
	}
	for name, result := range handlers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 1, 100)
				store := &failingBeats{Store: b.store, after: time.Now().Add(2 * time.Second)}
				b.cfg.Store = store
				var last atomic.Int64
				b.h.then = func(_ int, _ context.Context, batch *Batch) error {
					last.Store(time.Now().UnixNano())
					time.Sleep(150 * time.Millisecond)
					return result(batch)
				}
				stalled, release := make(chan struct{}), make(chan struct{})
				var once atomic.Bool
				b.cfg.Logger = zap.New(&stallingCore{LevelEnabler: zapcore.WarnLevel, on: "beat, will try again", stall: func() {
					if once.CompareAndSwap(false, true) {
						close(stalled)
						<-release
					}
				}})
				r := run(t, b.cfg)
				<-stalled
				time.Sleep(5 * time.Second)
				left := time.Duration(store.good.Load() + int64(900*time.Millisecond) - last.Load())
				if left <= 0 {
					t.Errorf("a batch began %v after the lease ran out", -left)
				}
				if left > 200*time.Millisecond {
					t.Errorf("the last batch began %v before the lease ran out, each takes 150 ms", left)
				}
				close(release)
				r.cancel()
				if err := <-r.done; err != nil {
					t.Log(err) // the last position may not have been saved
				}
			})
		})
	}
}

// stallingCore calls stall when a message is logged.
type stallingCore struct {
	zapcore.LevelEnabler
	on    string
	stall func()
}

func (c *stallingCore) With([]zapcore.Field) zapcore.Core { return c }
func (c *stallingCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if e.Message == c.on {
		c.stall()
	}
	return ce
}
func (c *stallingCore) Write(zapcore.Entry, []zapcore.Field) error { return nil }
func (c *stallingCore) Sync() error                                { return nil }
