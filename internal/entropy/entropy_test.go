package entropy

import (
	"slices"
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

func TestOf(t *testing.T) {
	const seed = 7
	a, b := Of(seed, "a", 1), Of(seed, "b", 1)
	want := []uint64{a.Uint64(), a.Uint64()}
	again := Of(seed, "a", 1)
	if got := []uint64{again.Uint64(), again.Uint64()}; !slices.Equal(got, want) {
		t.Errorf("drew %v, and then %v", want, got)
	}
	for name, other := range map[string]uint64{
		"another name": b.Uint64(), "another number": Of(seed, "a", 2).Uint64(), "another seed": Of(8, "a", 1).Uint64(),
	} {
		if other == want[0] {
			t.Errorf("%s draws the same", name)
		}
	}
}
