package sim

import (
	"context"
	"errors"
	"time"

	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/history/witness"
)

var errRefuses = errors.New("the destination fails")

// take is the destination of records that are given up. To the history it is as
// if the worker had been given them once more, and had handled them: they must be
// the ones that are due, as they were put, and have to be told before a position
// behind them is saved.
func (w *world) take(ctx context.Context, wk *worker, f *consumer.Failure) error {
	n := wk.node
	of := wk.holds(f.Shard)
	defer w.returned(wk, of, nil)
	if !n.awake(ctx) {
		return w.cancelled(ctx)
	}
	w.rightly(wk, f)
	for i := range f.Records {
		w.deliver(wk, of, &f.Records[i])
	}
	dice := w.source.own(key("take", wk.name, of.lease, string(f.Records[0].Sequence)))
	fails := dice.Float64() < wk.trouble().fails
	if !sleep(ctx, w.source.until(dice, 0, n.stretch(20*time.Millisecond))) || !n.awake(ctx) {
		return w.cancelled(ctx)
	}
	if fails {
		w.reach("destination fails")
		return errRefuses
	}
	w.reach("given up: " + string(f.Reason))
	for i := range f.Records {
		w.handled(wk, of, &f.Records[i])
	}
	return nil
}

// dropped takes note of records that were forgotten, as the plan says.
func (w *world) dropped(wk *worker, f *consumer.Failure) {
	if !wk.node.alive() {
		return
	}
	w.reach("given up: dropped")
	w.rightly(wk, f)
	of := wk.holds(f.Shard)
	defer w.returned(wk, of, nil)
	for i := range f.Records {
		w.deliver(wk, of, &f.Records[i])
		w.handled(wk, of, &f.Records[i])
	}
}

// rightly fails the run when records are given up against the plan.
func (w *world) rightly(wk *worker, f *consumer.Failure) {
	g := w.plan.GiveUp
	bad := func(format string, args ...any) {
		w.fail("%s gives up %d records of %s: "+format, append([]any{wk.name, len(f.Records), f.Shard}, args...)...)
	}
	if f.Group != "sim" || f.Stream != streamName || f.Worker != wk.as {
		bad("they are said to be of %q, %q, %q", f.Group, f.Stream, f.Worker)
	}
	if f.Time.After(time.Now()) {
		bad("%v from now", time.Until(f.Time))
	}
	switch f.Reason {
	case consumer.ReasonAttempts:
		times, about := wk.tried(wk.holds(f.Shard), witness.ID(&f.Records[0]))
		if most := w.plan.mostAttempts(); times < most || f.Attempts != times {
			bad("after %d attempts, which are said to be %d, and there are %d", times, f.Attempts, most)
		}
		if len(f.Records) > about {
			bad("and %d failed", about)
		}
	case consumer.ReasonAge:
		for i := range f.Records { // that it says their arrivals rightly is judged by the history
			if age := f.Time.Sub(f.Records[i].Arrival); g.Age == 0 || age <= g.Age {
				bad("number %d is only %v old", i, age)
			}
		}
	case consumer.ReasonPoison:
		if w.useless(f.Records) != 0 || len(f.Records) != 1 {
			bad("nobody said that it is of no use")
		}
	default:
		bad("for the reason %q", f.Reason)
	}
}
