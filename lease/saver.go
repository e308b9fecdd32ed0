package lease

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
)

const (
	// saveRows and saveBytes bound one call, so that each has the time of one:
	// many leases with much state must not fail together for ever.
	saveRows  = 250
	saveBytes = 4 << 20
	// gather is how long an urgent save waits for others. The runners of a
	// worker that drains return almost at once, and their leases are then given
	// back in one call instead of many.
	gather = 200 * time.Microsecond
)

// saver sends the positions of all held leases to the store, many in one call,
// one call at a time. What cannot be sent is kept and sent again.
type saver struct {
	store checkpoint.Store
	cfg   Config
	pace  *pace
	log   *zap.Logger
	wake  chan struct{} // holds one: something was added

	events *events

	failing time.Time // since when calls fail, zero while they do not; of run's goroutine

	mu     sync.Mutex     // guards all below
	dirty  map[*Held]bool // leases with something to save; true when it is urgent
	urgent int            // how many of them are
	since  time.Time      // when the first was added
	haste  time.Time      // when the first urgent one was
}

func newSaver(cfg Config, p *pace, e *events) *saver {
	return &saver{
		store: cfg.Store, cfg: cfg, pace: p, events: e,
		log:   cfg.Logger,
		wake:  make(chan struct{}, 1),
		dirty: map[*Held]bool{},
	}
}

// add puts h on the next save; an urgent one is sent now.
func (s *saver) add(h *Held, urgent bool) {
	s.mu.Lock()
	was, known := s.dirty[h]
	if len(s.dirty) == 0 {
		s.since = time.Now()
	}
	s.dirty[h] = was || urgent
	if urgent && !was {
		if s.urgent == 0 {
			s.haste = time.Now()
		}
		s.urgent++
	}
	s.mu.Unlock()
	if !known || urgent && !was {
		select {
		case s.wake <- struct{}{}:
		default: // a wake-up is waiting already
		}
	}
}

// run sends until ctx ends. What is left then is given up.
func (s *saver) run(ctx context.Context) {
	defer s.abandon()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var pause time.Duration // after a failed call, whatever is added meanwhile
	var until time.Time     // that it lasts
	for ctx.Err() == nil {
		if wait, some := s.due(time.Now(), until); !some || wait > 0 {
			if some {
				timer.Reset(wait)
			} else {
				timer.Stop()
			}
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
				continue // look again when it is due
			case <-timer.C:
			}
		}
		if err := s.flush(ctx); err != nil {
			pause = min(max(2*pause, 10*time.Millisecond), s.pace.call()/2)
			until = time.Now().Add(pause)
		} else {
			pause = 0
		}
	}
}

// due is how long the next save waits, which is not before a time, and whether there is
// one.
func (s *saver) due(now, from time.Time) (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var wait time.Duration
	switch {
	case len(s.dirty) == 0:
		return 0, false
	case s.urgent > 0:
		wait = gather - now.Sub(s.haste)
	default:
		wait = s.pace.interval(s.cfg) - now.Sub(s.since)
	}
	return max(wait, from.Sub(now), 0), true
}

// take empties the set of leases to save, and returns them in order.
func (s *saver) take() []*Held {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Held, 0, len(s.dirty))
	for h := range s.dirty {
		out = append(out, h)
	}
	clear(s.dirty)
	s.urgent = 0
	slices.SortFunc(out, func(a, b *Held) int { return cmp.Compare(a.lease.Name, b.lease.Name) })
	return out
}

// saving is one call: what each lease has to save.
type saving struct {
	scope    checkpoint.Scope
	held     []*Held
	versions []uint64 // of what is saved, by lease
	updates  []checkpoint.Update
	size     int // bytes of state
}

func (c *saving) add(h *Held, version uint64, u checkpoint.Update) {
	c.held, c.versions, c.updates = append(c.held, h), append(c.versions, version), append(c.updates, u)
	c.size += len(u.State)
}

