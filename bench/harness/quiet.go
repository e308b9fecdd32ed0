package harness

import (
	"context"
	"time"
)

const (
	// quietShare is how much of the processors others may use for a machine
	// that counts as quiet, and quietLook how long is looked.
	quietShare = 0.10
	quietLook  = 300 * time.Millisecond
	// quietWait is how long a row waits in all for a quiet machine.
	quietWait = 60 * time.Second
	// disturbedShare is how much others may use during a run that counts.
	disturbedShare = 0.15
	// judgedTicks is how long a run must be, in ticks of 10 ms of all
	// processors, to tell whether it was disturbed.
	judgedTicks = 100
)

// load is a look at the processors' time since the machine started, in ticks.
type load struct {
	total  float64 // of all processors, idle or not
	busy   float64 // used by programs and the kernel for them
	exempt float64 // part of busy that is ours, or the kernel's own threads'
}

// since is the share of the processors that others used from an earlier look
// to this one, 0 to 1.
func (l load) since(earlier load) float64 {
	total := l.total - earlier.total
	if total <= 0 {
		return 0
	}
	others := (l.busy - earlier.busy) - (l.exempt - earlier.exempt)
	return min(max(others/total, 0), 1)
}

// disturbed reports whether others disturbed a run from an earlier look to this
// one. Of a run that is too short nothing can be said.
func (l load) disturbed(earlier load) bool {
	return l.total-earlier.total >= judgedTicks && l.since(earlier) > disturbedShare
}

// quiet waits until others leave the processors alone, or until the time is
// over, and takes what it waited off the time left. It reports whether the
// machine is quiet; where that cannot be known, it says it is.
func quiet(ctx context.Context, left *time.Duration) bool {
	began := time.Now()
	defer func() { *left -= time.Since(began) }()
	for {
		before, known := readLoad()
		if !known {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(quietLook):
		}
		after, _ := readLoad()
		if after.since(before) < quietShare {
			return true
		}
		if time.Since(began) > *left {
			return false
		}
	}
}
