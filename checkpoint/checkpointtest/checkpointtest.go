// Package checkpointtest is what every checkpoint.Store must do, as a test
// suite for those who write one.
package checkpointtest

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/shardrun/shardrun/checkpoint"
)

// Backend is a store under test.
type Backend struct {
	Store checkpoint.Store
	// Grant takes a lease of the group anew, makes it if it does not exist, at
	// the given position, and returns the token. The token before is fenced.
	Grant func(t *testing.T, group, lease string, start checkpoint.Position) checkpoint.Token
}

// Run tests a store. It calls open once for each case; open calls test with a
// store, in a bubble of testing/synctest if it likes. Cases use groups of
// their own, so the stores may share a server.
func Run(t *testing.T, open func(t *testing.T, test func(*testing.T, Backend))) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *subject)
	}{
		{"a lease without a row is absent from Load and ErrNotFound in Save", testNotFound},
		{"a saved position is loaded", testSaved},
		{"positions never go back", testMonotone},
		{"sequence numbers compare as numbers", testNumbers},
		{"at an equal position the counter decides", testCounter},
		{"only the token of the lease may save", testFence},
		{"a release fences, and may be sent again", testRelease},
		{"a release at the stored position is taken whatever its counter", testReleaseEqual},
		{"a release behind the stored position is refused", testReleaseBehind},
		{"a start keeps its time", testStart},
		{"state is saved with the position and stays when none is given", testState},
		{"updates of one call are answered in their order", testMany},
		{"an update that is not valid writes nothing", testInvalid},
		{"of positions saved at the same time the highest stays", testConcurrent},
	} {
		t.Run(c.name, func(t *testing.T) {
			open(t, func(t *testing.T, b Backend) {
				c.test(t, &subject{t: t, Backend: b, group: "checkpointtest-" + uuid.NewString()})
			})
		})
	}
}

// subject is a store with the group of one case.
type subject struct {
	Backend
	t     *testing.T
	group string
}

const (
	leaseA = "000000000000:us-east-1:orders:1700000000000/shardId-000000000000"
	leaseB = "000000000000:us-east-1:orders:1700000000000/shardId-000000000001"
)

func (s *subject) grant(lease string) checkpoint.Token {
	s.t.Helper()
	return s.Grant(s.t, s.group, lease, checkpoint.Start())
}

// save saves one update, which the store must answer with want, and returns
// the position in the answer.
func (s *subject) save(u checkpoint.Update, want error) checkpoint.Position {
	s.t.Helper()
	out, err := s.Save(u)
	if err != nil || len(out) != 1 {
		s.t.Fatalf("save %v: %d outcomes, %v", u.Position, len(out), err)
	}
	if !errors.Is(out[0].Err, want) {
		s.t.Fatalf("save %v: %v, want %v", u.Position, out[0].Err, want)
	}
	return out[0].Position
}

// Save saves updates in the group.
func (s *subject) Save(u ...checkpoint.Update) ([]checkpoint.Outcome, error) {
	return s.Store.Save(s.t.Context(), checkpoint.Scope{Group: s.group}, u...)
}

func (s *subject) load(lease string) checkpoint.Entry {
	s.t.Helper()
	all, err := s.Store.Load(s.t.Context(), s.group, lease)
	if err != nil {
		s.t.Fatal(err)
	}
	e, known := all[lease]
	if !known {
		s.t.Fatalf("%s has no entry", lease)
	}
	return e
}

// is checks what is stored.
func (s *subject) is(lease string, p checkpoint.Position, counter uint64) {
	s.t.Helper()
	if e := s.load(lease); e.Position != p || e.Counter != counter {
		s.t.Fatalf("stored: %v counter %d, want %v counter %d", e.Position, e.Counter, p, counter)
	}
}

func at(n uint64, sub uint64) checkpoint.Position {
	return checkpoint.At(checkpoint.SequenceNumber("4959033827149025660855969253836157109592157598913658"+strconv.FormatUint(1000+n, 10)), sub)
}

func testNotFound(t *testing.T, s *subject) {
	all, err := s.Store.Load(t.Context(), s.group, leaseA)
	if err != nil || len(all) != 0 {
		t.Errorf("load of nothing: %v, %v", all, err)
	}
	s.save(checkpoint.Update{Lease: leaseA, Token: "x#1", Position: at(1, 0)}, checkpoint.ErrNotFound)
	s.grant(leaseA)
	s.save(checkpoint.Update{Lease: leaseB, Token: "x#1", Position: at(1, 0)}, checkpoint.ErrNotFound)
	all, err = s.Store.Load(t.Context(), s.group, leaseA, leaseB)
	if err != nil || len(all) != 1 {
		t.Errorf("load of one of two: %v, %v", all, err)
	}
}

