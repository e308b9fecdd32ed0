package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/internal/history/witness"
)

var (
	errHandler = errors.New("the handler fails")
	errUseless = errors.New("nobody can handle this record")
)

// handler is the user's handler of a worker.
func (w *world) handler(wk *worker) consumer.Handler {
	handle := w.handleBatch
	if w.plan.GiveUp.Each {
		handle = w.handleEach
	}
	return consumer.BatchFunc(func(ctx context.Context, b *consumer.Batch) (err error) {
		of := tenure{b.Lease, b.Epoch}
		w.waited(wk, of, &b.Records[0])
		wk.blames(of, len(b.Records))
		defer func() { w.returned(wk, of, err) }() // also when it panics
		return handle(ctx, wk, b)
	})
}

// handling is the most that a call takes when all is well.
const handling = 20 * time.Millisecond

// deed is what a call of the handler is to do.
type deed struct {
	dice  *rand.Rand
	fails bool
	deaf  bool          // it does not look at its context
	most  time.Duration // that it takes
	began time.Time
}

// begin decides about a call.
func (w *world) begin(wk *worker, b *consumer.Batch) deed {
	if age := time.Since(b.Records[0].Arrival); w.plan.GiveUp.Age > 0 && age > w.plan.GiveUp.Age {
		w.fail("%s: a record of %s is %v old, and is given to the handler", wk.name, b.Shard, age)
	}
	trouble := wk.trouble()
	dice := w.source.own(key("handle", wk.name, b.Lease, string(b.Records[0].Sequence)))
	d := deed{
		dice: dice, fails: dice.Float64() < trouble.fails, deaf: dice.IntN(4) == 0,
		most: handling, began: time.Now(),
	}
	if dice.Float64() < trouble.slow {
		w.happened(HandlerSlow)
		d.most = trouble.long
		if d.deaf {
			w.reach("handler slow and deaf")
		}
	}
	d.most = min(wk.node.stretch(d.most), 4*w.plan.TTL)
	return d
}

// takes lets a part of the time of a call pass. It fails when the context ends,
// or the node does.
func (w *world) takes(ctx context.Context, wk *worker, d deed, parts int) error {
	took := w.source.until(d.dice, 0, d.most/time.Duration(parts))
	if d.deaf {
		time.Sleep(took)
	} else if !sleep(ctx, took) {
		return w.cancelled(ctx)
	} else {
		w.inTime(wk, d)
	}
	if !wk.node.awake(ctx) {
		return w.cancelled(ctx)
	}
	return nil
}

// cancelled is why a handler does not go on.
func (w *world) cancelled(ctx context.Context) error {
	err := context.Cause(ctx)
	switch {
	case errors.Is(err, consumer.ErrDeadline):
		w.reach("handler past its deadline")
	case errors.Is(err, consumer.ErrDraining):
		w.reach("handler drained")
	case err != nil:
		w.reach("handler lost its lease")
	default:
		err = errDead
	}
	return err
}

// handleBatch is a handler of batches.
func (w *world) handleBatch(ctx context.Context, wk *worker, b *consumer.Batch) error {
	w.tries(wk, tenure{b.Lease, b.Epoch}, &b.Records[0])
	if !wk.node.awake(ctx) {
		return w.cancelled(ctx)
	}
	for i := range b.Records {
		w.deliver(wk, tenure{b.Lease, b.Epoch}, &b.Records[i])
	}
	d := w.begin(wk, b)
	if err := w.takes(ctx, wk, d, 1); err != nil {
		return err
	}
	done, err := len(b.Records), error(nil)
	if i := w.useless(b.Records); i < len(b.Records) {
		w.reach("handler says poison")
		done, err = i, consumer.FailFrom(i, consumer.Poison(errUseless))
	}
	panics := false
	if d.fails {
		w.happened(HandlerError)
		done, err, panics = w.misdeed(wk, tenure{b.Lease, b.Epoch}, d.dice, len(b.Records))
	}
	for i := range b.Records[:done] {
		w.handled(wk, tenure{b.Lease, b.Epoch}, &b.Records[i])
	}
	if 0 < done && done < len(b.Records) {
		w.tries(wk, tenure{b.Lease, b.Epoch}, &b.Records[done])
	}
	if panics {
		panic(err)
	}
	return err
}

