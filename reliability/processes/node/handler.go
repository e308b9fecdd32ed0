package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/internal/history/witness"
)

// handler is what the user of a worker would write, on a bad day: it fails at
// times, in the middle of a batch too, and at times it is so slow that its batch
// is half done when the worker is killed, or handed on while the worker is held;
// and some of the slow calls do not hear that they should end.
//
// It tells the history itself what it was given, what it has handled, before it
// returns, and that it returns. What the worker makes of its answer is judged by
// that, and is not taken from the worker.
type handler struct {
	history *history.History
	worker  string
	slow    time.Duration // the longest that a batch takes

	mu    sync.Mutex // guards all below
	rng   *rand.Rand
	calls int
}

// fresh is how old records may be for the handler to be slow with them. A group
// whose state was lost has the whole stream to handle again, and is to catch up.
const fresh = 20 * time.Second

// handle is a [consumer.BatchFunc].
func (h *handler) handle(ctx context.Context, b *consumer.Batch) error {
	defer h.history.Returned(h.worker, b.Lease, b.Epoch)
	for i := range b.Records {
		r := &b.Records[i]
		h.history.Delivered(history.Delivery{
			Worker: h.worker, Lease: b.Lease, Epoch: b.Epoch, ID: witness.ID(r), Key: r.Key, HashKey: r.HashKey, Data: r.Data,
		})
	}
	call, work, deaf := h.begin(b)
	hears := ctx
	if deaf {
		hears = context.WithoutCancel(ctx)
	}
	if err := errors.Join(sleep(hears, work), context.Cause(ctx)); err != nil {
		return err
	}
	end := endOf(call, len(b.Records))
	for i := range b.Records[:end.done] {
		h.history.Handled(h.worker, b.Lease, b.Epoch, witness.ID(&b.Records[i]))
	}
	if end.panics {
		panic(end.err)
	}
	return end.err
}

// begin numbers a call, from 0, and says how long it is to take, and whether it
// does so even when it is told to end: the worker has to wait for it then.
func (h *handler) begin(b *consumer.Batch) (call int, work time.Duration, deaf bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	call = h.calls
	h.calls++
	if time.Since(b.Records[0].Arrival) < fresh {
		work = time.Duration(h.rng.Int64N(int64(10 * time.Millisecond)))
		if h.rng.IntN(6) == 0 {
			work, deaf = time.Duration(h.rng.Int64N(int64(h.slow))), h.rng.IntN(2) == 0
		}
	}
	return call, work, deaf
}

// end is how a call of the handler ends.
type end struct {
	done   int // records from the front that were handled
	err    error
	panics bool // it panics with err instead of returning it
}

var errBadDay = errors.New("bad day")

// period is after how many calls the handler fails in the same ways again.
const period = 20

// endOf is the end of a call with n records. One call in five fails: with all of
// its records, with a part of them, which moves through the batch from one time
// to the next, or in a panic.
func endOf(call, n int) end {
	part := call / period % n
	switch call % period {
	case 3:
		return end{err: errBadDay}
	case 8:
		return end{done: part, err: consumer.FailFrom(part, errBadDay)}
	case 13:
		return end{err: consumer.RetryAfter(time.Millisecond, errBadDay), panics: call/period%2 == 1}
	case 18: // several blames: what is behind the first is delivered again
		return end{done: part, err: errors.Join(consumer.FailFrom(n-1, errBadDay), consumer.FailFrom(part, errBadDay))}
	}
	return end{done: n}
}
