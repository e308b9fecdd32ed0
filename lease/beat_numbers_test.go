package lease_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// errUnheard is an answer that was lost.
var errUnheard = errors.New("no answer")

// beatLog is a store that notes a worker's beats and their answers, and loses what
// it is told to. Beats come one at a time.
type beatLog struct {
	lease.Store

	mu      sync.Mutex // guards all below
	beats   []lease.Beat
	views   []lease.View
	errs    []error
	unheard int   // answers to lose
	next    error // is answered next
}

func (s *beatLog) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	v, err := s.Store.Beat(ctx, group, b)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.next != nil:
		v, err, s.next = lease.View{}, s.next, nil
	case s.unheard > 0:
		v, err, s.unheard = lease.View{}, errUnheard, s.unheard-1
	}
	s.beats, s.views, s.errs = append(s.beats, b), append(s.views, v), append(s.errs, err)
	return v, err
}

// fails has the answers to come lost, and then one be err.
func (s *beatLog) fails(unheard int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unheard, s.next = unheard, err
}

// told are the beats so far, with their answers.
func (s *beatLog) told() ([]lease.Beat, []lease.View, []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.beats), slices.Clone(s.views), slices.Clone(s.errs)
}

// Each beat that a worker sends has a higher number than all before, whatever became
// of those, and says which was answered last in the state that it goes on from.
func TestBeatsAreNumberedAsTheyAreSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := lease.NewMemory()
		s := &beatLog{Store: memory, unheard: 1}
		w := newWorld(t, memory, 2)
		w.start("a", func(c *lease.Config) { c.Store = s })
		wait(3 * time.Second)
		back := memory.Snapshot("billing")
		s.fails(2, nil)
		wait(3 * time.Second)
		s.fails(0, &lease.RegressedError{Number: 1})
		wait(3 * time.Second)
		beats, _, _ := s.told()
		gone := beats[len(beats)-1].Session.ID
		if err := memory.Bye(t.Context(), checkpoint.Scope{Group: "billing"}, gone); err != nil {
			t.Fatal(err)
		}
		wait(3 * time.Second)
		memory.Forget("billing")
		wait(3 * time.Second)
		back()
		wait(3 * time.Second)
		expectCounts(t, w, map[string]int{"a": 2})
		beats, views, errs := s.told()
		told := map[error]int{}
		var last, good uint64
		var stamp int64
		first := true
		for i, b := range beats {
			if b.Number != last+1 {
				t.Errorf("beat %d follows %d", b.Number, last)
			}
			if b.Good != good || b.Stamp != stamp || b.First != first {
				t.Errorf("beat %d says first %v, good %d at %d; want %v, %d at %d", b.Number, b.First, b.Good, b.Stamp, first, good, stamp)
			}
			if b.Good == 0 && b.Seen != 0 {
				t.Errorf("beat %d goes on from change %d, and from no beat", b.Number, b.Seen)
			}
			last = b.Number
			err := errs[i]
			for _, known := range []error{errUnheard, lease.ErrRegressed, lease.ErrGone, lease.ErrStateLost, lease.ErrReset} {
				if errors.Is(err, known) {
					told[known]++
				}
			}
			switch {
			case err == nil:
				first, good, stamp = false, b.Number, views[i].Stamp
			case !errors.Is(err, errUnheard):
				good, stamp = 0, 0
			}
		}
		if len(told) != 5 || told[errUnheard] != 3 {
			t.Errorf("the worker was told %v, want all five", told)
		}
	})
}
