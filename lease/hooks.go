package lease

import "time"

// Hooks are called on what happens to a worker's leases, for metrics. Nil
// functions are skipped. They are called in line, never with a lock held, from
// several goroutines, and must neither block nor call the manager.
type Hooks struct {
	// Event is called on each transition of the worker and of its leases.
	Event func(Event)
	// Beat is called after each beat, with how long it took and its error.
	Beat func(time.Duration, error)
	// Saved is called after each save of positions, with the number of leases
	// in it, how long it took, and the error of the whole call.
	Saved func(leases int, took time.Duration, err error)
}
