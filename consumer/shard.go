package consumer

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/backoff"
	"github.com/shardrun/shardrun/internal/hashkey"
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
// goroutine of run; another one reads ahead.
type shard struct {
	c        *Consumer
	stream   stream
	held     *lease.Held
	name     string
	log      *zap.Logger
	queue    queue
	progress *progress

	handlerCtx context.Context // ends with the causes that handlers are told
}

// newShard is the work on a lease that was just acquired.
func newShard(c *Consumer, st stream, h *lease.Held) *shard {
	l := h.Lease()
	name := lease.ShardOf(l.Name)
	return &shard{
		c: c, stream: st, held: h, name: name,
		log:      c.log.With(zap.String("shard", name), zap.Uint64("epoch", l.Epoch)),
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
	readCtx, stopReading := context.WithCancel(ctx)
	pages := make(chan *page) // without room: one page ahead is enough
	var (
		readErr error // set before pages is closed
		reader  sync.WaitGroup
	)
	reader.Go(func() {
		defer close(pages)
		readErr = src.run(readCtx, pages)
	})
	defer func() {
		stopReading()
		for p := range pages {
			s.c.budget.release(int64(p.size))
		}
		reader.Wait()
		s.c.budget.release(int64(s.queue.drop()))
	}()

	feed := (<-chan *page)(pages)
	for {
		n, err := s.nextBatch(ctx, &feed)
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
			return readErr // nothing is left, and nothing more comes
		}
	}
}

// source is where the shard is read from.
func (s *shard) source() (*source, error) {
	cfg := s.c.cfg
	l := s.held.Lease()
	keys := hashkey.Full
	if l.Shard.StartingHashKey != "" || l.Shard.EndingHashKey != "" {
		var err error
		if keys, err = hashkey.ParseRange(l.Shard.StartingHashKey, l.Shard.EndingHashKey); err != nil {
			return nil, s.fail("read the lease of", err)
		}
	}
	from := s.held.Entry().Position
	return &source{
		client: cfg.Client, stream: s.stream, shard: s.name, size: int32(cfg.PageSize),
		pace:   pace{reads: cfg.ReadsPerSecond, bytes: cfg.ReadBytesPerSecond, minGap: cfg.IdleDelay, maxGap: cfg.MaxIdleDelay},
		budget: s.c.budget, hooks: cfg.Hooks, log: s.log,
		tip:    s.progress.tip,
		unpack: unpacker{keys: keys, after: from},
		from:   from,
	}, nil
}

// nextBatch waits until a batch is ready and returns how many records from the
// front of the queue it has. It returns 0 when nothing is left and nothing
// more will come; *feed is set to nil when it has. It fails with errDraining and
// with the end of ctx.
func (s *shard) nextBatch(ctx context.Context, feed *<-chan *page) (int, error) {
	var window <-chan time.Time
	for {
		select {
		case <-s.held.Draining():
			return 0, errDraining
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		default:
		}
		n, full := s.queue.next(s.c.cfg.BatchSize, s.c.cfg.MaxBatchBytes)
		wait := s.c.cfg.BatchWindow - time.Since(s.queue.since)
		switch {
		case n > 0 && (full || *feed == nil):
			return n, nil
		case n == 0 && *feed == nil:
			return 0, nil
		case n > 0 && wait <= 0:
			if !s.readAhead(feed) { // what is there already may still join
				return n, nil
			}
			continue
		case n > 0 && window == nil:
			timer := time.NewTimer(wait)
			defer timer.Stop()
			window = timer.C
		}
		select {
		case p, ok := <-*feed:
			s.take(p, ok, feed)
		case <-window:
		case <-s.held.Draining():
		case <-ctx.Done():
		}
	}
}

// readAhead takes a page if one is there, and reports whether the queue changed.
func (s *shard) readAhead(feed *<-chan *page) bool {
	select {
	case p, ok := <-*feed:
		s.take(p, ok, feed)
		return true
	default:
		return false
	}
}

// take puts a page in the queue; ok is false when there are no more.
func (s *shard) take(p *page, ok bool, feed *<-chan *page) {
	if !ok {
		*feed = nil
		return
	}
	s.progress.page(p)
	if s.queue.add(p) {
		s.held.Save(s.queue.end, 0, nil)
		s.progress.moved(s.queue.end, 0)
	}
}

// done takes the first n records off, of which so many were handled and the
// others given up, and records that everything up to them is done.
func (s *shard) done(n, handled int) {
	at, size := s.queue.done(n)
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
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.held.Draining():
		return errDraining
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// fail names the shard in an error.
func (s *shard) fail(op string, err error) error {
	return &ShardError{Stream: s.stream.name, Shard: s.name, Op: op, Err: err}
}

// retryKinesis spaces the calls that are made again until they succeed.
var retryKinesis = backoff.Policy{Min: 100 * time.Millisecond, Max: 5 * time.Second}
