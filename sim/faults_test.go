package sim

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Each fault happens, and a fleet that meets no other survives it.
func TestFaultsAlone(t *testing.T) {
	if raceEnabled {
		t.Skip("the runs of TestSim have these faults too")
	}
	for _, k := range Kinds() {
		if k.Off != "" {
			continue
		}
		t.Run(string(k.Fault), func(t *testing.T) {
			seedEverything(t, 7)
			plan := NewPlan(7, 4*time.Minute, k.Fault)
			plan.Faults = []Fault{k.Fault}
			plan.Actions = slices.DeleteFunc(plan.Actions, func(a Action) bool { return a.Fault != k.Fault })
			if len(plan.Actions) == 0 {
				t.Fatal("it never happens")
			}
			var r *Result
			synctest.Test(t, func(*testing.T) { r = Run(plan, false, nil) })
			if !r.OK() {
				t.Errorf("%v", r)
			}
			if r.Effects[k.Fault] == 0 {
				t.Error("it had no effect")
			}
		})
	}
}

// Where the handler fails all the time, what is given up was tried as often as the
// plan says, and a shard stops only where nobody takes it.
func TestGivingUp(t *testing.T) {
	for name, to := range map[string]To{"stopped": ToNobody, "taken": ToOthers, "dropped": ToNone} {
		t.Run(name, func(t *testing.T) {
			reached := map[string]int{}
			for n := uint64(1); n <= 2; n++ {
				seedEverything(t, n)
				plan := NewPlan(n, time.Minute)
				plan.Faults, plan.Batch, plan.Joins, plan.Rates = []Fault{HandlerError}, 100, 0, false
				plan.GiveUp = GiveUp{Attempts: 3, To: to, Each: n == 2}
				plan.Actions = nil
				for i := range plan.Workers {
					plan.Actions = append(plan.Actions, Action{Fault: HandlerError, Target: i, For: time.Minute, Rate: 0.6})
				}
				var r *Result
				synctest.Test(t, func(*testing.T) { r = Run(plan, false, nil) })
				if !r.OK() {
					t.Errorf("%v", r)
				}
				for what, times := range r.Reached {
					reached[what] += times
				}
			}
			want := map[To]string{ToNobody: "shard stopped", ToOthers: "given up: RetryAttemptsExhausted", ToNone: "given up: dropped"}[to]
			if n := reached[want]; n < 5 {
				t.Errorf("%s: %d times", want, n)
			}
		})
	}
}

// What a worker had that died is taken soon, where nothing else goes wrong.
func TestFailover(t *testing.T) {
	taken := 0
	for n := uint64(1); n <= 4; n++ {
		seedEverything(t, n)
		plan := NewPlan(n, 2*time.Minute, WorkerCrash)
		plan.Faults, plan.Workers, plan.MaxLeases = []Fault{WorkerCrash}, 3, 0
		plan.Actions = slices.DeleteFunc(plan.Actions, func(a Action) bool { return a.Fault != WorkerCrash })
		var r *Result
		synctest.Test(t, func(*testing.T) { r = Run(plan, false, nil) })
		if !r.OK() {
			t.Errorf("%v", r)
		}
		taken += r.Reached["lease of the dead taken"]
	}
	if taken == 0 {
		t.Error("no lease of the dead was taken")
	}
}

// A worker that is left alone has as many leases as it may, and leaves the others.
func TestMostLeases(t *testing.T) {
	seedEverything(t, 1)
	plan := NewPlan(1, 90*time.Second)
	plan.Faults, plan.Workers, plan.Shards, plan.MaxLeases, plan.TTL, plan.Joins = []Fault{WorkerCrash}, 2, 4, 2, 3*time.Second, 0
	plan.Actions = []Action{{At: 10 * time.Second, Fault: WorkerCrash, For: time.Minute}}
	var r *Result
	synctest.Test(t, func(*testing.T) { r = Run(plan, false, nil) })
	if !r.OK() || r.Effects[WorkerCrash] == 0 {
		t.Errorf("%v", r)
	}
}

// Nor has it more while grants are on their way and the leases of a worker whose name
// it took come free.
func TestMostLeasesOfTwins(t *testing.T) {
	twins := 0
	for seed := uint64(1); seed <= 6; seed++ {
		seedEverything(t, seed)
		plan := NewPlan(seed, 90*time.Second)
		plan.Faults, plan.Workers, plan.Shards, plan.MaxLeases, plan.TTL, plan.Joins = []Fault{LinkDelay, WorkerCrash, WorkerTwin}, 2, 4, 2, 3*time.Second, 0
		plan.Actions = []Action{{At: time.Second, Fault: WorkerCrash, Target: 1, For: 80 * time.Second}} // two leases are free
		for at := 5 * time.Second; at < 80*time.Second; at += 15 * time.Second {
			for link := range 8 { // all, whatever their names are by then
				plan.Actions = append(plan.Actions, Action{At: at, Fault: LinkDelay, Target: link, For: 14 * time.Second, Rate: 0.5})
			}
			plan.Actions = append(plan.Actions, Action{At: at + 5*time.Second, Fault: WorkerTwin, For: 8 * time.Second})
		}
		var r *Result
		synctest.Test(t, func(*testing.T) { r = Run(plan, false, nil) })
		if !r.OK() {
			t.Errorf("seed %d: %v", seed, r)
		}
		twins += r.Effects[WorkerTwin]
	}
	if twins < 12 {
		t.Errorf("%d twins", twins)
	}
}

