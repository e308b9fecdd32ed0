package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/awserr"
	"github.com/shardrun/shardrun/internal/entropy"
	"github.com/shardrun/shardrun/lease"
)

// Consumer is one worker of a group. All its methods may be called
// concurrently.
type Consumer struct {
	cfg    Config
	policy policy
	budget *budget
	seed   uint64 // of the pauses of its shards
	log    *zap.Logger

	mu      sync.Mutex // guards all below
	running bool
	began   bool                    // this Run has worked on a shard
	manager *lease.Manager          // nil before the stream was found
	cancel  context.CancelCauseFunc // of the context of the work on the stream
	shards  map[*progress]struct{}
	failed  map[string]ShardStatus // by lease: the work on it ended with an error
	refused bool                   // Kinesis refuses to list the shards
	totals  Status                 // the counts of shards that ended, and names
}

// New checks cfg and returns a worker that has not begun.
func New(cfg Config) (*Consumer, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Consumer{
		cfg: cfg, policy: retryPolicy(cfg), budget: newBudget(cfg.MemoryBudget), seed: entropy.Uint64(),
		log:    cfg.Logger.Named("consumer").With(zap.String("worker", cfg.WorkerName), zap.String("stream", cfg.Stream)),
		shards: map[*progress]struct{}{}, failed: map[string]ShardStatus{},
		totals: Status{Stream: cfg.Stream},
	}, nil
}

// Run joins the group, works on its share of the shards, and blocks until ctx
// is cancelled. Then it stops reading, lets handlers finish for up to
// Config.DrainTimeout, saves the positions, gives the shards back and returns
// nil. When it returns, nothing of it runs any more; a handler that ignores its
// context is waited for.
//
// Before it begins to work on a shard it fails with [ErrStreamNotFound], when
// the stream or the store cannot be reached for Config.StartTimeout, and when
// Kinesis refuses the credentials or the right to describe the stream or, where
// the group has no shards yet, to list them. Once it has begun, failures of
// Kinesis, of the store and of the handler do not end it. When the stream is
// deleted, the shards are given back; one of the same name that is made within
// Config.StartTimeout is read as a new stream, from Config.StartAt, and otherwise
// Run returns ErrStreamNotFound. It also returns an error when another worker takes
// its WorkerName (lease.ErrSuperseded), when the store lost what nobody remembers and
// Config.OnStateLoss is [Halt] (a *lease.UnrestoredError), and when positions could
// not be saved at the end.
//
// A worker may be run again after Run has returned.
func (c *Consumer) Run(ctx context.Context) error {
	if !c.start() {
		return ErrRunning
	}
	defer c.stop()

	st, err := c.find(ctx)
	for {
		if err != nil {
			if ctx.Err() != nil {
				return nil // cancelled before it began
			}
			return err
		}
		err = c.work(ctx, st)
		ended, gone := errors.AsType[*goneError](err)
		if !gone {
			return err
		}
		c.log.Error("the stream is gone; one of the same name is waited for", zap.Duration("timeout", c.cfg.StartTimeout), zap.Error(ended))
		st, err = c.findAgain(ctx, ended)
	}
}

// work works on a stream until ctx ends, or something else ends the work. It is a
// goneError when the stream did, and nothing else went wrong.
func (c *Consumer) work(ctx context.Context, st stream) error {
	ctx, quit := context.WithCancelCause(ctx)
	defer quit(nil)
	manager, err := c.join(st, quit)
	if err != nil {
		return err
	}
	err = manager.Run(ctx)
	if lost, ok := errors.AsType[*lease.UnrestoredError](err); ok {
		err = fmt.Errorf("%w; %s", err, c.goOn(lost))
	}
	if err != nil {
		err = fmt.Errorf("worker %s of group %q: %w", c.cfg.WorkerName, c.cfg.Group, err)
	}
	cause, quitted := errors.AsType[*quitError](context.Cause(ctx))
	switch {
	case !quitted:
		return err
	case err == nil && cause.again:
		return &goneError{cause.err}
	}
	return errors.Join(cause.err, err)
}

// start marks the worker as running; false when it is already.
func (c *Consumer) start() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running {
		return false
	}
	c.running, c.began = true, false
	return true
}

// hasBegun reports whether this Run has worked on a shard.
func (c *Consumer) hasBegun() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.began
}

func (c *Consumer) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running, c.manager, c.refused = false, nil, false
	clear(c.failed)
}

// quitError is the cause of work that ends by itself.
type quitError struct {
	err   error
	again bool // there may be another stream to work on
}

func (e *quitError) Error() string { return e.err.Error() }

// goneError says how a stream ended that was worked on.
type goneError struct{ error }

func (e *goneError) Unwrap() error { return e.error }

