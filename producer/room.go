package producer

import (
	"slices"

	"github.com/shardrun/shardrun/internal/hashkey"
)

// room bounds what is accepted and not yet settled. Puts that find no room are
// served in the order in which they came.
type room struct {
	maxRecords, maxBytes int
	records, bytes       int // taken
	waiting              []*waiter
}

// waiter is a Put that waits for room.
type waiter struct {
	record   Record
	hash     hashkey.Key
	accepted bool
	granted  chan struct{} // closed when the record was accepted
}

// fits reports whether there is room for a record of size bytes. When nothing is
// taken there is, whatever its size: no release would make more.
func (r *room) fits(size int) bool {
	return r.records == 0 || r.records < r.maxRecords && r.bytes+size <= r.maxBytes
}

// take takes room for a record of size bytes if there is any and nobody waits.
func (r *room) take(size int) bool {
	if len(r.waiting) > 0 || !r.fits(size) {
		return false
	}
	r.records++
	r.bytes += size
	return true
}

// release gives room back.
func (r *room) release(records, bytes int) {
	r.records -= records
	r.bytes -= bytes
}

// wait queues for room.
func (r *room) wait(w *waiter) { r.waiting = append(r.waiting, w) }

// leave ends a wait that was given up.
func (r *room) leave(w *waiter) {
	r.waiting = slices.DeleteFunc(r.waiting, func(x *waiter) bool { return x == w })
}

// next takes room for the Put that has waited longest, nil if there is none, or
// not enough room.
func (r *room) next() *waiter {
	if len(r.waiting) == 0 || !r.fits(r.waiting[0].record.size()) {
		return nil
	}
	w := r.waiting[0]
	r.waiting[0] = nil
	if r.waiting = r.waiting[1:]; len(r.waiting) == 0 {
		r.waiting = nil
	}
	r.records++
	r.bytes += w.record.size()
	return w
}

// flushes counts the records that are not settled, in batches that end where
// Flush was called: a Flush waits for its batch and those before it, and for
// no record that was accepted later.
type flushes struct {
	first   uint64 // number of batches[0]
	batches []batch
	left    int // in all batches
}

type batch struct {
	left    int
	settled chan struct{} // closed when this batch and all before it are settled; nil if nobody asked
}

// add counts a record and returns the number of its batch.
func (f *flushes) add() uint64 {
	if len(f.batches) == 0 || f.batches[len(f.batches)-1].settled != nil {
		f.batches = append(f.batches, batch{})
	}
	last := len(f.batches) - 1
	f.batches[last].left++
	f.left++
	return f.first + uint64(last)
}

// settle takes a record out; the channels of batches that thereby ended are
// appended to free, to be closed.
func (f *flushes) settle(number uint64, free []chan struct{}) []chan struct{} {
	f.batches[number-f.first].left--
	f.left--
	for len(f.batches) > 0 && f.batches[0].left == 0 {
		if f.batches[0].settled != nil {
			free = append(free, f.batches[0].settled)
		}
		f.batches = f.batches[1:]
		f.first++
	}
	return free
}

// mark ends the batch: the channel is closed when all records counted so far
// are settled. It is nil when they are.
func (f *flushes) mark() chan struct{} {
	if f.left == 0 {
		return nil
	}
	last := &f.batches[len(f.batches)-1]
	if last.settled == nil {
		last.settled = make(chan struct{})
	}
	return last.settled
}

// leftUpTo is the number of records not settled among those that a mark waits
// for.
func (f *flushes) leftUpTo(mark chan struct{}) int {
	n := 0
	for i := range f.batches {
		n += f.batches[i].left
		if f.batches[i].settled == mark {
			return n
		}
	}
	return 0
}
