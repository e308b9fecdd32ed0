package lease_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// fleetOf is a fleet of so many workers with names w0, w1, …
func fleetOf(workers, leases int) lease.Fleet {
	f := lease.Fleet{Now: 1000, Rebalance: true}
	for i := range workers {
		f.Sessions = append(f.Sessions, lease.Session{
			ID: fmt.Sprintf("w%03d", i), Name: fmt.Sprintf("w%03d", i), Streams: []string{stream}, Capacity: 1, State: lease.StateUp, Plan: lease.PlanVersion,
		})
	}
	for i := range leases {
		f.Leases = append(f.Leases, lease.Lease{Name: lease.Name(stream, fmt.Sprintf("s%05d", i)), Epoch: 1})
	}
	return f
}

// carry does what a plan says: leases are taken, and handed over.
func carry(f lease.Fleet, a lease.Assignment) lease.Fleet {
	f.Leases = slices.Clone(f.Leases)
	to := map[string]string{}
	for _, s := range append(slices.Clone(a.Take), a.Move...) {
		to[s.Lease] = s.Session
	}
	for i, l := range f.Leases {
		if s, planned := to[l.Name]; planned {
			f.Leases[i].Token = checkpoint.Token(s + "#1")
			f.Leases[i].Want = ""
		}
	}
	return f
}

func counts(f lease.Fleet) map[string]int {
	out := map[string]int{}
	for _, s := range f.Sessions {
		out[s.ID] = 0
	}
	for _, l := range f.Leases {
		if !l.Finished() {
			out[lease.SessionOf(l.Token)]++
		}
	}
	return out
}

func spread(f lease.Fleet) int {
	low, high := len(f.Leases)+1, -1
	for _, n := range counts(f) {
		low, high = min(low, n), max(high, n)
	}
	return high - low
}

// TestPlanOverRandomFleets holds, for any fleet: every lease gets exactly one
// living owner; owners differ by one lease at most in the end; a plan that was
// carried out leaves nothing to do; what one worker's death freed is all that
// moves then.
func TestPlanOverRandomFleets(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		f := fleetOf(1+rng.IntN(12), rng.IntN(80))
		for i := range f.Leases {
			switch rng.IntN(3) {
			case 0: // free
			case 1: // lapsed
				f.Leases[i].Token = "dead#1"
			default:
				f.Leases[i].Token = checkpoint.Token(f.Sessions[rng.IntN(len(f.Sessions))].ID + "#1")
			}
		}
		// Wishes are bounded, so it may take some rounds.
		for round := 0; ; round++ {
			a := lease.Plan(f)
			checkPlan(t, seed, f, a)
			if len(a.Take)+len(a.Move) == 0 {
				break
			}
			if round > 10 {
				t.Fatalf("seed %d: no end after %d rounds", seed, round)
			}
			f = carry(f, a)
		}
		if n := spread(f); n > 1 {
			t.Fatalf("seed %d: owners differ by %d leases: %v", seed, n, counts(f))
		}
		if len(f.Sessions) > 1 {
			gone := f.Sessions[0].ID
			f.Sessions = f.Sessions[1:]
			for _, s := range lease.Plan(f).Move {
				t.Fatalf("seed %d: %s moves because another worker died", seed, s.Lease)
			}
			if after := carry(f, lease.Plan(f)); counts(after)[gone] != 0 || spread(after) > 1 {
				t.Fatalf("seed %d: after a death: %v", seed, counts(after))
			}
		}
	}
}

