package lease

import (
	"sync/atomic"
	"time"
)

// pace is how fast a worker must be: all time-outs follow the lease time. That
// is the group's once it is joined, whatever the worker was configured with; a
// worker that waited for its own, longer one would lose its leases to one call
// that hangs. Its methods may be called concurrently.
type pace struct{ ttl atomic.Int64 }

// set takes the lease time.
func (p *pace) set(ttl time.Duration) { p.ttl.Store(int64(ttl)) }

// call bounds one store call.
func (p *pace) call() time.Duration { return min(p.lease()/4, 5*time.Second) }

// beat bounds one beat, and is the time from the start of one that failed to
// the next. However the store fails, by errors or by silence, all workers try
// that often: when it is back, each has beaten before session time can have
// lapsed another.
func (p *pace) beat() time.Duration { return min(p.lease()/8, 5*time.Second) }

// third is the time between two beats, and between two tries to watch.
func (p *pace) third() time.Duration { return p.lease() / 3 }

// interval is how long a position waits to be saved. A group with a shorter
// lease time than the worker was configured with shortens it.
func (p *pace) interval(c Config) time.Duration {
	ttl := p.lease()
	if ttl >= c.TTL {
		return c.CheckpointInterval
	}
	return min(c.CheckpointInterval, max(ttl/10, 20*time.Millisecond))
}

func (p *pace) lease() time.Duration { return time.Duration(p.ttl.Load()) }