// misdeed is how a call fails: how many records are done nevertheless, and what is
// returned or, if it panics, said.
func (w *world) misdeed(wk *worker, of tenure, dice *rand.Rand, n int) (done int, err error, panics bool) {
	i := dice.IntN(n)
	switch dice.IntN(8) {
	case 0:
		w.reach("handler fails from")
		wk.blames(of, 1)
		return i, consumer.FailFrom(i, errHandler), false
	case 1:
		w.reach("handler fails from, wrapped")
		err, panics = w.misdeedOfOne(dice)
		if panics {
			return 0, err, true
		}
		wk.blames(of, 1)
		return i, fmt.Errorf("wrapped: %w", consumer.FailFrom(i, err)), false
	case 2:
		w.reach("handler fails from two")
		wk.blames(of, 1)
		return i, errors.Join(consumer.FailFrom(n-1, errHandler), consumer.FailFrom(i, errHandler)), false
	case 3:
		w.reach("handler fails from outside")
		return 0, consumer.FailFrom(n+i, errHandler), false
	}
	err, panics = w.misdeedOfOne(dice)
	return 0, err, panics
}

// misdeedOfOne is how a call fails for one record, or for all.
func (w *world) misdeedOfOne(dice *rand.Rand) (err error, panics bool) {
	after := time.Duration(dice.IntN(1000)) * time.Millisecond
	switch dice.IntN(6) {
	case 0, 1:
		w.reach("handler retries after")
		return consumer.RetryAfter(after, errHandler), false
	case 2:
		w.reach("handler panics")
		return errHandler, true
	case 3:
		if w.plan.GiveUp.Stop {
			w.reach("handler says stop")
			return consumer.Stop(errStops), false
		}
	}
	w.reach("handler fails")
	return errHandler, false
}

// handleEach is a handler of one record at a time. That records are done is known
// when the call ends.
func (w *world) handleEach(ctx context.Context, wk *worker, b *consumer.Batch) error {
	of, n := tenure{b.Lease, b.Epoch}, 0
	if !wk.node.awake(ctx) {
		w.tries(wk, of, &b.Records[0])
		return w.cancelled(ctx)
	}
	d := w.begin(wk, b)
	at := d.dice.IntN(len(b.Records)) // where it fails, if it does
	decode := func(data []byte) ([]byte, error) {
		if w.useless(b.Records[n:n+1]) == 0 {
			w.reach("handler cannot decode")
			return nil, errUseless
		}
		return data, nil
	}
	inner := consumer.Each(decode, func(ctx context.Context, m consumer.Message[[]byte]) error {
		w.tries(wk, of, &m.Record)
		wk.blames(of, 1)
		w.deliver(wk, of, &m.Record)
		if err := w.takes(ctx, wk, d, len(b.Records)); err != nil {
			return err
		}
		if d.fails && n == at {
			w.happened(HandlerError)
			err, panics := w.misdeedOfOne(d.dice)
			if panics {
				panic(err)
			}
			return err
		}
		w.reach("handler of each")
		n++
		return nil
	})
	err := inner.Handle(ctx, b)
	if !wk.node.alive() {
		return err
	}
	for i := range b.Records[:n] {
		w.handled(wk, of, &b.Records[i])
	}
	return err
}

// useless is the index of the first record that nobody can handle; their number
// when there is none.
func (w *world) useless(records []consumer.Record) int {
	if w.plan.GiveUp.Poison {
		for i := range records {
			if key("useless", string(records[i].Sequence), fmt.Sprint(records[i].Subsequence))%64 == w.plan.Seed%64 {
				return i
			}
		}
	}
	return len(records)
}

// deliver tells the history that somebody was given a record.
func (w *world) deliver(wk *worker, of tenure, r *consumer.Record) {
	w.history.Delivered(history.Delivery{
		Worker: wk.name, Lease: of.lease, Epoch: of.epoch, ID: witness.ID(r), Key: r.Key, HashKey: r.HashKey, Data: r.Data, Arrival: r.Arrival,
	})
}

// returned tells the history, and the trial of the tenure, that a call has ended.
func (w *world) returned(wk *worker, of tenure, err error) {
	wk.returns(of, err)
	if wk.node.alive() {
		w.history.Returned(wk.name, of.lease, of.epoch)
	}
}

// handled tells the history that a record is done.
func (w *world) handled(wk *worker, of tenure, r *consumer.Record) {
	w.history.Handled(wk.name, of.lease, of.epoch, witness.ID(r))
}