// checkPlan holds what is true of every plan.
func checkPlan(t *testing.T, seed uint64, f lease.Fleet, a lease.Assignment) {
	t.Helper()
	living := map[string]bool{}
	for _, s := range f.Sessions {
		living[s.ID] = true
	}
	seen := map[string]bool{}
	taken := map[string]bool{}
	for _, s := range a.Take {
		taken[s.Lease] = true
	}
	for _, s := range append(slices.Clone(a.Take), a.Move...) {
		if seen[s.Lease] {
			t.Fatalf("seed %d: %s is planned twice", seed, s.Lease)
		}
		seen[s.Lease] = true
		if !living[s.Session] {
			t.Fatalf("seed %d: %s goes to %s, which is dead", seed, s.Lease, s.Session)
		}
	}
	for _, l := range f.Leases {
		if owner := lease.SessionOf(l.Token); !living[owner] && !taken[l.Name] && !l.Finished() {
			t.Fatalf("seed %d: %s of %q is left alone", seed, l.Name, owner)
		}
	}
	if len(a.Move) > 0 {
		// Moves have to bring the spread down, in total.
		if before, after := spread(carry(f, lease.Assignment{Take: a.Take})), spread(carry(f, a)); after > before || before <= 1 {
			t.Fatalf("seed %d: %d moves take the spread from %d to %d", seed, len(a.Move), before, after)
		}
	}
}

func TestPlanIsTheSameForAll(t *testing.T) {
	f := fleetOf(7, 60)
	want := lease.Plan(f)
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		rng.Shuffle(len(f.Leases), func(i, j int) { f.Leases[i], f.Leases[j] = f.Leases[j], f.Leases[i] })
		rng.Shuffle(len(f.Sessions), func(i, j int) { f.Sessions[i], f.Sessions[j] = f.Sessions[j], f.Sessions[i] })
		if got := lease.Plan(f); !slices.Equal(got.Take, want.Take) || !slices.Equal(got.Move, want.Move) {
			t.Fatal("the plan depends on the order of what it is made from")
		}
	}
}

func TestPlanKeepsToLimits(t *testing.T) {
	f := fleetOf(3, 30)
	f.Sessions[0].MaxLeases = 2
	f.Sessions[1].Streams = []string{"other"}
	after := carry(f, lease.Plan(f))
	if got := counts(after); got["w000"] != 2 || got["w001"] != 0 || got["w002"] != 28 {
		t.Errorf("counts %v", got)
	}
	f.Sessions[2].MaxLeases = 5
	if got := counts(carry(f, lease.Plan(f))); got[""] != 23 {
		t.Errorf("counts %v, want 23 leases that nobody can take", got)
	}
}

func TestPlanWeighsCapacity(t *testing.T) {
	f := fleetOf(2, 40)
	f.Sessions[1].Capacity = 3
	if got := counts(carry(f, lease.Plan(f))); got["w000"] != 10 || got["w001"] != 30 {
		t.Errorf("counts %v, want 10 and 30", got)
	}
}

func TestPlanGivesNothingToADrainingWorker(t *testing.T) {
	f := fleetOf(3, 9)
	f.Sessions[0].State = lease.StateDrain
	for i := range f.Leases[:3] {
		f.Leases[i].Token = "w000#1"
	}
	a := lease.Plan(f)
	for _, s := range append(a.Take, a.Move...) {
		if s.Session == "w000" {
			t.Errorf("%s goes to the draining worker", s.Lease)
		}
	}
	if len(a.Take) != 6 || len(a.Move) != 0 {
		t.Errorf("%d taken and %d moved; the draining worker gives its leases back itself", len(a.Take), len(a.Move))
	}
}

func TestPlanWaitsForParents(t *testing.T) {
	f := fleetOf(1, 0)
	add := func(id string, end bool, epoch uint64, parents ...string) {
		l := lease.Lease{Name: lease.Name(stream, id), Epoch: epoch}
		if end {
			l.Position = checkpoint.ShardEnd()
		}
		for _, p := range parents {
			l.Shard.Parents = append(l.Shard.Parents, lease.Name(stream, p))
		}
		f.Leases = append(f.Leases, l)
	}
	add("done", true, 1)
	add("open", false, 1)
	add("ready", false, 0, "done")
	add("waits", false, 0, "done", "open")
	add("orphan", false, 0, "done", "unknown")
	add("begun", false, 2, "unknown") // it was acquired once, so its parents are over
	var got []string
	for _, s := range lease.Plan(f).Take {
		got = append(got, lease.ShardOf(s.Lease))
	}
	if want := []string{"begun", "open", "ready"}; !slices.Equal(got, want) {
		t.Errorf("planned %v, want %v", got, want)
	}
}