func testSaved(_ *testing.T, s *subject) {
	tok := s.grant(leaseA)
	s.is(leaseA, checkpoint.Start(), 0)
	for _, p := range []checkpoint.Position{at(1, 0), at(1, 1), at(1, 1<<63+5), at(2, 0)} {
		if got := s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: p, Counter: 7}, nil); got != p {
			s.t.Errorf("answer %v, want %v", got, p)
		}
		s.is(leaseA, p, 7)
	}
}

func testMonotone(_ *testing.T, s *subject) {
	tok := s.grant(leaseA)
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(5, 3)}, nil)
	for _, p := range []checkpoint.Position{at(5, 2), at(4, 9), checkpoint.Start()} {
		got := s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: p, Counter: 99}, checkpoint.ErrRegress)
		if got != at(5, 3) {
			s.t.Errorf("refused with %v, want the stored position", got)
		}
	}
	s.is(leaseA, at(5, 3), 0)
}

func testNumbers(_ *testing.T, s *subject) {
	tok := s.grant(leaseA)
	long := checkpoint.SequenceNumber("1" + strings.Repeat("0", checkpoint.MaxSequenceDigits-1))
	for _, seq := range []checkpoint.SequenceNumber{"9", "10", "99", "100", "9007199254740993", "9007199254740994", long} {
		s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: checkpoint.At(seq, 9)}, nil)
		s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: checkpoint.At(seq, 10)}, nil)
		s.is(leaseA, checkpoint.At(seq, 10), 0)
	}
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: checkpoint.At("9", 0)}, checkpoint.ErrRegress)
}

func testCounter(_ *testing.T, s *subject) {
	tok := s.grant(leaseA)
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(5, 0), Counter: 10}, nil)
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(5, 0), Counter: 9}, checkpoint.ErrRegress)
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(5, 0), Counter: 10}, nil)
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(5, 0), Counter: 11}, nil)
	s.is(leaseA, at(5, 0), 11)
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(6, 0), Counter: 1}, nil)
	s.is(leaseA, at(6, 0), 1)
}

func testFence(_ *testing.T, s *subject) {
	old := s.grant(leaseA)
	s.save(checkpoint.Update{Lease: leaseA, Token: old, Position: at(5, 0)}, nil)
	tok := s.grant(leaseA)
	if tok == old {
		s.t.Fatal("a token was given twice")
	}
	s.save(checkpoint.Update{Lease: leaseA, Token: old, Position: at(6, 0)}, checkpoint.ErrFenced)
	s.save(checkpoint.Update{Lease: leaseA, Token: old, Position: at(5, 0), Release: true}, checkpoint.ErrFenced)
	s.save(checkpoint.Update{Lease: leaseA, Token: "other#1", Position: at(6, 0)}, checkpoint.ErrFenced)
	s.is(leaseA, at(5, 0), 0)
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(6, 0)}, nil)
}

func testRelease(_ *testing.T, s *subject) {
	tok := s.grant(leaseA)
	u := checkpoint.Update{Lease: leaseA, Token: tok, Position: at(5, 0), Counter: 1, Release: true}
	s.save(u, nil)
	if got := s.save(u, nil); got != at(5, 0) { // its answer was lost
		s.t.Errorf("a repeat is answered with %v", got)
	}
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(4, 0)}, nil) // an older one, late
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(6, 0)}, checkpoint.ErrFenced)
	s.is(leaseA, at(5, 0), 1)
	next := s.grant(leaseA)
	s.save(checkpoint.Update{Lease: leaseA, Token: next, Position: at(6, 0)}, nil)
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(7, 0)}, checkpoint.ErrFenced)
	s.is(leaseA, at(6, 0), 0)
}

func testReleaseEqual(_ *testing.T, s *subject) {
	tok := s.grant(leaseA)
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(5, 0), Counter: 9, State: []byte("new")}, nil)
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(5, 0), Counter: 1, State: []byte("old"), Release: true}, nil)
	s.is(leaseA, at(5, 0), 9)
	if e := s.load(leaseA); string(e.State) != "new" {
		s.t.Errorf("state %q, want the newer one", e.State)
	}
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(6, 0)}, checkpoint.ErrFenced)
}

func testReleaseBehind(_ *testing.T, s *subject) {
	tok := s.grant(leaseA)
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(5, 0)}, nil)
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(4, 0), Release: true}, checkpoint.ErrRegress)
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(6, 0)}, nil) // it still holds
}

