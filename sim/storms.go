package sim

import (
	"strings"
	"sync"
	"time"
)

// storms are the faults that are active, and those that were. A name is that of a
// fault, or of a link that is bad.
type storms struct {
	begun time.Time // when the run began

	mu     sync.Mutex // guards all below
	active map[string]int
	ended  map[string]time.Time // the last of each name
}

// begin notes the beginning of one, under its names, and returns what notes its end.
func (s *storms) begin(names ...string) (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range names {
		s.active[n]++
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, n := range names {
			s.active[n]--
			s.ended[n] = time.Now()
		}
	}
}

// lull is for how long there has been none of those that matter, 0 when there is one.
func (s *storms) lull(matters func(name string) bool) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := s.begun
	for n, active := range s.active {
		switch {
		case !matters(n):
		case active > 0:
			return 0
		case s.ended[n].After(since):
			since = s.ended[n]
		}
	}
	return time.Since(since)
}

func anyFault(string) bool { return true }

// but is every fault other than one.
func but(f Fault) func(string) bool { return func(name string) bool { return name != string(f) } }

// onTheWay is what keeps the puts of a node from the log: the server, and the link.
func onTheWay(n *node) func(string) bool {
	return func(name string) bool {
		return name == n.name+">kinesis" || strings.HasPrefix(name, "server ")
	}
}

// promised fails the run when a record fails that had no reason to: nothing kept it
// from the log, nor those before it, for as long as records live and calls hang.
func (w *world) promised(n *node, began time.Time, err error) {
	lull := w.storms.lull(onTheWay(n))
	if !n.alive() || lull < time.Since(began)+time.Minute {
		return
	}
	if w.reach("put in peace"); err != nil {
		w.fail("%s: a record that nothing kept from the log fails after %v: %v", n.name, time.Since(began), err)
	}
}
