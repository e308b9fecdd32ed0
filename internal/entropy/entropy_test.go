package entropy

import (
	"testing"
	"testing/cryptotest"
	"time"
)

func TestDuration(t *testing.T) {
	const limit = 10
	var drawn [limit]int
	for range 1000 {
		d := Duration(limit)
		if d < 0 || d >= limit {
			t.Fatalf("drew %d of [0, %d)", d, limit)
		}
		drawn[d]++
	}
	for d, n := range drawn {
		if n < 40 { // 100 are expected; the odds of this are below 1e-12
			t.Errorf("drew %d only %d times of 1000", d, n)
		}
	}
	if d := Duration(0); d != 0 {
		t.Errorf("drew %v of nothing", d)
	}
	if d := Duration(-time.Second); d != 0 {
		t.Errorf("drew %v of less than nothing", d)
	}
}

func TestRepeatable(t *testing.T) {
	draw := func(seed uint64) [3]uint64 {
		cryptotest.SetGlobalRandom(t, seed)
		return [3]uint64{Uint64(), Uint64(), Uint64()}
	}
	first, again, other := draw(1), draw(1), draw(2)
	if first != again || first == other {
		t.Errorf("seed 1 drew %v and %v, seed 2 %v", first, again, other)
	}
}
