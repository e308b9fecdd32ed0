package lease

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
)

// releasePaused asks the runners of leases that are paused by hand, alone or with the
// group, to return: their last positions are saved, and the leases are free until
// the pause ends. A hand-over that is under way becomes part of that.
func (r *run) releasePaused() {
	for _, t := range r.inOrder(func(t *tenure) bool { return t.running && r.holdsBack(t.lease.Name) }) {
		t.handoffBy, t.keep, t.wish = time.Time{}, false, ""
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

// releaseOrphans gives back the leases that are paused by hand, are ours by the last
// beat, and have no runner, as when the answer to an acquire was lost. In a pause they
// are not granted again, and without a runner nobody else would give them back: who
// waits for the pause would wait for ever.
func (r *run) releaseOrphans() {
	if r.paused || r.fatal != nil || r.leaving {
		return
	}
	var updates []checkpoint.Update
	for _, l := range r.table.order() {
		if SessionOf(l.Token) == r.session && !l.Finished() && r.holdsBack(l.Name) && r.orphan(l.Name, r.applied) && len(updates) < saveRows {
			updates = append(updates, checkpoint.Update{Lease: l.Name, Token: l.Token, Position: checkpoint.Start(), Release: true})
			r.acquiring[l.Name] = true // a call about it is on its way
		}
	}
	if len(updates) == 0 {
		return
	}
	scope := r.scope
	r.async(func(ctx context.Context) func() {
		err := releaseWhereTheyAre(ctx, r.cfg.Store, scope, updates)
		return func() {
			for _, u := range updates {
				delete(r.acquiring, u.Lease)
				r.touched[u.Lease] = r.sent
			}
			if err != nil { // the next beat tells which are ours yet
				r.log.Warn("give back leases without a runner, will try again", zap.Int("leases", len(updates)), zap.Error(err))
				return
			}
			r.log.Info("leases without a runner given back: paused by hand", zap.Int("leases", len(updates)))
			r.beatSoon(time.Now())
		}
	})
}

// releaseWhereTheyAre releases leases at the positions that the store has. Which these
// are is not known here: a start is before all others, and the answer to one that
// is too early says it. A lease that is another's by now is left alone.
func releaseWhereTheyAre(ctx context.Context, store checkpoint.Store, scope checkpoint.Scope, updates []checkpoint.Update) error {
	for len(updates) > 0 {
		outcomes, err := store.Save(ctx, scope, updates...)
		if err != nil {
			return err
		}
		var early []checkpoint.Update
		for i, o := range outcomes {
			if errors.Is(o.Err, checkpoint.ErrRegress) {
				u := updates[i]
				u.Position = o.Position
				early = append(early, u)
			}
		}
		updates = early
	}
	return nil
}