func TestPlanCountsStandingWishes(t *testing.T) {
	f := fleetOf(2, 10)
	for i := range f.Leases {
		f.Leases[i].Token = "w000#1"
	}
	first := lease.Plan(f).Move
	if len(first) != 5 {
		t.Fatalf("%d moves, want 5", len(first))
	}
	for _, s := range first {
		i := slices.IndexFunc(f.Leases, func(l lease.Lease) bool { return l.Name == s.Lease })
		f.Leases[i].Want, f.Leases[i].WantUntil = s.Session, 2000
	}
	if a := lease.Plan(f); len(a.Move) != 0 {
		t.Errorf("%d further moves while wishes stand", len(a.Move))
	}
	for _, s := range first {
		if !lease.Agrees(f, s.Lease) {
			t.Errorf("the owner does not agree to give %s", s.Lease)
		}
	}
	f.Now = 2000 // the wishes have ended
	if a := lease.Plan(f); len(a.Move) != 5 {
		t.Errorf("%d moves after the wishes ended, want 5", len(a.Move))
	}
	f.Rebalance = false
	if a := lease.Plan(f); len(a.Move) != 0 {
		t.Errorf("%d moves while the group is not quiet", len(a.Move))
	}
}

func TestOwnersDisagreeWithMovesWithoutGain(t *testing.T) {
	f := fleetOf(2, 10)
	for i := range f.Leases {
		f.Leases[i].Token = checkpoint.Token(f.Sessions[i%2].ID + "#1")
	}
	f.Leases[0].Want, f.Leases[0].WantUntil = "w001", 2000
	if lease.Agrees(f, f.Leases[0].Name) {
		t.Error("the owner of 5 gives a lease to another owner of 5")
	}
}

func TestPlanBoundsTheWishesOfAWorker(t *testing.T) {
	f := fleetOf(10, 1000)
	f = carry(f, lease.Plan(f))
	joined := f
	joined.Sessions = append(slices.Clone(f.Sessions), lease.Session{ID: "w999", Streams: []string{stream}, Capacity: 1, State: lease.StateUp, Plan: lease.PlanVersion})
	rounds := 0
	for ; spread(joined) > 1 && rounds < 50; rounds++ {
		a := lease.Plan(joined)
		if len(a.Move) > 20 {
			t.Fatalf("%d wishes at a time", len(a.Move))
		}
		for _, s := range a.Move {
			if s.Session != "w999" {
				t.Fatalf("%s moves to %s, which is not the joiner", s.Lease, s.Session)
			}
		}
		joined = carry(joined, a)
	}
	if got := counts(joined)["w999"]; got < 90 || got > 91 {
		t.Errorf("the joiner has %d leases after %d rounds, want its share", got, rounds)
	}
}

func TestPlanMovesBusyLeasesOutsideTheDeadBand(t *testing.T) {
	f := fleetOf(2, 8)
	for i := range f.Leases {
		f.Leases[i].Token = checkpoint.Token(f.Sessions[i/4].ID + "#1")
		f.Leases[i].Weight = 10 // 1 KiB/s
	}
	for i := range 4 {
		f.Leases[i].Weight = 21 // all of the load is on the first worker
	}
	for range 5 {
		f = carry(f, lease.Plan(f))
	}
	load := map[string]int{}
	for _, l := range f.Leases {
		if l.Weight == 21 {
			load[lease.SessionOf(l.Token)]++
		}
	}
	if load["w000"] != 2 || load["w001"] != 2 || spread(f) != 0 {
		t.Errorf("busy leases %v, spread %d", load, spread(f))
	}
	if a := lease.Plan(f); len(a.Move) != 0 {
		t.Errorf("%d moves of even load", len(a.Move))
	}
	// Idle leases do not move for load.
	for i := range f.Leases {
		f.Leases[i].Weight = uint8(10 + 5*(i%2))
	}
	if a := lease.Plan(f); len(a.Move) != 0 {
		t.Errorf("%d moves of idle leases", len(a.Move))
	}
}

