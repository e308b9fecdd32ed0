package sim

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// A rush is when a writer puts many records one after the other while the stream
// is resharded: those of a key are on their way to the parent and to its child at a
// time, and only the producer keeps them in order. Its link is bad meanwhile, where
// links are at times: calls to the parent hang or fail while the child could be sent
// to.
const (
	rushRecords = 40
	rushGap     = 8 * time.Millisecond // between two records, at most
	rushBefore  = 5                    // records before the stream is resharded
)

// rush is one that is to come, or under way.
type rush struct {
	begun chan struct{} // closed in its midst
	ended chan struct{}
}

// awaitRush has a producer rush, where the action is one of those that are to be
// carried out then, and waits until it does. It returns nil where there is none.
func (w *world) awaitRush(ctx context.Context, a Action, dice *rand.Rand) *rush {
	wr := w.writers[a.Target%len(w.writers)]
	if a.Rate >= 0.25 || wr.spec.Kind != ByProducer { // a.Rate is below 0.5
		return nil
	}
	r := &rush{begun: make(chan struct{}), ended: make(chan struct{})}
	wr.mu.Lock()
	wr.rushes = append(wr.rushes, r)
	wr.mu.Unlock()
	select {
	case <-r.begun:
		sleep(ctx, w.source.until(dice, 0, time.Millisecond)) // to an instant of its own
		return r
	case <-ctx.Done():
		return nil
	}
}

// lasts reports whether the rush goes on.
func (r *rush) lasts() bool {
	if r == nil {
		return false
	}
	select {
	case <-r.ended:
		return false
	default:
		return true
	}
}

// takeRushes are those that wait for the writer's next burst.
func (wr *writer) takeRushes() []*rush {
	wr.mu.Lock()
	defer wr.mu.Unlock()
	waiting := wr.rushes
	wr.rushes = nil
	return waiting
}

// hurry is the link of a writer in a rush, until the returned function is called.
func (w *world) hurry(n *node, dice *rand.Rand) (end func()) {
	var some []rates
	for _, l := range []struct {
		fault Fault
		rates rates
	}{
		{LinkDelay, rates{delay: 0.5, long: time.Second}}, {LinkDrop, rates{drop: 0.3}},
		{LinkLoseReply, rates{loseReply: 0.3}}, {LinkReset, rates{reset: 0.5}},
	} {
		if slices.Contains(w.plan.Faults, l.fault) {
			some = append(some, l.rates)
		}
	}
	if len(some) == 0 {
		return func() {}
	}
	name := n.name + ">kinesis"
	stormy, fair := w.storms.begin(name), w.weather.begin(name, some[dice.IntN(len(some))])
	return func() {
		// The last put may have waited for room, and go on at the instant of an
		// answer, at which the producer sends more.
		time.Sleep(w.source.until(dice, 0, time.Millisecond))
		fair()
		stormy()
	}
}
