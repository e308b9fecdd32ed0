package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// coalesce is the least time between two beats that changes of others bring
// about.
const coalesce = 10 * time.Millisecond

// beatSoon has a beat sent at a time, now mostly because something changed, or
// earlier if one is due already.
func (r *run) beatSoon(at time.Time) {
	r.hinted = r.beating
	if at = later(at, r.beatStart.Add(coalesce)); at.Before(r.beatDue) {
		r.beatDue = at
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// beat renews the session; the answer comes to answered.
func (r *run) beat(now time.Time) {
	r.beating, r.hinted, r.beatStart = true, false, now
	r.sent++
	no := r.sent
	b := Beat{
		Incarnation:    r.scope.Incarnation,
		NewIncarnation: uuid.NewString(),
		Session:        r.describe(),
		First:          !r.named,
		Number:         no,
		Good:           r.good,
		Stamp:          r.stamp,
		Seen:           r.seen,
		TTL:            r.ttl, // the group's, also when it has to be made anew
	}
	limit := r.pace.beat()
	r.async(func(ctx context.Context) func() {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		v, err := r.cfg.Store.Beat(ctx, r.cfg.Group, b)
		return func() { r.answered(no, b, v, err, time.Now()) }
	})
}

func (r *run) describe() Session {
	state := StateUp
	if r.draining {
		state = StateDrain
	}
	return Session{
		ID: r.session, Name: r.cfg.WorkerName, Host: r.cfg.Host, Plan: PlanVersion, Version: r.cfg.Version,
		Streams: r.cfg.Streams, Capacity: r.cfg.Capacity, MaxLeases: r.cfg.MaxLeases, State: state,
	}
}

// answered takes the answer to beat number no, or its failure.
func (r *run) answered(no uint64, b Beat, v View, err error, now time.Time) {
	if r.cfg.Hooks.Beat != nil {
		r.cfg.Hooks.Beat(now.Sub(r.beatStart), err)
	}
	r.beating, r.heard = false, no
	r.checkDeadline(now) // what the loop slept over has its end, though this answer is a good one
	r.beatErr = err
	switch {
	case err == nil:
		if !r.beatFailed.IsZero() {
			r.log.Info("the store answers again", zap.Duration("after", now.Sub(r.beatFailed)))
			r.beatFailed = time.Time{}
		}
		r.apply(no, v, now)
	case errors.Is(err, ErrReset), errors.Is(err, ErrStateLost):
		r.restart(v.Incarnation, err, now)
	case errors.Is(err, ErrRegressed):
		r.log.Warn("the store lost its latest writes; reading the whole table", zap.Error(err))
		r.events.tell(Event{Kind: EventWritesLost, Err: err})
		r.recall.again()
		r.keepStarts()
		r.good, r.stamp = 0, 0
		r.reread()
		r.beatDue = now
	case errors.Is(err, ErrResync):
		r.reread()
		r.beatDue = now
	case errors.Is(err, ErrGone):
		r.log.Warn("the session was removed; joining with a new one")
		r.joined = false
		r.cancelAll(err)
		r.session, r.good, r.stamp = uuid.NewString(), 0, 0
		r.reread() // the new session has not been told of anything
		r.beatDue = now
	case errors.Is(err, ErrSuperseded):
		r.supersede(b, err, now)
	default:
		r.unreachable(err, now)
	}
}

// apply takes a good answer.
func (r *run) apply(no uint64, v View, now time.Time) {
	if !r.joined {
		r.joined = true
		r.events.tell(Event{Kind: EventJoined})
	}
	if r.scope.Incarnation == "" {
		r.log.Info("joined the group", zap.String("session", r.session), zap.String("incarnation", v.Incarnation))
		if v.TTL != r.cfg.TTL {
			r.log.Warn("the group keeps the lease time that it was made with",
				zap.Duration("lease_time_of_group", v.TTL), zap.Duration("lease_time_configured", r.cfg.TTL))
		}
		r.calls.Go(func() { r.watch(r.ctx) })
	}
	r.scope.Incarnation, r.ttl, r.hold, r.lost = v.Incarnation, v.TTL, v.Paused, v.Lost
	r.pace.set(v.TTL)
	if r.syncing = v.SyncUntil > 0; !r.syncing {
		r.recall = nil // what was remembered is there, or too late
	}
	r.superseded = time.Time{}
	r.named, r.good, r.stamp, r.asOf, r.seen = true, no, v.Stamp, v.Stamp, v.Through
	r.table.apply(v, now)
	for _, name := range v.Gone {
		r.forget(name)
	}
	r.partly = append(r.partly, goodAnswer{no, r.beatStart, v.Head})
	switch {
	case v.More:
		r.beatDue = now // the next page
	case r.hinted:
		r.beatDue = later(now, r.beatStart.Add(coalesce))
	default:
		r.beatDue = r.beatStart.Add(r.ttl / 3)
	}
	r.applyWhole(v, now)
}

// goodAnswer is an answered beat of which not all changes are applied yet.
type goodAnswer struct {
	no    uint64
	start time.Time
	head  uint64 // the last change that there was
}

// applyWhole takes the last of the beats whose changes are all applied. Where
// changes come faster than pages are read that is not the last one answered, but
// the worker knows all that was true at its start, which is what its leases
// depend on. A table that is read from its beginning is whole at its end only: a
// row that changes meanwhile goes to the end, and was not read before.
func (r *run) applyWhole(v View, now time.Time) {
	n := 0
	for n < len(r.partly) && (!v.More || r.synced && r.partly[n].head <= v.Through) {
		n++
	}
	if n == 0 {
		return
	}
	whole := r.partly[n-1]
	r.partly = r.partly[n:]
	r.synced, r.applied, r.former = true, whole.no, nil
	r.term.renew(whole.start, r.ttl)
	if _, over := r.term.over(now); r.paused && !over {
		r.paused = false
		r.log.Info("leases are good again")
		r.events.tell(Event{Kind: EventResumed})
	}
	r.reconcile(whole.no)
	r.checkGivenBack(whole.no, now)
	r.planSoon(now)
}

// reread has the whole table read from its beginning.
func (r *run) reread() {
	if r.synced {
		r.former = r.table
	}
	r.seen, r.synced, r.table, r.partly = 0, false, newMirror(), nil
}

// restart joins the state that was made anew, and has what was in the old given
// back to it. The runners are cancelled: they have no lease any more.
func (r *run) restart(incarnation string, err error, now time.Time) {
	r.log.Error("the group's state was lost; joining the new one", zap.String("incarnation", incarnation), zap.Error(err))
	r.joined = false
	r.events.tell(Event{Kind: EventStateLost, Err: err})
	r.remember()
	for _, t := range r.inOrder(all) {
		t.lose(err)
	}
	r.scope.Incarnation, r.good, r.stamp, r.seen, r.synced, r.stateLost = incarnation, 0, 0, 0, false, true
	for stream, c := range r.streams {
		c.anew(r.table.has(stream) || r.former != nil && r.former.has(stream))
	}
	r.table, r.former, r.partly = newMirror(), nil, nil
	clear(r.touched)
	clear(r.idle)
	clear(r.asked)
	clear(r.asking)
	r.beatDue = now
}

// supersede pauses when another worker runs under the same name, which has the
// leases now, and gives up when it still does after two lease times: one that died
// has lapsed by then.
func (r *run) supersede(b Beat, err error, now time.Time) {
	if r.superseded.IsZero() {
		r.superseded = now
		r.log.Error("another worker runs under the same name; nothing is handled until it is gone")
		r.events.tell(Event{Kind: EventSuperseded, Err: err})
	}
	if !r.paused { // what was acquired before may be granted yet
		r.paused = true
		r.cancelAll(err)
	}
	if now.Sub(r.superseded) >= 2*r.ttl {
		r.fail(fmt.Errorf("join group %q: worker name %q: %w", r.cfg.Group, b.Session.Name, err))
	}
	r.beatDue = now.Add(r.ttl / 3)
}

// unreachable tries again soon, because the lease time runs.
func (r *run) unreachable(err error, now time.Time) {
	if r.beatFailed.IsZero() {
		r.beatFailed = r.beatStart
		r.log.Warn("beat, will try again", zap.Error(err))
	}
	if r.term.started().IsZero() && (!now.Before(r.joinBy) || errors.Is(err, ErrRefused)) {
		r.fail(fmt.Errorf("join group %q: %w", r.cfg.Group, err))
	}
	r.beatDue = later(now, r.beatStart.Add(r.pace.beat()))
}

// checkDeadline cancels all runners when the leases have run out.
func (r *run) checkDeadline(now time.Time) {
	since, over := r.term.over(now)
	if r.paused || !over {
		return
	}
	r.paused = true
	r.log.Warn("the store confirmed no beat for almost the lease time; nothing is handled until it does",
		zap.Duration("for", since), zap.Error(r.beatErr))
	r.events.tell(Event{Kind: EventPaused, Err: r.beatErr})
	r.cancelAll(errUnconfirmed)
}
