package lease

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
)

const (
	// takeAtLeast and takePart bound the leases taken in one step, so that
	// workers that start together share: the larger of 64 and a quarter of
	// the share, every takePause.
	takeAtLeast = 64
	takePart    = 4
	takePause   = 250 * time.Millisecond
	// planPause is for how many times as long as the last plan took the next one
	// waits, so that planning has a fifth of a processor at most.
	planPause = 4
	// idleTurns is how many thirds of the lease time a lease may be without
	// an owner before other workers than the planned one take it, in turn.
	idleTurns = 3
	// askAgain is for how many lease times a worker asks others for nothing
	// after an acquire that failed.
	askAgain = 5
	// failingPart is the part of the lease time that a worker must have left for
	// leases to be moved. Who beats has two thirds of it at least.
	failingPart = 4
	// drainWait is for how many lease times a draining worker puts off moves.
	drainWait = 10
	// keptFor is for how many lease times a lease stays that changed hands, and
	// freshFor for how many it does not move for its load.
	keptFor, freshFor = 1, 10
)

// fleet is what the plan is made from. Its leases are good until the next call.
func (r *run) fleet(now time.Time) Fleet {
	at := r.table.time(now.Add(-r.jitter))
	f := Fleet{Leases: r.rows[:0], Sessions: r.table.living(at), Now: r.table.time(now)}
	r.table.meet(f.Sessions, now)
	for _, l := range r.table.order() {
		if l.Epoch > 0 || l.Finished() || l.Shard.known() { // else what it waits for cannot be read
			f.Leases = append(f.Leases, *l)
		}
	}
	r.rows = f.Leases
	r.overlay(f)
	r.rest(&f, now)
	f.Rebalance = r.quiet(now, f.Sessions) && !now.Before(r.askDue)
	return f
}

// overlay adds what this worker has done since the last beat.
func (r *run) overlay(f Fleet) {
	of := func(name string) *Lease {
		i, known := slices.BinarySearchFunc(f.Leases, name, func(l Lease, name string) int { return cmp.Compare(l.Name, name) })
		if !known {
			return &Lease{} // not planned
		}
		return &f.Leases[i]
	}
	for name := range r.acquiring {
		of(name).Token = checkpoint.Token(r.session) // it counts before it is granted
	}
	for name, t := range r.tenures {
		of(name).Token = t.lease.Token
	}
	for name := range r.asking {
		l := of(name)
		l.Want, l.WantUntil = r.session, f.Now+r.wishTime().Milliseconds()
	}
}

// rest says which leases are not to be asked for: those that were, and those
// that changed hands lately.
func (r *run) rest(f *Fleet, now time.Time) {
	f.Keep, f.Fresh, f.Refused, f.Self = map[string]bool{}, map[string]bool{}, map[string]bool{}, r.session
	for name, until := range r.asked {
		if now.Before(until) {
			f.Refused[name] = true
		} else {
			delete(r.asked, name)
		}
	}
	for name, at := range r.table.moved {
		switch age := now.Sub(at); {
		case age < keptFor*r.ttl:
			f.Keep[name] = true
		case age < freshFor*r.ttl:
			f.Fresh[name] = true
		default:
			delete(r.table.moved, name)
		}
	}
}

// quiet reports whether leases of the living may be moved: nobody came or went
// for a lease time, nobody is about to, and nobody drains.
func (r *run) quiet(now time.Time, sessions []Session) bool {
	if r.table.failing(sessions, r.table.time(now)) {
		return false
	}
	calm := now.Sub(r.table.quiet)
	draining := slices.ContainsFunc(sessions, func(s Session) bool { return s.State == StateDrain })
	return calm >= r.ttl && (!draining || calm >= drainWait*r.ttl)
}

// plan divides the leases, and starts this worker's part of it.
func (r *run) plan(now time.Time) {
	r.planDue = time.Time{}
	f := r.fleet(now)
	p := newPlanner(f)
	r.answerWishes(p, now)
	if !r.hold {
		a := p.plan()
		r.take(r.wanted(p, a, now), a.Shares[r.session], now)
		r.ask(a, now)
		if wait := r.ttl - now.Sub(r.table.quiet); wait > 0 {
			r.planSoon(now.Add(wait))
		}
		for _, t := range r.table.lapses(now, r.jitter) {
			r.planSoon(t)
		}
	}
	end := time.Now()
	r.planRest = end.Add(planRest(end.Sub(now), r.ttl))
}

