package lease

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"
)

// maxCoolDown is the longest pause after a runner that ended too early.
const maxCoolDown = time.Minute

// errExited stands for the error of a runner that never returned it.
var errExited = errors.New("runner ended its goroutine (runtime.Goexit)")

// tenure is a held lease as the loop sees it.
type tenure struct {
	*Held
	since     uint64    // beats sent when it was acquired
	started   time.Time // when the runner started
	running   bool      // the runner has not returned
	asked     bool      // to return: drain, hand-over
	handoffBy time.Time // when the hand-over is refused, zero when none is under way
	wish      string    // the session that the hand-over is for, empty for none
	keep      bool      // the hand-over was refused: keep the lease when the runner returns
	saveBy    time.Time // when its last position is given up, zero while it runs
	cause     error     // why the runner's context was cancelled, nil if it was not
	children  int       // of a completed shard
}

// begin starts the runner of a lease that was granted.
func (r *run) begin(l Lease, g Grant, now time.Time) {
	h := newHeld(l, g, r.scope, r.cfg.Store, r.saver, r.term, r.log)
	ctx, cancel := context.WithCancelCause(r.ctx)
	h.cancel = cancel
	t := &tenure{Held: h, since: r.sent, started: now, running: true}
	h.ended = func(children []Row) { r.inbox.post(func() { r.completed(t, children) }) }
	r.tenures[l.Name] = t
	delete(r.past, l.Name)
	switch {
	case r.draining:
		t.drain()
	case r.paused || r.fatal != nil:
		cancel(lostBy(r.why))
	}
	fields := []zap.Field{zap.Stringer("position", h.entry.Position)}
	if former := SessionOf(l.Token); former != "" && former != r.session {
		fields = append(fields, zap.String("from", r.table.nameOf(former)), zap.String("why", "its session lapsed"))
	}
	h.log.Info("lease acquired", fields...)
	r.events.tell(Event{Kind: EventAcquired, Lease: h.lease})
	r.calls.Go(func() {
		err := errExited
		defer func() { // also when Run ends the goroutine, as t.FailNow does
			cause := context.Cause(ctx)
			cancel(nil)
			r.inbox.post(func() { r.returned(t, err, cause) })
		}()
		err = r.cfg.Run(ctx, h)
	})
}

// drain asks the runner to return.
func (t *tenure) drain() {
	t.asked = true
	t.Held.drain()
}

// returned goes on when a runner has: it saves the last position and gives the
// lease back, unless it is completed, lost, or to be kept.
func (r *run) returned(t *tenure, err, cause error) {
	t.running, t.handoffBy, t.cause = false, time.Time{}, cause
	name := t.lease.Name
	if cause == nil && !t.asked && t.over() == nil {
		r.coolDown(t, err)
	}
	// After the local deadline the lease may still be ours: its position is
	// saved, and it is acquired anew when the store answers.
	release := !t.keep && !r.paused && !errors.Is(cause, ErrLost) || r.draining
	t.finish(release, func(err error) {
		r.inbox.post(func() { r.settled(t, release, err, time.Now()) })
	})
	if err != nil && cause == nil {
		r.log.Warn("runner ended with an error", zap.String("lease", name), zap.Error(err))
	}
}

// coolDown keeps a lease from being taken again at once by this worker, when
// its runner ended without being asked to.
func (r *run) coolDown(t *tenure, err error) {
	name := t.lease.Name
	if err == nil || time.Since(t.started) > maxCoolDown {
		r.failures[name] = 0
	}
	r.failures[name]++
	pause := min(r.ttl<<min(r.failures[name]-1, 16), maxCoolDown)
	r.notBefore[name] = time.Now().Add(pause)
}

// settled ends a tenure: nothing of it is in flight any more.
func (r *run) settled(t *tenure, released bool, err error, now time.Time) {
	name := t.lease.Name
	delete(r.tenures, name)
	r.note(t)
	r.recall.add(t)
	r.touched[name] = r.sent
	switch {
	case errors.Is(err, errCompleted):
		delete(r.failures, name)
		delete(r.notBefore, name)
		t.log.Info("shard handled to its end", zap.Int("children", t.children))
		r.events.tell(Event{Kind: EventCompleted, Lease: t.lease})
	case err != nil:
		if r.draining {
			r.unsaved++
			r.asks = r.sent + 1
			r.beatSoon(now)
		}
		r.events.tell(Event{Kind: EventLost, Lease: t.lease, Err: err})
	case released:
		if t.wish != "" {
			t.log.Info("lease released", zap.String("to", r.table.nameOf(t.wish)))
		} else {
			t.log.Info("lease released")
		}
		r.events.tell(Event{Kind: EventReleased, Lease: t.lease})
	case !t.keep:
		err = ErrLost
		if errors.Is(t.cause, ErrLost) {
			err = t.cause // which says more
		}
		r.events.tell(Event{Kind: EventLost, Lease: t.lease, Err: err})
	}
	if !r.draining {
		r.beatSoon(now)
	}
}

