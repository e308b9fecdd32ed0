package consumer

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/backoff"
	"github.com/shardrun/shardrun/internal/entropy"
	"github.com/shardrun/shardrun/lease"
)

// errDraining ends the work on a shard in peace: what is not done is left for
// the next owner.
var errDraining = errors.New("asked to give the shard up")

// stopped ends the work on a shard for good: the worker keeps the shard, its
// position stays, and nothing is delivered.
type stopped struct{ cause error }

func (e *stopped) Error() string { return "shard stopped: " + e.cause.Error() }
func (e *stopped) Unwrap() error { return e.cause }

// shard works on one shard for as long as its lease is held: it reads,
// handles, and saves the position. All fields but progress belong to the
// goroutine of run; the one of reading has src.
type shard struct {
	c        *Consumer
	stream   stream
	held     *lease.Held
	name     string
	log      *zap.Logger
	rnd      *rand.Rand // of its own pauses, whatever other shards draw
	queue    queue
	batch    int // records from the front of queue that are being delivered
	progress *progress

	src     *source
	reading *reading     // nil before it was started, and when it was stopped
	feed    <-chan *page // of reading, nil when no more comes
	parked  int64        // bytes of the batch, when what was behind it was shed

	handlerCtx context.Context // ends with the causes that handlers are told
}

// newShard is the work on a lease that was just acquired.
func newShard(c *Consumer, st stream, h *lease.Held) *shard {
	l := h.Lease()
	name := lease.ShardOf(l.Name)
	return &shard{
		c: c, stream: st, held: h, name: name,
		log:      c.log.With(zap.String("shard", name), zap.Uint64("epoch", l.Epoch)),
		rnd:      entropy.Of(c.seed, "shard "+name, l.Epoch),
		queue:    queue{end: h.Entry().Position},
		progress: newProgress(name, l, h.Entry().Position),
	}
}

// run works until the shard is handled to its end, the lease is to be given up
// or is lost, or something on the shard cannot be mended here.
func (s *shard) run(ctx context.Context) error {
	var cancel context.CancelCauseFunc
	s.handlerCtx, cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { cancel(handlerCause(context.Cause(ctx))) })
	defer cancel(nil)
	defer stop()

	err := s.work(ctx)
	if errors.Is(err, errDraining) || err != nil && ctx.Err() != nil {
		return nil // the lease's own end says why
	}
	if stop, ok := errors.AsType[*stopped](err); ok {
		s.park(ctx, stop.cause)
		return nil
	}
	return err
}

// handlerCause is what a handler is told when its runner's context ends.
func handlerCause(cause error) error {
	if errors.Is(cause, lease.ErrLost) {
		return lease.ErrLost
	}
	return ErrDraining
}

// work reads and handles. It owns the goroutine that reads, and waits for it.
func (s *shard) work(ctx context.Context) error {
	src, err := s.source()
	if err != nil {
		return err
	}
	s.src = src
	defer func() {
		s.stopReading()
		s.unpark()
		s.c.budget.release(int64(s.queue.drop()))
	}()
	for {
		s.startReading(ctx)
		n, err := s.nextBatch(ctx)
		switch {
		case err != nil:
			return err
		case n > 0:
			if err := s.deliver(ctx, n); err != nil {
				return err
			}
		case s.queue.last:
			return s.complete(ctx)
		default:
			return s.reading.err // nothing is left, and nothing more comes
		}
	}
}

// nextBatch waits until a batch is ready and returns how many records from the
// front of the queue it has. It returns 0 when nothing is left and nothing
// more will come. It fails with errDraining and with the end of ctx.
func (s *shard) nextBatch(ctx context.Context) (int, error) {
	var (
		window <-chan time.Time
		scarce <-chan struct{}
	)
	for {
		if err := s.over(ctx); err != nil {
			return 0, err
		}
		n, full := s.queue.next(s.c.cfg.BatchSize, s.c.cfg.MaxBatchBytes)
		wait := s.c.cfg.BatchWindow - time.Since(s.queue.since)
		switch {
		case n > 0 && (full || s.feed == nil):
			return n, nil
		case n == 0 && s.feed == nil:
			return 0, nil
		case n > 0 && wait <= 0:
			if !s.readAhead() { // what is there already may still join
				return n, nil
			}
			continue
		case n > 0 && window == nil:
			timer := time.NewTimer(wait)
			defer timer.Stop()
			window, scarce = timer.C, s.c.budget.scarce()
		}
		select {
		case p, ok := <-s.feed:
			s.take(p, ok)
		case <-window:
		case <-scarce: // other shards cannot read while this one waits
			return n, nil
		case <-s.held.Draining():
		case <-ctx.Done():
		}
	}
}

// over is why no more is to be begun: errDraining or the cause of ctx's end. It
// is nil while the shard is this worker's.
func (s *shard) over(ctx context.Context) error {
	select {
	case <-s.held.Draining():
		return errDraining
	case <-ctx.Done():
		return context.Cause(ctx)
	default:
	}
	if !s.held.Valid() {
		return context.Cause(ctx)
	}
	return nil
}

// done takes the first n records off, of which so many were handled and the
// others given up, and records that everything up to them is done.
func (s *shard) done(n, handled int) {
	at, size := s.queue.done(n)
	s.batch -= n
	s.unpark()
	s.c.budget.release(int64(size))
	s.held.Save(at, 0, nil)
	s.progress.moved(at, handled)
}

// park keeps the shard without working on it, until the lease ends. Another
// worker would meet the same record.
func (s *shard) park(ctx context.Context, cause error) {
	at := s.progress.stop(cause)
	s.log.Error("shard stopped; its position is kept, and nothing more is delivered",
		zap.Stringer("position", at), zap.Error(cause))
	if f := s.c.cfg.Hooks.Stopped; f != nil {
		f(s.name, at, cause)
	}
	select {
	case <-s.held.Draining():
	case <-ctx.Done():
	}
}

// pause waits for d. It fails with errDraining and with the end of ctx.
func (s *shard) pause(ctx context.Context, d time.Duration) error {
	return s.wait(ctx, d, nil)
}

// rest waits for d before the batch is tried again, and makes room for other
// shards when they need it. It fails as pause does.
func (s *shard) rest(ctx context.Context, d time.Duration) error {
	return s.wait(ctx, d, s.c.budget.scarce())
}

// wait waits for d, and sheds once when scarce is closed.
func (s *shard) wait(ctx context.Context, d time.Duration, scarce <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		if err := s.over(ctx); err != nil {
			return err
		}
		select {
		case <-timer.C:
			return s.over(ctx)
		case <-scarce:
			s.shed()
			scarce = nil
		case <-s.held.Draining():
		case <-ctx.Done():
		}
	}
}

// fail names the shard in an error.
func (s *shard) fail(op string, err error) error {
	return &ShardError{Stream: s.stream.name, Shard: s.name, Op: op, Err: err}
}

// retryKinesis spaces the calls that are made again until they succeed.
var retryKinesis = backoff.Policy{Min: 100 * time.Millisecond, Max: 5 * time.Second}
