// Package backoff spaces retries: exponential growth with full jitter, so that
// many clients of one overloaded service do not return at the same moment.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/shardrun/shardrun/internal/entropy"
)

// Policy says how delays grow. It is a value without state: attempt numbers are
// kept by the caller.
type Policy struct {
	// Min is the greatest delay before the first retry. Must be above 0.
	Min time.Duration
	// Max bounds every delay. Must be at least Min.
	Max time.Duration
}

// Ceiling is the greatest delay before retry attempt, counted from 1:
// Min·2^(attempt−1), at most Max. Attempts below 1 count as 1.
func (p Policy) Ceiling(attempt int) time.Duration {
	d := p.Min
	for range attempt - 1 {
		if d > p.Max/2 {
			return p.Max
		}
		d *= 2
	}
	return min(d, p.Max)
}

// Next draws the delay before retry attempt, counted from 1: evenly from
// (0, Ceiling], which is "full jitter". rnd may be seeded for a run that can be
// repeated, and is used by one goroutine at a time; nil draws from crypto/rand.
func (p Policy) Next(attempt int, rnd *rand.Rand) time.Duration {
	ceiling := int64(p.Ceiling(attempt))
	if rnd == nil {
		return entropy.Duration(time.Duration(ceiling)) + 1
	}
	return time.Duration(rnd.Int64N(ceiling) + 1)
}

// Wait sleeps for Next(attempt, rnd), or until ctx ends, and then returns the
// cause of its end.
func (p Policy) Wait(ctx context.Context, attempt int, rnd *rand.Rand) error {
	return Sleep(ctx, p.Next(attempt, rnd))
}

// Sleep waits for d, or until ctx ends, and then returns the cause of its end.
func Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
