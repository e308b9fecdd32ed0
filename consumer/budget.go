package consumer

import (
	"context"
	"slices"
	"sync"
)

// budget is the memory that all shards of a worker share for records that were
// read and not yet handled. A read begins when the most that it can bring fits
// in, so that the budget is kept; one that is smaller than two such reads can be
// exceeded up to their size. Who asks first gets it first.
//
// A batch that is retried may stay for as long as its shard does. It is parked:
// when nothing else is held, the next read is let in even if it does not fit,
// so that the other shards go on, one at a time.
type budget struct {
	size int64

	mu      sync.Mutex    // guards all below
	reading int64         // set aside for reads in flight
	records int64         // of records
	parked  int64         // of records that are retried, a part of records
	waiting []*waiter     // reads
	short   bool          // the first read waits because of records, and not of other reads
	tight   chan struct{} // closed while short, nothing is sent
}

// waiter is a read that waits for n bytes.
type waiter struct {
	n     int64
	ready chan struct{} // closed when they are set aside
}

func newBudget(size int64) *budget { return &budget{size: size, tight: make(chan struct{})} }

// acquire sets n bytes aside for a read, at most half of the budget, so that a
// small one does not let shards go on only one at a time, and returns how many;
// it waits until there is room or ctx ends.
func (b *budget) acquire(ctx context.Context, n int64) (int64, error) {
	w := &waiter{n: min(n, b.size/2), ready: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, w)
	b.serve()
	b.mu.Unlock()
	select {
	case <-w.ready:
		return w.n, nil
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
		b.reading -= w.n
	}
	b.serve()
}

// landed ends a read for which n bytes were set aside and whose records have
// got many.
func (b *budget) landed(n, got int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading -= n
	b.records += got
	b.serve()
}

// release gives n bytes of records back; a negative n takes what they grew by
// when they were unpacked, without waiting.
func (b *budget) release(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records -= n
	b.serve()
}

// park says of n bytes of records that they are retried, of -n that they are
// no longer.
func (b *budget) park(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.parked += n
	b.serve()
}

// used is the number of bytes taken.
func (b *budget) used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reading + b.records
}

// scarce is closed while a read waits that records keep out: who holds some
// without need is to let them go.
func (b *budget) scarce() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tight
}

// serve lets waiters in, in their order, and says whether memory is short. The
// caller holds mu.
func (b *budget) serve() {
	for len(b.waiting) > 0 && b.fits(b.waiting[0].n) {
		w := b.waiting[0]
		b.waiting = slices.Delete(b.waiting, 0, 1)
		b.reading += w.n
		close(w.ready)
	}
	was := b.short
	b.short = len(b.waiting) > 0 && b.records > b.parked && b.records+b.waiting[0].n > b.size
	switch {
	case b.short && !was:
		close(b.tight)
	case !b.short && was:
		b.tight = make(chan struct{})
	}
}

// fits reports whether a read of n bytes may begin. The caller holds mu.
func (b *budget) fits(n int64) bool {
	return b.reading+b.records+n <= b.size || b.reading == 0 && b.records <= b.parked
}
