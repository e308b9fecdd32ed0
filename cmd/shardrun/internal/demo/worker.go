package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/flights"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/internal/history/witness"
)

// leaseTTL is how long a killed worker keeps its shards.
const leaseTTL = time.Second

// worker is one worker of the demo: what a container would run.
type worker struct {
	name   string
	cord   cord
	cancel context.CancelFunc
	ended  chan struct{} // closed when Run returned
	err    error         // what it returned, after ended
}

// startWorker runs a worker until it is drained, killed, or the demo ends.
func (r *run) startWorker(ctx context.Context) (*worker, error) {
	w := &worker{name: fmt.Sprintf("worker-%d", len(r.workers)+1), ended: make(chan struct{})}
	cfg := consumer.Config{
		Group: r.cfg.Group, Stream: r.cfg.Stream,
		Client:     cutClient{&w.cord, r.client},
		Store:      witness.Store(r.history, w.name, cutStore{&w.cord, r.store}),
		Handler:    consumer.BatchFunc(func(ctx context.Context, b *consumer.Batch) error { return r.handle(ctx, w, b) }),
		WorkerName: w.name,
		LeaseTTL:   leaseTTL,
	}
	if r.embedded {
		cfg.ReadsPerSecond = -1 // the local stream has no limit to keep to
	}
	c, err := consumer.New(cfg)
	if err != nil {
		return nil, err
	}
	ctx, w.cancel = context.WithCancel(ctx)
	go func() { // stop waits for it
		defer close(w.ended)
		w.err = c.Run(ctx)
	}()
	r.workers = append(r.workers, w)
	return w, nil
}

// stop ends a worker in peace and waits for it.
func (w *worker) stop() error {
	w.cancel()
	<-w.ended
	return w.err
}

// handle is the handler of the main job: it counts flights and their delays by
// airport, each record once however often it is delivered.
func (r *run) handle(ctx context.Context, w *worker, b *consumer.Batch) error {
	if w.cord.err() != nil { // a dead worker handles nothing
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if err := r.gate.wait(ctx, b.Shard); err != nil {
		return err
	}
	defer r.history.Returned(w.name, b.Lease, b.Epoch)
	for i := range b.Records {
		if i == len(b.Records)/2 && r.killer.strikes(w) {
			return r.die(ctx, w)
		}
		rec := &b.Records[i]
		id := witness.ID(rec)
		r.history.Delivered(history.Delivery{
			Worker: w.name, Lease: b.Lease, Epoch: b.Epoch, ID: id, Key: rec.Key, HashKey: rec.HashKey, Data: rec.Data,
		})
		var f flights.Flight
		if err := json.Unmarshal(rec.Data, &f); err != nil {
			return consumer.Poison(err)
		}
		r.totals.add(b.Shard, id, f)
		r.history.Handled(w.name, b.Lease, b.Epoch, id)
	}
	return nil
}

// die ends a worker in the middle of a batch. It stays connected for a while,
// handling nothing: were positions saved before their records are handled, that
// would happen now, and the rest of the batch would be missing at the end.
func (r *run) die(ctx context.Context, w *worker) error {
	select {
	case <-time.After(leaseTTL / 4):
	case <-ctx.Done():
	}
	w.cord.cut()
	r.killer.done()
	<-ctx.Done()
	return context.Cause(ctx)
}

// gate holds one shard back.
type gate struct {
	mu     sync.Mutex // guards all below
	shard  string     // empty for none
	opened chan struct{}
}

// close holds a shard back, until open.
func (g *gate) close(shard string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shard, g.opened = shard, make(chan struct{})
}

// open lets everything through. It may be called without close.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shard != "" {
		close(g.opened)
		g.shard = ""
	}
}

// wait returns when the shard is not held back, or with the end of ctx.
func (g *gate) wait(ctx context.Context, shard string) error {
	g.mu.Lock()
	held, opened := g.shard == shard, g.opened
	g.mu.Unlock()
	if !held {
		return nil
	}
	select {
	case <-opened:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// killer chooses the first worker that has a batch after it was armed.
type killer struct {
	mu     sync.Mutex // guards all below
	armed  bool
	victim *worker
	struck chan struct{} // closed when it is dead
}

func newKiller() *killer { return &killer{struck: make(chan struct{})} }

func (k *killer) arm() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.armed = true
}

// strikes reports whether w dies now.
func (k *killer) strikes(w *worker) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.armed {
		k.armed, k.victim = false, w
		return true
	}
	return false
}

// done tells that the victim is dead.
func (k *killer) done() { close(k.struck) }

// dead is the worker that was killed, nil before.
func (k *killer) dead() *worker {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.victim
}

// totals are the outcome of the main job, and what the view shows of it.
type totals struct {
	mu      sync.Mutex                    // guards all below
	flights map[history.ID]flights.Flight // each once, however often it was delivered
	handled map[string]int                // their number by shard
	acked   map[string]int                // the number of acknowledged records by shard
}

func newTotals() *totals {
	return &totals{flights: make(map[history.ID]flights.Flight), handled: make(map[string]int), acked: make(map[string]int)}
}

func (t *totals) add(shard string, id history.ID, f flights.Flight) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, again := t.flights[id]; !again {
		t.flights[id] = f
		t.handled[shard]++
	}
}

func (t *totals) ack(shard string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acked[shard]++
}

// lag is the number of records of a shard that were acknowledged and not yet
// handled.
func (t *totals) lag(shard string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(0, t.acked[shard]-t.handled[shard])
}

// stats counts the flights that keep says, by airport.
func (t *totals) stats(keep func(history.ID) bool) *flights.Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	var s flights.Stats
	for id, f := range t.flights {
		if keep(id) {
			s.Add(f)
		}
	}
	return &s
}
