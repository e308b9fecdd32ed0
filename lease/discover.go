package lease

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
)

// createStreams makes the first leases of the streams that have none. In a pause
// by hand whoever paused may be making them anew.
func (r *run) createStreams(now time.Time) {
	if r.hold {
		r.tellHeld()
		for _, c := range r.streams {
			c.seen, c.was = nil, nil // what a reset by hand makes is not from before it
		}
		return
	}
	r.heldTold = false
	for stream, c := range r.streams {
		if c.busy {
			continue
		}
		c.look(r.table)
		has := r.table.has(stream)
		if now.Before(c.due) || !c.redo && has {
			continue
		}
		c.busy = true
		// One case remains in which records can be skipped: everything was lost, and
		// the first to come back is a new worker. To it the group looks like one that
		// never was, and it starts where its user said new groups start.
		discover, halt := r.cfg.Discover, false
		if r.mayHaveRead(stream) {
			discover, halt = r.cfg.Rediscover, r.cfg.HaltOnLoss
		}
		scope, session, was := r.scope, r.session, c.was
		r.calls.Go(func() {
			if has {
				if err := r.incomplete(scope, stream); err != nil {
					r.inbox.post(func() { r.created(stream, nil, err, time.Now()) })
					return
				}
			}
			rows, err := r.createStream(scope, session, stream, discover, halt, was)
			r.inbox.post(func() { r.created(stream, rows, err, time.Now()) })
		})
	}
}

// tellHeld says once in each pause that streams have no leases and that this worker
// makes none for them: it reads nothing then, and would not say why. While lost state
// is being restored the leases may be on their way.
func (r *run) tellHeld() {
	if r.heldTold || r.syncing {
		return
	}
	var bare []string
	for stream := range r.streams {
		if !r.table.has(stream) {
			bare = append(bare, stream)
		}
	}
	if len(bare) == 0 {
		return
	}
	r.heldTold = true
	slices.Sort(bare)
	r.log.Warn("the group is paused by hand and streams of it have no leases: none are made, and nothing is read, until it is resumed",
		zap.String("group", r.cfg.Group), zap.Strings("streams", bare), zap.Bool("stateLost", r.lost))
}

// incomplete asks whether the leases of a stream that has some are to be completed:
// nil if so, and ErrExists if they are complete. It costs one key of the store, where
// a listing costs calls to the service; it blocks.
func (r *run) incomplete(scope checkpoint.Scope, stream string) error {
	ctx, cancel := context.WithTimeout(r.ctx, r.pace.call())
	defer cancel()
	switch err := r.cfg.Store.Adopt(ctx, scope, Adoption{Stream: stream}); {
	case err == nil:
		return ErrExists
	case errors.Is(err, ErrNotReady):
		return nil
	default:
		return err
	}
}

// createStream lists the shards and makes their leases; it blocks. With halt it
// makes none when some have to be made anew. Those in was go on there.
func (r *run) createStream(
	scope checkpoint.Scope, session, stream string, discover func(context.Context, string) ([]Row, error), halt bool,
	was map[string]checkpoint.Position,
) ([]Row, error) {
	rows, err := discover(r.ctx, stream)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.ctx, 4*r.pace.call()) // many rows
	defer cancel()
	if halt {
		v, err := r.cfg.Store.View(ctx, r.cfg.Group)
		switch {
		case err != nil:
			return nil, err
		case v.Incarnation != scope.Incarnation:
			return nil, ErrReset
		case v.SyncUntil > 0:
			return nil, ErrSyncing
		}
		if names := unrestored(rows, v.Leases); len(names) > 0 {
			kept := 0
			for _, l := range v.Leases {
				if StreamOf(l.Name) == stream {
					kept++
				}
			}
			return nil, &UnrestoredError{Stream: stream, Leases: names, Kept: kept}
		}
	}
	rows = slices.Clone(rows)
	goOn(rows, was)
	return rows, r.cfg.Store.Create(ctx, scope, Create{Session: session, Stream: stream, Rows: rows})
}

