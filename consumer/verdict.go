package consumer

import (
	"errors"
	"time"

	"github.com/shardrun/shardrun/internal/backoff"
)

// verdict is what a handler's error says about a batch.
type verdict struct {
	done   int // records from the front that are done
	failed int // records after them that the error is about
	kind   kind
	after  time.Duration // of a retry, when the handler named one
	named  bool
	err    error
}

type kind uint8

const (
	kindDone kind = iota
	kindRetry
	kindPoison
	kindStop
)

// judge reads the error that a handler returned for a batch of n records. Of
// several verdicts in one error the gravest counts: stop, poison, retry.
func judge(err error, n int) verdict {
	if err == nil {
		return verdict{done: n}
	}
	v := verdict{failed: n, kind: kindRetry, err: err}
	if f, ok := errors.AsType[*failFrom](err); ok && f.index >= 0 && f.index < n {
		v.done, v.failed = f.index, 1
	}
	if r, ok := errors.AsType[*retryAfter](err); ok {
		v.after, v.named = r.after, true
	}
	if _, ok := errors.AsType[*poison](err); ok {
		v.kind = kindPoison
	}
	if _, ok := errors.AsType[*stop](err); ok {
		v.kind = kindStop
	}
	return v
}

// policy says what to do with records that were not handled.
type policy struct {
	maxAttempts int // -1 for no limit
	maxAge      time.Duration
	delay       backoff.Policy
	destination bool // there is somewhere to put records that are given up
}

// decision is what to do about a verdict.
type decision struct {
	do     step
	pause  time.Duration // before a retry
	reason Reason        // of giving up
	cause  error         // of stopping
}

type step uint8

const (
	stepRetry step = iota
	stepGiveUp
	stepStop
)

// decide says what to do about the records that a verdict is about, which are
// those at the head of the batch; attempts counts how often the first of them
// was delivered.
func (p policy) decide(v verdict, attempts int) decision {
	switch {
	case v.kind == kindStop:
		return decision{do: stepStop, cause: v.err}
	case v.kind == kindPoison:
		return p.giveUp(ReasonPoison, v.err)
	case p.maxAttempts >= 0 && attempts >= p.maxAttempts:
		return p.giveUp(ReasonAttempts, errors.Join(ErrAttempts, v.err))
	case v.named:
		return decision{do: stepRetry, pause: v.after}
	default:
		return decision{do: stepRetry, pause: p.delay.Next(attempts, nil)}
	}
}

// giveUp hands the records to the destination. Without one the shard stops:
// nothing is dropped that nobody said to drop.
func (p policy) giveUp(reason Reason, cause error) decision {
	if !p.destination {
		return decision{do: stepStop, cause: cause}
	}
	return decision{do: stepGiveUp, reason: reason}
}

// tooOld is how many records from the front are older than the policy allows.
func (p policy) tooOld(records []Record, now time.Time) int {
	if p.maxAge <= 0 {
		return 0
	}
	for i := range records {
		if now.Sub(records[i].Arrival) <= p.maxAge {
			return i
		}
	}
	return len(records)
}
