package lease

import (
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// Hooks are called on what happens to a worker's leases, for metrics. Nil
// functions are skipped. They are called in line, never with a lock held, from
// several goroutines, and must neither block nor call the manager.
type Hooks struct {
	// Acquired is called when a lease was taken, before its runner starts.
	Acquired func(Lease)
	// Released is called when a lease was given back, with its position saved.
	Released func(Lease)
	// Lost is called when a lease is no longer the worker's, or may not be:
	// its runner's context was cancelled with ErrLost.
	Lost func(Lease)
	// Completed is called when a shard was handled to its end.
	Completed func(Lease)
	// Beat is called after each beat, with how long it took and its error.
	Beat func(time.Duration, error)
	// Saved is called after each save of positions, with the number of leases
	// in it, how long it took, and the error of the whole call.
	Saved func(leases int, took time.Duration, err error)
	// Fenced is called when the store refused a position, with the reason.
	Fenced func(lease string, at checkpoint.Position, reason error)
	// Repaired is called for each lease that an audit by this worker changed, with
	// the lease as the audit found it.
	Repaired func(Repair, Lease)
}

func call[T any](f func(T), v T) {
	if f != nil {
		f(v)
	}
}