// unrestored names the listed shards that have no lease after a loss though some of
// their records may have been handled. A shard was handled to its end when one that
// follows it has started, and nothing of it when it waits for one that is not.
func unrestored(listed []Row, leases []Lease) []string {
	table := make(map[string]Lease, len(leases))
	for _, l := range leases {
		table[l.Name] = l
	}
	over, waits := map[string]bool{}, map[string]bool{}
	var order []Row // children before parents
	descend(listed, func(n Row, children []string) {
		order = append(order, n)
		over[n.Name] = slices.ContainsFunc(children, func(child string) bool {
			l, known := table[child]
			return known && (l.Finished() || len(l.Shard.Parents) == 0) || !known && over[child]
		})
	})
	var out []string
	for _, n := range slices.Backward(order) {
		if _, known := table[n.Name]; known || over[n.Name] {
			continue
		}
		waits[n.Name] = slices.ContainsFunc(n.Shard.Parents, func(p string) bool {
			l, known := table[p]
			return known && !l.Finished() && !over[p] || waits[p]
		})
		if !waits[n.Name] {
			out = append(out, n.Name)
		}
	}
	slices.Sort(out)
	return out
}

func (r *run) created(stream string, rows []Row, err error, now time.Time) {
	c := r.streams[stream]
	redo := c.redo
	c.busy, c.redo = false, false
	if unrestored, ok := errors.AsType[*UnrestoredError](err); ok {
		unrestored.Seen = r.bornBy()
		r.fail(fmt.Errorf("go on in group %q: %w", r.cfg.Group, unrestored))
		return
	}
	switch {
	case err == nil:
		r.tellCreated(stream, rows)
		r.events.tell(Event{Kind: EventCreated, Stream: stream, Leases: len(rows)})
		c.was = nil
		c.tries, c.due = 0, now.Add(r.ttl/3)
		r.beatSoon(now)
	case errors.Is(err, ErrExists):
		c.was = nil
		c.tries, c.due = 0, now.Add(r.ttl/3)
		r.beatSoon(now)
	case errors.Is(err, ErrHeld), errors.Is(err, ErrSyncing), errors.Is(err, ErrReset), errors.Is(err, ErrStateLost), errors.Is(err, ErrExpired):
		c.redo, c.due = true, now.Add(r.ttl/10)
		r.beatSoon(now)
	case r.ctx.Err() != nil:
		return
	default:
		c.redo = redo
		c.tries++
		c.due = now.Add(min(100*time.Millisecond<<min(c.tries, 8), 10*time.Second))
		r.log.Warn("create the leases of the stream, will try again", zap.String("stream", stream), zap.Error(err))
	}
	r.planSoon(now)
}

// tellCreated says after a loss how many shards are read again from where Rediscover
// says: those of which no worker gave back how far they were handled.
func (r *run) tellCreated(stream string, rows []Row) {
	var again []string
	if r.mayHaveRead(stream) {
		var have []Lease
		for _, l := range r.table.order() {
			have = append(have, *l)
		}
		was := r.streams[stream].was
		again = slices.DeleteFunc(unrestored(rows, have), func(name string) bool {
			_, known := was[name]
			return known
		})
	}
	if len(again) == 0 {
		r.log.Info("leases created", zap.String("stream", stream), zap.Int("leases", len(rows)))
		return
	}
	r.log.Warn("leases created after a loss; shards of which nobody remembers how far they were handled are read again",
		zap.String("stream", stream), zap.Int("leases", len(rows)), zap.Int("read_again", len(again)))
}

const (
	// viewWait and viewRest are for how many lease times the table is not read
	// again, after it was, and after that told nothing new.
	viewWait = 3
	viewRest = 30
)

// viewShards reads the shards of leases that others had acquired before this worker
// heard of them, to be able to give them back when state is lost.
func (r *run) viewShards(now time.Time) {
	if r.viewing || now.Before(r.viewDue) || !r.table.vague() {
		return
	}
	r.viewing = true
	incarnation := r.scope.Incarnation
	r.async(func(ctx context.Context) func() {
		v, err := r.cfg.Store.View(ctx, r.cfg.Group)
		return func() {
			r.viewing = false
			now := time.Now()
			switch {
			case err != nil:
				r.viewDue = now.Add(r.ttl / 10)
				r.log.Warn("read the shards of the group, will try again", zap.Error(err))
				return
			case v.Incarnation != incarnation || incarnation != r.scope.Incarnation:
				r.viewDue = now.Add(r.ttl / 10)
				return // the next beat tells
			}
			rest := time.Duration(viewRest)
			for _, l := range v.Leases {
				if row := r.table.leases[l.Name]; row != nil && !row.Shard.known() {
					rest = viewWait
				}
				r.table.learn(l)
			}
			r.viewDue = now.Add(rest*r.ttl + r.jitter)
		}
	})
}
