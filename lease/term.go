package lease

import (
	"sync/atomic"
	"time"
)

// validFor is the part of the lease time, in tenths, for which a beat keeps the
// leases. It counts from the start of the beat.
const validFor = 9

// term is how long the leases of a worker are good: until its last good beat is
// too long ago. The manager's loop renews it and acts on its end; whoever begins
// work looks at it too, because after a stall of the whole process the loop may
// be the last to run. Its methods may be called concurrently.
type term struct{ beat atomic.Pointer[goodBeat] }

// goodBeat is a beat that was fully applied.
type goodBeat struct {
	start time.Time
	ttl   time.Duration // the group's lease time
}

// renew takes a good beat.
func (t *term) renew(start time.Time, ttl time.Duration) { t.beat.Store(&goodBeat{start, ttl}) }

// started is when the last good beat started, zero when there was none.
func (t *term) started() time.Time {
	if b := t.beat.Load(); b != nil {
		return b.start
	}
	return time.Time{}
}

// end is when the leases run out, zero when there was no good beat.
func (t *term) end() time.Time {
	if b := t.beat.Load(); b != nil {
		return b.start.Add(b.validity())
	}
	return time.Time{}
}

// over reports whether the leases have run out, and how long ago the last good
// beat was.
func (t *term) over(now time.Time) (since time.Duration, over bool) {
	b := t.beat.Load()
	if b == nil {
		return 0, false
	}
	since = passed(b.start, now)
	return since, since >= b.validity()
}

// validity is how long a beat keeps the leases, from its start.
func (b *goodBeat) validity() time.Duration { return b.ttl * validFor / 10 }

// passed is the time since a moment by the clock that says more: the monotonic
// one stands still while the machine sleeps.
func passed(since, now time.Time) time.Duration {
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}
