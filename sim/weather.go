package sim

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// rates say how likely a link does what it should not, for each message.
type rates struct {
	drop      float64       // the request is lost, the caller waits in vain
	loseReply float64       // the request arrives, its answer is lost
	reset     float64       // the connection breaks, before or after the request arrived
	duplicate float64       // the request arrives a second time, later
	delay     float64       // it takes long
	long      time.Duration // how long at most
	cut       bool          // nothing passes: half-open, nobody is told
}

// weather is what all links are like now. Bad weather of several kinds may be on
// one link at a time: the worst of each counts.
type weather struct {
	mu    sync.Mutex          // guards links
	links map[string][]*rates // by name of the link
}

// begin makes a link bad, until the returned function is called.
func (w *weather) begin(link string, r rates) (end func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.links == nil {
		w.links = map[string][]*rates{}
	}
	mine := &r
	w.links[link] = append(w.links[link], mine)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.links[link] = slices.DeleteFunc(w.links[link], func(r *rates) bool { return r == mine })
	}
}

func (w *weather) on(link string) rates {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out rates
	for _, r := range w.links[link] {
		out.drop, out.loseReply = max(out.drop, r.drop), max(out.loseReply, r.loseReply)
		out.reset, out.duplicate = max(out.reset, r.reset), max(out.duplicate, r.duplicate)
		out.delay, out.long = max(out.delay, r.delay), max(out.long, r.long)
		out.cut = out.cut || r.cut
	}
	return out
}

// fate is what becomes of one message.
type fate uint8

const (
	passes fate = iota
	isLost
	losesReply
	breaksBefore
	breaksAfter
)

// draw decides the fate of a message, and whether it arrives twice.
func (r rates) draw(dice *rand.Rand) (f fate, twice bool) {
	x := dice.Float64()
	twice = dice.Float64() < r.duplicate
	before := dice.IntN(2) == 0
	switch {
	case r.cut || x < r.drop:
		return isLost, false
	case x < r.drop+r.loseReply:
		return losesReply, twice
	case x < r.drop+r.loseReply+r.reset && before:
		return breaksBefore, false
	case x < r.drop+r.loseReply+r.reset:
		return breaksAfter, twice
	}
	return passes, twice
}

// causes are the faults that a message met.
func (r rates) causes(f fate) []Fault {
	switch {
	case f == isLost && r.cut:
		return []Fault{LinkCut}
	case f == isLost:
		return []Fault{LinkDrop}
	case f == losesReply:
		return []Fault{LinkLoseReply}
	case f == breaksBefore, f == breaksAfter:
		return []Fault{LinkReset}
	case r.delay > 0:
		return []Fault{LinkDelay}
	}
	return nil
}

// The time that a message takes.
const (
	leastDelay = 200 * time.Microsecond
	mostDelay  = 5 * time.Millisecond
)

// bounds are the least and the most that a message takes now.
func (r rates) bounds(dice *rand.Rand) (least, most time.Duration) {
	if dice.Float64() < r.delay {
		return mostDelay, max(r.long, 2*mostDelay)
	}
	return leastDelay, mostDelay
}

// links are the names of all links that can be bad.
func (w *world) links() []string {
	out := []string{w.operator.name + ">kinesis"}
	for _, wr := range w.writers {
		wr.mu.Lock()
		out = append(out, wr.node.name+">kinesis")
		wr.mu.Unlock()
	}
	for _, s := range w.slots {
		s.mu.Lock()
		if s.worker != nil {
			out = append(out, s.worker.name+">kinesis", s.worker.name+">redis")
		}
		s.mu.Unlock()
	}
	if w.fanOut != nil {
		out = append(out, w.fanOut.node.name+">kinesis")
	}
	return out
}
