package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/internal/history/witness"
	"github.com/shardrun/shardrun/lease/redis"
)

// slot is a place in the fleet, in which one worker runs after the other.
type slot struct {
	number int
	starts int // how many workers it had

	mu     sync.Mutex // guards all below
	worker *worker    // nil when there is none
	busy   bool       // something is being done to it
}

// worker is a process with a consumer.
type worker struct {
	name   string
	node   *node
	cancel context.CancelFunc
	done   chan struct{} // closed when Run has returned
	err    error         // what it returned; set before done is closed

	mu   sync.Mutex // guards what
	what []*trouble // is wrong with the handler now
}

// trouble is what the user's handler does wrong.
type trouble struct {
	fails float64       // how likely a call fails
	slow  float64       // how likely a call takes long
	long  time.Duration // how long
}

// trouble is the worst of all that is wrong now.
func (wk *worker) trouble() trouble {
	wk.mu.Lock()
	defer wk.mu.Unlock()
	var out trouble
	for _, t := range wk.what {
		out.fails, out.slow, out.long = max(out.fails, t.fails), max(out.slow, t.slow), max(out.long, t.long)
	}
	return out
}

// begin makes the handler do wrong, until the returned function is called.
func (wk *worker) begin(t trouble) (end func()) {
	wk.mu.Lock()
	defer wk.mu.Unlock()
	mine := &t
	wk.what = append(wk.what, mine)
	return func() {
		wk.mu.Lock()
		defer wk.mu.Unlock()
		wk.what = slices.DeleteFunc(wk.what, func(t *trouble) bool { return t == mine })
	}
}

// redisStore is a node's store.
func (w *world) redisStore(n *node) (*redis.Store, error) {
	client := goredis.NewClient(&goredis.Options{
		Dialer:          func(ctx context.Context, _, _ string) (net.Conn, error) { return w.dialRedis(ctx, n) },
		DisableIdentity: true,
		// Its resolver is shared with the world outside of the bubble.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	store, err := redis.New(redis.Config{Client: client, Logger: w.logger(n.name)})
	return store, errors.Join(err, client.Close()) // the store took its options only
}

// start runs a worker in a slot, under a name.
func (w *world) start(s *slot, name string) {
	w.apart(name)
	s.starts++
	n := w.newNode(name)
	if s.starts > 1 {
		n.name = fmt.Sprintf("%s.%d", name, s.starts) // a link of its own
	}
	store, err := w.redisStore(n)
	if err != nil {
		w.fail("start %s: %v", name, err)
		return
	}
	ctx, cancel := context.WithCancel(w.life)
	wk := &worker{name: n.name, node: n, cancel: cancel, done: make(chan struct{})}
	cfg := consumer.Config{
		Group: "sim", Stream: streamName, Client: w.client(n), Store: mortal{witness.Store(w.history, wk.name, store), n},
		Handler:    consumer.BatchFunc(func(ctx context.Context, b *consumer.Batch) error { return w.handle(ctx, wk, b) }),
		WorkerName: name, LeaseTTL: w.plan.TTL, BatchSize: w.plan.Batch, MaxRetryDelay: 2 * time.Second,
		DrainTimeout: 10 * time.Second, StartTimeout: 10 * time.Minute, Logger: w.logger(n.name),
		BatchWindow: w.plan.Window, PageSize: w.plan.Page, MemoryBudget: w.plan.Budget,
		CheckpointInterval: w.plan.Interval, HandoffTime: w.plan.Handoff,
	}
	if w.plan.Latest {
		cfg.StartAt = consumer.Latest()
	}
	c, err := consumer.New(cfg)
	if err != nil {
		w.fail("start %s: %v", name, err)
		cancel()
		return
	}
	w.history.Started(wk.name)
	w.runs(name, wk.name)
	w.work.Go(func() {
		defer close(wk.done)
		defer cancel()
		err := c.Run(ctx)
		if cerr := store.Close(); cerr != nil && n.alive() {
			err = errors.Join(err, cerr)
		}
		if n.alive() {
			w.history.Note(wk.name, "ended: %v", err)
			w.history.Stopped(wk.name)
		}
		wk.err = err
		if err != nil && n.alive() && ctx.Err() == nil {
			w.fail("%s ended by itself: %v", wk.name, err)
		}
	})
	s.mu.Lock()
	s.worker = wk
	s.mu.Unlock()
}

// current is the worker of a slot, nil when there is none.
func (s *slot) current() *worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.worker
}

// seize takes a slot to do something to its worker, unless somebody does.
func (s *slot) seize() (*worker, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy || s.worker == nil {
		return nil, false
	}
	s.busy = true
	return s.worker, true
}

func (s *slot) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
}

var errHandler = errors.New("the handler fails")

// handle is the user's handler.
func (w *world) handle(ctx context.Context, wk *worker, b *consumer.Batch) error {
	n := wk.node
	if !n.awake(ctx) {
		return context.Cause(ctx)
	}
	for i := range b.Records {
		r := &b.Records[i]
		w.history.Delivered(history.Delivery{
			Worker: wk.name, Lease: b.Lease, Epoch: b.Epoch, ID: witness.ID(r), Key: r.Key, HashKey: r.HashKey, Data: r.Data,
		})
	}
	trouble := wk.trouble()
	dice := w.source.dice(key("handle", wk.name, b.Lease, string(b.Records[0].Sequence)))
	fails, slow, how := dice.Float64() < trouble.fails, dice.Float64() < trouble.slow, dice.IntN(4)
	most := 20 * time.Millisecond
	if slow {
		w.happened(HandlerSlow)
		most = trouble.long
	}
	took := w.source.until(dice, 0, n.stretch(most))
	if how == 0 {
		time.Sleep(min(took, w.plan.TTL)) // this one does not look at its context
	} else if !sleep(ctx, took) {
		return context.Cause(ctx)
	}
	if !n.awake(ctx) {
		return context.Cause(ctx)
	}
	done := len(b.Records)
	var err error
	if fails {
		w.happened(HandlerError)
		done, err = 0, errHandler
		switch how {
		case 1:
			done = dice.IntN(len(b.Records))
			err = consumer.FailFrom(done, errHandler)
		case 2:
			err = consumer.RetryAfter(time.Duration(dice.IntN(1000))*time.Millisecond, errHandler)
		}
	}
	for i := range b.Records[:done] {
		w.history.Handled(wk.name, b.Lease, b.Epoch, witness.ID(&b.Records[i]))
	}
	if fails && how == 3 {
		panic(errHandler)
	}
	return err
}
