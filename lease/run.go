package lease

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/entropy"
)

// run is one life of a worker in its group. All fields belong to the goroutine
// of loop; store calls and runners have their own goroutines, and post what
// came of them to the inbox.
type run struct {
	cfg   Config
	log   *zap.Logger
	inbox *inbox
	calls sync.WaitGroup // the goroutines of store calls and runners
	ctx   context.Context
	saver *saver
	pace  *pace

	// The session and its beats; beat.go.
	session    string
	scope      checkpoint.Scope
	ttl        time.Duration
	sent       uint64       // beats sent, and so the number of the last
	good       uint64       // the number of the last beat that was answered well, 0 when the view begins anew
	stamp      int64        // when the store executed it
	asOf       int64        // when it last executed one that was answered well
	named      bool         // a beat was answered well: the name is, or was, this worker's
	applied    uint64       // the number of the last beat that was fully applied
	partly     []goodAnswer // those after it
	heard      uint64       // the number of the last beat that was answered, or failed
	seen       uint64       // the change up to which table is complete
	beating    bool         // a beat is in flight
	hinted     bool         // something changed while it was
	beatStart  time.Time
	beatDue    time.Time
	beatErr    error
	beatFailed time.Time // when the first began of those in a row that had no answer
	term       *term     // how long the leases are good
	joinBy     time.Time // when the first beat must have been answered
	superseded time.Time // when another worker took the name
	synced     bool      // table is a whole view of the group
	joined     bool      // the session is in the group
	paused     bool      // the local deadline has passed, or another worker has the name
	breaks     uint64    // how often the leases were not good any more
	why        error     // the latest reason
	stateLost  bool      // the group's state was made anew while we ran
	hold       bool      // the group is paused by hand
	heldTold   bool      // it was told in this pause that streams have no leases
	syncing    bool      // the store takes seeds, and grants nothing
	lost       bool      // the store says that the state before was lost
	table      *mirror
	former     *mirror   // the table before it was begun to be read anew, nil when it is whole
	recall     *recall   // what is remembered of state that was lost, nil when there is nothing to restore
	viewing    bool      // a view is being read
	viewDue    time.Time // when the next may be

	events *events

	// The leases; assign.go and tenure.go.
	tenures   map[string]*tenure
	past      map[string]Remembered // what runners here handled, of leases that nobody took since
	acquiring map[string]bool
	touched   map[string]uint64    // lease → beats sent when my last call about it ended
	notBefore map[string]time.Time // lease → when it may be taken again
	failures  map[string]int       // lease → runners that ended too early in a row
	asked     map[string]time.Time // lease → when it may be asked for again
	asking    map[string]uint64    // lease → beats sent when it was asked for, until a later one is applied
	idle      map[string]time.Time // lease → since when nobody has it
	streams   map[string]*creation
	audits    map[string]*audit
	numbers   uint64    // the last token number used
	taken     int       // leases taken in the present step
	takeEnd   time.Time // when that ends
	askDue    time.Time // when leases of others may be asked for, after an acquire that failed
	planDue   time.Time // zero when no plan is due
	planRest  time.Time // until when the last plan lets others have the processor
	rows      []Lease   // what the last plan was made from, used again
	jitter    time.Duration

	// The end.
	draining bool
	drainBy  time.Time // when runners are cancelled, zero when that was done
	saveBy   time.Time // when positions that could not be saved are given up
	leaving  bool      // goodbye is being said
	done     bool
	fatal    error
	unsaved  int    // leases whose last position did not reach the store
	asks     uint64 // the number of the beat that tells why
}

func newRun(cfg Config) *run {
	r := &run{
		cfg: cfg, log: cfg.Logger, inbox: newInbox(),
		session:   uuid.NewString(),
		scope:     checkpoint.Scope{Group: cfg.Group},
		ttl:       cfg.TTL,
		table:     newMirror(),
		tenures:   map[string]*tenure{},
		past:      map[string]Remembered{},
		acquiring: map[string]bool{},
		touched:   map[string]uint64{},
		notBefore: map[string]time.Time{},
		failures:  map[string]int{},
		asked:     map[string]time.Time{},
		asking:    map[string]uint64{},
		idle:      map[string]time.Time{},
		streams:   map[string]*creation{},
		audits:    map[string]*audit{},
		jitter:    entropy.Duration(min(100*time.Millisecond, cfg.TTL/10)),
	}
	r.pace, r.term, r.events = &pace{}, &term{}, newEvents(cfg.Hooks.Event)
	r.pace.set(cfg.TTL)
	r.saver = newSaver(cfg, r.pace, r.events)
	for _, s := range cfg.Streams {
		r.streams[s] = &creation{}
	}
	return r
}

// loop is the worker's life. It decides in tick and waits for whatever comes
// next; nothing in it blocks.
func (r *run) loop(ctx context.Context) error {
	// Calls and runners outlive ctx, which only asks for the drain.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer r.close(stop)
	r.ctx = background
	now := time.Now()
	r.joinBy, r.beatDue = now.Add(r.cfg.JoinTimeout), now
	r.calls.Go(func() { r.saver.run(background) })

	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	cancelled := ctx.Done()
	// What is due already is done without the timer, which is slower, and under the race
	// detector in a bubble of testing/synctest corrupts its memory (Go 1.26).
	for wait := time.Duration(0); !r.done; wait = time.Until(r.tick(time.Now())) {
		if wait > 0 {
			timer.Reset(wait)
			select {
			case <-cancelled:
			case <-r.inbox.wake:
			case <-timer.C:
			}
		}
		if cancelled != nil && ctx.Err() != nil {
			cancelled = nil
			r.drain(time.Now())
		}
		for _, f := range r.inbox.take() {
			f()
		}
	}
	return r.result()
}

