package lease_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// round is a round of a fleet in session time, about a beat.
const round = int64(1000)

// fleet is workers that plan, each from a table that may be a few rounds old,
// and a table that decides as a store does.
type fleet struct {
	t        *testing.T
	seed     uint64
	rng      *rand.Rand
	now      int64
	leases   []lease.Lease
	index    map[string]int // of leases, by name
	sessions []lease.Session
	past     [][]lease.Lease     // what the table was, round by round
	lag      int                 // how many rounds old a table may be
	calm     bool                // leases of the living may be asked for
	asked    map[[2]string]int64 // session, lease → when it may ask again
	moved    map[string]int64    // lease → when it changed hands
	takes    int                 // leases that were acquired
	moves    int                 // wishes that were granted
	names    int                 // of sessions
}

func newFleet(t *testing.T, seed uint64) *fleet {
	return &fleet{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 7)), now: round, calm: true, index: map[string]int{},
		asked: map[[2]string]int64{}, moved: map[string]int64{},
	}
}

func (f *fleet) fatalf(format string, args ...any) {
	f.t.Helper()
	f.t.Fatalf("seed %d: "+format, append([]any{f.seed}, args...)...)
}

// join adds a worker.
func (f *fleet) join(change ...func(*lease.Session)) string {
	s := lease.Session{
		ID: fmt.Sprintf("w%03d-%d", f.names, f.rng.IntN(1000)), Streams: []string{stream}, Capacity: 1,
		State: lease.StateUp, Plan: lease.PlanVersion,
	}
	f.names++
	for _, c := range change {
		c(&s)
	}
	f.sessions = append(f.sessions, s)
	return s.ID
}

// die takes a session away.
func (f *fleet) die(id string) {
	f.sessions = slices.DeleteFunc(f.sessions, func(s lease.Session) bool { return s.ID == id })
}

func (f *fleet) session(id string) *lease.Session {
	if i := slices.IndexFunc(f.sessions, func(s lease.Session) bool { return s.ID == id }); i >= 0 {
		return &f.sessions[i]
	}
	return nil
}

func (f *fleet) lease(name string) *lease.Lease {
	i, known := f.index[name]
	if !known {
		f.fatalf("%s is planned, and there is none", name)
	}
	return &f.leases[i]
}

// add makes leases of a stream that nobody has.
func (f *fleet) add(of string, n int) {
	for i := range n {
		f.index[lease.Name(of, fmt.Sprintf("s%05d", i))] = len(f.leases)
		f.leases = append(f.leases, lease.Lease{Name: lease.Name(of, fmt.Sprintf("s%05d", i)), Epoch: 1})
	}
}

// held are the leases of a session.
func (f *fleet) held(id string) int {
	n := 0
	for _, l := range f.leases {
		if l.Token != "" && lease.SessionOf(l.Token) == id && !l.Finished() {
			n++
		}
	}
	return n
}

func (f *fleet) counts() map[string]int {
	out := map[string]int{}
	for _, s := range f.sessions {
		out[s.ID] = f.held(s.ID)
	}
	return out
}

// view is what a worker plans from: a table that may be old, but for what is its
// own.
func (f *fleet) view(id string) lease.Fleet {
	table := f.past[max(0, len(f.past)-1-f.rng.IntN(f.lag+1))]
	out := lease.Fleet{
		Leases: slices.Clone(table), Sessions: slices.Clone(f.sessions), Now: f.now, Rebalance: f.calm,
		Keep: map[string]bool{}, Fresh: map[string]bool{}, Refused: map[string]bool{}, Self: id,
	}
	for i := range out.Leases {
		l := &out.Leases[i]
		now := f.lease(l.Name)
		switch mine := lease.SessionOf(now.Token) == id; {
		case mine:
			want, until := l.Want, l.WantUntil
			*l = *now
			if lease.SessionOf(table[i].Token) == id {
				l.Want, l.WantUntil = want, until
			}
		case lease.SessionOf(l.Token) == id:
			l.Token = ""
		}
		if f.asked[[2]string{id, l.Name}] > f.now {
			out.Refused[l.Name] = true
		}
		if at, known := f.moved[l.Name]; known {
			out.Keep[l.Name] = f.now-at < round
			out.Fresh[l.Name] = f.now-at < 10*round
		}
	}
	f.rng.Shuffle(len(out.Leases), func(i, j int) { out.Leases[i], out.Leases[j] = out.Leases[j], out.Leases[i] })
	return out
}

// round lets every worker plan and act once, in any order. It returns how many
// steps were done.
func (f *fleet) round() int {
	f.now += round
	f.past = append(f.past, slices.Clone(f.leases))
	done := 0
	for _, i := range f.rng.Perm(len(f.sessions)) {
		s := f.sessions[i]
		if s.State == lease.StateUp {
			done += f.work(s)
		}
	}
	return done
}

func (f *fleet) work(s lease.Session) int {
	v := f.view(s.ID)
	done := 0
	for i := range v.Leases {
		if l := &v.Leases[i]; lease.SessionOf(l.Token) == s.ID && l.Want != "" && l.Want != s.ID && l.WantUntil > f.now {
			done += f.answer(v, l)
		}
	}
	a := lease.Plan(v)
	for _, step := range a.Take {
		if step.Session == s.ID {
			done += f.take(s, step.Lease)
		}
	}
	for _, step := range a.Move {
		if step.Session == s.ID {
			done += f.ask(s, step.Lease)
		}
	}
	return done
}

