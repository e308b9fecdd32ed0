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
	plan     Plan
	source   *source
	weather  weather
	storms   *storms
	arrivals arrivals
	history  *history.History
	verbose  bool

	kinesis  *kinesisNode
	redis    *redisNode
	slots    []*slot
	writers  []*writer
	operator *node   // who reshards, from a place with bad links
	fanOut   *fanOut // nil in runs without
	observer *redis.Store

	since    time.Time    // where the group begins, if it begins at a time
	injected atomic.Int32 // faults that the server was given
	// Each holds one while something is done to the server.
	redisBusy, kinesisBusy chan struct{}

	life context.Context // of everything; ends at the end of the run
	end  context.CancelFunc
	work sync.WaitGroup // all goroutines of the world

	mu       sync.Mutex // guards all below
	failures []string
	actors   map[string]string    // session → whose it is
	effects  map[Fault]int        // how often each fault had one
	reached  map[string]int       // how often other things happened
	repaired time.Time            // when an operator did something last
	owned    map[string]ownership // by lease
	shaken   time.Time            // when a worker started or was killed last
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

// reach counts that something happened that runs are to reach.
func (w *world) reach(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reached[what]++
}

// mended notes that an operator does something to the fleet.
func (w *world) mended() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.repaired = time.Now()
}

// lastMended is when an operator did something last.
func (w *world) lastMended() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.repaired
}

// runs notes whose a session is.
func (w *world) runs(session, actor string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.actors[session] = actor
}

// actor is whose a session is.
func (w *world) actor(session string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.actors[session]
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

// newWorld is the world of a plan, in which nothing runs yet.
func newWorld(plan Plan, verbose bool, trace io.Writer) *world {
	return &world{
		plan: plan, source: newSource(plan.Seed, trace), history: history.New(), verbose: verbose,
		redis: newRedis(), redisBusy: make(chan struct{}, 1), kinesisBusy: make(chan struct{}, 1),
		actors: map[string]string{}, effects: map[Fault]int{}, reached: map[string]int{}, owned: map[string]ownership{},
		storms:   &storms{begun: time.Now(), active: map[string]int{}, ended: map[string]time.Time{}},
		arrivals: arrivals{puts: map[string]span{}},
	}
}

// Run carries out a plan. It must be called in a bubble of testing/synctest,
// by its first goroutine; it returns when every goroutine it started has ended.
//
// Verbose puts the logs of all nodes into the history. What crosses the links is
// written to trace, unless that is nil.
func Run(plan Plan, verbose bool, trace io.Writer) *Result {
	w := newWorld(plan, verbose, trace)
	w.operator = w.newNode("operator")
	w.life, w.end = context.WithCancel(context.Background())
	begin := time.Now()
	w.note("%d shards, %d workers, %d writers", plan.Shards, plan.Workers, len(plan.Writers)) // where time begins
	w.run()
	w.stop()
	verdict := w.history.Check(w.options())
	w.sum(verdict)
	return &Result{
		Plan: plan, Verdict: verdict, Failures: w.failures, Effects: w.effects, Reached: w.reached, Ties: w.source.tied(),
		Digest: w.history.Digest(), Simulated: time.Since(begin), History: w.history,
	}
}

func (w *world) options() history.Options {
	return history.Options{TTL: w.plan.TTL, Beat: w.plan.TTL / 3, Lag: w.catchUp(), SaveLag: w.saveLag(), Tips: true}
}

func (w *world) run() {
	var err error
	limits := localstream.LimitsOff
	if w.plan.Rates {
		limits = localstream.LimitsAWS
	}
	if w.kinesis, err = newKinesis(w.logger("kinesis"), &w.work, w.source, limits, w.plan.Segment); err != nil {
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
	w.since = time.Now().Add(w.plan.Joins / 2).Truncate(time.Millisecond)
	for i := range w.plan.Workers {
		w.slots = append(w.slots, &slot{number: i})
	}
	if w.plan.Joins == 0 {
		for _, s := range w.slots {
			w.start(s, nextName(s, true))
		}
		w.apart("join")
		if !w.joined() {
			w.fail("no worker made the leases")
			return
		}
	}
	if w.plan.FanOut {
		w.subscribes()
	}
	operated, stop := context.WithCancel(w.life)
	var operator sync.WaitGroup
	operator.Go(func() { w.mend(operated) })
	w.chaos()
	w.canary()
	w.settle()
	w.level()
	w.look()
	stop()
	operator.Wait()
	w.inspect()
	if w.fanOut != nil {
		w.fanOut.finish()
	}
	w.orphans()
	w.drain()
	w.confess()
}

// join starts the workers, while there are puts, and not before the time that the
// group is to begin at.
func (w *world) join(ctx context.Context) {
	sleep(ctx, time.Until(w.since))
	for _, s := range w.slots {
		dice := w.source.dice(key("join"))
		if !sleep(ctx, w.source.until(dice, 0, w.plan.Joins/time.Duration(2*len(w.slots)))) {
			return
		}
		w.start(s, nextName(s, true))
	}
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
	if w.plan.Joins > 0 {
		w.apart("joining")
		actors.Go(func() { w.join(ctx) })
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
