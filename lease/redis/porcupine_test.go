package redis_test

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/redis"
)

// The scripts are linearizable: whatever several clients do at the same time to
// one lease, the answers are those of one row to which it was done one by one.

const (
	registerClients  = 4
	registerOps      = 75 // a client
	sessionsAClient  = 3
	registerSessions = registerClients * sessionsAClient
	lateOps          = 6 // of a client, in which it may end the shard
)

// ask is what a client does to the row.
type ask struct {
	op       string // acquire, save, complete, bye
	session  int
	number   int // of the token that is asked for
	token    int
	position int
	counter  int
	release  bool
}

// reply is what it is told: what went wrong, or what the row says.
type reply struct {
	err               error
	token             int
	epoch             uint64
	position, counter int
}

// register is the row, as it should be.
type register struct {
	token, last       int // 0 for none; else session and number
	epoch             uint64
	position, counter int // endPosition when the shard has ended
	used              [registerSessions]int
	gone              [registerSessions]bool // sessions that said goodbye
}

const endPosition = math.MaxInt

func tokenOf(session, number int) int { return (session+1)*1000 + number }

func sessionOf(token int) int { return token/1000 - 1 }

// mistakes are what a wrong store would do. With one planted, the model must
// not explain what the real one did.
type mistakes struct {
	noFence, noRegress, noHolder, noRepeat, stale, oldPosition, noCounter, endless bool
}

// step does q to the row, and returns what the client is to be told.
func (r register) step(q ask, wrong mistakes) (register, reply) {
	switch q.op {
	case "acquire":
		return r.acquire(q, wrong)
	case "save":
		return r.save(q, wrong)
	case "complete":
		switch {
		case r.token != q.token && r.last == q.token && r.position == endPosition: // sent again
		case r.token != q.token && !wrong.noFence:
			return r, reply{err: checkpoint.ErrFenced}
		case wrong.endless:
			r.token, r.last = 0, r.token
		default:
			r.position, r.token, r.last = endPosition, 0, r.token
		}
		return r, reply{}
	default:
		r.gone[q.session] = true
		return r, reply{}
	}
}

func (r register) acquire(q ask, wrong mistakes) (register, reply) {
	token, used := tokenOf(q.session, q.number), r.used[q.session]
	r.used[q.session] = max(used, q.number)
	granted := func() reply {
		at := r.position
		if wrong.oldPosition && at > 0 {
			at--
		}
		return reply{token: token, epoch: r.epoch, position: at, counter: r.counter}
	}
	switch {
	case r.gone[q.session]:
		return r, reply{err: lease.ErrExpired}
	case r.token == token && !wrong.noRepeat:
		return r, granted()
	case r.position == endPosition:
		return r, reply{err: lease.ErrGone}
	case q.number <= used && !wrong.stale:
		return r, reply{err: lease.ErrStale}
	case r.token != 0 && sessionOf(r.token) != q.session && !r.gone[sessionOf(r.token)] && !wrong.noHolder:
		return r, reply{err: lease.ErrHeld}
	}
	r.token, r.epoch = token, r.epoch+1 // at least; see model
	return r, granted()
}

func (r register) save(q ask, wrong mistakes) (register, reply) {
	if r.token != q.token && !wrong.noFence {
		if r.last == q.token && q.position <= r.position {
			return r, reply{position: r.position} // a release sent again
		}
		return r, reply{err: checkpoint.ErrFenced}
	}
	older := q.position == r.position && q.counter < r.counter && !wrong.noCounter
	if q.position < r.position && !wrong.noRegress || older && !q.release {
		return r, reply{err: checkpoint.ErrRegress, position: r.position}
	}
	if !older {
		r.position, r.counter = q.position, q.counter
	}
	if q.release {
		r.token, r.last = 0, r.token
	}
	return r, reply{position: r.position}
}

// model judges answers by the row. An answer that was lost may be any.
func model(wrong mistakes) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return register{} },
		Step: func(state, input, output any) (bool, any) {
			row := state.(register)
			next, want := row.step(input.(ask), wrong)
			if output == nil {
				if next.epoch != row.epoch {
					next.epoch = row.epoch // unknown; what follows is above it
				}
				return true, next
			}
			got := output.(reply)
			if next.epoch != row.epoch { // epochs rise, by how much is the store's business
				if got.epoch <= row.epoch {
					return false, state
				}
				next.epoch, want.epoch = got.epoch, got.epoch
			} else if want.token != 0 && got.epoch > want.epoch { // a repeat of a grant whose answer was lost
				next.epoch, want.epoch = got.epoch, got.epoch
			}
			return got == want, next
		},
	}
}

