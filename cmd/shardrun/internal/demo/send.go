package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shardrun/shardrun/cmd/shardrun/internal/plural"
	"github.com/shardrun/shardrun/internal/flights"
	"github.com/shardrun/shardrun/internal/history/witness"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/producer"
)

// input is what is sent, and what the workers ought to make of it.
type input struct {
	lines    []flights.Line
	expected flights.Stats
}

// load reads the input, again from its start when it is shorter than the
// number of records asked for.
func (r *run) load() (*input, error) {
	in := &input{lines: make([]flights.Line, 0, r.cfg.Records)}
	for len(in.lines) < r.cfg.Records {
		before := len(in.lines)
		if err := r.loadOnce(in); err != nil {
			return nil, fmt.Errorf("read flights: %w", err)
		}
		if len(in.lines) == before {
			return nil, errors.New("read flights: the input has no flights")
		}
	}
	for _, l := range in.lines {
		in.expected.Add(l.Flight)
	}
	return in, nil
}

func (r *run) loadOnce(in *input) error {
	file, err := r.cfg.Input()
	if err != nil {
		return err
	}
	defer file.Close()
	for line, err := range flights.Read(file) {
		if err != nil {
			return err
		}
		in.lines = append(in.lines, line)
		if len(in.lines) == r.cfg.Records {
			return nil
		}
	}
	return nil
}

// send puts all records, keyed by origin airport, and plays the script on the way.
func (r *run) send(ctx context.Context, in *input) (err error) {
	cfg := producer.Config{Client: r.client, Stream: r.cfg.Stream, Ordered: true}
	if r.embedded {
		cfg.RateLimit = -1 // the local stream has no limit to keep to
	}
	p, err := producer.New(cfg)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer cancel()
		err = errors.Join(err, p.Close(ctx))
	}()
	put := witness.Producer{To: p, History: r.history, Name: "producer", Ordered: cfg.Ordered}
	steps := script(len(in.lines))
	pace := newPace(r.cfg.Rate)
	for i, line := range in.lines {
		for len(steps) > 0 && steps[0].at == i {
			if err := r.step(ctx, p, steps[0].action); err != nil {
				return err
			}
			steps = steps[1:]
			pace = newPace(r.cfg.Rate) // what an event took is not caught up
		}
		if err := pace.wait(ctx); err != nil {
			return err
		}
		err := put.Put(ctx, producer.Record{Key: line.Flight.Origin, Data: line.Raw, Done: func(res producer.Result, err error) {
			if err == nil {
				r.totals.ack(res.Shard)
			}
		}})
		if err != nil {
			return fmt.Errorf("put record %d: %w", i, err)
		}
	}
	if err := p.Flush(ctx); err != nil {
		return err
	}
	if c := r.history.Counts(); c.Failed > 0 {
		return fmt.Errorf("%s could not be put: %w", plural.Of(c.Failed, "record", "records"), r.history.FirstFailure())
	}
	return nil
}

// step does one action of the script, with everything before it sent.
func (r *run) step(ctx context.Context, p *producer.Producer, a action) error {
	if err := p.Flush(ctx); err != nil {
		return err
	}
	if err := r.failedWorker(); err != nil {
		return err
	}
	switch a {
	case split:
		r.summary.Splits++
		return r.split(ctx)
	case hold:
		return r.holdParent(ctx)
	case merge:
		r.summary.Merges++
		return r.merge(ctx)
	case release:
		select {
		case <-time.After(holdTime):
			r.gate.open()
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	case join:
		r.summary.Joined++
		return r.join(ctx)
	case armKill:
		r.killer.arm()
		return nil
	case kill:
		r.summary.Killed++
		return r.awaitKill(ctx)
	case drain:
		r.summary.Drained++
		return r.drain()
	}
	return nil
}

// holdTime is how long a child of a shard that is held back has to overtake it,
// were it allowed to: longer than a worker takes to look for records.
const holdTime = time.Second

// joinTime is how long the script waits for a new worker to get its share.
const joinTime = 10 * leaseTTL

// join starts one more worker and waits until it holds a shard.
func (r *run) join(ctx context.Context) error {
	w, err := r.startWorker(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for time.Since(start) < joinTime {
		held, err := r.held(ctx, w.name)
		if err != nil {
			return err
		}
		if held > 0 {
			r.view.event("%s joined and was handed %d of the shards within %s", w.name, held, time.Since(start).Round(10*time.Millisecond))
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	r.view.event("%s joined; it has no shard yet", w.name)
	return nil
}

// held counts the shards that a worker holds.
func (r *run) held(ctx context.Context, name string) (int, error) {
	table, err := r.store.View(ctx, r.cfg.Group)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, l := range table.Leases {
		if ownerOf(table, l) == name {
			n++
		}
	}
	return n, nil
}

// ownerOf is the name of the worker that holds a lease, empty for none.
func ownerOf(table lease.View, l lease.Lease) string {
	session := lease.SessionOf(l.Token)
	i := slices.IndexFunc(table.Sessions, func(s lease.Session) bool { return s.ID == session })
	if l.Free() || i < 0 {
		return ""
	}
	return table.Sessions[i].Name
}

// awaitKill waits until a worker died with a batch handled and not checkpointed.
func (r *run) awaitKill(ctx context.Context) error {
	select {
	case <-r.killer.struck:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	r.view.event("%s was killed in the middle of a batch: handled in part, not checkpointed", r.killer.dead().name)
	return nil
}

// drain stops a living worker in peace.
func (r *run) drain() error {
	for _, w := range r.workers {
		if w == r.killer.dead() {
			continue
		}
		start := time.Now()
		if err := w.stop(); err != nil {
			return fmt.Errorf("drain %s: %w", w.name, err)
		}
		r.view.event("%s drained and handed its shards over in %s", w.name, time.Since(start).Round(100*time.Microsecond))
		return nil
	}
	return errors.New("there is no worker to drain")
}

// pace spaces records out evenly.
type pace struct {
	every time.Duration // 0 for full speed
	next  time.Time
}

func newPace(perSecond float64) *pace {
	if perSecond == 0 {
		return &pace{}
	}
	return &pace{every: time.Duration(float64(time.Second) / perSecond), next: time.Now()}
}

// leastSleep is the shortest wait that is worth a timer.
const leastSleep = 2 * time.Millisecond

func (p *pace) wait(ctx context.Context) error {
	if p.every == 0 {
		return ctx.Err()
	}
	p.next = p.next.Add(p.every)
	if ahead := time.Until(p.next); ahead > leastSleep {
		select {
		case <-time.After(ahead):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