// Handlers that take long when their worker is told to stop are cancelled when their
// time is over.
func TestDrainTimeout(t *testing.T) {
	drained := 0
	for seed := uint64(1); seed <= 3; seed++ {
		seedEverything(t, seed)
		plan := NewPlan(seed, 90*time.Second)
		plan.Faults, plan.Workers, plan.TTL, plan.Joins = []Fault{HandlerSlow, WorkerDrain}, 2, 3*time.Second, 0
		plan.Drain, plan.Timeout, plan.Actions = 200*time.Millisecond, 0, nil
		for i := range plan.Workers {
			plan.Actions = append(plan.Actions, Action{Fault: HandlerSlow, Target: i, For: 90 * time.Second, Rate: 0.6})
		}
		for at := 5 * time.Second; at < plan.For; at += 5 * time.Second {
			plan.Actions = append(plan.Actions, Action{At: at, Fault: WorkerDrain, Target: int(at / (5 * time.Second)), For: time.Second})
		}
		var r *Result
		synctest.Test(t, func(*testing.T) { r = Run(plan, false, nil) })
		if !r.OK() {
			t.Errorf("%v", r)
		}
		drained += r.Reached["handler drained"]
	}
	if drained < 4 {
		t.Errorf("%d handlers are cancelled", drained)
	}
}

// Where nothing fails nothing is handled twice, not even when workers come and
// go in peace, or shards do.
func TestQuiet(t *testing.T) {
	for name, faults := range map[string][]Fault{"nothing": nil, "drains": {WorkerDrain}, "reshards": {Reshard}} {
		t.Run(name, func(t *testing.T) {
			peaceful := 0
			for n := uint64(1); n <= 3; n++ {
				seedEverything(t, n)
				plan := NewPlan(n, 2*time.Minute, faults...)
				plan.Faults, plan.Workers = faults, 3
				plan.GiveUp.Poison = false // the destination is given records that the handler had
				plan.Actions = slices.DeleteFunc(plan.Actions, func(a Action) bool { return !slices.Contains(faults, a.Fault) })
				var r *Result
				synctest.Test(t, func(*testing.T) { r = Run(plan, false, nil) })
				if v := r.Verdict; !r.OK() || v.Duplicates > 0 || v.Sent == 0 {
					t.Errorf("%v", r)
				}
				peaceful += r.Reached["drained in peace"]
			}
			if drains := slices.Contains(faults, WorkerDrain); drains != (peaceful > 0) {
				t.Errorf("%d drains in peace", peaceful)
			}
		})
	}
}

// A plan follows from its seed, and different seeds differ.
func TestPlan(t *testing.T) {
	describe := func(seed uint64) string {
		p := NewPlan(seed, 10*time.Minute)
		var text strings.Builder
		p.Describe(&text)
		for _, a := range p.Actions {
			text.WriteString(a.String())
		}
		return text.String()
	}
	if first, again := describe(1), describe(1); first != again {
		t.Error("one seed gave two plans")
	}
	if describe(1) == describe(2) {
		t.Error("two seeds gave one plan")
	}
	seen := map[Fault]int{}
	for seed := range uint64(50) {
		for _, f := range NewPlan(seed+1, 10*time.Minute).Faults {
			seen[f]++
		}
	}
	for _, k := range Kinds() {
		if n := seen[k.Fault]; (k.Off == "") != (n > 10) {
			t.Errorf("%s is in %d of 50 plans", k.Fault, n)
		}
	}
}

// The table of faults in README.md is that of the code.
func TestFaultsAreListed(t *testing.T) {
	const begin, end = "<!-- faults -->\n", "<!-- /faults -->"
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), begin)
	got, _, found := strings.Cut(rest, end)
	var want strings.Builder
	want.WriteString("| fault | what happens | in a run each | off, because |\n| --- | --- | ---: | --- |\n")
	for _, k := range Kinds() {
		fmt.Fprintf(&want, "| %s | %s | %v | %s |\n", k.Fault, k.What, k.Every, k.Off)
	}
	if !found || got != want.String() {
		t.Errorf("the table between %q and %q should be:\n%s", begin, end, want.String())
	}
}
