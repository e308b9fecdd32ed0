package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/cmd/shardrun/internal/plural"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/internal/history/witness"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/localstream"
)

// cleanupTime bounds what is done after the demo ended or was interrupted.
const cleanupTime = 10 * time.Second

// run is one run of the demo.
type run struct {
	cfg      Config
	client   *kinesis.Client
	store    lease.Store
	embedded bool // the stream is in this process

	history *history.History
	totals  *totals
	killer  *killer
	gate    *gate
	view    *view
	workers []*worker // only the goroutine of Run changes it
	summary Summary
}

// Run runs the demo. It returns the audit when the job came to its end,
// whatever the audit says, and an error when it could not.
func Run(ctx context.Context, cfg Config) (Summary, error) {
	if err := cfg.Validate(); err != nil {
		return Summary{}, err
	}
	r := &run{
		cfg: cfg, client: cfg.Client, store: cfg.Store,
		history: history.New(), totals: newTotals(), killer: newKiller(), gate: new(gate),
	}
	closeAll, err := r.open()
	if err != nil {
		return Summary{}, err
	}
	err = r.play(ctx)
	return r.summary, errors.Join(err, closeAll())
}

// open starts what is embedded.
func (r *run) open() (closeAll func() error, err error) {
	if r.store == nil {
		r.store = lease.NewMemory()
	}
	if r.client != nil {
		return func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp("", "shardrun-demo-")
	if err != nil {
		return nil, err
	}
	server, err := localstream.Open(localstream.Config{DataDir: dir})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	r.client, r.embedded = server.Client(), true
	return func() error { return errors.Join(server.Close(), os.RemoveAll(dir)) }, nil
}

// play is the job from the first record to the audit.
func (r *run) play(ctx context.Context) (err error) {
	in, err := r.load()
	if err != nil {
		return err
	}
	if err := r.createStream(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.cleanUp(ctx)) }()
	defer r.gate.open()

	r.view = newView(r)
	defer r.view.close()
	r.view.event("stream %s with %s, %s", r.cfg.Stream, plural.Of(r.cfg.Shards, "shard", "shards"), r.cfg.Where)
	start := time.Now()
	for range r.cfg.Workers {
		w, err := r.startWorker(ctx)
		if err != nil {
			return err
		}
		r.view.event("%s started", w.name)
	}
	if err := r.send(ctx, in); err != nil {
		return err
	}
	r.view.event("all %d records are sent", r.cfg.Records)
	if err := r.settle(ctx); err != nil {
		return err
	}
	took := time.Since(start)
	if r.embedded {
		stream, err := witness.Stream(ctx, r.client, r.cfg.Stream)
		if err != nil {
			return err
		}
		r.history.Stream(stream)
	}
	stats := r.totals.stats(r.history.IsAcked)
	r.audit(stats.Equal(&in.expected), took)
	r.view.close()
	r.summary.print(r.cfg.Out, stats.Top(10))
	return nil
}

// stallTime is how long nothing may move before the rest counts as lost.
const stallTime = 30 * time.Second

// settle waits until every acknowledged record was handled, or until nothing
// moves any more.
func (r *run) settle(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	handled, since := -1, time.Now()
	for {
		c := r.history.Counts()
		if c.Handled > handled {
			handled, since = c.Handled, time.Now()
		}
		if c.Handled == c.Acked || time.Since(since) > stallTime {
			return nil
		}
		if err := r.failedWorker(); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// failedWorker is the error of a worker that ended by itself.
func (r *run) failedWorker() error {
	for _, w := range r.workers {
		select {
		case <-w.ended:
			if w.err != nil && w.cord.err() == nil {
				return fmt.Errorf("%s ended: %w", w.name, w.err)
			}
		default:
		}
	}
	return nil
}

// cleanUp ends the workers and deletes the stream, also after an interrupt.
func (r *run) cleanUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	for _, w := range r.workers {
		w.cancel() // all at once, then wait
	}
	var errs []error
	for _, w := range r.workers {
		if err := w.stop(); err != nil && w.cord.err() == nil {
			errs = append(errs, fmt.Errorf("%s: %w", w.name, err))
		}
	}
	if !r.cfg.Keep {
		if _, err := r.client.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: aws.String(r.cfg.Stream)}); err != nil {
			errs = append(errs, fmt.Errorf("delete stream %s: %w", r.cfg.Stream, err))
		}
	}
	return errors.Join(errs...)
}
