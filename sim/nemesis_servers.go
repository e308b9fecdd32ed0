package sim

import (
	"context"
	"math/rand/v2"
	"path"
	"slices"
	"time"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream"
)

// subscribedEvents are the events of a subscription, for a fault.
const subscribedEvents = "SubscribeToShardEvent"

// strike does something to the Kinesis server.
func (w *world) strike(ctx context.Context, a Action, dice *rand.Rand) {
	if a.Fault != ServerErrors {
		select {
		case w.kinesisBusy <- struct{}{}:
			defer func() { <-w.kinesisBusy }()
		default:
			return // one at a time: a server that opens takes its time
		}
	}
	switch a.Fault {
	case ServerCrash:
		if dice.IntN(4) > 0 { // in the middle of a write, if there is one soon
			select {
			case <-w.kinesis.nextSync():
			case <-time.After(w.source.until(dice, 5*time.Second, 6*time.Second)):
			}
			sleep(ctx, w.source.until(dice, 0, leastSync))
		}
		w.note("kinesis: power failure for %v", a.For.Round(time.Millisecond))
		if w.kinesis.crash(dice) {
			w.happened(ServerCrash)
		}
		w.lasting(ctx, a.For, dice)
		w.boot(nil)
	case ServerRot:
		w.note("kinesis: bits of its log flip")
		w.kinesis.crash(dice)
		if err := w.kinesis.rot(dice); err != nil {
			w.note("kinesis: nothing to flip: %v", err)
		}
		w.lasting(ctx, a.For, dice)
		w.boot(nil)
	case ServerDisk:
		kinds := []vfs.FaultKind{vfs.FailEIO, vfs.ShortWrite, vfs.NoSpace, vfs.LostSync, vfs.CrashBefore, vfs.CrashAfter}
		plan := vfs.Plan{Kind: kinds[dice.IntN(len(kinds))], At: 1 + dice.IntN(60)}
		w.note("kinesis: starts anew; operation %d of its disk will fail: %v", plan.At, plan.Kind)
		w.kinesis.crash(dice)
		w.boot(&plan)
		w.lasting(ctx, a.For, dice)
		if w.kinesis.failed() {
			w.happened(ServerDisk)
		}
		w.note("kinesis: starts anew on a sound disk")
		w.kinesis.crash(dice)
		w.boot(nil)
	case ServerErrors:
		server, _ := w.kinesis.current()
		if server == nil {
			return
		}
		faults := []localstream.Fault{
			{Action: localstream.Throttle, Operation: "PutRecords"},
			{Action: localstream.Fail, Operation: "PutRecords"},
			{Action: localstream.Throttle},
			{Action: localstream.Throttle, Operation: "GetRecords"},
			{Action: localstream.Fail},
			{Action: localstream.ExpireIterator, Operation: "GetRecords"},
			{Action: localstream.Throttle, Operation: "ListShards"},
			{Action: localstream.Fail, Operation: "GetShardIterator"},
		}
		if w.plan.FanOut {
			faults = append(faults,
				localstream.Fault{Action: localstream.Fail, Operation: "SubscribeToShard"},
				localstream.Fault{Action: localstream.Fail, Operation: subscribedEvents},
				localstream.Fault{Action: localstream.LoseReply, Operation: subscribedEvents},
			)
		}
		f := faults[dice.IntN(len(faults))]
		f.Count = 1 + dice.IntN(10)
		if f.Operation == "PutRecords" || f.Operation == subscribedEvents { // of one shard only, not the whole call
			f.Shard = w.someShard(dice)
		}
		if f.Operation == subscribedEvents && f.Shard == "" {
			f.Count = -1 // which of the events of an instant is the first is a matter of luck
		}
		w.note("kinesis: %d times action %d on %q %s", f.Count, f.Action, f.Operation, f.Shard)
		w.injected.Add(1)
		remove := server.Inject(f)
		w.lasting(ctx, a.For, dice)
		remove()
		w.injected.Add(-1)
	}
}

// someShard is the id of an open shard, or empty, which means all of a call.
func (w *world) someShard(dice *rand.Rand) string {
	open, err := openShards(w.life, w.client(w.newNode("nemesis")))
	if i := dice.IntN(mostShards + 1); err == nil && i < len(open) {
		return *open[i].ShardId
	}
	return ""
}

// boot starts the Kinesis server. One that does not come back on a sound disk
// has lost everything.
func (w *world) boot(plan *vfs.Plan) {
	err := w.kinesis.boot(plan)
	if err == nil {
		return
	}
	if plan == nil {
		w.fail("%v", err)
		return
	}
	w.note("kinesis: did not start: %v", err) // the fault came while it opened
}

// segments counts the files of records that the log of the server has.
func (k *kinesisNode) segments() int {
	k.mu.Lock()
	disk := k.disk
	k.mu.Unlock()
	var files []string
	if err := walk(disk, ".", &files); err != nil {
		return 0
	}
	return len(slices.DeleteFunc(files, func(name string) bool { return path.Ext(name) != ".log" }))
}

// unsettle does something to Redis.
func (w *world) unsettle(ctx context.Context, a Action) {
	select {
	case w.redisBusy <- struct{}{}:
		defer func() { <-w.redisBusy }()
	default:
		return // one at a time
	}
	dice := w.source.dice(key("unsettle"))
	switch a.Fault {
	case RedisDown:
		w.note("redis: restarts, down for %v", a.For.Round(time.Millisecond))
		w.redis.stop()
		w.lasting(ctx, a.For, dice)
		w.redis.start()
	case RedisSuffix:
		w.happened(RedisSuffix)
		since, was := time.Now(), w.redis.snapshot()
		w.lasting(ctx, a.For, dice)
		w.note("redis: fails over, the writes of the last %v are lost", a.For.Round(time.Millisecond))
		w.redis.stop()
		if err := w.redis.restore(was); err != nil {
			w.fail("restore: %v", err)
		}
		w.history.StoreLost("suffix", since)
		w.redis.start()
	case RedisAll:
		w.note("redis: loses everything, down for %v", a.For.Round(time.Millisecond))
		w.happened(RedisAll)
		w.redis.stop()
		w.redis.mini.FlushAll()
		w.history.StoreLost("all", time.Time{})
		w.lasting(ctx, a.For, dice)
		w.redis.start()
	case RedisGone:
		w.note("redis: loses everything while no worker lives")
		w.happened(RedisGone)
		w.massacre(ctx, func() {
			w.redis.stop()
			w.redis.mini.FlushAll()
			w.history.StoreLost("all", time.Time{})
			w.lasting(ctx, a.For, dice)
			w.redis.start()
		})
	case RedisClock:
		ahead := time.Duration(a.Rate * float64(time.Hour)).Round(time.Second)
		w.note("redis: its clock is now %v ahead", ahead)
		w.history.ClockJumped()
		w.redis.jump(ahead)
	}
}
