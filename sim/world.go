package sim

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/lease/redis"
	"github.com/shardrun/shardrun/localstream"
)

const streamName = "orders"

// world is everything in a run.
type world struct {
	plan    Plan
	source  *source
	weather weather
	history *history.History
	verbose bool

	kinesis  *kinesisNode
	redis    *redisNode
	slots    []*slot
	writers  []*writer
	operator *node // who reshards, from a place with bad links
	observer *redis.Store

	injected atomic.Int32 // faults that the server was given
	// Each holds one while something is done to the server.
	redisBusy, kinesisBusy chan struct{}

	life context.Context // of everything; ends at the end of the run
	end  context.CancelFunc
	work sync.WaitGroup // all goroutines of the world

	mu       sync.Mutex // guards all below
	failures []string
	actors   map[string]string // worker name → who runs under it, or ran last
	effects  map[Fault]int     // how often each fault had one
}

// happened counts that faults had an effect: a message was lost, a call failed.
func (w *world) happened(faults ...Fault) {
	if len(faults) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range faults {
		w.effects[f]++
	}
}

// runs notes who runs under a worker name.
func (w *world) runs(name, actor string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.actors[name] = actor
}

// actor is who runs under a worker name.
func (w *world) actor(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.actors[name]
}

// fail notes what must not happen and is not a matter of the history.
func (w *world) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.note("FAILED: %s", text)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = append(w.failures, text)
}

func (w *world) note(format string, args ...any) { w.history.Note("nemesis", format, args...) }

// logger puts the log of a node into the history, where somebody looks at it.
func (w *world) logger(name string) *zap.Logger {
	if !w.verbose {
		return nil
	}
	return zap.New(&noteCore{history: w.history, name: name})
}

// Run carries out a plan. It must be called in a bubble of testing/synctest,
// by its first goroutine; it returns when every goroutine it started has ended.
//
// Verbose puts the logs of all nodes into the history. What crosses the links is
// written to trace, unless that is nil.
func Run(plan Plan, verbose bool, trace io.Writer) *Result {
	w := &world{
		plan: plan, source: newSource(plan.Seed, trace), history: history.New(), verbose: verbose,
		redis: newRedis(), redisBusy: make(chan struct{}, 1), kinesisBusy: make(chan struct{}, 1),
		actors: map[string]string{}, effects: map[Fault]int{},
	}
	w.operator = w.newNode("operator")
	w.life, w.end = context.WithCancel(context.Background())
	begin := time.Now()
	w.run()
	w.stop()
	return &Result{
		Plan: plan, Verdict: w.history.Check(w.options()), Failures: w.failures, Effects: w.effects, Ties: w.source.tied(),
		Digest: w.history.Digest(), Simulated: time.Since(begin), History: w.history,
	}
}

func (w *world) options() history.Options {
	return history.Options{TTL: w.plan.TTL, Beat: w.plan.TTL / 3, Lag: w.catchUp()}
}

// catchUp is how long the fleet may take to handle everything once the faults
// have ended: to find out that a lease has lapsed and take it, to wait out the
// pauses of retries, and to read what piled up.
func (w *world) catchUp() time.Duration { return 3*w.plan.TTL + time.Minute }

func (w *world) run() {
	var err error
	limits := localstream.LimitsOff
	if w.plan.Rates {
		limits = localstream.LimitsAWS
	}
	if w.kinesis, err = newKinesis(w.logger("kinesis"), &w.work, w.source, limits); err != nil {
		w.fail("%v", err)
		return
	}
	if w.observer, err = w.redisStore(w.newNode("observer")); err != nil {
		w.fail("%v", err)
		return
	}
	for _, spec := range w.plan.Writers {
		w.writers = append(w.writers, &writer{world: w, spec: spec})
	}
	if err := w.create(); err != nil {
		w.fail("create stream: %v", err)
		return
	}
	for i := range w.plan.Workers {
		s := &slot{number: i}
		w.slots = append(w.slots, s)
		w.start(s, fmt.Sprintf("worker-%d", i))
	}
	w.apart("join")
	if !w.joined() {
		w.fail("no worker made the leases")
		return
	}
	w.chaos()
	w.canary()
	w.settle()
	w.drain()
	w.confess()
}

// apart lets what follows begin at an instant of its own.
func (w *world) apart(what string) {
	sleep(w.life, w.source.until(w.source.dice(key("apart", what)), 0, 10*time.Millisecond))
}

