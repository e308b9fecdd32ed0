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
		Group: r.cfg.Stream, Stream: r.cfg.Stream,
		Client:     cutClient{&w.cord, r.client},
		Store:      cutStore{&w.cord, r.store},
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
	for i := range b.Records {
		rec := &b.Records[i]
		id := history.ID{Sequence: string(rec.Sequence), Subsequence: rec.Subsequence}
		r.history.Delivered(w.name, id, rec.Key, rec.Data)
		var f flights.Flight
		if err := json.Unmarshal(rec.Data, &f); err != nil {
			return consumer.Poison(err)
		}
		r.totals.add(b.Shard, id, f)
		r.history.Handled(id)
	}
	if r.killer.strikes(w) {
		<-ctx.Done() // the batch is handled, its checkpoint never comes
		return context.Cause(ctx)
	}
	return nil
}

// killer cuts the first worker that finishes a batch after it was armed.
type killer struct {
	mu     sync.Mutex // guards all below
	armed  bool
	victim *worker
	struck chan struct{} // closed when there is a victim
}

func newKiller() *killer { return &killer{struck: make(chan struct{})} }

func (k *killer) arm() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.armed = true
}

// strikes reports whether w dies now, or is dead.
func (k *killer) strikes(w *worker) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.armed {
		k.armed, k.victim = false, w
		w.cord.cut()
		close(k.struck)
	}
	return k.victim == w
}

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
