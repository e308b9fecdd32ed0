package lease_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// randomFleet makes a fleet of any kind.
func randomFleet(t *testing.T, seed uint64) *fleet {
	f := newFleet(t, seed)
	streams := []string{stream}
	if f.rng.IntN(3) == 0 {
		streams = append(streams, "other", "third")[:2+f.rng.IntN(2)]
	}
	for _, s := range streams {
		f.add(s, f.rng.IntN(80))
	}
	some := func(odds int) bool { return odds > 0 && f.rng.IntN(odds) == 0 }
	capacities, bounds, subsets, olds := some(2), some(3), some(3), some(6)
	for range 1 + f.rng.IntN(12) {
		f.join(func(s *lease.Session) { f.character(s, streams, capacities, bounds, subsets, olds) })
	}
	for i := range f.leases {
		f.fate(&f.leases[i])
	}
	return f
}

// character makes workers different.
func (f *fleet) character(s *lease.Session, streams []string, capacities, bounds, subsets, olds bool) {
	s.Streams, s.Version = slices.Clone(streams), fmt.Sprint("v", f.rng.IntN(2))
	if capacities {
		s.Capacity = []float64{0.5, 1, 2, 3, 10}[f.rng.IntN(5)]
	}
	if bounds && f.rng.IntN(2) == 0 {
		s.MaxLeases = 1 + f.rng.IntN(20)
	}
	if subsets {
		s.Streams = slices.DeleteFunc(s.Streams, func(string) bool { return f.rng.IntN(3) == 0 })
	}
	if olds && f.rng.IntN(3) == 0 {
		s.Plan = 0
	}
}

// fate lets a lease be anything: free, lapsed, owned, asked for, paused, ended.
func (f *fleet) fate(l *lease.Lease) {
	l.Weight = uint8(f.rng.IntN(25))
	switch f.rng.IntN(5) {
	case 0: // free
	case 1:
		l.Token = "dead#1"
	default:
		// It is somebody's who may have it, if one has room.
		for range 3 {
			s := f.sessions[f.rng.IntN(len(f.sessions))]
			if may(s, *l) && (s.MaxLeases == 0 || f.held(s.ID) < s.MaxLeases) {
				l.Token = checkpoint.Token(s.ID + "#1")
				break
			}
		}
	}
	if f.rng.IntN(10) == 0 {
		l.Want, l.WantUntil = f.sessions[f.rng.IntN(len(f.sessions))].ID, f.now+f.rng.Int64N(4*round)
	}
	switch f.rng.IntN(30) {
	case 0:
		l.Position = checkpoint.ShardEnd()
	case 1:
		l.Epoch, l.Token, l.Shard.Parents = 0, "", []string{f.leases[f.rng.IntN(len(f.leases))].Name}
	case 2:
		if l.Token == "" {
			l.Flags = "paused"
		}
	case 3:
		if l.Token == "" {
			l.Flags = "stopped:v" + fmt.Sprint(f.rng.IntN(2))
		}
	}
}

// trouble is rounds in which workers come, drain and die, plan from old tables,
// and loads change.
func (f *fleet) trouble(rounds int) {
	for range rounds {
		f.lag = f.rng.IntN(3)
		f.calm = f.rng.IntN(3) > 0
		switch id := f.sessions[f.rng.IntN(len(f.sessions))].ID; f.rng.IntN(8) {
		case 0:
			f.join()
		case 1:
			if len(f.sessions) > 1 {
				f.die(id)
			}
		case 2:
			f.drain(id)
		case 3:
			for i := range f.leases {
				f.leases[i].Weight = uint8(f.rng.IntN(25))
			}
		}
		f.round()
	}
	f.sessions = slices.DeleteFunc(f.sessions, func(s lease.Session) bool { return s.State == lease.StateDrain })
	if len(f.sessions) == 0 {
		f.join()
	}
}

// drain has a worker give back half of its leases, and take no more.
func (f *fleet) drain(id string) {
	f.session(id).State = lease.StateDrain
	for i := range f.leases {
		if l := &f.leases[i]; lease.SessionOf(l.Token) == id && f.rng.IntN(2) == 0 {
			l.Token = ""
		}
	}
}
