//go:build unix

package main

import (
	"slices"
	"testing"
	"time"
)

func planOf(seed uint64) *plan {
	return newPlan(config{seed: seed, ttl: time.Second, workers: 4, producers: 2}.withDefaults())
}

func TestASeedGivesThePlanAgain(t *testing.T) {
	a, b, other := planOf(7), planOf(7), planOf(8)
	differs := false
	for range 100 {
		x, y, z := a.next(), b.next(), other.next()
		if x != y {
			t.Fatalf("%v and %v of one seed", x, y)
		}
		differs = differs || x != z
	}
	if !differs {
		t.Error("two seeds give the same plan")
	}
}

func TestThePlanHasEveryFaultWithinItsBounds(t *testing.T) {
	const ttl = time.Second
	for _, sentinels := range []bool{false, true} {
		p := newPlan(config{seed: 1, ttl: ttl, workers: 4, producers: 2, sentinels: sentinels}.withDefaults())
		seen, longest := map[string]int{}, map[string]time.Duration{}
		for i := range 5000 {
			f := p.next()
			seen[f.name()]++
			longest[f.name()] = max(longest[f.name()], f.lasts)
			if n := p.count[f.target]; f.index < 0 || f.index > 0 && f.index >= n || f.do == actCut && f.index >= wired(4) {
				t.Fatalf("%v of %d", f, n)
			}
			if f.after <= 0 || f.lasts < 0 || f.lasts > 3*ttl {
				t.Fatalf("fault %d: %v, then a pause of %v", i, f, f.after)
			}
		}
		for _, w := range weights() {
			if (seen[w.name()] > 0) != w.fits(sentinels) {
				t.Errorf("with sentinels %v %d times: %v", sentinels, seen[w.name()], w.fault)
			}
		}
		if d := longest["hold worker"]; d < 5*ttl/2 {
			t.Errorf("workers are held for %v at most: none outlasts its lease by much", d)
		}
		if d := longest["hold worker long"]; d != 3*ttl {
			t.Errorf("workers are held for %v, not for three lease times", d)
		}
	}
}

func TestTheShortestPlanKillsOneOfEach(t *testing.T) {
	for seed := range uint64(50) {
		p := planOf(seed)
		killed, split := map[kind]int{}, 0
		for range 4 {
			switch f := p.next(); f.do {
			case actKill:
				killed[f.target]++
			case actSplit:
				split++
			}
		}
		if killed[kindServer] != 1 || killed[kindRedis] != 1 || killed[kindWorker] != 1 || split != 1 {
			t.Errorf("seed %d begins with kills %v and %d splits", seed, killed, split)
		}
	}
}

func TestAPlanOfOneFaultHasNoOther(t *testing.T) {
	const pause = 100 * time.Millisecond
	p := newPlan(config{seed: 1, ttl: time.Second, workers: 4, producers: 2, pause: pause, only: []string{"kill server"}})
	for range 100 {
		f := p.next()
		if f.do != actKill || f.target != kindServer {
			t.Fatalf("%v", f)
		}
		if f.after > 2*pause || f.lasts > pause {
			t.Fatalf("%v, then a pause of %v", f, f.after)
		}
	}
}

func TestAPlanOfSomeFaultsBeginsWithEach(t *testing.T) {
	only := []string{"flush redis", "cut worker half open", "kill redis none", "split"}
	for seed := range uint64(20) {
		p := newPlan(config{seed: seed, ttl: time.Second, workers: 4, producers: 2, only: only}.withDefaults())
		var seen []string
		for range only {
			f := p.next()
			if !f.must {
				t.Errorf("%v may be left out", f)
			}
			seen = append(seen, f.name())
		}
		slices.Sort(seen)
		if !slices.Equal(seen, slices.Sorted(slices.Values(only))) {
			t.Errorf("seed %d begins with %q", seed, seen)
		}
		if f := p.next(); f.must || !slices.Contains(only, f.name()) {
			t.Errorf("seed %d goes on with %v", seed, f)
		}
	}
}
