package lease_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

const stream = "000000000000:us-east-1:orders:1700000000000"

// world is a stream whose shards are numbers to count up, and the workers that
// count. It fails the test when two runners of one lease run at a time, when a
// runner skips a number, or when a child starts before its parents ended.
type world struct {
	t      *testing.T
	store  lease.Store
	shards []lease.Row // the first set
	ttl    time.Duration
	each   time.Duration // between two numbers of a runner

	mu      sync.Mutex // guards all below
	ends    map[string]end
	handled map[string]uint64 // lease → the highest number handled
	ended   map[string]bool
	active  map[string]*counter
	starts  []start
	deaf    bool          // runners ignore Draining
	linger  time.Duration // how long runners stay after the end of their shard
	again   uint64        // numbers that were to be handled again
}

// end is the last number of a shard, and what follows.
type end struct {
	last     uint64
	children []lease.Row
}

type start struct {
	lease, worker string
	epoch         uint64
	from          checkpoint.Position
	at            time.Time
}

// counter is a runner that may count.
type counter struct {
	worker string
	ctx    context.Context
}

func newWorld(t *testing.T, store lease.Store, shards int) *world {
	w := &world{
		t: t, store: store, ttl: time.Second, each: 10 * time.Millisecond,
		ends: map[string]end{}, handled: map[string]uint64{}, ended: map[string]bool{}, active: map[string]*counter{},
	}
	for i := range shards {
		w.shards = append(w.shards, shard(fmt.Sprintf("shard-%03d", i)))
	}
	return w
}

// shard is a row of the test stream.
func shard(id string, parents ...string) lease.Row {
	row := lease.Row{Name: lease.Name(stream, id), Shard: lease.Shard{StartingHashKey: "0", EndingHashKey: "1"}}
	for _, p := range parents {
		row.Shard.Parents = append(row.Shard.Parents, lease.Name(stream, p))
	}
	return row
}

// end has a shard end at a number, with children.
func (w *world) end(id string, last uint64, children ...lease.Row) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends[lease.Name(stream, id)] = end{last, children}
}

// run is lease.Config.Run: it counts up.
func (w *world) run(ctx context.Context, worker string, h *lease.Held) error {
	l := h.Lease()
	at := w.begin(ctx, worker, h)
	defer w.stop(ctx, l.Name)
	tick := time.NewTicker(w.each)
	defer tick.Stop()
	for {
		if over, children := w.over(l.Name, at); over {
			err := h.Complete(ctx, children)
			time.Sleep(w.linger)
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.unlessDeaf(h.Draining()):
			return nil
		case <-tick.C:
		}
		if ctx.Err() != nil {
			continue
		}
		at++
		w.handle(l.Name, at)
		h.Save(checkpoint.At(checkpoint.SequenceNumber(strconv.FormatUint(at, 10)), 0), 0, nil)
	}
}

// count is the highest number of a shard that was handled.
func (w *world) count(id string) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.handled[lease.Name(stream, id)]
}

func (w *world) unlessDeaf(c <-chan struct{}) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deaf {
		return nil
	}
	return c
}

func (w *world) begin(ctx context.Context, worker string, h *lease.Held) uint64 {
	l := h.Lease()
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.active[l.Name]; a != nil && a.ctx.Err() == nil {
		w.t.Errorf("%s: %s starts while %s runs", l.Name, worker, a.worker)
	}
	w.active[l.Name] = &counter{worker, ctx}
	w.starts = append(w.starts, start{l.Name, worker, l.Epoch, l.Position, time.Now()})
	at := uint64(0)
	if p := h.Entry().Position; p.Rank == checkpoint.RankRecord {
		at, _ = strconv.ParseUint(string(p.Sequence), 10, 64)
	}
	if at > w.handled[l.Name] {
		w.t.Errorf("%s: %s starts after %d, only %d are handled", l.Name, worker, at, w.handled[l.Name])
	}
	w.again += w.handled[l.Name] - at
	for _, e := range slices.Collect(func(yield func(string) bool) { w.parents(l.Name, yield) }) {
		if !w.ended[e] {
			w.t.Errorf("%s: starts before its parent %s ended", l.Name, e)
		}
	}
	return at
}

// parents yields the shards that have name among their children.
func (w *world) parents(name string, yield func(string) bool) {
	for parent, e := range w.ends {
		if slices.ContainsFunc(e.children, func(r lease.Row) bool { return r.Name == name }) && !yield(parent) {
			return
		}
	}
}

func (w *world) over(name string, at uint64) (bool, []lease.Row) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, known := w.ends[name]
	if !known || at < e.last {
		return false, nil
	}
	w.ended[name] = true
	return true, e.children
}

func (w *world) handle(name string, n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n > w.handled[name]+1 {
		w.t.Errorf("%s: %d handled after %d", name, n, w.handled[name])
	}
	w.handled[name] = max(w.handled[name], n)
}

func (w *world) stop(ctx context.Context, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.active[name]; a != nil && a.ctx == ctx {
		delete(w.active, name)
	}
}

// owners tells which worker counts each lease.
func (w *world) owners() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]string{}
	for name, a := range w.active {
		if a.ctx.Err() == nil {
			out[lease.ShardOf(name)] = a.worker
		}
	}
	return out
}

