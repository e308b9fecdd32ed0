package lease_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/lease"
)

// TestWorkersComeAndGo lets workers join, drain, die, and lose the store for a
// while, and the store lose nothing, while shards split and merge. The world
// fails the test on a skipped number, an early child, or two owners; in the
// end every shard must have been handled to its end.
func TestWorkersComeAndGo(t *testing.T) {
	for seed := range uint64(chaosDefault) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chaos(t, seed) })
		})
	}
}

func chaos(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 4))
	w := newWorld(t, lease.NewMemory(), 4)
	last := w.lineage(rng)

	var live []*worker
	next := 0
	join := func() {
		live = append(live, w.start(fmt.Sprint("w", next)))
		next++
	}
	remove := func(i int) *worker {
		wk := live[i]
		live = append(live[:i], live[i+1:]...)
		return wk
	}
	join()
	join()
	for range 40 {
		wait(time.Duration(rng.IntN(1500)) * time.Millisecond)
		i := rng.IntN(len(live))
		switch rng.IntN(6) {
		case 0:
			if len(live) < 5 {
				join()
			}
		case 1:
			if len(live) > 1 {
				if err := remove(i).drain(); err != nil {
					t.Log(err) // it may have been cut off
				}
			}
		case 2:
			if len(live) > 1 {
				remove(i).kill()
			}
		case 3:
			live[i].gate.set(true)
		default:
			for _, wk := range live {
				wk.gate.set(false)
			}
		}
	}
	for _, wk := range live {
		wk.gate.set(false)
	}
	wait(time.Minute)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range last {
		if !w.ended[name] {
			t.Errorf("%s was not handled to its end", name)
		}
	}
}

// lineage splits and merges the world's shards for some generations, and
// returns the leases of the last one, which end too.
func (w *world) lineage(rng *rand.Rand) (last []string) {
	open := []string{"shard-000", "shard-001", "shard-002", "shard-003"}
	length := func() uint64 { return uint64(100 + rng.IntN(400)) }
	for g := range 6 {
		var next []string
		for i := 0; i < len(open); i++ {
			id := fmt.Sprintf("g%d-%d", g, i)
			if i+1 < len(open) && rng.IntN(2) == 0 {
				m := shard(id, open[i], open[i+1])
				w.end(open[i], length(), m)
				w.end(open[i+1], length(), m)
				next = append(next, id)
				i++
				continue
			}
			a, b := shard(id+"a", open[i]), shard(id+"b", open[i])
			w.end(open[i], length(), a, b)
			next = append(next, id+"a", id+"b")
		}
		open = next
	}
	for _, id := range open {
		w.end(id, length())
		last = append(last, lease.Name(stream, id))
	}
	return last
}