// registerSubject is one row in a store, and the clients' sessions.
type registerSubject struct {
	t        *testing.T
	store    lease.Store
	scope    checkpoint.Scope
	sessions [registerSessions]string
	newest   atomic.Int64 // a token that somebody was granted
	start    time.Time
}

func newRegister(t *testing.T, store lease.Store, group string) *registerSubject {
	t.Helper()
	s := &registerSubject{t: t, store: store, scope: checkpoint.Scope{Group: group}, start: time.Now()}
	for i := range s.sessions {
		s.sessions[i] = fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
	}
	for i := range registerClients {
		s.join(i * sessionsAClient)
	}
	err := store.Create(t.Context(), s.scope, lease.Create{Session: s.sessions[0], Stream: stream, Rows: []lease.Row{{Name: shard1}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// join begins a session.
func (s *registerSubject) join(i int) {
	_, err := s.store.Beat(s.t.Context(), s.scope.Group, lease.Beat{
		NewIncarnation: "inc", Number: 1, TTL: 5 * time.Minute,
		Session: lease.Session{ID: s.sessions[i], Name: s.sessions[i], Plan: 1, Streams: []string{stream}, Capacity: 1, State: lease.StateUp},
	})
	if err != nil {
		s.t.Errorf("beat: %v", err)
	}
}

func (s *registerSubject) token(n int) checkpoint.Token {
	return checkpoint.Token(s.sessions[sessionOf(n)] + "#" + strconv.Itoa(n%1000))
}

// at is a position by its height: four user records in each Kinesis record.
func at(height int) checkpoint.Position {
	switch height {
	case 0:
		return checkpoint.Start()
	case endPosition:
		return checkpoint.ShardEnd()
	}
	return checkpoint.At(checkpoint.SequenceNumber(strconv.Itoa(7+height/4)), uint64(height%4))
}

func height(p checkpoint.Position) int {
	switch p.Rank {
	case checkpoint.RankStart:
		return 0
	case checkpoint.RankEnd:
		return endPosition
	}
	n, _ := strconv.Atoi(string(p.Sequence)) // it came from at
	return (n-7)*4 + int(p.Subsequence)
}

// do asks the store. The error of a whole call is the test's.
func (s *registerSubject) do(q ask) (r reply) {
	var err error
	switch q.op {
	case "acquire":
		var grants []lease.Grant
		grants, err = s.store.Acquire(s.t.Context(), s.scope, lease.Acquire{Session: s.sessions[q.session], First: uint64(q.number), Names: []string{shard1}})
		if err != nil {
			break
		}
		g := grants[0]
		if r.err = g.Err; r.err == nil {
			r = reply{token: tokenOf(q.session, q.number), epoch: g.Epoch, position: height(g.Entry.Position), counter: int(g.Entry.Counter)}
			if g.Token != s.token(r.token) {
				s.t.Errorf("granted under token %q", g.Token)
			}
		}
	case "save":
		var out []checkpoint.Outcome
		out, err = s.store.Save(s.t.Context(), s.scope, checkpoint.Update{
			Lease: shard1, Token: s.token(q.token), Position: at(q.position), Counter: uint64(q.counter), Release: q.release,
		})
		if err == nil {
			r = reply{err: out[0].Err, position: height(out[0].Position)}
			if errors.Is(r.err, checkpoint.ErrFenced) {
				r.err = checkpoint.ErrFenced // without what became of the lease
			}
		}
	case "complete":
		err = s.store.Complete(s.t.Context(), s.scope, lease.Completion{Name: shard1, Token: s.token(q.token)})
		if errors.Is(err, checkpoint.ErrFenced) {
			r.err, err = checkpoint.ErrFenced, nil
		}
	case "bye":
		err = s.store.Bye(s.t.Context(), s.scope, s.sessions[q.session])
	}
	if err != nil {
		s.t.Errorf("%s: %v", q.op, err)
	}
	return r
}

// client does its operations one after the other, and notes them.
func (s *registerSubject) client(no int, rnd *rand.Rand) []porcupine.Operation {
	session, number := no*sessionsAClient, 0
	token, position := tokenOf(session, 1), 0 // what it knows; at first of no grant
	lost := 2
	var done []porcupine.Operation
	for i := range registerOps {
		q := ask{session: session, counter: rnd.IntN(3)}
		switch n := rnd.IntN(100); {
		case i >= registerOps-lateOps && n < 10:
			q.op, q.token = "complete", token
		case n < 2 && session%sessionsAClient < sessionsAClient-1:
			q.op = "bye"
		case n < 30:
			number++
			q.op, q.number = "acquire", number
		case n < 38 && number > 0:
			q.op, q.number = "acquire", 1+rnd.IntN(number)
			if n < 35 {
				q.number = number
			}
		default:
			q.op, q.token, q.release = "save", token, rnd.IntN(3) == 0
			if n := s.newest.Load(); n > 0 && rnd.IntN(8) == 0 {
				q.token = int(n)
			}
			q.position = max(0, position-1+rnd.IntN(4))
		}
		o := porcupine.Operation{ClientId: no, Input: q, Call: int64(time.Since(s.start))}
		r := s.do(q)
		o.Output, o.Return = r, int64(time.Since(s.start))
		if lost > 0 && q.op != "bye" && rnd.IntN(30) == 0 {
			lost--
			o.Output, o.Return = nil, math.MaxInt64
			done = append(done, o)
			continue
		}
		done = append(done, o)
		switch {
		case q.op == "bye":
			session++
			number = 0
			s.join(session)
		case q.op == "acquire" && r.err == nil:
			token, position = r.token, r.position
			s.newest.Store(int64(token))
		case q.op == "save" && r.position < endPosition && (r.err == nil || errors.Is(r.err, checkpoint.ErrRegress)):
			position = r.position
		}
		if position == endPosition {
			position = 0
		}
	}
	return done
}

// play runs all clients on a row of their own.
func (s *registerSubject) play(seed uint64) []porcupine.Operation {
	var (
		work sync.WaitGroup
		all  [registerClients][]porcupine.Operation
		out  []porcupine.Operation
	)
	for no := range registerClients {
		rnd := rand.New(rand.NewPCG(seed, uint64(no)))
		work.Go(func() { all[no] = s.client(no, rnd) })
	}
	work.Wait()
	for _, ops := range all {
		out = append(out, ops...)
	}
	return out
}

// registerTime bounds the search for an order of one history.
const registerTime = 10 * time.Second

// histories is what several clients did to one lease, so many times. A wrong
// store is found within 60.
var histories = flag.Int("histories", 150, "how many histories of one lease are checked")

func TestOneLeaseIsARegister(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		store     lease.Store
		histories int
	}{
		"redis-server": {newStore(t, redis.Config{Addr: redistest.Server(t)}), *histories},
		"memory":       {lease.NewMemory(), *histories / 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() {
				c.histories /= 10
			}
			var next atomic.Int64
			var work sync.WaitGroup
			for range 2 { // histories at a time
				work.Go(func() {
					for n := next.Add(1); n <= int64(c.histories) && !t.Failed(); n = next.Add(1) {
						ops := newRegister(t, c.store, fmt.Sprintf("group-%d", n)).play(uint64(n))
						if res := porcupine.CheckOperationsTimeout(model(mistakes{}), ops, registerTime); res != porcupine.Ok {
							t.Errorf("seed %d: what the store did is %s as one row's doing", n, res)
						}
					}
				})
			}
			work.Wait()
		})
	}
}

// A model that is wrong does not explain what the store did: the clients do
// what it takes to see the difference.
func TestAWrongRegisterIsFound(t *testing.T) {
	store := lease.NewMemory()
	for name, wrong := range map[string]mistakes{
		"saves are not fenced":                {noFence: true},
		"positions go back":                   {noRegress: true},
		"leases are taken from the living":    {noHolder: true},
		"an acquisition is not repeated":      {noRepeat: true},
		"token numbers are used again":        {stale: true},
		"a lease is granted at an old record": {oldPosition: true},
		"a lower counter is accepted":         {noCounter: true},
		"the end of a shard is not kept":      {endless: true},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(60) {
				ops := newRegister(t, store, fmt.Sprintf("%s-%d", name, seed)).play(seed)
				if porcupine.CheckOperationsTimeout(model(wrong), ops, registerTime) == porcupine.Illegal {
					return
				}
			}
			t.Error("60 histories are explained by it")
		})
	}
}
