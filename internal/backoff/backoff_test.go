package backoff

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func TestCeilingDoublesUpToMax(t *testing.T) {
	p := Policy{Min: 100 * time.Millisecond, Max: time.Second}
	for attempt, want := range map[int]time.Duration{
		-1: 100 * time.Millisecond, 0: 100 * time.Millisecond, 1: 100 * time.Millisecond,
		2: 200 * time.Millisecond, 3: 400 * time.Millisecond, 4: 800 * time.Millisecond,
		5: time.Second, 63: time.Second, 1 << 40: time.Second,
	} {
		if got := p.Ceiling(attempt); got != want {
			t.Errorf("attempt %d: %v, want %v", attempt, got, want)
		}
	}
	if got := (Policy{Min: 1, Max: math.MaxInt64}).Ceiling(1000); got != math.MaxInt64 {
		t.Errorf("the longest delay overflowed: %v", got)
	}
}

func TestNextIsSpreadOverTheWholeCeiling(t *testing.T) {
	p := Policy{Min: 100 * time.Millisecond, Max: time.Second}
	rnd := rand.New(rand.NewPCG(1, 1))
	var low, high bool
	for range 1000 {
		d := p.Next(3, rnd)
		if d <= 0 || d > 400*time.Millisecond {
			t.Fatalf("delay %v is out of (0, 400ms]", d)
		}
		low = low || d < 40*time.Millisecond
		high = high || d > 360*time.Millisecond
	}
	if !low || !high {
		t.Error("delays do not cover the whole range: no full jitter")
	}
	if d := p.Next(1, nil); d <= 0 || d > 100*time.Millisecond {
		t.Errorf("without a source: %v", d)
	}
}

func TestNextRepeatsWithTheSameSeed(t *testing.T) {
	p := Policy{Min: time.Second, Max: time.Hour}
	a, b := rand.New(rand.NewPCG(7, 7)), rand.New(rand.NewPCG(7, 7))
	for attempt := range 20 {
		if x, y := p.Next(attempt, a), p.Next(attempt, b); x != y {
			t.Fatalf("attempt %d: %v and %v", attempt, x, y)
		}
	}
}

func TestWaitSleepsOrEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Policy{Min: time.Second, Max: time.Second}
		start := time.Now()
		if err := p.Wait(t.Context(), 1, nil); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d <= 0 || d > time.Second {
			t.Errorf("waited %v", d)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Millisecond, func() { cancel(gone) })
		if err := Sleep(ctx, time.Hour); !errors.Is(err, gone) {
			t.Errorf("%v, want the cause", err)
		}
		if err := Sleep(ctx, 0); !errors.Is(err, gone) {
			t.Errorf("after the end: %v", err)
		}
	})
}
