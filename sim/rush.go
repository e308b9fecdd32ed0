package sim

import (
	"context"
	"math/rand/v2"
	"time"
)

// A rush is when a writer puts many records one after the other while the stream
// is resharded: those of a key are on their way to the parent and to its child at a
// time, and only the producer keeps them in order.
const (
	rushRecords = 40
	rushGap     = 8 * time.Millisecond // between two records, at most
	rushBefore  = 5                    // records before the stream is resharded
)

// awaitRush has a producer rush, where the action is one of those that are to be
// carried out then, and waits until it does.
func (w *world) awaitRush(ctx context.Context, a Action, dice *rand.Rand) {
	wr := w.writers[a.Target%len(w.writers)]
	if a.Rate >= 0.25 || wr.spec.Kind != ByProducer { // a.Rate is below 0.5
		return
	}
	begun := make(chan struct{})
	wr.mu.Lock()
	wr.rushes = append(wr.rushes, begun)
	wr.mu.Unlock()
	select {
	case <-begun:
		sleep(ctx, w.source.until(dice, 0, time.Millisecond)) // to an instant of its own
	case <-ctx.Done():
	}
}

// rush is what waits for the writer's next burst, nil when nothing does.
func (wr *writer) rush() (begun func()) {
	wr.mu.Lock()
	defer wr.mu.Unlock()
	if len(wr.rushes) == 0 {
		return nil
	}
	waiting := wr.rushes
	wr.rushes = nil
	return func() {
		for _, c := range waiting {
			close(c)
		}
	}
}
