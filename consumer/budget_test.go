package consumer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// take asks b for n bytes for a read. The channel holds how many were set aside
// once they are.
func take(t *testing.T, b *budget, n int64) chan int64 {
	t.Helper()
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

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(200)
		first := take(t, b, 90)
		if len(first) != 1 {
			t.Fatal("90 of 200 had to wait")
		}
		b.landed(<-first, 150) // it brought more than was set aside
		large, small := take(t, b, 60), take(t, b, 10)
		if len(large) != 0 || len(small) != 0 {
			t.Error("60 did not wait for room, or 10 overtook it")
		}
		b.release(150)
		synctest.Wait()
		if len(large) != 1 || len(small) != 1 {
			t.Error("room for both, and one still waits")
		}
		b.release(-180) // records grew
		if used := b.used(); used != 250 {
			t.Errorf("used %d", used)
		}
		next := take(t, b, 1)
		b.landed(<-large, 10)
		synctest.Wait()
		if len(next) != 0 {
			t.Error("let in without room")
		}
		b.release(100)
		synctest.Wait()
		if len(next) != 1 {
			t.Error("not let in with room")
		}
		b.landed(<-small, 0)
		b.release(90)
		if all := take(t, b, 1000); len(all) != 1 || <-all != 100 {
			t.Error("more than half of the budget is not cut to it")
		}
	})
}

func TestBudgetLetsGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100)
		b.release(-100)
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

func TestMemoryIsScarceWhenRecordsKeepAReadOut(t *testing.T) {
	scarce := func(b *budget) bool {
		select {
		case <-b.scarce():
			return true
		default:
			return false
		}
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100)
		one, two := take(t, b, 50), take(t, b, 50)
		three := take(t, b, 50)
		if len(three) != 0 || scarce(b) {
			t.Error("a read that waits for others to come back is let in, or calls for memory")
		}
		b.landed(<-one, 60)
		if !scarce(b) {
			t.Error("a read that waits for records does not call for memory")
		}
		b.landed(<-two, 0)
		b.release(20)
		synctest.Wait()
		if len(three) != 1 || scarce(b) {
			t.Error("with room again the read waits, or calls for memory")
		}
	})
}

func TestParkedRecordsKeepNoReadOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100)
		b.release(-120)
		one, two := take(t, b, 50), take(t, b, 50)
		b.park(110)
		synctest.Wait()
		if len(one) != 0 {
			t.Error("let in beside records that are not parked")
		}
		b.park(10)
		synctest.Wait()
		if len(one) != 1 || len(two) != 0 {
			t.Error("not just one read is let in beside parked records")
		}
		b.landed(<-one, 30)
		synctest.Wait()
		if len(two) != 0 {
			t.Error("let in beside the records of the one before")
		}
		b.release(30)
		synctest.Wait()
		if len(two) != 1 {
			t.Error("not let in when they were handled")
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
