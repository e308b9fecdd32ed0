package lease

import "time"

// releasePaused asks the runners of leases that are paused by hand, alone or with the
// group, to return: their last positions are saved, and the leases are free until
// the pause ends. A hand-over that is under way becomes part of that.
func (r *run) releasePaused() {
	for _, t := range r.inOrder(func(t *tenure) bool { return t.running && r.holdsBack(t.lease.Name) }) {
		t.handoffBy, t.keep = time.Time{}, false
		if !t.asked {
			t.log.Info("paused by hand")
			r.events.tell(Event{Kind: EventHeld, Lease: t.lease})
			t.drain()
		}
	}
}

// holdsBack reports whether a lease is paused by hand.
func (r *run) holdsBack(name string) bool {
	row, known := r.table.leases[name]
	return r.hold || known && row.Marked(FlagPaused)
}