// flush sends all that is to be saved, call by call. What the calls that failed
// were to save is sent again.
func (s *saver) flush(ctx context.Context) error {
	calls := map[checkpoint.Scope]*saving{} // the one of each incarnation that has room
	var all []*saving
	for _, h := range s.take() {
		u, version, ok := h.pending()
		if !ok { // lost, completed or saved meanwhile
			h.settle()
			continue
		}
		c := calls[h.scope]
		if c == nil || len(c.held) == saveRows || c.size+len(u.State) > saveBytes {
			c = &saving{scope: h.scope}
			calls[h.scope], all = c, append(all, c)
		}
		c.add(h, version, u)
	}
	var failed error
	for _, c := range all {
		failed = cmp.Or(s.save(ctx, c), failed)
	}
	return failed
}

// save makes one call.
func (s *saver) save(ctx context.Context, c *saving) error {
	start := time.Now()
	callCtx, cancel := context.WithTimeout(ctx, s.pace.call())
	outcomes, err := s.store.Save(callCtx, c.scope, c.updates...)
	cancel()
	if s.cfg.Hooks.Saved != nil {
		s.cfg.Hooks.Saved(len(c.updates), time.Since(start), err)
	}
	lost := errors.Is(err, ErrReset) || errors.Is(err, ErrStateLost)
	s.report(len(c.updates), lost, err, start)
	for i, h := range c.held {
		switch {
		case i < len(outcomes):
			s.saved(h, c.versions[i], c.updates[i], outcomes[i])
		case lost:
			h.lose(err)
			h.settle()
		default:
			s.add(h, true)
		}
	}
	if lost {
		return nil
	}
	return err
}

// report logs the first of calls that fail in a row, and the end of that.
func (s *saver) report(leases int, lost bool, err error, now time.Time) {
	switch {
	case err != nil && !lost && s.failing.IsZero():
		s.failing = now
		s.log.Warn("save positions, will try again", zap.Int("leases", leases), zap.Error(err))
	case err == nil && !s.failing.IsZero():
		s.log.Info("positions are saved again", zap.Duration("after", now.Sub(s.failing)))
		s.failing = time.Time{}
	}
}

// saved takes the answer for one lease.
func (s *saver) saved(h *Held, version uint64, u checkpoint.Update, o checkpoint.Outcome) {
	if h.outcome(version, u, o) {
		s.add(h, true)
	}
	if o.Err != nil {
		l := h.lease
		l.Position = u.Position
		s.events.tell(Event{Kind: EventFenced, Lease: l, Err: o.Err})
	}
}

// abandon gives up what cannot be saved any more.
func (s *saver) abandon() {
	for _, h := range s.take() {
		h.end(lostBy(errUnsaved))
		h.settle()
	}
}

// pending is what the store does not have yet.
func (h *Held) pending() (checkpoint.Update, uint64, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone == nil && h.saved < h.version {
		u := h.next
		u.Release = h.final != nil && h.final.release
		return u, h.version, true
	}
	return checkpoint.Update{}, 0, false
}

// outcome takes the store's answer to u, and reports whether the last save of
// the tenure is still to be made.
func (h *Held) outcome(version uint64, u checkpoint.Update, o checkpoint.Outcome) (again bool) {
	switch {
	case errors.Is(o.Err, checkpoint.ErrRegress):
		h.log.Warn("position is before the stored one, which stays",
			zap.Stringer("position", u.Position), zap.Stringer("stored", o.Position))
	case o.Err != nil:
		h.lose(o.Err)
		h.settle()
		return false
	}
	h.mu.Lock()
	if o.Err != nil && h.next.Position.Compare(o.Position) < 0 {
		h.next.Position, h.next.State, h.overtaken = o.Position, nil, true
	}
	if o.Err == nil || !u.Release {
		h.saved = version
		if h.version == version {
			h.next.State = nil // the store has it
		}
		h.wake()
	}
	waits := h.saved < h.version
	again = waits && h.final != nil
	h.mu.Unlock()
	if !waits {
		h.settle()
	}
	return again
}

// settle ends the tenure if its runner has returned.
func (h *Held) settle() {
	h.mu.Lock()
	f, err := h.final, h.gone
	if f == nil {
		h.mu.Unlock()
		return
	}
	h.final = nil
	if h.gone == nil {
		h.gone = ErrLost
		h.wake()
	}
	h.mu.Unlock()
	f.done(err)
}