// completed has the children planned at once, without waiting for the runner.
func (r *run) completed(t *tenure, children []Row) {
	t.children = len(children)
	r.table.followed(t.lease.Name, children)
	r.touched[t.lease.Name] = r.sent
	r.beatSoon(time.Now())
}

// cancelAll cancels all runners, because their leases may not be ours. Nor may those
// be that were asked for before, whatever the answer says: the session may have
// lapsed between the two, and another worker have them.
func (r *run) cancelAll(why error) {
	r.breaks++
	r.why = why
	for _, t := range r.inOrder(all) {
		t.cancel(lostBy(why))
	}
}

// inOrder are the tenures that match, by name. What is told to several of them is
// told in an order that a simulation can repeat.
func (r *run) inOrder(match func(*tenure) bool) []*tenure {
	var out []*tenure
	for _, t := range r.tenures {
		if match(t) {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b *tenure) int { return cmp.Compare(a.lease.Name, b.lease.Name) })
	return out
}

// all matches every tenure.
func all(*tenure) bool { return true }

// running reports whether a runner has not returned.
func (r *run) running() bool {
	for _, t := range r.tenures {
		if t.running {
			return true
		}
	}
	return false
}

// checkTenures acts on what takes too long.
func (r *run) checkTenures(now time.Time) {
	r.releasePaused()
	if r.draining && !r.drainBy.IsZero() && !now.Before(r.drainBy) {
		r.drainBy = time.Time{}
		for _, t := range r.inOrder(func(t *tenure) bool { return t.running }) {
			t.log.Warn("runner did not return in time; cancelled")
			t.cancel(ErrDrainTimeout)
		}
	}
	for _, t := range r.inOrder(func(t *tenure) bool { return !t.handoffBy.IsZero() && !now.Before(t.handoffBy) }) {
		t.handoffBy, t.keep = time.Time{}, true
		t.log.Warn("hand-over takes too long; refused")
		r.refuse(t, t.wish)
		t.wish = ""
	}
	for _, t := range r.tenures {
		if !t.running && (r.paused || t.saveBy.IsZero()) {
			t.saveBy = now.Add(r.ttl)
		}
	}
	for _, t := range r.inOrder(func(t *tenure) bool { return r.stuck(t, now) }) {
		t.log.Error("the last position cannot be saved; given up, and what is behind the stored one is delivered again")
		t.end(lostBy(errUnsaved))
	}
}

// stuck reports whether a store that answers beats has not taken the last position
// of a runner that returned for a lease time. The lease would have no runner for as
// long; it gets one where the stored position is.
func (r *run) stuck(t *tenure, now time.Time) bool {
	return !t.running && !r.draining && t.over() == nil && !now.Before(t.saveBy)
}

// reconcile compares what this worker runs with what beat number no said, as
// far as it was sent after the last call about each lease, drops what is over, and
// gives back what a pause by hand does not let it run.
func (r *run) reconcile(no uint64) {
	for _, t := range r.inOrder(func(t *tenure) bool { return r.lacks(t, no) }) {
		t.lose(lostTo(r.table.leases[t.lease.Name], t.lease))
	}
	maps.DeleteFunc(r.past, func(_ string, n Remembered) bool { return r.table.overtakes(n) })
	for name, sent := range r.touched {
		if row := r.table.leases[name]; row != nil && row.Finished() && r.tenures[name] == nil && sent < no {
			r.forget(name)
		}
	}
	maps.DeleteFunc(r.asking, func(_ string, sent uint64) bool { return sent < no })
	r.releaseOrphans()
}

// lacks reports whether the table, by beat number no, does not show a lease that
// runs here as ours. While it is being completed, the call that is on its way tells
// what became of it.
func (r *run) lacks(t *tenure, no uint64) bool {
	row := r.table.leases[t.lease.Name]
	return !t.completing.Load() && t.since < no && t.running && t.over() == nil && (row == nil || row.Token != t.lease.Token)
}

// forget drops what is known of a lease that will not be taken again.
func (r *run) forget(name string) {
	delete(r.touched, name)
	delete(r.notBefore, name)
	delete(r.failures, name)
	delete(r.idle, name)
	delete(r.asked, name)
	delete(r.past, name)
}

// orphan reports whether a lease that the table shows as ours, by beat number
// no, has no runner, and no call of ours about it explains that.
func (r *run) orphan(name string, no uint64) bool {
	return r.tenures[name] == nil && !r.acquiring[name] && r.touched[name] < no
}
