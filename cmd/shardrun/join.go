package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// guest is a session of this program in a group: what only a living session can do is
// done as a worker that takes nothing.
type guest struct {
	*group
	session     lease.Session
	ttl         time.Duration // of a group that does not exist yet
	incarnation string
	beats       uint64
}

// join joins the group. State of which a part is missing is made anew with that, as by
// the first worker that runs.
func join(ctx context.Context, g *group, ttl time.Duration) (*guest, lease.View, error) {
	host, _ := os.Hostname() // an unknown host is shown as such
	w := &guest{group: g, ttl: ttl, session: lease.Session{
		ID: uuid.NewString(), Host: cmp.Or(host, "unknown"), Plan: lease.PlanVersion, Capacity: 1, State: lease.StatePaused,
	}}
	w.session.Name = "shardrun-leases-" + w.session.ID
	v, err := w.beat(ctx)
	if errors.Is(err, lease.ErrStateLost) {
		v, err = w.beat(ctx)
	}
	return w, v, err
}

// beat renews the session. After a loss it has joined what was made anew.
func (w *guest) beat(ctx context.Context) (lease.View, error) {
	w.beats++
	v, err := w.Beat(ctx, w.name, lease.Beat{
		Incarnation: w.incarnation, NewIncarnation: uuid.NewString(), Session: w.session, Number: w.beats, TTL: w.ttl,
	})
	w.incarnation = cmp.Or(v.Incarnation, w.incarnation)
	return v, err
}

func (w *guest) scope() checkpoint.Scope {
	return checkpoint.Scope{Group: w.name, Incarnation: w.incarnation}
}

// leave takes the session out of the group, also when ctx has ended.
func (w *guest) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return w.Bye(ctx, w.scope(), w.session.ID)
}

// settle makes state anew of which a part is missing, and waits until the workers have
// given back what they remember of it. Session time stands still when nobody beats, so
// without workers nothing but this ends that time.
func settle(ctx context.Context, g *group, ttl time.Duration) (err error) {
	w, v, err := join(ctx, g, ttl)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.leave(ctx)) }()
	for v.SyncUntil > v.Now {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(v.TTL / 10):
		}
		if v, err = w.beat(ctx); err != nil {
			return err
		}
	}
	return nil
}

// makeLeases makes the first leases of a stream, which has none.
func makeLeases(ctx context.Context, g *group, ttl time.Duration, stream string, rows []lease.Row) (err error) {
	w, _, err := join(ctx, g, ttl)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.leave(ctx)) }()
	return g.Create(ctx, w.scope(), lease.Create{Session: w.session.ID, Stream: stream, Rows: rows})
}
