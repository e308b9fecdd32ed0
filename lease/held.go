package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
)

// errCompleted marks a lease whose shard was handled to its end.
var errCompleted = errors.New("shard completed")

// Held is one tenure of a lease: from its acquisition to the return of its
// runner. Its methods may be called concurrently.
type Held struct {
	lease    Lease
	entry    checkpoint.Entry
	scope    checkpoint.Scope
	store    Store
	saver    *saver
	log      *zap.Logger
	pace     *pace
	term     *term
	cancel   context.CancelCauseFunc
	ended    func(children []Row) // tells the manager of a completed shard
	draining chan struct{}        // closed by drain, nothing is sent
	drained  sync.Once

	// completing is set while Complete runs: the table may show the lease as
	// ended, and so not ours, before the answer that says so is here.
	completing atomic.Bool

	mu      sync.Mutex        // guards all below
	next    checkpoint.Update // what is to be saved
	version uint64            // of next; rises with every Save
	saved   uint64            // the version that the store has
	gone    error             // why nothing is saved any more, nil while it is
	final   *final            // what to do after the last save, nil while the runner runs
	// state and inherited are what belongs to next, whether the store has it or
	// not; overtaken says that the store had a position after it.
	state     []byte
	inherited map[string][]byte
	overtaken bool
	changed   chan struct{} // closed and made anew when saved or gone changes
}

// final is how a tenure ends.
type final struct {
	release bool
	done    func(error) // called once, with nil when all is saved
}

func newHeld(l Lease, g Grant, scope checkpoint.Scope, store Store, s *saver, t *term, log *zap.Logger) *Held {
	l.Token, l.Epoch, l.Position, l.Shard = g.Token, g.Epoch, g.Entry.Position, g.Shard
	l.Want, l.WantUntil = "", 0
	return &Held{
		lease: l, entry: g.Entry, scope: scope, store: store, saver: s, pace: s.pace, term: t,
		log:      log.With(zap.String("lease", l.Name), zap.Uint64("epoch", l.Epoch)),
		draining: make(chan struct{}),
		changed:  make(chan struct{}),
		next: checkpoint.Update{
			Lease: l.Name, Token: g.Token, Position: g.Entry.Position, Counter: g.Entry.Counter,
		},
		state: g.Entry.State, inherited: g.Entry.Inherited,
	}
}

// Lease is the lease as it was when it was acquired: its name, token, epoch,
// position and shard.
func (h *Held) Lease() Lease { return h.lease }

// Entry is the position to go on from, and the state saved with it.
func (h *Held) Entry() checkpoint.Entry { return h.entry }

// Draining is closed when the runner should stop reading, finish what it
// handles, and return: the worker ends, or another worker asked for the lease.
func (h *Held) Draining() <-chan struct{} { return h.draining }

// Valid reports whether the time that the last good beat gave has not passed,
// by the monotonic clock and by the wall clock. A runner asks before it begins
// what another owner could begin too: after a stall of the process it may be
// awake before the manager is. Valid itself then ends the runner's context, with
// ErrLost as its cause. It knows nothing of a lease that was lost before its
// time, which the context tells, nor of a pause that neither clock shows, as of a
// virtual machine that is moved; what is saved after one is refused.
func (h *Held) Valid() bool {
	_, over := h.term.over(time.Now())
	if over {
		h.cancel(lostBy(errUnconfirmed))
	}
	return !over
}

// Save records the low-watermark: the runner handled pos and everything before
// it. It never blocks; the manager saves the latest positions of all leases
// together, every Config.CheckpointInterval, and once more when the runner
// returns. The counter orders saves at an equal position. A nil state leaves
// the stored one; state must not be changed after the call.
//
// What is behind an earlier Save is ignored. So is an invalid position, with
// an error in the log, and the end of a shard, which is for [Held.Complete].
func (h *Held) Save(pos checkpoint.Position, counter uint64, state []byte) {
	u := checkpoint.Update{Lease: h.lease.Name, Token: h.lease.Token, Position: pos, Counter: counter, State: state}
	if err := u.Validate(); err != nil || pos.IsEnd() {
		h.log.Error("position not saved", zap.Stringer("position", pos), zap.Error(err))
		return
	}
	if h.record(u) {
		h.saver.add(h, false)
	}
}

