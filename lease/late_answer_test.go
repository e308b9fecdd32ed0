package lease_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// lateStore is a store whose answers come late, once delay is set.
type lateStore struct {
	lease.Store

	mu    sync.Mutex // guards all below
	delay time.Duration
	cut   bool
	good  time.Time // when the last beat began that was answered
	saves int       // calls of Save that have begun
}

func (s *lateStore) set(delay time.Duration, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay, s.cut = delay, cut
}

func (s *lateStore) how() (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.delay, s.cut
}

func (s *lateStore) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	began := time.Now()
	delay, cut := s.how()
	if cut {
		return lease.View{}, errCut
	}
	v, err := s.Store.Beat(ctx, group, b)
	time.Sleep(delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.good = began
	}
	return v, err
}

func (s *lateStore) Save(ctx context.Context, scope checkpoint.Scope, u ...checkpoint.Update) ([]checkpoint.Outcome, error) {
	s.mu.Lock()
	s.saves++
	s.mu.Unlock()
	out, err := s.Store.Save(ctx, scope, u...)
	delay, _ := s.how()
	time.Sleep(delay)
	return out, err
}

// The store counts the lease time from when it took the beat, which may be as
// early as when the beat was sent, however late its answer is.
func TestALateAnswerDoesNotProlongTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &lateStore{Store: lease.NewMemory()}
		w := newWorld(t, s.Store, 1)
		_, _, ctx := holding(t, w, func(c *lease.Config) { c.Store = s })
		s.set(90*time.Millisecond, false)
		wait(3 * time.Second)
		if ctx.Err() != nil {
			t.Fatal("answers that are late by less than a beat cost the lease")
		}
		s.set(0, true)
		<-ctx.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		if held := time.Since(s.good); held > w.ttl*9/10+time.Millisecond {
			t.Errorf("the handler was cancelled %v after the last good beat was sent, want 0.9 of %v", held, w.ttl)
		}
	})
}

// What is recorded while a save is on its way is not saved by it.
func TestFlushWaitsForWhatWasRecordedDuringASave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &lateStore{Store: lease.NewMemory()}
		w := newWorld(t, s.Store, 1)
		_, h, _ := holding(t, w, func(c *lease.Config) { c.Store = s })
		s.set(90*time.Millisecond, false)
		h.Save(checkpoint.At("5", 0), 0, nil)
		first := make(chan error, 1)
		go func() { first <- h.Flush(t.Context()) }()
		wait(30 * time.Millisecond)
		s.mu.Lock()
		saves := s.saves
		s.mu.Unlock()
		if saves == 0 {
			t.Fatal("nothing is being saved")
		}
		h.Save(checkpoint.At("6", 0), 0, nil)
		if err := h.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if e := stored(t, w); e.Position != checkpoint.At("6", 0) {
			t.Errorf("after the second flush the store has %v", e.Position)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}
