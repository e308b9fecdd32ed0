package lease_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// owned gives leases to sessions of a fleet, so many to each in order.
func owned(f lease.Fleet, counts ...int) lease.Fleet {
	at := 0
	for i, n := range counts {
		for range n {
			f.Leases[at].Token = checkpoint.Token(f.Sessions[i].ID + "#1")
			at++
		}
	}
	return f
}

func TestAFleetPlansByTheLowestVersion(t *testing.T) {
	f := owned(fleetOf(3, 20), 10, 5)
	f.Sessions[2].Plan = 0 // it plans in ways that are not known here
	if a := lease.Plan(f); len(a.Take) != 5 || len(a.Move) != 0 {
		t.Errorf("%d taken and %d moved beside an older worker, want the 5 free ones and nothing else", len(a.Take), len(a.Move))
	}
	f.Sessions[2].Plan = lease.PlanVersion + 1
	if a := lease.Plan(f); len(a.Take) != 5 || len(a.Move) == 0 {
		t.Errorf("%d taken and %d moved beside a newer worker, which plans as this version does", len(a.Take), len(a.Move))
	}
}

func TestPlanBoundsTheMovesFromAWorker(t *testing.T) {
	f := owned(fleetOf(10, 200), 200)
	from := map[string]int{}
	for _, s := range lease.Plan(f).Move {
		from["w000"]++
		f.Leases[slices.IndexFunc(f.Leases, func(l lease.Lease) bool { return l.Name == s.Lease })].Want = s.Session
	}
	if from["w000"] != 20 {
		t.Fatalf("%d leases are asked of one worker at a time, want a tenth of its 200", from["w000"])
	}
	for i := range f.Leases {
		f.Leases[i].WantUntil = f.Now + 1
	}
	if a := lease.Plan(f); len(a.Move) != 0 {
		t.Errorf("%d more while those stand", len(a.Move))
	}
}

func TestWhatJustMovedStays(t *testing.T) {
	f := owned(fleetOf(2, 4), 4)
	f.Keep = map[string]bool{f.Leases[0].Name: true, f.Leases[1].Name: true, f.Leases[2].Name: true}
	a := lease.Plan(f)
	if len(a.Move) != 1 || a.Move[0].Lease != f.Leases[3].Name {
		t.Errorf("moves %v, want the one lease that has not just moved", a.Move)
	}

	f = spreadLoad(4)
	f.Fresh = map[string]bool{}
	for _, l := range f.Leases {
		f.Fresh[l.Name] = true
	}
	if a := lease.Plan(f); len(a.Move) != 0 {
		t.Errorf("%d leases that moved lately move for their load", len(a.Move))
	}
	f.Sessions = append(f.Sessions, lease.Session{ID: "w9", Streams: []string{stream}, State: lease.StateUp, Plan: lease.PlanVersion})
	if a := lease.Plan(f); len(a.Move) == 0 {
		t.Error("leases that moved lately do not move to a worker without any")
	}
}

// What was refused to one worker counts in the plans of the others as it did: all
// of them choose as that one would, and nobody takes its place.
func TestARefusalIsNobodyElsesBusiness(t *testing.T) {
	f := owned(fleetOf(3, 12), 8, 4)
	all := map[string]bool{}
	for _, l := range f.Leases {
		all[l.Name] = true
	}
	want := lease.Plan(f).Move
	f.Refused, f.Self = all, "w001"
	if got := lease.Plan(f).Move; !slices.Equal(got, want) {
		t.Errorf("moves %v by the plan of another, want %v", got, want)
	}
	f.Self = "w002"
	if a := lease.Plan(f); slices.ContainsFunc(a.Move, func(s lease.Step) bool { return s.Session == "w002" }) {
		t.Errorf("moves %v; the worker asks again for what it was refused", a.Move)
	}
	last := f.Leases[7].Name
	delete(all, last)
	for _, s := range lease.Plan(f).Move {
		if s.Session == "w002" && s.Lease != last {
			t.Errorf("the worker asks again for %s, which it was refused", s.Lease)
		}
	}
	all[last] = true
	for _, l := range f.Leases[8:] {
		delete(all, l.Name)
	}
	asked := 0
	for _, s := range lease.Plan(f).Move {
		if s.Session == "w002" {
			asked++
		}
	}
	if asked == 0 {
		t.Error("the worker does not ask the next one")
	}
}

func TestLoadsInsideOfTheDeadBandStay(t *testing.T) {
	for name, weights := range map[string][]uint8{
		"less than a quarter more": {24, 24, 24, 23, 22, 24, 24, 24, 22, 21},
		"less than 1 MiB/s more":   {18, 18, 18, 16, 16, 16, 16, 16, 16, 16},
	} {
		f := owned(fleetOf(2, 10), 5, 5)
		for i := range f.Leases {
			f.Leases[i].Weight = weights[i]
		}
		if a := lease.Plan(f); len(a.Move) != 0 {
			t.Errorf("%s: %d moves", name, len(a.Move))
		}
	}
}

func TestIdleLeasesStay(t *testing.T) {
	f := owned(fleetOf(2, 128), 64, 64)
	for i := range 64 {
		f.Leases[i].Weight = 15 // 2 MiB/s, all together
	}
	if a := lease.Plan(f); len(a.Move) != 0 {
		t.Errorf("%d moves of idle leases", len(a.Move))
	}
}

