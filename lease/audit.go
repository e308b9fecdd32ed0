package lease

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/entropy"
)

const (
	// listAgain is how long after the first listing of an audit the second is asked
	// for, without which nothing is done.
	listAgain = 5 * time.Second
	// auditSoon is after how many lease times, or after which part of the interval if
	// that is longer, the next audit comes when there may be more to repair: after
	// repairs, and after a loss of the group's state, of which seeds may leave holes.
	auditSoon, auditPart = 3, 10
	// auditWarn is after how many audits in a row that found the leases incomplete
	// the worker warns, and again after as many: a few may while they are made.
	auditWarn = 5
	// collectRows is how many rows are removed in one call.
	collectRows = 250
)

// Repair is what an audit did with a lease.
type Repair string

// The repairs. The first two mean that something was wrong, or that records have
// expired before they were handled.
const (
	// RepairAdopted means that a shard of the stream had no lease, and got one.
	RepairAdopted Repair = "adopted"
	// RepairRetired means that a shard was gone from its stream before it was
	// handled to its end, which was made its position.
	RepairRetired Repair = "retired"
	// RepairCollected means that a lease that nobody needs was removed.
	RepairCollected Repair = "collected"
)

// audit is when the leases of a stream are compared with its shards.
type audit struct {
	busy        bool
	due         time.Time // when it is the turn of the first in line
	incarnation string    // of the group, when due was set
	notReady    int       // audits in a row that could do nothing, as the leases are not complete
}

// auditStreams starts the audits that are due.
func (r *run) auditStreams(now time.Time) {
	if r.cfg.List == nil || r.cfg.AuditInterval < 0 || r.hold {
		return
	}
	for _, stream := range r.cfg.Streams {
		a := r.audits[stream]
		if a == nil {
			a = &audit{}
			r.audits[stream] = a
		}
		if a.incarnation != r.scope.Incarnation {
			a.incarnation, a.due = r.scope.Incarnation, now.Add(entropy.Duration(r.cfg.AuditInterval))
			if r.stateLost || r.lost {
				a.due = now.Add(r.auditSoon())
			}
		}
		if a.busy || now.Before(a.due) || !r.table.has(stream) {
			continue
		}
		line := inLine(stream, r.session, r.table.living(r.table.time(now)))
		if now.Before(a.due.Add(time.Duration(line) * r.cfg.AuditInterval)) {
			continue
		}
		a.busy = true
		au := &auditor{cfg: r.cfg, log: r.log.With(zap.String("stream", stream)), pace: r.pace, events: r.events, scope: r.scope, stream: stream}
		r.calls.Go(func() {
			repaired, err := au.audit(r.ctx)
			r.inbox.post(func() { r.audited(a, au, repaired, err, time.Now()) })
		})
	}
}

func (r *run) auditSoon() time.Duration {
	return min(max(auditSoon*r.ttl, r.cfg.AuditInterval/auditPart), r.cfg.AuditInterval)
}

// audited sets when the next audit is due.
func (r *run) audited(a *audit, au *auditor, repaired int, err error, now time.Time) {
	a.busy = false
	r.foundIncomplete(a, au, err, now)
	wait := r.cfg.AuditInterval*9/10 + entropy.Duration(r.cfg.AuditInterval/5)
	switch {
	case err == nil && repaired > 0:
		wait = r.auditSoon() // one repair may make way for another
		r.beatSoon(now)
	case errors.Is(err, ErrSyncing), errors.Is(err, ErrNotReady), errors.Is(err, ErrReset), errors.Is(err, ErrStateLost):
		wait = r.auditSoon()
	case err != nil && r.ctx.Err() == nil:
		au.log.Warn("audit the leases of the stream, will try again", zap.Duration("wait", wait), zap.Error(err))
	}
	a.due = now.Add(wait)
}

// foundIncomplete has leases completed that an audit finds incomplete. They may be
// so though this worker was told that they are complete: what completed them was lost
// with the store's latest writes, before a beat was told of it.
func (r *run) foundIncomplete(a *audit, au *auditor, err error, now time.Time) {
	switch {
	case err == nil:
		a.notReady = 0
		return
	case !errors.Is(err, ErrNotReady):
		return
	}
	r.streams[au.stream].again(now)
	if a.notReady++; a.notReady%auditWarn == 0 {
		au.log.Warn("the leases of the stream are not complete; audits can do nothing", zap.Int("audits", a.notReady))
	}
}

// auditor makes one audit of a stream, in its own goroutine.
type auditor struct {
	cfg    Config
	log    *zap.Logger
	pace   *pace
	events *events
	scope  checkpoint.Scope
	stream string
}