// spreadLoad is a fleet of two workers, each with n leases; all leases of the
// first are eight times as busy as those of the second.
func spreadLoad(n int) lease.Fleet {
	f := fleetOf(2, 2*n)
	for i := range f.Leases {
		f.Leases[i].Token = checkpoint.Token(f.Sessions[i/n].ID + "#1")
		f.Leases[i].Weight = uint8(23 - 3*(i/n))
	}
	return f
}

func TestPlanEvensOutLoadThatIsSpreadOverManyLeases(t *testing.T) {
	for _, n := range []int{2, 4, 8, 16, 64, 200} {
		f := spreadLoad(n)
		for range 50 {
			f = carry(f, lease.Plan(f))
		}
		load := map[string]float64{}
		for _, l := range f.Leases {
			load[lease.SessionOf(l.Token)] += float64(uint64(1) << l.Weight)
		}
		if a, b := load["w000"], load["w001"]; a > 1.25*b+1<<20 || spread(f) != 0 {
			t.Errorf("%d leases each: load %.0f and %.0f, spread %d", n, a, b, spread(f))
		}
	}
}

// TestPlanOfManyLeases is large enough to be felt if the search for exchanges
// grew with the square of the leases; BenchmarkPlan times it.
func TestPlanOfManyLeases(t *testing.T) {
	a := lease.Plan(spreadLoad(5000))
	if len(a.Move) != 1000 {
		t.Errorf("%d moves, want a tenth of the leases of each", len(a.Move))
	}
}

// TestPlanWithLoadsEnds holds that moves for load never go on for ever.
func TestPlanWithLoadsEnds(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 3))
		f := fleetOf(2+rng.IntN(6), 5+rng.IntN(60))
		for i := range f.Leases {
			f.Leases[i].Token = checkpoint.Token(f.Sessions[rng.IntN(len(f.Sessions))].ID + "#1")
			f.Leases[i].Weight = uint8(rng.IntN(24))
		}
		for round := 0; ; round++ {
			a := lease.Plan(f)
			if len(a.Move) == 0 {
				break
			}
			if round == 40 {
				t.Fatalf("seed %d: %d moves in round %d", seed, len(a.Move), round)
			}
			f = carry(f, a)
		}
		if spread(f) > 1 {
			t.Fatalf("seed %d: counts %v", seed, counts(f))
		}
	}
}

// BenchmarkPlan times a plan: of a fleet that is settled, of one in which all
// leases are free, and of one in which a worker has just joined.
func BenchmarkPlan(b *testing.B) {
	for _, size := range []struct{ leases, workers int }{{100, 20}, {10000, 20}, {5000, 100}} {
		free := fleetOf(size.workers, size.leases)
		settled := carry(free, lease.Plan(free))
		joined := settled
		joined.Sessions = append(slices.Clone(settled.Sessions), lease.Session{
			ID: "w999", Streams: []string{stream}, Capacity: 1, State: lease.StateUp, Plan: lease.PlanVersion,
		})
		for _, c := range []struct {
			name  string
			fleet lease.Fleet
		}{{"settled", settled}, {"all free", free}, {"one joined", joined}} {
			b.Run(fmt.Sprintf("%d leases of %d workers, %s", size.leases, size.workers, c.name), func(b *testing.B) {
				for b.Loop() {
					lease.Plan(c.fleet)
				}
			})
		}
	}
}