// planRest is how long nothing is planned after a plan that took so long.
func planRest(took, ttl time.Duration) time.Duration {
	return min(planPause*took, ttl/10)
}

// wanted are the leases that this worker should acquire: those that the plan
// gives it, its own without a runner, and those that nobody takes.
func (r *run) wanted(p *planner, a Assignment, now time.Time) []string {
	mine, again, planned := map[string]bool{}, map[string]bool{}, make(map[string]bool, len(a.Take))
	for _, s := range a.Take {
		planned[s.Lease] = true
		if s.Session == r.session {
			mine[s.Lease] = true
		}
	}
	held := 0
	for i := range p.f.Leases {
		l := &p.f.Leases[i]
		switch {
		case l.Token != "" && SessionOf(l.Token) == r.session && !l.Finished():
			held++
			if r.orphan(l.Name, r.applied) {
				again[l.Name] = true
			}
		case len(planned) > 0 && planned[l.Name] && r.overdue(p, l.Name, now):
			mine[l.Name] = true
		}
	}
	for name := range r.idle {
		if !planned[name] && !r.acquiring[name] {
			delete(r.idle, name)
		}
	}
	out := r.due(mine, now)
	if r.cfg.MaxLeases > 0 {
		out = out[:min(len(out), max(r.cfg.MaxLeases-held, 0))]
	}
	return append(r.due(again, now), out...) // its own count in held already
}