// A worker whose load is one lease cannot be helped. The next busiest can.
func TestAWorkerThatCannotBeHelpedDoesNotStopTheOthers(t *testing.T) {
	f := owned(fleetOf(3, 12), 4, 4, 4)
	for i := range f.Leases {
		f.Leases[i].Weight = 10
	}
	f.Leases[0].Weight = 30
	for i := 4; i < 8; i++ {
		f.Leases[i].Weight = 22
	}
	if a := lease.Plan(f); len(a.Move) == 0 {
		t.Error("nothing moves from the second busiest worker")
	}
}

// Leases that few may take are placed first, or others have taken their room.
func TestLeasesThatFewMayTakeArePlacedFirst(t *testing.T) {
	f := fleetOf(2, 10)
	f.Sessions[1].Streams = []string{stream, "zzz"}
	for i := range 10 {
		f.Leases = append(f.Leases, lease.Lease{Name: lease.Name("zzz", string(rune('a'+i))), Epoch: 1})
	}
	f = carry(f, lease.Plan(f))
	if got := counts(f); got["w000"] != 10 || got["w001"] != 10 {
		t.Errorf("counts %v, want 10 each at once", got)
	}
}

func TestPausedAndStoppedLeases(t *testing.T) {
	f := fleetOf(2, 4)
	f.Sessions[0].Version, f.Sessions[1].Version = "v1", "v2"
	f.Leases[0].Flags = "paused"
	f.Leases[1].Flags = "stopped:v1"
	f.Leases[2].Flags = "stopped:v1,stopped:v2"
	f.Leases[3].Flags = "stopped:v0,paused"
	want := []lease.Step{{Lease: f.Leases[1].Name, Session: "w001"}}
	if a := lease.Plan(f); !slices.Equal(a.Take, want) {
		t.Errorf("taken %v, want %v", a.Take, want)
	}
}

// A worker that drains for long does not keep the others from sharing for ever.
func TestALongDrainPutsMovesOffForTenLeaseTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lease.NewMemory(), 9)
		w.start("a", idling(w))
		wait(3 * time.Second)
		deaf := w.start("deaf", func(c *lease.Config) {
			c.DrainTimeout = time.Hour
			c.Run = func(ctx context.Context, _ *lease.Held) error { <-ctx.Done(); return nil }
		})
		wait(5 * time.Second)
		deaf.stop()
		w.start("b", idling(w))
		wait(9 * w.ttl)
		if n := w.counts()["b"]; n > 0 {
			t.Fatalf("b has %d leases while another worker drains", n)
		}
		wait(3 * w.ttl)
		if n := w.counts()["b"]; n == 0 {
			t.Error("b has nothing after ten lease times")
		}
		deaf.kill()
	})
}

// What is on its way to a worker counts against its MaxLeases, and what is asked
// of it does too until it has gone.
func TestPlanCountsWhatComesAndGoesAgainstMaxLeases(t *testing.T) {
	f := owned(fleetOf(2, 3), 0, 1)
	f.Sessions[0].MaxLeases, f.Sessions[1].MaxLeases = 1, 1
	f.Leases[0].Want, f.Leases[0].WantUntil = "w000", f.Now+1
	if a := lease.Plan(f); len(a.Take) != 0 {
		t.Errorf("taken %v; one worker will have what it may, and the other still has it", a.Take)
	}
}

func TestPlanSharesWhatABoundedWorkerMayNotHave(t *testing.T) {
	f := fleetOf(3, 30)
	f.Sessions[0].Capacity, f.Sessions[0].MaxLeases = 4, 2
	f.Sessions[2].Capacity = 3
	if got := counts(carry(f, lease.Plan(f))); got["w000"] != 2 || got["w001"] != 7 || got["w002"] != 21 {
		t.Errorf("counts %v, want 2, 7 and 21", got)
	}
}

// The owner of the busy half of an exchange may not have heard of the other half;
// where he would refuse, nothing is asked for.
func TestTheBusyHalfOfAnExchangeIsAgreedToByItself(t *testing.T) {
	f := owned(fleetOf(2, 6), 3, 3)
	for i, w := range []uint8{23, 22, 22, 22, 22, 21} { // 16 MiB/s and 10
		f.Leases[i].Weight = w
	}
	a := lease.Plan(f)
	if len(a.Move) != 2 {
		t.Fatalf("moves %v, want an exchange", a.Move)
	}
	busy := slices.IndexFunc(f.Leases, func(l lease.Lease) bool { return l.Name == a.Move[0].Lease })
	f.Leases[busy].Want, f.Leases[busy].WantUntil = a.Move[0].Session, f.Now+1
	if a.Move[0].Session != "w001" || !lease.Agrees(f, a.Move[0].Lease) {
		t.Errorf("the owner refuses %s to %s", a.Move[0].Lease, a.Move[0].Session)
	}

	f = owned(fleetOf(2, 6), 3, 3)
	for i, w := range []uint8{23, 23, 20, 22, 22, 21} { // 17 MiB/s and 10; 8 more would be 18
		f.Leases[i].Weight = w
	}
	if a := lease.Plan(f); len(a.Move) != 0 {
		t.Errorf("moves %v, of which the owner refuses the first", a.Move)
	}
}
