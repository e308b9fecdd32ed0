package localstream

import (
	"sync"
	"time"
)

// The rules about calls of SubscribeToShard for one consumer and one shard.
const (
	// takeoverAfter is how long after a successful call another one is refused.
	// After that it takes over.
	takeoverAfter = 5 * time.Second
	// subscribeEvery is how far apart calls have to be with [LimitsAWS].
	subscribeEvery = time.Second
)

// seatKey is who subscribes to what: one at a time.
type seatKey struct {
	consumer string
	created  int64 // when the consumer was; another one of its name has seats of its own
	shard    uint32
}

// seat belongs to the latest subscription of a consumer to a shard.
type seat struct {
	since  time.Time // the call that succeeded
	called time.Time // the latest call that was not too fast
	// lost is closed when another subscription has taken over.
	lost chan struct{}
}

// isLost reports whether another subscription has taken over.
func (s *seat) isLost() bool {
	select {
	case <-s.lost:
		return true
	default:
		return false
	}
}

// seats are those of a stream. The zero value is ready.
type seats struct {
	// mu guards taken and what is in it.
	mu    sync.Mutex
	taken map[seatKey]*seat
}

// seating is what became of a call for a seat.
type seating uint8

const (
	seated   seating = iota
	tooFast          // the calls come too fast
	tooEarly         // the one who has the seat has not had it for long
)

// take gives a subscription its seat, which the one before loses.
func (s *seats) take(key seatKey, now time.Time, limits Limits) (*seat, seating) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.taken[key]
	if refused := before.refuses(now, limits); refused != seated {
		return nil, refused
	}
	if before != nil {
		close(before.lost)
	}
	if s.taken == nil {
		s.taken = map[seatKey]*seat{}
	}
	mine := &seat{since: now, called: now, lost: make(chan struct{})}
	s.taken[key] = mine
	return mine, seated
}

// refuses says whether another call may not have the seat, and counts that
// call. A nil seat is one that nobody had. The mutex of the seats is held.
func (s *seat) refuses(now time.Time, limits Limits) seating {
	switch {
	case s == nil:
		return seated
	case limits == LimitsAWS && now.Sub(s.called) < subscribeEvery:
		return tooFast
	case now.Sub(s.since) < takeoverAfter:
		s.called = now
		return tooEarly
	}
	return seated
}

// would is what take would say, without taking the seat.
func (s *seats) would(key seatKey, now time.Time, limits Limits) seating {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken[key].refuses(now, limits)
}

// free gives back the seat of a subscription that has ended. The call counts as
// the latest one for as long as that matters, which it does not when the
// consumer is gone.
func (s *seats) free(key seatKey, mine *seat, now time.Time, gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch counts := max(takeoverAfter-now.Sub(mine.since), subscribeEvery-now.Sub(mine.called)); {
	case s.taken[key] != mine:
	case gone || counts <= 0:
		delete(s.taken, key)
	default: // nobody has it, and it still refuses others
		time.AfterFunc(counts, func() { s.free(key, mine, time.Now(), false) })
	}
}

// clear forgets the seats of a consumer that is gone.
func (s *seats) clear(consumer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.taken {
		if key.consumer == consumer {
			delete(s.taken, key)
		}
	}
}