// answer gives a lease to who asked for it, or refuses; what is refused does not
// count in the plan that follows.
func (f *fleet) answer(v lease.Fleet, l *lease.Lease) int {
	row := f.lease(l.Name)
	if row.Token != l.Token || row.Want != l.Want {
		return 0
	}
	if !lease.Agrees(v, l.Name) {
		row.Want, row.WantUntil = "", 0
		l.Want, l.WantUntil = "", 0
		return 1
	}
	row.Token, row.WantUntil = "", f.now+2*round
	f.moves++
	return 1
}

// take acquires a lease, if it may be.
func (f *fleet) take(s lease.Session, name string) int {
	l := f.lease(name)
	owner, wisher := f.session(lease.SessionOf(l.Token)), f.session(l.Want)
	reserved := l.Token == "" && l.Want != s.ID && wisher != nil && l.WantUntil > f.now
	if owner != nil || reserved || l.Finished() {
		return 0
	}
	f.takes++
	l.Token, l.Want, l.WantUntil = checkpoint.Token(fmt.Sprintf("%s#%d", s.ID, f.takes)), "", 0
	l.Epoch++
	f.moved[name] = f.now
	f.lawful(s, *l)
	return 1
}

// lawful checks that a worker may have a lease.
func (f *fleet) lawful(s lease.Session, l lease.Lease) {
	switch n := f.held(s.ID); {
	case s.MaxLeases > 0 && n > s.MaxLeases:
		f.fatalf("%s has %d leases, and may have %d", s.ID, n, s.MaxLeases)
	case !slices.Contains(s.Streams, lease.StreamOf(l.Name)):
		f.fatalf("%s takes %s, whose stream it did not declare", s.ID, l.Name)
	case l.Flags != "" && (l.Flags == "paused" || l.Flags == "stopped:"+s.Version):
		f.fatalf("%s of version %s takes %s, which is %s", s.ID, s.Version, l.Name, l.Flags)
	}
}

// ask asks the owner of a lease for it.
func (f *fleet) ask(s lease.Session, name string) int {
	f.asked[[2]string{s.ID, name}] = f.now + 4*round
	l := f.lease(name)
	owner, wisher := f.session(lease.SessionOf(l.Token)), f.session(l.Want)
	if owner == nil || owner.ID == s.ID || wisher != nil && l.WantUntil > f.now {
		return 0
	}
	l.Want, l.WantUntil = s.ID, f.now+4*round
	return 1
}

// rest lets the fleet work until nothing is done any more, at most so many
// rounds, and returns how many it were.
func (f *fleet) rest(most int) int {
	f.t.Helper()
	f.lag, f.calm = 0, true
	for n := range most {
		if f.round() > 0 {
			continue
		}
		// What rested, or was refused, may be asked for again after a while.
		f.now += 12 * round
		if f.round() == 0 {
			f.settled()
			return n
		}
	}
	f.fatalf("no rest after %d rounds: %v", most, f.counts())
	return most
}

// settled holds what is true of every fleet at rest.
func (f *fleet) settled() {
	f.t.Helper()
	v := lease.Fleet{Leases: f.leases, Sessions: f.sessions, Now: f.now}
	shares, counts := lease.Plan(v).Shares, f.counts()
	above := func(s lease.Session) float64 { return float64(counts[s.ID]) - shares[s.ID] }
	finished := map[string]bool{}
	for _, l := range f.leases {
		finished[l.Name] = l.Finished()
	}
	for _, l := range f.leases {
		waits := l.Epoch == 0 && slices.ContainsFunc(l.Shard.Parents, func(p string) bool { return !finished[p] })
		if l.Finished() || waits {
			continue
		}
		owner := f.session(lease.SessionOf(l.Token))
		for _, to := range f.sessions {
			switch {
			case !may(to, l) || to.MaxLeases > 0 && counts[to.ID] >= to.MaxLeases:
			case owner == nil:
				f.fatalf("%s has no living owner, and %s could take it", l.Name, to.ID)
			case owner.ID != to.ID && above(*owner)-above(to) > 1.001 && f.current():
				f.fatalf("%s should go from %s (%d of %.2f) to %s (%d of %.2f)", l.Name,
					owner.ID, counts[owner.ID], shares[owner.ID], to.ID, counts[to.ID], shares[to.ID])
			}
		}
	}
}

// may reports whether a worker may have a lease.
func may(s lease.Session, l lease.Lease) bool {
	return s.State == lease.StateUp && slices.Contains(s.Streams, lease.StreamOf(l.Name)) &&
		l.Flags != "paused" && (l.Flags == "" || l.Flags != "stopped:"+s.Version)
}

// current reports whether no worker of an older version lives.
func (f *fleet) current() bool {
	return !slices.ContainsFunc(f.sessions, func(s lease.Session) bool { return s.Plan < lease.PlanVersion })
}

// diverse reports whether not all workers may take the same leases.
func (f *fleet) diverse() bool {
	return slices.ContainsFunc(f.sessions, func(s lease.Session) bool { return !slices.Equal(s.Streams, f.sessions[0].Streams) }) ||
		slices.ContainsFunc(f.leases, func(l lease.Lease) bool { return l.Flags != "" })
}