func (w *world) create() error {
	client := w.client(w.newNode("creator"))
	_, err := client.CreateStream(w.life, &kinesis.CreateStreamInput{
		StreamName: aws.String(streamName), ShardCount: aws.Int32(int32(w.plan.Shards)),
		StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeProvisioned},
	})
	return err
}

// joined waits until the group has its leases.
func (w *world) joined() bool {
	for range 600 {
		v, err := w.observer.View(w.life, "sim")
		if err == nil && len(v.Leases) > 0 {
			return sleep(w.life, 2*time.Second) // a start at the tip is told to the second
		}
		if !sleep(w.life, 100*time.Millisecond) {
			return false
		}
	}
	return false
}

// chaos is the part of the run in which there are records and faults.
func (w *world) chaos() {
	ctx, stop := context.WithTimeout(w.life, w.plan.For)
	defer stop()
	var actors sync.WaitGroup
	for _, wr := range w.writers {
		w.apart("writer")
		actors.Go(func() { wr.write(ctx) })
	}
	w.apart("nemesis")
	over := make(chan struct{}) // closed when no action is under way, and none will be
	actors.Go(func() { defer close(over); w.torment(ctx) })
	actors.Go(func() { w.audit(ctx) })
	actors.Go(func() { w.observe(ctx) })
	<-over
	<-ctx.Done()
	w.heal()
	actors.Wait()
}

// heal ends every fault that outlives its action.
func (w *world) heal() {
	w.redis.start()
	if w.kinesis.unsound() {
		w.kinesis.crash(w.source.dice(key("heal")))
	}
	w.boot(nil)
	w.history.Healed()
}

// canary puts a record into each open shard: when all is well again, the stream
// must take them.
func (w *world) canary() {
	w.apart("canary")
	client := w.client(w.newNode("canary"))
	open, err := openShards(w.life, client)
	if err != nil {
		w.fail("after the faults, the shards cannot be listed: %v", err)
		return
	}
	for i, s := range open {
		put := history.Put{
			Producer: "canary", Key: fmt.Sprintf("canary-%d", i), HashKey: *s.HashKeyRange.StartingHashKey,
			Data: fmt.Appendf(nil, "canary of %s", *s.ShardId),
		}
		w.putRecord(client, put, func(err error) { w.fail("after the faults, %s takes no record: %v", *s.ShardId, err) })
	}
}

// settle waits until the fleet has caught up.
func (w *world) settle() {
	healed := time.Now()
	owned := healed.Add(w.plan.TTL + 2*w.plan.TTL/3 + 2*time.Second)
	for looked := false; ; {
		c := w.history.Counts()
		if !looked && !time.Now().Before(owned) {
			looked = w.look()
		}
		if looked && c.Handled >= c.Acked {
			return
		}
		if time.Since(healed) > w.catchUp() {
			w.note("not caught up: %d of %d handled", c.Handled, c.Acked)
			return // the checker says so
		}
		if !sleep(w.life, 100*time.Millisecond) {
			return
		}
	}
}

// drain stops the workers, which have nothing to do.
func (w *world) drain() {
	for _, s := range w.slots {
		if wk := s.current(); wk != nil {
			wk.cancel()
			if <-wk.done; wk.err != nil {
				w.fail("%s: the last drain: %v", wk.name, wk.err)
			}
		}
	}
}

// stop ends everything and waits for it.
func (w *world) stop() {
	w.end()
	if w.observer != nil {
		if err := w.observer.Close(); err != nil {
			w.fail("close the observer's store: %v", err)
		}
	}
	if w.kinesis != nil {
		if server, _ := w.kinesis.current(); server != nil {
			if err := server.Close(); err != nil {
				w.fail("close the server: %v", err)
			}
		}
	}
	w.redis.mini.Close()
	w.work.Wait()
}

// links are the names of all links that can be bad.
func (w *world) links() []string {
	out := []string{w.operator.name + ">kinesis"}
	for _, wr := range w.writers {
		wr.mu.Lock()
		out = append(out, wr.node.name+">kinesis")
		wr.mu.Unlock()
	}
	for _, s := range w.slots {
		s.mu.Lock()
		if s.worker != nil {
			out = append(out, s.worker.name+">kinesis", s.worker.name+">redis")
		}
		s.mu.Unlock()
	}
	return out
}