// due are those of names that may be acquired now, in order.
func (r *run) due(names map[string]bool, now time.Time) []string {
	var out []string
	for name := range names {
		switch wait := r.notBefore[name].Sub(now); {
		case r.tenures[name] != nil || r.acquiring[name]:
		case wait > 0:
			r.planSoon(now.Add(wait))
		default:
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// overdue reports whether it is this worker's turn to take a lease that its
// planned owner leaves alone.
func (r *run) overdue(p *planner, name string, now time.Time) bool {
	since, known := r.idle[name]
	if !known {
		r.idle[name] = now
		return false
	}
	turns := int(now.Sub(since) / max(r.ttl/3, 1))
	return turns >= idleTurns && p.turn(name, turns-idleTurns) == r.session
}

// take acquires leases, so many at a time that workers that start together
// share.
func (r *run) take(names []string, share float64, now time.Time) {
	if len(names) == 0 {
		return
	}
	if !now.Before(r.takeEnd) {
		r.taken, r.takeEnd = 0, now.Add(takePause)
	}
	if left := max(takeAtLeast, int(share/takePart)) - r.taken; len(names) > left {
		names = names[:max(left, 0)]
		r.planSoon(r.takeEnd)
	}
	if len(names) == 0 {
		return
	}
	r.taken += len(names)
	a := Acquire{Session: r.session, First: r.numbers + 1, Names: names}
	r.numbers += uint64(len(names))
	for _, name := range names {
		r.acquiring[name] = true
	}
	scope, breaks := r.scope, r.breaks
	r.async(func(ctx context.Context) func() {
		grants, err := r.cfg.Store.Acquire(ctx, scope, a)
		return func() {
			now := time.Now()
			r.checkDeadline(now)
			switch {
			case scope != r.scope || a.Session != r.session:
				err = ErrReset // the answer is of a state that is gone
			case breaks != r.breaks && err == nil:
				err = ErrExpired // a beat will tell whose the leases are
			}
			r.acquired(a, grants, err, now)
		}
	})
}

// acquired starts a runner on every lease that was granted.
func (r *run) acquired(a Acquire, grants []Grant, err error, now time.Time) {
	for i, name := range a.Names {
		delete(r.acquiring, name)
		r.touched[name] = r.sent
		if err == nil && grants[i].Err == nil {
			delete(r.idle, name)
			l := Lease{Name: name}
			if row := r.table.leases[name]; row != nil {
				l = *row
			}
			r.table.learn(Lease{Name: name, Epoch: grants[i].Epoch, Shard: grants[i].Shard})
			r.begin(l, grants[i], now)
		} else if err == nil {
			r.denied(name, grants[i].Err, now)
		}
	}
	switch {
	case errors.Is(err, ErrReset), errors.Is(err, ErrStateLost):
		r.beatSoon(now)
	case err != nil:
		// Who cannot take what is free must not empty the hands of others.
		r.askDue = now.Add(askAgain * r.ttl)
		r.log.Warn("acquire leases, will try again", zap.Int("leases", len(a.Names)), zap.Error(err))
		r.beatSoon(now.Add(r.ttl / 16))
	}
}

// denied waits a while before a lease is tried again.
func (r *run) denied(name string, err error, now time.Time) {
	r.log.Debug("lease not acquired", zap.String("lease", name), zap.Error(err))
	wait := r.ttl / 30
	switch {
	case errors.Is(err, ErrNotReady):
		r.streams[StreamOf(name)].again(now.Add(r.ttl))
		wait = r.ttl / 3
	case errors.Is(err, ErrSyncing):
		// What the seeds made is completed by whoever lists the stream first.
		r.streams[StreamOf(name)].again(now)
		wait = r.ttl / 10
	case errors.Is(err, ErrParent), errors.Is(err, ErrGone), errors.Is(err, ErrPaused):
		wait = r.ttl / 3
	case errors.Is(err, ErrExpired):
		r.beatSoon(now)
	}
	r.notBefore[name] = now.Add(wait)
	r.planSoon(now.Add(wait))
}

// ask asks living owners for the leases that the plan moves to this worker.
func (r *run) ask(a Assignment, now time.Time) {
	var names []string
	for _, s := range a.Move {
		if s.Session == r.session {
			names = append(names, s.Lease)
			// Refused or forgotten wishes are not repeated at once.
			r.asked[s.Lease] = now.Add(r.wishTime())
			r.asking[s.Lease] = math.MaxUint64 // until the call has ended
		}
	}
	if len(names) == 0 {
		return
	}
	scope, req := r.scope, Request{Session: r.session, For: r.wishTime(), Names: names}
	r.async(func(ctx context.Context) func() {
		_, err := r.cfg.Store.Request(ctx, scope, req) // a wish that another has is seen by the next beat
		return func() {
			for _, name := range names {
				r.asking[name] = r.sent
			}
			if err != nil {
				r.log.Warn("ask for leases", zap.Int("leases", len(names)), zap.Error(err))
				return
			}
			for _, name := range names {
				r.tellWanted(name)
			}
		}
	})
}

// tellWanted tells that a lease was asked for.
func (r *run) tellWanted(name string) {
	ev := Event{Kind: EventWanted, Lease: Lease{Name: name}}
	if l := r.table.leases[name]; l != nil {
		ev.Lease, ev.Peer = *l, r.table.sessions[SessionOf(l.Token)].Name
	}
	r.events.tell(ev)
}

// wishTime is how long a wish stands: the owner's hand-over and its saving.
func (r *run) wishTime() time.Duration { return r.cfg.HandoffTime + r.ttl }

// answerWishes begins the hand-over of leases that others asked for, or refuses.
// A refused wish does not count against the next.
func (r *run) answerWishes(p *planner, now time.Time) {
	for i := range p.f.Leases {
		l := &p.f.Leases[i]
		if l.Want == "" || l.Want == r.session || l.WantUntil <= p.f.Now {
			continue
		}
		t := r.tenures[l.Name]
		if t == nil || !t.running || t.asked {
			continue
		}
		if !p.agrees(l) {
			r.refuse(t, l.Want)
			continue
		}
		to := r.table.sessions[l.Want].Name
		t.log.Info("hand-over", zap.String("to", to))
		r.events.tell(Event{Kind: EventAsked, Lease: t.lease, Peer: to})
		t.handoffBy, t.wish = now.Add(r.cfg.HandoffTime), l.Want
		t.drain()
	}
}

// refuse withdraws a session's wish for a lease of ours.
func (r *run) refuse(t *tenure, session string) {
	r.events.tell(Event{Kind: EventRefused, Lease: t.lease, Peer: r.table.sessions[session].Name})
	scope, refusal := r.scope, Refusal{Name: t.lease.Name, Token: t.lease.Token, Session: session}
	r.async(func(ctx context.Context) func() {
		err := r.cfg.Store.Refuse(ctx, scope, refusal)
		return func() {
			if err != nil {
				t.log.Warn("refuse to hand over", zap.Error(err))
			}
		}
	})
}

// retake acquires, while draining, what the store shows as ours without a
// runner: a late answer or an outage left it so. Its runner is asked to return
// at once, which gives the lease back without waiting for the other runners.
func (r *run) retake(now time.Time) {
	own := map[string]bool{}
	for name, l := range r.table.leases {
		if SessionOf(l.Token) == r.session && !l.Finished() && r.orphan(name, r.applied) {
			own[name] = true
		}
	}
	r.take(r.due(own, now), 0, now)
}
