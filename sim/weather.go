package sim

import (
	"math/rand/v2"
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

// weather is what all links are like now.
type weather struct {
	mu    sync.Mutex       // guards links
	links map[string]rates // by name of the link
}

func (w *weather) set(link string, r rates) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.links == nil {
		w.links = map[string]rates{}
	}
	w.links[link] = r
}

func (w *weather) clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.links)
}

func (w *weather) on(link string) rates {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.links[link]
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