// record takes u as what is to be saved, and reports whether it brings news.
func (h *Held) record(u checkpoint.Update) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	order := u.Position.Compare(h.next.Position)
	if order < 0 || order == 0 && u.Counter < h.next.Counter {
		return false
	}
	if order == 0 && u.Counter == h.next.Counter && u.State == nil {
		return false
	}
	if order > 0 {
		h.next.Position = u.Position
	}
	h.next.Counter = u.Counter
	if u.State != nil {
		h.next.State = u.State
		h.state, h.inherited = u.State, nil
	}
	if h.gone != nil {
		return false // it is remembered; see remembered
	}
	h.version++
	return true
}

// SetWeight tells the shard's load, as log2 of bytes per second, which is
// saved with the next position; 0 means unknown.
func (h *Held) SetWeight(log2 uint8) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next.Weight = log2
}

// Flush saves what Save recorded before, now, and returns when the store has
// it. It fails when ctx ends, and with ErrLost when the lease is lost.
func (h *Held) Flush(ctx context.Context) error {
	h.mu.Lock()
	want := h.version
	h.mu.Unlock()
	for {
		h.mu.Lock()
		saved, gone, changed := h.saved, h.gone, h.changed
		h.mu.Unlock()
		switch {
		case saved >= want:
			return nil
		case gone != nil:
			return fmt.Errorf("flush %s: %w", h.lease.Name, gone)
		}
		h.saver.add(h, true)
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("flush %s: %w", h.lease.Name, context.Cause(ctx))
		}
	}
}

// Complete ends the shard, of which every record was handled: in one step its
// position becomes the end, its children get leases, and the lease is freed.
// A store that cannot be reached is tried again until ctx ends. It fails with
// ErrLost when the lease is lost. The runner returns after it.
func (h *Held) Complete(ctx context.Context, children []Row) error {
	h.completing.Store(true)
	defer h.completing.Store(false)
	c := Completion{Name: h.lease.Name, Token: h.lease.Token, Children: children}
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, h.pace.call()) {
		err := h.completeOnce(ctx, c)
		switch {
		case err == nil:
			h.end(errCompleted)
			h.ended(children)
			return nil
		case refused(err):
			h.lose(err)
			return fmt.Errorf("complete %s: %w", h.lease.Name, lostBy(err))
		case ctx.Err() != nil:
			return fmt.Errorf("complete %s: %w", h.lease.Name, context.Cause(ctx))
		}
		h.log.Warn("complete shard, will try again", zap.Error(err))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (h *Held) completeOnce(ctx context.Context, c Completion) error {
	ctx, cancel := context.WithTimeout(ctx, h.pace.call())
	defer cancel()
	return h.store.Complete(ctx, h.scope, c)
}

// refused reports whether a store answered that the lease is not the caller's,
// or not in the state that the caller knew.
func refused(err error) bool {
	return errors.Is(err, checkpoint.ErrFenced) || errors.Is(err, checkpoint.ErrNotFound) ||
		errors.Is(err, ErrReset) || errors.Is(err, ErrStateLost)
}

// drain asks the runner to return.
func (h *Held) drain() { h.drained.Do(func() { close(h.draining) }) }

// lostBy is ErrLost with its reason.
func lostBy(reason error) error { return fmt.Errorf("%w: %w", ErrLost, reason) }

// lose cancels the runner: the store refused the lease, or forgot it. Nothing
// more is saved.
func (h *Held) lose(reason error) {
	if h.over() != nil {
		return
	}
	err := lostBy(reason)
	h.cancel(err) // first: whoever Flush tells of it finds the context ended
	if h.end(err) {
		h.log.Warn("lease lost", zap.Error(reason))
	}
}

// end stops the saving. Only the first reason counts; it reports whether this
// was it.
func (h *Held) end(reason error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone != nil {
		return false
	}
	h.gone = reason
	h.wake()
	return true
}

// over is why the tenure ended, nil while it goes on.
func (h *Held) over() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.gone
}

// wake lets Flush look again. The caller holds mu.
func (h *Held) wake() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// finish saves what is left after the runner returned, gives the lease back if
// release says so, and calls done once, from another goroutine or from here.
func (h *Held) finish(release bool, done func(error)) {
	h.mu.Lock()
	if h.gone != nil || !release && h.saved == h.version {
		err := h.gone
		if err == nil {
			h.gone = ErrLost
			h.wake()
		}
		h.mu.Unlock()
		done(err)
		return
	}
	h.final = &final{release, done}
	h.version++
	h.mu.Unlock()
	h.saver.add(h, true)
}