// quit ends the work as if Run's context were cancelled, with an error. Run goes on
// with a stream of the same name if again says so, and there is one in time.
func (c *Consumer) quit(err error, again bool) {
	c.mu.Lock()
	cancel := c.cancel
	c.mu.Unlock()
	cancel(&quitError{err, again})
}

// join makes the manager of the leases of the stream; quit ends the work on it.
func (c *Consumer) join(st stream, quit context.CancelCauseFunc) (*lease.Manager, error) {
	cfg := c.cfg
	manager, err := lease.NewManager(lease.Config{
		Store: cfg.Store, Group: cfg.Group, WorkerName: cfg.WorkerName, Streams: []string{st.id},
		TTL: cfg.LeaseTTL, CheckpointInterval: cfg.CheckpointInterval,
		HandoffTime: cfg.HandoffTime, DrainTimeout: cfg.DrainTimeout, JoinTimeout: cfg.StartTimeout,
		Capacity: cfg.Capacity, MaxLeases: cfg.MaxLeases, Logger: cfg.Logger,
		Run:        func(ctx context.Context, h *lease.Held) error { return c.runShard(ctx, st, h) },
		Discover:   c.discoverFrom(cfg.StartAt, st, roots),
		Rediscover: c.discoverFrom(cfg.OnStateLoss, st, allShards),
		HaltOnLoss: cfg.OnStateLoss.halt,
		List:       c.list(st), AuditInterval: cfg.AuditInterval,
		Hooks: lease.Hooks{Event: c.happened},
	})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.manager, c.cancel, c.totals.Stream = manager, quit, st.name
	clear(c.failed)
	return manager, nil
}

// discoverFrom lists the first leases of a stream. Latest becomes a time at the
// first call, and stays that time when the call is repeated; but not where the group
// has read a stream of that name before: all that the new one has arrived since.
func (c *Consumer) discoverFrom(at StartAt, st stream, pick func([]types.Shard) []types.Shard) func(context.Context, string) ([]lease.Row, error) {
	var (
		mu    sync.Mutex // guards start
		start *checkpoint.Position
	)
	from := func(ctx context.Context) (checkpoint.Position, error) {
		mu.Lock()
		known := start
		mu.Unlock()
		if known != nil {
			return *known, nil
		}
		at, now := at, time.Time{}
		if at.latest {
			d, err := c.describe(ctx)
			before, err2 := c.readBefore(ctx, st)
			if err := errors.Join(err, err2); err != nil {
				return checkpoint.Position{}, err
			}
			if now = d.now; before {
				at = TrimHorizon()
			}
		}
		p := at.resolve(now)
		mu.Lock()
		defer mu.Unlock()
		start = &p
		return p, nil
	}
	return func(ctx context.Context, _ string) ([]lease.Row, error) {
		var rows []lease.Row
		p, err := from(ctx)
		if err == nil {
			rows, err = c.discover(ctx, st, p, pick)
		}
		c.discovered(ctx, st, err)
		return rows, err
	}
}

// readBefore reports whether the group has leases of a stream of the same name that
// was there before.
func (c *Consumer) readBefore(ctx context.Context, st stream) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	view, err := c.cfg.Store.View(ctx, c.cfg.Group)
	if err != nil {
		return false, fmt.Errorf("read the leases of group %q: %w", c.cfg.Group, err)
	}
	return slices.ContainsFunc(view.Leases, func(l lease.Lease) bool { return st.follows(lease.StreamOf(l.Name)) }), nil
}

// discovered notes how the listing of the first shards went, which is repeated
// when it failed. A refusal ends a Run that has not begun, and the end of the
// stream any.
func (c *Consumer) discovered(ctx context.Context, st stream, err error) {
	if ctx.Err() != nil {
		return
	}
	class := awserr.Classify(err)
	if err != nil && class == awserr.Gone {
		if ended := c.confirmGone(ctx, st); ended != nil {
			c.quit(ended, c.hasBegun())
			return
		}
	}
	refused := err != nil && class == awserr.Fatal
	if c.listed(refused, err) {
		c.quit(err, false)
	}
}

// runShard works on one lease until it is given up.
func (c *Consumer) runShard(ctx context.Context, st stream, h *lease.Held) (err error) {
	s := newShard(c, st, h)
	c.begin(s.progress)
	err = errExited // unless it is replaced
	defer func() {
		if err != nil {
			s.log.Error("work on the shard ended", zap.Error(err))
		}
		c.end(s.progress, err)
		if f := c.cfg.Hooks.Ended; f != nil {
			f(s.name, err)
		}
	}()
	if f := c.cfg.Hooks.Started; f != nil {
		f(s.name, h.Entry().Position)
	}
	err = s.run(ctx)
	if err != nil && awserr.Classify(err) == awserr.Gone {
		err = s.vanished(ctx, err)
		if errors.Is(err, errDraining) || ctx.Err() != nil {
			err = nil
		}
	}
	return err
}
