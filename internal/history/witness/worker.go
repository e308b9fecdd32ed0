package witness

import (
	"context"
	"sync"

	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/lease"
)

// Worker is the configuration of a worker that tells h what it is given, what it
// handles and what it asks of the store, under cfg.WorkerName. What was given to
// cfg.OnFailure counts as handled.
func Worker(h *history.History, cfg consumer.Config) consumer.Config {
	w := &worker{h: h, name: cfg.WorkerName, epochs: map[string]tenure{}, batches: map[string]batch{}}
	cfg.Store = &store{Store: cfg.Store, h: h, worker: cfg.WorkerName, granted: w.granted}
	inner := cfg.Handler
	cfg.Handler = consumer.BatchFunc(func(ctx context.Context, b *consumer.Batch) error {
		defer h.Returned(cfg.WorkerName, b.Lease, b.Epoch) // also when it panics
		w.given(b)
		return inner.Handle(ctx, b)
	})
	// The hooks tell how many records a verdict says are done, and which were given
	// up. Both are called before the position behind them can be saved.
	done, failed := cfg.Hooks.Batch, cfg.Hooks.Failed
	cfg.Hooks.Batch = func(e consumer.BatchEvent) {
		w.done(e)
		if done != nil {
			done(e)
		}
	}
	cfg.Hooks.Failed = func(f *consumer.Failure) {
		w.failed(f)
		if failed != nil {
			failed(f)
		}
	}
	return cfg
}

// worker knows of each shard the tenure acquired last and the last batch, of
// which one at a time is handled.
type worker struct {
	h    *history.History
	name string

	mu      sync.Mutex        // guards all below
	epochs  map[string]tenure // by shard
	batches map[string]batch  // by shard
}

type tenure struct {
	lease string
	epoch uint64
}

type batch struct {
	tenure
	ids []history.ID
}

func (w *worker) granted(name string, epoch uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.epochs[lease.ShardOf(name)] = tenure{name, epoch}
}

// given tells of a batch before the handler has it.
func (w *worker) given(b *consumer.Batch) {
	given := batch{tenure{b.Lease, b.Epoch}, make([]history.ID, len(b.Records))}
	for i := range b.Records {
		given.ids[i] = ID(&b.Records[i])
		w.h.Delivered(delivery(w.name, b, i))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.batches[b.Shard] = given
}

// done tells which of a batch's records were handled.
func (w *worker) done(e consumer.BatchEvent) {
	w.mu.Lock()
	b := w.batches[e.Shard]
	w.mu.Unlock()
	for _, id := range b.ids[:e.Done] {
		w.h.Handled(w.name, b.lease, b.epoch, id)
	}
}

// failed tells of records that were given up. Those that were too old may never
// have been in a batch.
func (w *worker) failed(f *consumer.Failure) {
	w.mu.Lock()
	t := w.epochs[f.Shard]
	w.mu.Unlock()
	for i := range f.Records {
		w.h.Handled(w.name, t.lease, t.epoch, ID(&f.Records[i]))
	}
}

// Handler tells h what a handler is given and, when it returns without an error,
// that all of it was handled. For handlers that say which records are done use
// [Worker].
func Handler(h *history.History, name string, inner consumer.Handler) consumer.Handler {
	return consumer.BatchFunc(func(ctx context.Context, b *consumer.Batch) error {
		given := batch{tenure{b.Lease, b.Epoch}, make([]history.ID, len(b.Records))} // the handler may change b
		defer h.Returned(name, given.lease, given.epoch)
		for i := range b.Records {
			given.ids[i] = ID(&b.Records[i])
			h.Delivered(delivery(name, b, i))
		}
		if err := inner.Handle(ctx, b); err != nil {
			return err
		}
		for _, id := range given.ids {
			h.Handled(name, given.lease, given.epoch, id)
		}
		return nil
	})
}

func delivery(name string, b *consumer.Batch, i int) history.Delivery {
	r := &b.Records[i]
	return history.Delivery{
		Worker: name, Lease: b.Lease, Epoch: b.Epoch, ID: ID(r), Key: r.Key, HashKey: r.HashKey, Data: r.Data,
		Arrival: r.Arrival,
	}
}

// ID is the id of a record that was delivered.
func ID(r *consumer.Record) history.ID {
	return history.ID{Sequence: string(r.Sequence), Subsequence: r.Subsequence}
}
