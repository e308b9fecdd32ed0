package lease_test

import (
	"flag"
	"maps"
	"slices"
	"testing"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

var planSeeds = flag.Int("plan.seeds", plansDefault, "random fleets in each test of plans")

// TestFleetsComeToRest holds, for any fleet in which anything happens: when it
// stops, every lease that can be has exactly one living owner, nobody has what
// he may not have at any time, no lease is left that should go from one worker
// to another, and nothing moves any more.
func TestFleetsComeToRest(t *testing.T) {
	for seed := range uint64(*planSeeds) {
		f := randomFleet(t, seed)
		f.trouble(f.rng.IntN(12))
		f.rest(400)
		if takes, moves := f.takes, f.moves; f.round() > 0 || f.takes != takes || f.moves != moves {
			f.fatalf("it moves on")
		}
	}
}

// TestFleetsOfEqualsShareExactly holds that workers that may all take the same
// leases have their exact share, in proportion to their capacities, to within
// one lease; and equal ones differ by one at most.
func TestFleetsOfEqualsShareExactly(t *testing.T) {
	for seed := range uint64(*planSeeds) {
		f := newFleet(t, seed)
		f.add(stream, f.rng.IntN(150))
		equal := f.rng.IntN(2) == 0
		total := 0.0
		for range 1 + f.rng.IntN(20) {
			f.join(func(s *lease.Session) {
				if !equal {
					s.Capacity = []float64{0.3, 0.5, 1, 2, 3, 10, 60}[f.rng.IntN(7)]
				}
				total += s.Capacity
			})
		}
		for i := range f.leases {
			f.leases[i].Weight = uint8(f.rng.IntN(25))
			if f.rng.IntN(3) > 0 {
				f.leases[i].Token = checkpoint.Token(f.sessions[f.rng.IntN(len(f.sessions))].ID + "#1")
			}
		}
		f.rest(400)
		counts := f.counts()
		for _, s := range f.sessions {
			share := float64(len(f.leases)) * s.Capacity / total
			if n := float64(counts[s.ID]); n <= share-1 || n >= share+1 {
				f.fatalf("%s has %v leases, and its share is %.2f", s.ID, n, share)
			}
		}
		if low, high := extremes(counts); equal && high-low > 1 {
			f.fatalf("equal workers have from %d to %d leases", low, high)
		}
	}
}

func extremes(counts map[string]int) (low, high int) {
	all := slices.Sorted(maps.Values(counts))
	return all[0], all[len(all)-1]
}

// owners tells who has each lease.
func (f *fleet) owners() map[string]string {
	out := map[string]string{}
	for _, l := range f.leases {
		out[l.Name] = lease.SessionOf(l.Token)
	}
	return out
}

// TestOnlyWhatMustMoveMoves holds for a fleet of equals at rest: when a worker
// dies, its leases and no others go elsewhere, evenly; when one joins, it gets its
// share, no lease goes to anybody else, and none moves twice.
func TestOnlyWhatMustMoveMoves(t *testing.T) {
	for seed := range uint64((*planSeeds + 2) / 3) {
		f := newFleet(t, seed)
		f.add(stream, 1+f.rng.IntN(300))
		for range 2 + f.rng.IntN(10) {
			f.join()
		}
		f.rest(400)
		before, dead := f.owners(), f.sessions[f.rng.IntN(len(f.sessions))].ID
		f.die(dead)
		for n := range 3 {
			if f.round() == 0 {
				break
			} else if n == 2 {
				f.fatalf("a death is not settled after 2 rounds")
			}
		}
		f.settled()
		for name, owner := range f.owners() {
			if before[name] != dead && owner != before[name] {
				f.fatalf("%s goes from %s to %s because %s died", name, before[name], owner, dead)
			}
		}
		if low, high := extremes(f.counts()); high-low > 1 {
			f.fatalf("after a death workers have from %d to %d leases", low, high)
		}

		before = f.owners()
		takes, moves, joiner := f.takes, f.moves, f.join()
		f.rest(400)
		for name, owner := range f.owners() {
			if owner != before[name] && owner != joiner {
				f.fatalf("%s goes from %s to %s because %s joined", name, before[name], owner, joiner)
			}
		}
		if n := f.held(joiner); f.takes-takes != n || f.moves-moves != n {
			f.fatalf("the joiner has %d leases, after %d moves and %d takes", n, f.moves-moves, f.takes-takes)
		}
		if low, high := extremes(f.counts()); high-low > 1 {
			f.fatalf("after a join workers have from %d to %d leases", low, high)
		}
	}
}

// TestPlansConvergeInTwoRounds holds that after two plans that are carried out
// nothing is left to be done, and one more for each time that a worker has more
// moves than may stand at a time. Workers of different streams may have to make
// room for one another first.
func TestPlansConvergeInTwoRounds(t *testing.T) {
	for seed := range uint64(20 * *planSeeds) {
		f := randomFleet(t, seed)
		v := lease.Fleet{Leases: f.leases, Sessions: f.sessions, Now: f.now + 9*round, Rebalance: true}
		for i := range v.Leases {
			v.Leases[i].Weight = 0
		}
		most, rounds := 0, 0
		in, out := map[string]int{}, map[string]int{}
		for ; ; rounds++ {
			a := lease.Plan(v)
			if len(a.Take)+len(a.Move) == 0 {
				break
			}
			for _, s := range a.Move {
				i := slices.IndexFunc(v.Leases, func(l lease.Lease) bool { return l.Name == s.Lease })
				in[s.Session]++
				out[lease.SessionOf(v.Leases[i].Token)]++
				most = max(most, in[s.Session], out[lease.SessionOf(v.Leases[i].Token)])
			}
			v = carry(v, a)
		}
		allowed := 2 + most/8
		if f.diverse() {
			allowed = 30
		}
		if rounds > allowed {
			f.fatalf("%d rounds for %d moves to or from one worker", rounds, most)
		}
	}
}

// TestNoiseInLoadsMovesLittle holds that loads that go up and down do not send
// leases to and fro.
func TestNoiseInLoadsMovesLittle(t *testing.T) {
	for seed := range uint64(5) {
		f := newFleet(t, seed)
		f.add(stream, 200)
		for range 10 {
			f.join()
		}
		base := make([]uint8, len(f.leases))
		for i := range f.leases {
			base[i] = uint8(14 + f.rng.IntN(9))
			f.leases[i].Weight = base[i]
		}
		f.rest(400)
		moves := map[string]int{}
		before := f.moves
		for range 50 {
			for i := range f.leases {
				if f.rng.IntN(20) == 0 { // a store logs a weight once a minute
					f.leases[i].Weight = base[i] + uint8(f.rng.IntN(2)) // twice the load or not
				}
			}
			owners := f.owners()
			f.round()
			for name, owner := range f.owners() {
				if owner != owners[name] && owner != "" {
					moves[name]++
				}
			}
		}
		most := 0
		for _, n := range moves {
			most = max(most, n)
		}
		if total := f.moves - before; total > 100 || most > 4 {
			f.fatalf("%d moves in 50 rounds, one lease %d times", total, most)
		}
		t.Logf("seed %d: %d moves, most %d", seed, f.moves-before, most)
	}
}