func testStart(_ *testing.T, s *subject) {
	since := checkpoint.StartAt(time.UnixMilli(1_700_000_000_123))
	tok := s.Grant(s.t, s.group, leaseA, since)
	s.is(leaseA, since, 0)
	// A worker that handled nothing gives the lease back at the start.
	if got := s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: checkpoint.Start(), Release: true}, nil); got != since {
		s.t.Errorf("answer %v, want %v", got, since)
	}
	s.is(leaseA, since, 0)
}

func testState(_ *testing.T, s *subject) {
	tok := s.grant(leaseA)
	if e := s.load(leaseA); e.State != nil {
		s.t.Errorf("state of a new lease: %q", e.State)
	}
	state := []byte("binary|\x00\xff\n")
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(1, 0), State: state}, nil)
	state[0] = '!' // the store must not keep the caller's bytes
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(2, 0)}, nil)
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(1, 0), State: []byte("late")}, checkpoint.ErrRegress)
	if e := s.load(leaseA); string(e.State) != "binary|\x00\xff\n" {
		s.t.Errorf("state %q", e.State)
	}
	big := bytes.Repeat([]byte{'x'}, checkpoint.MaxState)
	s.save(checkpoint.Update{Lease: leaseA, Token: tok, Position: at(3, 0), State: big}, nil)
	if e := s.load(leaseA); !bytes.Equal(e.State, big) {
		s.t.Errorf("state of %d bytes, want %d", len(e.State), len(big))
	}
}

func testMany(t *testing.T, s *subject) {
	tokens := map[string]checkpoint.Token{}
	var names []string
	for i := range 260 { // more than one call of a script
		name := "000000000000:us-east-1:orders:1700000000000/shardId-" + strconv.Itoa(i)
		names = append(names, name)
		tokens[name] = s.grant(name)
	}
	var updates []checkpoint.Update
	for i, name := range names {
		u := checkpoint.Update{Lease: name, Token: tokens[name], Position: at(uint64(i), 0)}
		if i%3 == 0 {
			u.Token = "other#1"
		}
		updates = append(updates, u)
	}
	out, err := s.Save(updates...)
	if err != nil || len(out) != len(updates) {
		t.Fatalf("%d outcomes of %d, %v", len(out), len(updates), err)
	}
	all, err := s.Store.Load(t.Context(), s.group, names...)
	if err != nil || len(all) != len(names) {
		t.Fatalf("%d loaded of %d, %v", len(all), len(names), err)
	}
	for i, name := range names {
		want, wantErr := updates[i].Position, error(nil)
		if i%3 == 0 {
			want, wantErr = checkpoint.Start(), checkpoint.ErrFenced
		}
		if !errors.Is(out[i].Err, wantErr) || all[name].Position != want {
			t.Fatalf("%s: %v and %v, want %v and %v", name, out[i].Err, all[name].Position, wantErr, want)
		}
	}
	if out, err := s.Save(); err != nil || len(out) != 0 {
		t.Errorf("save of nothing: %v, %v", out, err)
	}
}

func testInvalid(t *testing.T, s *subject) {
	tok := s.grant(leaseA)
	good := checkpoint.Update{Lease: leaseA, Token: tok, Position: at(1, 0)}
	for _, bad := range []checkpoint.Update{
		{Token: tok, Position: at(1, 0)},
		{Lease: leaseA, Position: at(1, 0)},
		{Lease: leaseA, Token: tok, Position: checkpoint.At("12x", 0)},
		{Lease: leaseA, Token: tok, Position: checkpoint.At("1|2", 0)},
		{Lease: leaseA, Token: tok, Position: at(1, 0), State: make([]byte, checkpoint.MaxState+1)},
	} {
		if _, err := s.Save(good, bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	s.is(leaseA, checkpoint.Start(), 0)
}

func testConcurrent(t *testing.T, s *subject) {
	tok := s.grant(leaseA)
	var wg sync.WaitGroup
	const writers, each = 8, 20
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				u := checkpoint.Update{Lease: leaseA, Token: tok, Position: at(uint64(i*writers+w), 0)}
				out, err := s.Save(u)
				if err != nil || !slices.ContainsFunc([]error{nil, checkpoint.ErrRegress}, func(e error) bool { return errors.Is(out[0].Err, e) }) {
					t.Errorf("save: %v, %v", out, err)
				}
				if err == nil && out[0].Position.Compare(u.Position) < 0 {
					t.Errorf("save of %v is answered with %v", u.Position, out[0].Position)
				}
			}
		})
	}
	wg.Wait()
	s.is(leaseA, at(writers*each-1, 0), 0)
}
