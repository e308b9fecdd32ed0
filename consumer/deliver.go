package consumer

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/backoff"
)

// deliver brings the first n records of the queue to an end: handled, or given
// up by policy. It fails with errDraining, with the end of ctx, and with
// *stopped; what is done by then has been saved.
func (s *shard) deliver(ctx context.Context, n int) error {
	policy := s.c.policy
	attempts := 0 // of the first record, in a row
	var lastErr error
	for s.batch = n; s.batch > 0; {
		if err := s.over(ctx); err != nil {
			return err
		}
		if old := policy.tooOld(s.queue.records[:s.batch], time.Now()); old > 0 {
			d := policy.giveUp(ReasonAge, errors.Join(ErrTooOld, lastErr))
			if d.do == stepStop {
				return &stopped{d.cause}
			}
			if err := s.giveUp(ctx, old, ReasonAge, lastErr, attempts); err != nil {
				return err
			}
			attempts, lastErr = 0, nil
			continue
		}

		v := s.handle(s.batch, attempts+1)
		if v.done > 0 {
			s.done(v.done, v.done)
			attempts = 0 // of the record that failed
		}
		if s.batch == 0 {
			break
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !v.unseen {
			attempts++
		}
		lastErr = v.err
		d := policy.decide(v, attempts, s.rnd)
		s.logFailure(v, d, attempts)
		switch d.do {
		case stepStop:
			return &stopped{d.cause}
		case stepGiveUp:
			if err := s.giveUp(ctx, v.failed, d.reason, v.err, attempts); err != nil {
				return err
			}
			attempts, lastErr = 0, nil
		case stepRetry:
			s.progress.retrying(attempts, v.err)
			if err := s.rest(ctx, d.pause); err != nil {
				return err
			}
		}
	}
	s.progress.working()
	return nil
}

// handle calls the handler with the first n records of the queue. The slice is
// the handler's own: positions are taken from the queue.
func (s *shard) handle(n, attempt int) verdict {
	l := s.held.Lease()
	b := &Batch{
		Stream: s.stream.name, Shard: s.name, Lease: l.Name, Epoch: l.Epoch,
		Records: slices.Clone(s.queue.records[:n]),
		Attempt: attempt, Behind: s.queue.behind,
	}
	ctx := s.handlerCtx
	if limit := s.c.cfg.HandlerTimeout; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, ErrDeadline)
		defer cancel()
	}
	start := time.Now()
	v := judge(callHandler(ctx, s.c.cfg.Handler, b), n)
	call(s.c.cfg.Hooks.Batch, BatchEvent{
		Shard: s.name, Took: time.Since(start), Records: n, Done: v.done,
		Attempt: attempt, Behind: b.Behind, Err: v.err,
	})
	return v
}

// callHandler calls h; a panic counts as an error.
func callHandler(ctx context.Context, h Handler, b *Batch) (err error) {
	defer recoverTo(&err)
	return h.Handle(ctx, b)
}

// logFailure logs a failed call of the handler that does not stop the shard,
// which is logged by itself.
func (s *shard) logFailure(v verdict, d decision, attempts int) {
	fields := []zap.Field{
		zap.Stringer("position", s.queue.records[0].Position()), zap.Int("records", v.failed),
		zap.Int("attempt", attempts), zap.Error(v.err),
	}
	if p, ok := errors.AsType[*PanicError](v.err); ok {
		fields = append(fields, zap.ByteString("stack", p.Stack))
	}
	if d.do == stepRetry {
		fields = append(fields, zap.Duration("pause", d.pause))
		s.log.Warn("handler failed, will try again", fields...)
		return
	}
	s.log.Warn("handler failed", fields...)
}

// giveUp hands the first n records to the destination, as often as it takes,
// and goes on behind them.
func (s *shard) giveUp(ctx context.Context, n int, reason Reason, cause error, attempts int) error {
	cfg := s.c.cfg
	f := &Failure{
		Group: cfg.Group, Worker: cfg.WorkerName, Stream: s.stream.name, Shard: s.name,
		Reason: reason, Err: cause, Attempts: attempts,
		Records: slices.Clone(s.queue.records[:n]), Time: time.Now(),
	}
	for failed := 1; ; failed++ {
		err := sendFailure(s.handlerCtx, cfg.OnFailure, f)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.progress.retrying(attempts, err)
		pause := s.c.policy.delay.Next(failed, s.rnd)
		s.log.Warn("failure destination refused records, will try again",
			zap.Int("records", n), zap.Duration("pause", pause), zap.Error(err))
		if err := s.rest(ctx, pause); err != nil {
			return err
		}
	}
	_, dropped := cfg.OnFailure.(drop)
	s.log.Error("records given up",
		zap.String("reason", string(reason)), zap.Int("records", n), zap.Bool("dropped", dropped),
		zap.Stringer("first", s.queue.records[0].Position()), zap.Stringer("last", s.queue.records[n-1].Position()),
		zap.Error(cause))
	s.c.countFailed(n, dropped)
	call(cfg.Hooks.Failed, f) // first: who counts losses there has counted what is saved
	s.done(n, 0)
	return nil
}

// sendFailure calls the destination; a panic counts as an error.
func sendFailure(ctx context.Context, to Destination, f *Failure) (err error) {
	defer recoverTo(&err)
	own := *f
	own.Records = slices.Clone(f.Records)
	return to.Send(ctx, &own)
}

// retryPolicy is the policy that the configuration asks for.
func retryPolicy(cfg Config) policy {
	return policy{
		maxAttempts: cfg.MaxAttempts,
		maxAge:      cfg.MaxRecordAge,
		delay:       backoff.Policy{Min: cfg.RetryDelay, Max: cfg.MaxRetryDelay},
		destination: cfg.OnFailure != nil,
	}
}
