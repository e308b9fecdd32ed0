package consumer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100)
		take := func(n int64) chan int64 {
			got := make(chan int64, 1)
			go func() {
				n, err := b.acquire(t.Context(), n)
				if err != nil {
					t.Error(err)
				}
				got <- n
			}()
			synctest.Wait()
			return got
		}
		first := take(70)
		if len(first) != 1 {
			t.Fatal("70 of 100 had to wait")
		}
		large, small := take(60), take(10)
		if len(large) != 0 || len(small) != 0 {
			t.Error("60 did not wait for room, or 10 overtook it")
		}
		b.release(70)
		synctest.Wait()
		if len(large) != 1 || len(small) != 1 {
			t.Error("room for both, and one still waits")
		}
		b.release(-50) // a read brought more than was set aside
		if used := b.used(); used != 120 {
			t.Errorf("used %d", used)
		}
		next := take(1)
		b.release(20)
		synctest.Wait()
		if len(next) != 0 {
			t.Error("let in without room")
		}
		b.release(100)
		synctest.Wait()
		if len(next) != 1 {
			t.Error("not let in with room")
		}
		b.release(1)
		all := take(1000)
		if len(all) != 1 || <-all != 100 {
			t.Error("more than the whole budget is not cut to it")
		}
	})
}

func TestBudgetLetsGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100)
		if _, err := b.acquire(t.Context(), 100); err != nil {
			t.Fatal(err)
		}
		cause := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		if _, err := b.acquire(ctx, 1); !errors.Is(err, cause) {
			t.Errorf("error %v", err)
		}
		b.release(100)
		if used := b.used(); used != 0 {
			t.Errorf("who gave up holds %d", used)
		}

		w := &waiter{n: 10, ready: make(chan struct{})}
		b.waiting = append(b.waiting, w)
		b.serve() // served, and gives up at the same moment
		b.leave(w)
		if used := b.used(); used != 0 {
			t.Errorf("who gave up when it was served holds %d", used)
		}
	})
}

func TestPace(t *testing.T) {
	aws := pace{reads: 5, bytes: 2 << 20, minGap: 200 * time.Millisecond, maxGap: time.Second}
	free := pace{reads: -1, bytes: -1, minGap: 200 * time.Millisecond, maxGap: time.Second}
	type step struct {
		bytes int
		idle  bool
		want  time.Duration
	}
	for name, test := range map[string]struct {
		pace  pace
		steps []step
	}{
		"five reads a second":             {aws, []step{{100, false, 200 * time.Millisecond}}},
		"two megabytes a second":          {aws, []step{{10 << 20, false, 5 * time.Second}}},
		"no limits":                       {free, []step{{10 << 20, false, 0}}},
		"idle reads grow apart":           {free, []step{{0, true, 200 * time.Millisecond}, {0, true, 400 * time.Millisecond}, {0, true, 800 * time.Millisecond}, {0, true, time.Second}, {0, true, time.Second}}},
		"until records come":              {free, []step{{0, true, 200 * time.Millisecond}, {0, true, 400 * time.Millisecond}, {1, false, 0}, {0, true, 200 * time.Millisecond}}},
		"idle never goes below the limit": {pace{reads: 1, bytes: -1, minGap: time.Millisecond, maxGap: time.Second}, []step{{0, true, time.Second}}},
	} {
		t.Run(name, func(t *testing.T) {
			for i, s := range test.steps {
				if got := test.pace.next(s.bytes, s.idle); got != s.want {
					t.Errorf("step %d: %v, want %v", i, got, s.want)
				}
			}
		})
	}
}
