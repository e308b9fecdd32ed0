package lease

import (
	"maps"
	"sync"
)

// EventKind is a transition of a worker or of one of its leases. It is fit for the
// label of a metric.
type EventKind string

// What happens between a worker and its group.
const (
	// EventJoined: the worker has its session in the group, at the start of Run and
	// again after its session was removed or the group's state was lost.
	EventJoined EventKind = "joined"
	// EventStateLost: the store had lost the group's state, or a part of it; what
	// the workers remember is given back to a new one. Err has the beat's error.
	EventStateLost EventKind = "state-lost"
	// EventWritesLost: the store lost its latest writes, as a failover does; the
	// worker reads the whole table. Err is ErrRegressed.
	EventWritesLost EventKind = "writes-lost"
	// EventSuperseded: another worker runs under the same name. The runners were
	// cancelled, and Run ends when that stays so for a lease time.
	EventSuperseded EventKind = "superseded"
	// EventPaused: the store confirmed no beat for almost the lease time. The
	// runners were cancelled.
	EventPaused EventKind = "paused"
	// EventResumed: it is back, and the runners start again.
	EventResumed EventKind = "resumed"
	// EventDraining: Run was told to end, and gives the leases back. Leases says
	// how many.
	EventDraining EventKind = "draining"
	// EventLeft: the session said goodbye. Err is not nil when it could not, and
	// lapses.
	EventLeft EventKind = "left"
	// EventCreated: the worker made the first leases of Stream, as many as Leases.
	EventCreated EventKind = "created"
	// EventRestored: the worker gave Leases rows back to a store that had lost them.
	EventRestored EventKind = "restored"
)

// What happens to a lease.
const (
	// EventWanted: the worker asked the owner, Peer, to hand the lease over.
	EventWanted EventKind = "wanted"
	// EventAsked: Peer asked for the lease, and its runner was asked to return.
	EventAsked EventKind = "asked"
	// EventRefused: the worker did not hand over what was asked for: its handler
	// took too long, or its own plan keeps it.
	EventRefused EventKind = "refused"
	// EventAcquired: the lease was taken; its runner starts.
	EventAcquired EventKind = "acquired"
	// EventReleased: the lease was given back, with its position saved.
	EventReleased EventKind = "released"
	// EventLost: the lease is no longer the worker's, or may not be; its runner's
	// context was cancelled with ErrLost. Err is an ErrLost that says why: by whom it is
	// held now, that it was reset by hand, that no beat was confirmed in time.
	EventLost EventKind = "lost"
	// EventCompleted: the shard was handled to its end.
	EventCompleted EventKind = "completed"
	// EventFenced: the store refused a position. Err says why; Lease.Position is
	// what was refused.
	EventFenced EventKind = "fenced"
	// EventHeld: the lease, or the group, was paused by hand; its runner was asked
	// to return.
	EventHeld EventKind = "held"
	// EventRepaired: an audit by this worker changed the lease, as Repair says;
	// Lease is as it found it.
	EventRepaired EventKind = "repaired"
)

// Event is one transition.
type Event struct {
	Kind EventKind
	// Lease is what it happened to, and the zero Lease for an event of the worker.
	Lease Lease
	// Stream is the stream of EventCreated, Leases a number of leases, Peer the
	// name of another worker, and Repair what an audit did.
	Stream string
	Leases int
	Peer   string
	Repair Repair
	// Err is why, where there is a reason.
	Err error
}

// events counts what happened, and tells the hook. It may be used concurrently.
type events struct {
	hook func(Event)

	mu     sync.Mutex // guards counts
	counts map[EventKind]uint64
}

func newEvents(hook func(Event)) *events {
	return &events{hook: hook, counts: map[EventKind]uint64{}}
}

// tell is called with no lock held.
func (e *events) tell(ev Event) {
	e.mu.Lock()
	e.counts[ev.Kind]++
	e.mu.Unlock()
	if e.hook != nil {
		e.hook(ev)
	}
}

// all are the counts so far.
func (e *events) all() map[EventKind]uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.counts)
}