// counts is the number of leases that each worker counts.
func (w *world) counts() map[string]int {
	out := map[string]int{}
	for _, worker := range w.owners() {
		out[worker]++
	}
	return out
}

// started is how often runners were started.
func (w *world) started() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.starts)
}

// lastStart is when the latest runner of a shard started.
func (w *world) lastStart(id string) start {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range slices.Backward(w.starts) {
		if s.lease == lease.Name(stream, id) {
			return s
		}
	}
	w.t.Fatalf("%s never started", id)
	return start{}
}

// startAfter is the first start of a shard's runner after so many of all.
func (w *world) startAfter(n int, id string) start {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.starts[n:] {
		if s.lease == lease.Name(stream, id) {
			return s
		}
	}
	w.t.Fatalf("%s never started", id)
	return start{}
}

// worker is a manager of the world.
type worker struct {
	*lease.Manager
	name string
	kill func() // cuts it off, and stops its runners dead
	gate *gate
	stop context.CancelFunc
	done chan error // holds one: what Run returned
}

// start runs a worker until the test ends or it is stopped.
func (w *world) start(name string, change ...func(*lease.Config)) *worker {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	wk := &worker{name: name, gate: newGate(w.store), stop: stop, done: make(chan error, 1)}
	life, die := context.WithCancel(context.Background())
	wk.kill = func() { wk.gate.set(true); die() }
	cfg := lease.Config{
		Store: wk.gate, Group: "billing", WorkerName: name, Host: "here", TTL: w.ttl, Streams: []string{stream},
		Run: func(ctx context.Context, h *lease.Held) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(life, cancel)()
			return w.run(ctx, name, h)
		},
		Discover: func(context.Context, string) ([]lease.Row, error) { return w.shards, nil },
	}
	if testing.Verbose() {
		cfg.Logger = zaptest.NewLogger(w.t, zaptest.WrapOptions(zap.WithClock(bubbleClock{})))
	}
	for _, f := range change {
		f(&cfg)
	}
	m, err := lease.NewManager(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	wk.Manager = m
	go func() { wk.done <- m.Run(ctx) }()
	w.t.Cleanup(func() { _ = wk.drain() }) // tests look at what Run returns where it matters
	return wk
}

// drain stops a worker and returns what Run returned.
func (wk *worker) drain() error {
	wk.stop()
	err := <-wk.done
	wk.done <- err
	return err
}

// bubbleClock gives log lines the time of the test.
type bubbleClock struct{}

func (bubbleClock) Now() time.Time                         { return time.Now() }
func (bubbleClock) NewTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }

var errCut = errors.New("connection cut")

// gate is a store that can be cut off from one worker.
type gate struct {
	lease.Store

	mu     sync.Mutex // guards all below
	cut    bool
	barren bool          // Acquire fails
	silent bool          // Watch tells nothing
	slow   time.Duration // how late Request is
	late   time.Duration // how late answers to Beat are
	asked  int           // leases that were asked for
	notify func()        // of the last Watch
}

func newGate(s lease.Store) *gate { return &gate{Store: s} }

func (g *gate) set(cut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cut = cut
}

func (g *gate) open() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cut {
		return errCut
	}
	return nil
}

func (g *gate) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	if err := g.open(); err != nil {
		return lease.View{}, err
	}
	g.mu.Lock()
	late := g.late
	g.mu.Unlock()
	v, err := g.Store.Beat(ctx, group, b)
	time.Sleep(late)
	return v, err
}

func (g *gate) Save(ctx context.Context, s checkpoint.Scope, u ...checkpoint.Update) ([]checkpoint.Outcome, error) {
	if err := g.open(); err != nil {
		return nil, err
	}
	return g.Store.Save(ctx, s, u...)
}

func (g *gate) Acquire(ctx context.Context, s checkpoint.Scope, a lease.Acquire) ([]lease.Grant, error) {
	if err := g.open(); err != nil {
		return nil, err
	}
	g.mu.Lock()
	barren := g.barren
	g.mu.Unlock()
	if barren {
		return nil, errCut
	}
	return g.Store.Acquire(ctx, s, a)
}

func (g *gate) Complete(ctx context.Context, s checkpoint.Scope, c lease.Completion) error {
	if err := g.open(); err != nil {
		return err
	}
	return g.Store.Complete(ctx, s, c)
}

func (g *gate) Request(ctx context.Context, s checkpoint.Scope, r lease.Request) ([]error, error) {
	g.mu.Lock()
	slow := g.slow
	g.asked += len(r.Names)
	g.mu.Unlock()
	time.Sleep(slow)
	return g.Store.Request(ctx, s, r)
}

func (g *gate) Watch(ctx context.Context, group string, notify func()) error {
	g.mu.Lock()
	g.notify = notify
	if g.silent {
		notify = func() {}
	}
	g.mu.Unlock()
	return g.Store.Watch(ctx, group, notify)
}

// hint announces a change, and returns how many leases were asked for so far.
func (g *gate) hint() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.notify != nil {
		g.notify()
	}
	return g.asked
}

func (g *gate) Bye(ctx context.Context, s checkpoint.Scope, session string) error {
	if err := g.open(); err != nil {
		return err
	}
	return g.Store.Bye(ctx, s, session)
}
