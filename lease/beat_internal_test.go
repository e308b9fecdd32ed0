package lease

import (
	"testing"
	"time"
)

// A beat that is wished for, now or at a time to come, comes no later than it
// would have without, and no sooner after the last than beats may follow.
func TestABeatThatIsWishedForPutsNoneOff(t *testing.T) {
	start := time.Now()
	for _, c := range []struct {
		due, now, want time.Duration // since the last beat
	}{
		{due: 10 * time.Second, now: 0, want: coalesce},
		{due: 10 * time.Second, now: 3 * time.Second, want: 3 * time.Second},
		{due: 10 * time.Second, now: 12 * time.Second, want: 10 * time.Second},
		{due: coalesce / 2, now: 0, want: coalesce / 2},
	} {
		r := newRun(Config{}.withDefaults())
		r.beatStart, r.beatDue = start, start.Add(c.due)
		r.beatSoon(start.Add(c.now))
		if got := r.beatDue.Sub(start); got != c.want {
			t.Errorf("due after %v, wished for after %v: sent after %v, want %v", c.due, c.now, got, c.want)
		}
	}
}
