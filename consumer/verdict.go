package consumer

import (
	"cmp"
	"errors"
	"math/rand/v2"
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
	unseen bool // the user's function was not called for the first that failed
	err    error
}

type kind uint8

const (
	kindDone kind = iota
	kindRetry
	kindPoison
	kindStop
)

// remark is what Poison, Stop and RetryAfter say.
type remark struct {
	kind  kind
	after time.Duration
	named bool
}

// with joins two remarks about the same records: the graver kind and the longer
// pause count.
func (r remark) with(o remark) remark {
	return remark{kind: max(r.kind, o.kind), after: max(r.after, o.after), named: r.named || o.named}
}

// blame is what one FailFrom says, with the verdicts around and inside it.
type blame struct {
	index  int
	failed int // records that are failed: one, or the whole batch
	unseen bool
	remark
}

// judge reads the error that a handler returned for a batch of n records, which
// may be a tree of wrapped and joined ones. Of several FailFrom the lowest index
// counts, with its own verdicts: those of the records behind it are said again
// when they are delivered again. Stop counts wherever it stands. Without a
// FailFrom all verdicts are about the whole batch, and the gravest counts.
func judge(err error, n int) verdict {
	if err == nil {
		return verdict{done: n}
	}
	whole := &blame{failed: n, remark: remark{kind: kindRetry}}
	blames := accuse(err, n, whole.remark, whole, nil)
	if len(blames) == 0 {
		blames = append(blames, whole)
	}
	first := *blames[0]
	for _, b := range blames[1:] {
		switch c := cmp.Or(cmp.Compare(b.index, first.index), cmp.Compare(b.failed, first.failed)); {
		case c < 0:
			first = *b
		case c == 0:
			first.remark = first.with(b.remark)
			first.unseen = first.unseen && b.unseen
		}
	}
	if first.unseen {
		first.kind = kindRetry // nobody looked at the record
	}
	if _, ok := errors.AsType[*stop](err); ok {
		first.kind = kindStop
	}
	return verdict{
		done: first.index, failed: first.failed, kind: first.kind,
		after: first.after, named: first.named, unseen: first.unseen, err: err,
	}
}

// accuse appends the blames in err to out. What it finds outside of them is
// said of the records of in; around is what was said on the way down to err.
func accuse(err error, n int, around remark, in *blame, out []*blame) []*blame {
	var own remark
	switch e := err.(type) { //nolint:errorlint // the tree is walked node by node
	case *failFrom:
		in = &blame{index: e.index, failed: 1, unseen: e.unseen, remark: around}
		if e.index < 0 || e.index >= n {
			in.index, in.failed = 0, n
		}
		out = append(out, in)
	case *poison:
		own.kind = kindPoison
	case *retryAfter:
		own.after, own.named = e.after, true
	}
	around, in.remark = around.with(own), in.with(own)
	switch e := err.(type) { //nolint:errorlint // as above
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			out = accuse(inner, n, around, in, out)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			out = accuse(inner, n, around, in, out)
		}
	}
	return out
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
// was delivered and looked at. The pause before a retry is drawn from rnd, of
// which nil is one for all.
func (p policy) decide(v verdict, attempts int, rnd *rand.Rand) decision {
	switch {
	case v.kind == kindStop:
		return decision{do: stepStop, cause: v.err}
	case v.kind == kindPoison:
		return p.giveUp(ReasonPoison, v.err)
	case p.maxAttempts >= 0 && attempts >= p.maxAttempts && !v.unseen:
		return p.giveUp(ReasonAttempts, errors.Join(ErrAttempts, v.err))
	case v.named:
		return decision{do: stepRetry, pause: v.after}
	default:
		return decision{do: stepRetry, pause: p.delay.Next(attempts, rnd)}
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
