package lease

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// turnsOf is a planner of one lease that nobody has, and workers of which the
// first so many are full.
func turnsOf(workers, full int) *planner {
	f := Fleet{Leases: []Lease{{Name: "s/1", Epoch: 1}}}
	for i := range workers {
		s := Session{ID: fmt.Sprint("w", i), Streams: []string{"s"}, State: StateUp}
		if i < full {
			s.MaxLeases = 1
			f.Leases = append(f.Leases, Lease{Name: fmt.Sprint("s/x", i), Token: checkpoint.Token(s.ID + "#1"), Epoch: 1})
		}
		f.Sessions = append(f.Sessions, s)
	}
	return newPlanner(f)
}

// A lease that nobody takes is everybody's turn in the end, in an order that
// depends on the lease, and never that of a worker without room.
func TestTurns(t *testing.T) {
	p := turnsOf(5, 0)
	var order []string
	for k := range 5 {
		order = append(order, p.turn("s/1", k))
	}
	if slices.Sort(order); !slices.Equal(order, []string{"w0", "w1", "w2", "w3", "w4"}) {
		t.Errorf("the turns are of %v, want all five", order)
	}
	if p.turn("s/1", 5) != p.turn("s/1", 0) || p.turn("s/other", 0) != "" {
		t.Error("the turns do not begin again, or somebody has one for a lease that is not planned")
	}
	p = turnsOf(3, 1) // w0 has one and may have one
	for k := range 6 {
		if p.turn("s/1", k) == "w0" {
			t.Errorf("turn %d is of a worker without room", k)
		}
	}
}

// A lease stays for one lease time after it changed hands, and does not move for
// its load for ten.
func TestLeasesRestAfterTheyMoved(t *testing.T) {
	r := newRun(Config{TTL: time.Second}.withDefaults())
	at := time.Now()
	r.table.put(Lease{Name: "s/1", Epoch: 1, Token: "a#1"}, at)
	r.table.put(Lease{Name: "s/2", Epoch: 1, Token: "a#2"}, at)
	r.table.put(Lease{Name: "s/1", Epoch: 1}, at) // given back, and acquired by another
	r.table.put(Lease{Name: "s/1", Epoch: 2, Token: "b#1"}, at)
	for _, c := range []struct {
		after       time.Duration
		keep, fresh bool
	}{
		{0, true, false}, {999 * time.Millisecond, true, false}, {time.Second, false, true},
		{9 * time.Second, false, true}, {10 * time.Second, false, false},
	} {
		var f Fleet
		r.rest(&f, at.Add(c.after))
		if f.Keep["s/1"] != c.keep || f.Fresh["s/1"] != c.fresh || f.Keep["s/2"] || f.Fresh["s/2"] {
			t.Errorf("after %v: keep %v, fresh %v", c.after, f.Keep, f.Fresh)
		}
	}
}

// Planning has a fifth of a processor: a plan that took long lets others work.
func TestThePaceOfPlans(t *testing.T) {
	if got := planRest(5*time.Millisecond, 10*time.Second); got != 20*time.Millisecond {
		t.Errorf("%v of rest after 5 ms, want 20 ms", got)
	}
	if got := planRest(time.Second, 10*time.Second); got != time.Second {
		t.Errorf("%v of rest after a second, want a tenth of the lease time", got)
	}
	r := newRun(Config{TTL: 10 * time.Second}.withDefaults())
	now := time.Now()
	r.synced, r.beatDue, r.planDue, r.planRest = true, now.Add(time.Hour), now, now.Add(time.Millisecond)
	if next := r.next(now); !next.Equal(r.planRest) {
		t.Errorf("the next tick is %v from now, want the end of the rest", next.Sub(now))
	}
}

// A worker takes of the leases that others leave alone no more than it may hold, and
// what it is acquiring counts as its own.
func TestWantedLeasesHaveABound(t *testing.T) {
	const most = 2
	for acquiring := range most + 1 {
		r := newRun(Config{TTL: 9 * time.Second, MaxLeases: most}.withDefaults())
		r.session = "me"
		now := time.Now()
		f := Fleet{Sessions: []Session{
			{ID: "idler", Streams: []string{"s"}, State: StateUp},
			{ID: "me", Streams: []string{"s"}, State: StateUp, MaxLeases: most},
		}}
		var a Assignment
		for i := range 12 {
			name := fmt.Sprintf("s/%02d", i)
			r.table.put(Lease{Name: name, Shard: Shard{StartingHashKey: "0", EndingHashKey: "1"}}, now)
			if i < acquiring {
				r.acquiring[name] = true
				continue
			}
			a.Take = append(a.Take, Step{Lease: name, Session: "idler"})
			r.idle[name] = now.Add(-time.Minute) // for 20 thirds of the lease time
		}
		f.Leases = r.fleet(now).Leases
		if got := r.wanted(newPlanner(f), a, now); len(got) != most-acquiring {
			t.Errorf("with %d being acquired it wants %v, want %d more", acquiring, got, most-acquiring)
		}
		r.cfg.MaxLeases, f.Sessions[1].MaxLeases = 0, 0
		if got := r.wanted(newPlanner(f), a, now); len(got) <= most {
			t.Errorf("without a bound it wants %v only", got)
		}
	}
}

// A shard that was ended unread has a row that says nothing but that; what waits for
// it is planned.
func TestPlansKnowEndsOfUnknownShards(t *testing.T) {
	r := newRun(Config{TTL: time.Second}.withDefaults())
	now := time.Now()
	r.table.put(Lease{Name: "s/ghost", Position: checkpoint.ShardEnd()}, now)
	r.table.put(Lease{Name: "s/a", Shard: Shard{StartingHashKey: "0", EndingHashKey: "1", Parents: []string{"s/ghost"}}}, now)
	r.table.put(Lease{Name: "s/unknown"}, now)
	f := r.fleet(now)
	f.Sessions = []Session{{ID: "me", Streams: []string{"s"}, State: StateUp}}
	if got := newPlanner(f).plan().Take; len(got) != 1 || got[0].Lease != "s/a" {
		t.Errorf("planned is %v, want s/a alone", got)
	}
}
