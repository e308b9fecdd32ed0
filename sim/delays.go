package sim

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// source is where everything random of a run comes from. What it gives depends
// on the seed, on what is asked for, and on how often the same was asked for,
// and so not on who of several callers comes first.
type source struct {
	seed  uint64
	trace io.Writer // nil for none

	// mu guards all below.
	mu    sync.Mutex
	asked map[uint64]asking
	taken map[int64]int64 // instants to come that were given out, and when
	most  int             // how many of them are kept before those that have passed are forgotten
	ties  int             // instants asked for twice at once, and actors that acted at once
	last  int64           // when somebody acted
	actor string          // who
}

func newSource(seed uint64, trace io.Writer) *source {
	return &source{seed: seed, trace: trace, asked: map[uint64]asking{}, taken: map[int64]int64{}, most: leastTaken}
}

// leastTaken is how many instants are kept at least.
const leastTaken = 4096

// asking is how often the same was asked for, and when last.
type asking struct {
	times uint64
	at    int64
}

// key hashes what is asked for.
func key(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		_, _ = h.Write([]byte(p)) // a hash takes everything
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}

// dice is a generator of its own for the next occurrence of something. Two that
// ask for the same at one instant may do so in either order: a tie.
func (s *source) dice(key uint64) *rand.Rand { return s.roll(key, true) }

// own is dice for what only one goroutine asks for, or of which it does not
// matter who gets which.
func (s *source) own(key uint64) *rand.Rand { return s.roll(key, false) }

func (s *source) roll(key uint64, shared bool) *rand.Rand {
	now := time.Now().UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.asked[key]
	if shared && was.times > 0 && was.at == now {
		s.tie("of two who ask for the same")
	}
	s.asked[key] = asking{times: was.times + 1, at: now}
	return rand.New(rand.NewPCG(s.seed^key, was.times))
}

// fixed is a generator that is the same each time, for what a run consists of.
func fixed(seed uint64, what string) *rand.Rand {
	return rand.New(rand.NewPCG(seed, key(what)))
}

// until is how long to wait for an instant between least and most from now that
// nobody else has.
func (s *source) until(dice *rand.Rand, least, most time.Duration) time.Duration {
	now := time.Now().UnixNano()
	d := least
	if most > least {
		d += time.Duration(dice.Int64N(int64(most - least)))
	}
	at := now + int64(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		given, taken := s.taken[at]
		if !taken {
			break
		}
		if given == now { // else it is known who was first
			s.tie("of two instants")
		}
		at++
	}
	s.taken[at] = now
	if len(s.taken) > s.most {
		for t := range s.taken {
			if t < now {
				delete(s.taken, t)
			}
		}
		s.most = max(leastTaken, 2*len(s.taken)) // many may be yet to come
	}
	return time.Duration(at - now)
}

// acts notes that an actor does something that others can see. Two that act at
// one instant may do so in either order: a tie.
func (s *source) acts(actor string) {
	now := time.Now().UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now == s.last && actor != s.actor {
		s.tie("of " + actor + " and " + s.actor)
	}
	s.last, s.actor = now, actor
}

// tie counts one. mu is held.
func (s *source) tie(what string) {
	s.ties++
	s.tell("tie %s", what)
}

// tell writes down what crosses the links, for the comparison of two runs that
// should have been one.
func (s *source) tell(format string, args ...any) {
	if s.trace != nil {
		line := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")
		fmt.Fprintf(s.trace, "%d %s\n", time.Now().UnixNano(), line)
	}
}

// tied is the number of ties so far.
func (s *source) tied() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ties
}
