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

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/history/witness"
	"github.com/shardrun/shardrun/lease"
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
	name   string // of the process
	as     string // its WorkerName
	node   *node
	cancel context.CancelFunc
	done   chan struct{} // closed when Run has returned
	err    error         // what it returned; set before done is closed

	mu      sync.Mutex        // guards all below
	what    []*trouble        // is wrong with the handler now
	grants  map[string]tenure // by shard: the lease acquired last
	trials  map[tenure]*trial // what the handler saw
	twin    bool              // another has its WorkerName
	stopped bool              // a shard is stopped, or Run has ended, until somebody starts the worker anew
	told    time.Time         // when it was told to stop
	lost    bool              // the store may have taken leases from it
}

// tenure is an ownership of a lease.
type tenure struct {
	lease string
	epoch uint64
}

// granted notes a lease that was acquired.
func (wk *worker) granted(name string, epoch uint64) {
	wk.mu.Lock()
	defer wk.mu.Unlock()
	of := tenure{name, epoch}
	wk.grants[lease.ShardOf(name)] = of
	wk.trials[of] = &trial{free: time.Now()} // after lost writes an epoch may come again
}

// holds is the tenure of a shard.
func (wk *worker) holds(shard string) tenure {
	wk.mu.Lock()
	defer wk.mu.Unlock()
	return wk.grants[shard]
}

// twinned notes that another has the name.
func (wk *worker) twinned() {
	wk.mu.Lock()
	defer wk.mu.Unlock()
	wk.twin = true
}

func (wk *worker) isTwin() bool {
	wk.mu.Lock()
	defer wk.mu.Unlock()
	return wk.twin
}

// stop notes that the worker is of no use until it is started anew.
func (wk *worker) stop() {
	wk.mu.Lock()
	defer wk.mu.Unlock()
	wk.stopped = true
}

func (wk *worker) isStopped() bool {
	wk.mu.Lock()
	defer wk.mu.Unlock()
	return wk.stopped
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
	wk := &worker{name: n.name, as: name, node: n, cancel: cancel, done: make(chan struct{}), grants: map[string]tenure{}, trials: map[tenure]*trial{}}
	c, err := consumer.New(w.config(s, wk, store))
	if err != nil {
		w.fail("start %s: %v", name, err)
		cancel()
		return
	}
	w.history.Started(wk.name)
	w.shakes()
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
			w.patient(wk, err)
		}
		wk.err = err
		if err == nil || !n.alive() || ctx.Err() != nil {
			return
		}
		if wk.stop(); errors.Is(err, lease.ErrSuperseded) && wk.isTwin() {
			w.reach("worker superseded")
			return
		}
		w.fail("%s ended by itself: %v", wk.name, err)
	})
	s.mu.Lock()
	s.worker = wk
	s.mu.Unlock()
}

// config is what the plan says of a worker.
func (w *world) config(s *slot, wk *worker, store *redis.Store) consumer.Config {
	p, n := w.plan, wk.node
	cfg := consumer.Config{
		Group: "sim", Stream: streamName, Client: w.client(n), Store: mortal{witness.Store(w.history, wk.name, paced{store, n, w.source}), w, wk},
		Handler: w.handler(wk), WorkerName: wk.as, LeaseTTL: p.TTL, BatchSize: p.Batch, MaxRetryDelay: 2 * time.Second,
		DrainTimeout: p.drainTime(), StartTimeout: 10 * time.Minute, Logger: w.logger(n.name),
		BatchWindow: p.Window, PageSize: p.Page, MemoryBudget: p.Budget, MaxBatchBytes: p.BatchBytes,
		CheckpointInterval: p.Interval, HandoffTime: p.Handoff, HandlerTimeout: p.Timeout,
		ReadsPerSecond: p.Reads, MaxLeases: p.MaxLeases, MaxAttempts: p.GiveUp.Attempts, MaxRecordAge: p.GiveUp.Age,
	}
	if p.Uneven {
		cfg.Capacity = []float64{0.5, 1, 2}[s.number%3]
	}
	switch p.Start {
	case AtHorizon:
	case AtLatest:
		cfg.StartAt = consumer.Latest()
	case AtTimestamp:
		cfg.StartAt = consumer.AtTimestamp(w.since)
	}
	cfg.Hooks.Stopped = func(shard string, _ checkpoint.Position, cause error) {
		if n.alive() {
			w.history.Note(wk.name, "%s is stopped: %v", shard, cause)
			w.reach("shard stopped")
			w.stopsRightly(wk, shard, cause)
			wk.stop()
		}
	}
	switch p.GiveUp.To {
	case ToNobody:
	case ToOthers:
		cfg.OnFailure = consumer.FailureFunc(func(ctx context.Context, f *consumer.Failure) error { return w.take(ctx, wk, f) })
	case ToNone:
		cfg.OnFailure = consumer.Drop
		cfg.Hooks.Failed = func(f *consumer.Failure) { w.dropped(wk, f) }
	}
	return cfg
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
