package sim

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/internal/history/witness"
	"github.com/shardrun/shardrun/producer"
)

// heal ends every fault that outlives its action.
func (w *world) heal() {
	defer w.storms.begin("server heals")()
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
	w.canaries("canary-aggregates", producer.Config{})
	w.canaries("canary-ordered", producer.Config{AggregateBytes: -1, Ordered: true})
}

// canaries puts records of several lengths by way of package producer.
func (w *world) canaries(name string, cfg producer.Config) {
	n := w.newNode(name)
	cfg.Client, cfg.Stream, cfg.Logger = w.client(n), streamName, w.logger(name)
	p, err := producer.New(cfg)
	if err != nil {
		w.fail("%s: %v", name, err)
		return
	}
	by := witness.Producer{To: p, History: w.history, Name: name, Ordered: cfg.Ordered}
	for i := range 10 {
		w.apart(name)
		r := producer.Record{Key: fmt.Sprintf("%s-%d", name, i%4), Data: fmt.Appendf(nil, "%s %d %s", name, i, strings.Repeat("x", i))}
		r.Done = func(_ producer.Result, err error) {
			if err != nil {
				w.fail("after the faults, a record of %s fails: %v", name, err)
			}
		}
		if err := by.Put(w.life, r); err != nil {
			w.fail("after the faults, %s takes no record: %v", name, err)
		}
	}
	ctx, cancel := context.WithTimeout(w.life, time.Minute)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		w.fail("close %s: %v", name, err)
	}
}

// settle waits until the fleet has caught up.
func (w *world) settle() {
	healed, done, moved := time.Now(), 0, time.Now()
	for looked := false; ; {
		c := w.history.Counts()
		if n := c.Handled + c.Repeats; n > done {
			done, moved = n, time.Now()
		}
		begun := healed
		if m := w.lastMended(); m.After(begun) {
			begun = m
		}
		if !looked && time.Since(begun) >= w.plan.TTL+2*w.plan.TTL/3+2*time.Second {
			looked = w.look()
		}
		// What arrived before the group began is not handled.
		rest := w.plan.Joins > 0 && time.Since(moved) > 2*w.plan.TTL+30*time.Second
		if looked && (c.Handled >= c.Acked || rest) {
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
			wk.tell()
			if <-wk.done; wk.err != nil {
				w.fail("%s: the last drain: %v", wk.name, wk.err)
			}
		}
	}
}

// sum counts what shows at the end of a run.
func (w *world) sum(v history.Verdict) {
	for _, f := range w.plan.features() {
		w.reach(f)
	}
	if v.Skipped > 0 && v.Handled > 0 {
		w.reach("records before the group and since")
	}
	if w.kinesis != nil && w.kinesis.segments() > 1 {
		w.reach("log of several segments")
	}
}

// catchUp is how long the fleet may take to handle everything once the faults
// have ended: to wait for handlers that take long, to find out that a lease has
// lapsed and take it, to wait out the pauses of retries, and to handle what piled
// up: after a loss of everything, one by one, that may be all that was ever put.
func (w *world) catchUp() time.Duration {
	return 7*w.plan.TTL + time.Minute + time.Duration(w.history.Counts().Put)*handling
}

// saveLag is how long a position waits to be saved: its interval, a call of the
// store that hangs, and the pause after it.
func (w *world) saveLag() time.Duration {
	ttl := w.plan.TTL
	interval := cmp.Or(w.plan.Interval, min(max(ttl/10, 50*time.Millisecond), time.Second))
	return interval + 2*min(ttl/4, 5*time.Second) + 100*time.Millisecond
}