// close waits for all goroutines.
func (r *run) close(stop context.CancelFunc) {
	stop()
	r.calls.Wait()
	r.inbox.close()
}

// result is what Run returns.
func (r *run) result() error {
	switch {
	case r.fatal != nil:
		return r.fatal
	case r.term.started().IsZero() && r.beatErr != nil:
		return fmt.Errorf("join group %q: %w", r.cfg.Group, r.beatErr)
	case r.unsaved > 0:
		return fmt.Errorf("drain group %q: the last positions of %d leases were not saved", r.cfg.Group, r.unsaved)
	}
	return nil
}

// async makes a store call in its own goroutine, and runs what it returns on
// the loop's.
func (r *run) async(f func(ctx context.Context) (then func())) {
	r.calls.Go(func() {
		ctx, cancel := context.WithTimeout(r.ctx, r.pace.call())
		defer cancel()
		r.inbox.post(f(ctx))
	})
}

// watch turns announcements into early beats, once the group is joined.
func (r *run) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := r.cfg.Store.Watch(ctx, r.cfg.Group, func() { r.inbox.post(func() { r.beatSoon(time.Now()) }) })
		if ctx.Err() == nil {
			r.log.Warn("watch the group, will try again", zap.Error(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(r.pace.third()):
		}
	}
}

// tick does all that is due, and returns when it wants to be called again.
func (r *run) tick(now time.Time) time.Time {
	r.checkDeadline(now)
	r.checkTenures(now)
	r.giveBack(now)
	switch {
	case r.fatal != nil || r.draining:
		if r.fatal == nil && r.synced && !r.paused && r.running() {
			r.retake(now) // a goodbye will free it when no runner is waited for
		}
		r.leave(now)
	case r.plans():
		r.createStreams(now)
		r.viewShards(now)
		r.auditStreams(now)
		if !r.planDue.IsZero() && !now.Before(r.planDue) && !now.Before(r.planRest) {
			r.plan(now)
		}
	}
	if !r.beating && !r.leaving && !now.Before(r.beatDue) {
		r.beat(now)
	}
	return r.next(now)
}

// plans reports whether the worker may take leases: it knows the table, and its
// session is good.
func (r *run) plans() bool { return r.synced && !r.paused && !r.draining && r.fatal == nil }

// next is when something becomes due that no call will tell of.
func (r *run) next(now time.Time) time.Time {
	// The clocks are compared at least ten times a lease time: after a
	// suspension of the machine timers come late.
	at := now.Add(r.ttl / 10)
	earlier := func(t time.Time) {
		if !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	if !r.beating && !r.leaving {
		earlier(r.beatDue)
	}
	if !r.paused {
		earlier(r.term.end())
	}
	if r.plans() && !r.planDue.IsZero() {
		earlier(later(r.planDue, r.planRest))
	}
	if r.recall.pending() && !r.recall.busy {
		earlier(r.recall.due)
	}
	earlier(r.drainBy)
	for _, t := range r.tenures {
		earlier(t.handoffBy)
	}
	return at
}

// planSoon has the leases planned at a time, or earlier if that is due already.
func (r *run) planSoon(at time.Time) {
	if r.planDue.IsZero() || at.Before(r.planDue) {
		r.planDue = at
	}
}

// drain begins the end: every runner is asked to return.
func (r *run) drain(now time.Time) {
	r.log.Info("drain", zap.Int("leases", len(r.tenures)))
	r.events.tell(Event{Kind: EventDraining, Leases: len(r.tenures)})
	r.draining, r.drainBy = true, now.Add(r.cfg.DrainTimeout)
	r.saveBy = now.Add(r.ttl)
	for _, t := range r.inOrder(all) {
		t.drain()
	}
	r.beatSoon(now) // tells the others
}

// fail ends the run with an error, which others must not wait for.
func (r *run) fail(err error) {
	if r.fatal == nil {
		r.fatal = err
		r.cancelAll(err)
	}
}

// leave says goodbye when nothing is held any more.
func (r *run) leave(now time.Time) {
	if r.running() {
		r.saveBy = now.Add(r.ttl) // from when the last one returns
	} else if r.fatal != nil || !now.Before(r.saveBy) {
		r.saver.abandon()
	}
	if r.leaving || r.beating || len(r.tenures) > 0 || len(r.acquiring) > 0 {
		return
	}
	// Positions that were refused may have been lost with all others.
	if r.fatal == nil && now.Before(r.saveBy) && (r.heard < r.asks || r.recall.pending()) {
		return // nobody else knows as well what was handled here
	}
	r.leaving = true
	if r.scope.Incarnation == "" || r.fatal != nil {
		r.done = true // never joined, or not welcome
		return
	}
	scope, session := r.scope, r.session
	r.async(func(ctx context.Context) func() {
		err := r.cfg.Store.Bye(ctx, scope, session)
		return func() {
			if err != nil {
				r.log.Warn("leave the group; its session will lapse", zap.Error(err))
			}
			r.events.tell(Event{Kind: EventLeft, Err: err})
			r.done = true
		}
	})
}
