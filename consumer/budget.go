package consumer

import (
	"context"
	"slices"
	"sync"
)

// budget is the memory that all shards of a worker share for records that were
// read and not yet handled. Who asks first gets it first.
type budget struct {
	size int64

	mu      sync.Mutex // guards all below
	free    int64      // negative when a read brought more than was set aside for it
	waiting []*waiter
}

// waiter is a read that waits for n bytes.
type waiter struct {
	n     int64
	ready chan struct{} // closed when they are set aside
}

func newBudget(size int64) *budget { return &budget{size: size, free: size} }

// acquire sets n bytes aside, at most the whole budget, and returns how many;
// it waits until there is room or ctx ends.
func (b *budget) acquire(ctx context.Context, n int64) (int64, error) {
	n = min(n, b.size)
	b.mu.Lock()
	if b.free >= n && len(b.waiting) == 0 {
		b.free -= n
		b.mu.Unlock()
		return n, nil
	}
	w := &waiter{n: n, ready: make(chan struct{})}
	b.waiting = append(b.waiting, w)
	b.mu.Unlock()
	select {
	case <-w.ready:
		return n, nil
	case <-ctx.Done():
		b.leave(w)
		return 0, context.Cause(ctx)
	}
}

// leave takes a waiter out that has given up, and gives back what it may have
// been given meanwhile.
func (b *budget) leave(w *waiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.waiting, w); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	} else {
		b.free += w.n
	}
	b.serve()
}

// release gives n bytes back; a negative n takes what a read brought beyond
// what was set aside for it, without waiting.
func (b *budget) release(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
	b.serve()
}

// used is the number of bytes taken.
func (b *budget) used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size - b.free
}

// serve lets waiters in, in their order. The caller holds mu.
func (b *budget) serve() {
	for len(b.waiting) > 0 && b.free >= b.waiting[0].n {
		w := b.waiting[0]
		b.waiting = slices.Delete(b.waiting, 0, 1)
		b.free -= w.n
		close(w.ready)
	}
}
