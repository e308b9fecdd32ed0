package lease

import (
	"slices"
	"strings"
	"time"
)

// Status is what a worker knows at one moment.
type Status struct {
	Group, Worker, Session string
	// Joined says that the worker has read the whole table, and goes on being
	// true until Run returns.
	Joined bool
	// Paused says that the store confirmed no beat for almost the lease time,
	// so that no runner may run.
	Paused bool
	// Draining says that the worker is on its way out.
	Draining bool
	// TTL is the group's lease time.
	TTL time.Duration
	// LastBeat is when the last good beat was sent.
	LastBeat time.Time
	// LastError is why the last beat failed, nil when it did not.
	LastError error
	// Events counts what happened since Run was called, for metrics.
	Events map[EventKind]uint64
	// Held are the leases with a runner, by name.
	Held []Lease
	// Leases and Sessions are the group as the worker sees it, by name;
	// positions are as of the last change of owner.
	Leases   []Lease
	Sessions []Session
}

// status is for the loop's goroutine.
func (r *run) status() Status {
	s := Status{
		Group: r.cfg.Group, Worker: r.cfg.WorkerName, Session: r.session,
		Joined: r.synced, Paused: r.paused, Draining: r.draining,
		TTL: r.ttl, LastBeat: r.term.started(), LastError: r.beatErr,
		Sessions: r.table.living(r.table.time(time.Now())), Events: r.events.all(),
	}
	for _, name := range sortedKeys(r.tenures) {
		s.Held = append(s.Held, r.tenures[name].lease)
	}
	for _, row := range r.table.order() {
		l := *row
		l.Shard = l.Shard.clone()
		if l.Epoch > 0 {
			l.Shard.Parents = nil
		}
		s.Leases = append(s.Leases, l)
	}
	slices.SortFunc(s.Sessions, func(a, b Session) int { return strings.Compare(a.Name, b.Name) })
	return s
}