// audit compares the leases of the stream with its shards and repairs what differs.
// It returns how many leases it changed.
func (a *auditor) audit(ctx context.Context) (repaired int, err error) {
	s := survey{stream: a.stream}
	if s.before, err = a.view(ctx); err != nil {
		return 0, err
	}
	if s.first, err = a.cfg.List(ctx, a.stream); err != nil {
		return 0, err
	}
	s.second, s.after, s.now = s.first, s.before, time.Now()
	switch todo, err := s.decide(); {
	case err != nil:
		return 0, err
	case todo.none():
		return 0, nil
	}
	select {
	case <-time.After(listAgain):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	if s.second, err = a.cfg.List(ctx, a.stream); err != nil {
		return 0, err
	}
	if s.after, err = a.view(ctx); err != nil {
		return 0, err
	}
	s.now = time.Now()
	todo, err := s.decide()
	if err != nil {
		return 0, err
	}
	return a.repair(ctx, todo)
}

// view reads the table, and fails when it is not the one that the worker joined.
func (a *auditor) view(ctx context.Context) (View, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*a.pace.call()) // many rows
	defer cancel()
	v, err := a.cfg.Store.View(ctx, a.scope.Group)
	switch {
	case err != nil:
		return View{}, fmt.Errorf("read the leases of group %q: %w", a.scope.Group, err)
	case v.Incarnation != a.scope.Incarnation:
		return View{}, ErrReset
	}
	return v, nil
}

// repair does what was decided; each step is safe by itself.
func (a *auditor) repair(ctx context.Context, r repairs) (repaired int, err error) {
	for _, err := range r.unknown {
		a.log.Error("a shard is gone from the stream, and cannot be ended", zap.Error(err))
	}
	n, err := a.adopt(ctx, r)
	repaired += n
	if err != nil {
		return repaired, err
	}
	for _, ret := range r.retire {
		switch done, err := a.retire(ctx, ret); {
		case err != nil:
			return repaired, err
		case !done:
			return repaired, nil // what comes next may have to wait for it
		}
		repaired++
	}
	for _, c := range []Collection{{Names: r.collect}, {Names: r.deleted, Deleted: true}} {
		n, err := a.collect(ctx, c)
		repaired += n
		if err != nil {
			return repaired, err
		}
	}
	return repaired, nil
}

func (a *auditor) adopt(ctx context.Context, r repairs) (int, error) {
	if len(r.adopt) == 0 {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 4*a.pace.call()) // many rows
	defer cancel()
	if err := a.cfg.Store.Adopt(ctx, a.scope, Adoption{Stream: a.stream, Rows: r.adopt}); err != nil {
		return 0, fmt.Errorf("adopt shards: %w", err)
	}
	missing := map[string]bool{}
	for _, name := range r.missing {
		missing[name] = true
	}
	for _, row := range r.adopt {
		if missing[row.Name] {
			a.log.Warn("the shard had no lease, and has one now", zap.String("lease", row.Name))
			a.tell(RepairAdopted, Lease{Name: row.Name, Shard: row.Shard, Position: row.Position})
		}
	}
	return len(r.adopt), nil
}

// retire reports whether it ended a shard; somebody else may hold it by now.
func (a *auditor) retire(ctx context.Context, r retirement) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, a.pace.call())
	defer cancel()
	switch err := a.cfg.Store.Retire(ctx, a.scope, r.Retirement); {
	case errors.Is(err, ErrHeld), errors.Is(err, checkpoint.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("retire %s: %w", r.Name, err)
	}
	a.log.Warn("the shard has expired before it was read to its end; what was left of it is lost",
		zap.String("lease", r.Name), zap.Stringer("position", r.lease.Position), zap.Int("followed_by", len(r.Children)))
	a.tell(RepairRetired, r.lease)
	return true, nil
}

func (a *auditor) collect(ctx context.Context, c Collection) (removed int, err error) {
	for names := range slices.Chunk(c.Names, collectRows) {
		errs, err := a.collectOnce(ctx, Collection{Names: names, Deleted: c.Deleted})
		if err != nil {
			return removed, err
		}
		for i, name := range names {
			if errs[i] != nil {
				continue // it is needed, or held, by now
			}
			removed++
			a.log.Debug("lease removed", zap.String("lease", name), zap.Bool("stream_deleted", c.Deleted))
			a.tell(RepairCollected, Lease{Name: name})
		}
	}
	return removed, nil
}

func (a *auditor) collectOnce(ctx context.Context, c Collection) ([]error, error) {
	ctx, cancel := context.WithTimeout(ctx, a.pace.call())
	defer cancel()
	errs, err := a.cfg.Store.Collect(ctx, a.scope, c)
	if err != nil {
		return nil, fmt.Errorf("collect %d leases: %w", len(c.Names), err)
	}
	return errs, nil
}

func (a *auditor) tell(done Repair, l Lease) {
	a.events.tell(Event{Kind: EventRepaired, Repair: done, Lease: l})
}
