package sim

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/lease"
)

// bench is a world in which nothing runs, with one worker, for judges to be asked.
type bench struct {
	*world
	wk *worker
	of tenure
}

func newBench(plan Plan) *bench {
	w := newWorld(plan, false, nil)
	w.life = context.Background()
	wk := &worker{name: "worker-0", as: "worker-0", node: w.newNode("worker-0"), cancel: func() {}, done: make(chan struct{}),
		grants: map[string]tenure{}, trials: map[tenure]*trial{}}
	wk.granted("a:b:c:0/shard-1", 3)
	wk.blames(wk.holds("shard-1"), 1)
	return &bench{w, wk, wk.holds("shard-1")}
}

// A worker may give up, stop and wait as the plan and its handler say, and no
// earlier, whatever it says itself.
func TestJudges(t *testing.T) {
	first, second := &consumer.Record{Sequence: "1"}, &consumer.Record{Sequence: "2"}
	failure := func(b *bench, attempts int, of ...consumer.Record) {
		b.rightly(b.wk, &consumer.Failure{Group: "sim", Stream: streamName, Worker: "worker-0", Shard: "shard-1", Reason: consumer.ReasonAttempts,
			Attempts: attempts, Records: of, Time: time.Now()})
	}
	attempts := Plan{GiveUp: GiveUp{Attempts: 2, To: ToOthers}}
	for name, c := range map[string]struct {
		plan Plan
		do   func(b *bench)
		want string // part of the failure, empty for none
	}{
		"given up after all attempts": {attempts, func(b *bench) {
			b.tries(b.wk, b.of, first)
			b.tries(b.wk, b.of, first)
			failure(b, 2, *first)
		}, ""},
		"given up with the record behind it": {attempts, func(b *bench) {
			b.tries(b.wk, b.of, first)
			b.tries(b.wk, b.of, first)
			failure(b, 2, *first, *second)
		}, "gives up 2 records of shard-1: and 1 failed"},
		"given up with the attempts of the record before": {attempts, func(b *bench) {
			b.tries(b.wk, b.of, first)
			b.tries(b.wk, b.of, second)
			failure(b, 2, *second)
		}, "after 1 attempts, which are said to be 2"},
		"given up with attempts of a tenure before": {attempts, func(b *bench) {
			b.tries(b.wk, b.of, first)
			b.wk.granted(b.of.lease, b.of.epoch)
			b.wk.blames(b.of, 1)
			b.tries(b.wk, b.of, first)
			failure(b, 2, *first)
		}, "after 1 attempts"},
		"tried once more": {attempts, func(b *bench) {
			for range 3 {
				b.tries(b.wk, b.of, first)
			}
		}, "for the 3th time"},
		"given up in time to come": {attempts, func(b *bench) {
			b.rightly(b.wk, &consumer.Failure{Group: "sim", Stream: streamName, Worker: "worker-0", Reason: consumer.ReasonAge, Time: time.Now().Add(time.Second)})
		}, "1s from now"},
		"stops, as the handler says": {attempts, func(b *bench) {
			b.tries(b.wk, b.of, first)
			b.wk.returns(b.of, fmt.Errorf("wrapped: %w", consumer.Stop(errStops)))
			b.stopsRightly(b.wk, "shard-1", errHandler)
		}, ""},
		"stops, and nobody takes what was tried enough": {Plan{GiveUp: GiveUp{Attempts: 1}}, func(b *bench) {
			b.tries(b.wk, b.of, first)
			b.stopsRightly(b.wk, "shard-1", errHandler)
		}, ""},
		"stops, though there are attempts left": {Plan{GiveUp: GiveUp{Attempts: 2}}, func(b *bench) {
			b.tries(b.wk, b.of, first)
			b.wk.returns(b.of, errHandler)
			b.stopsRightly(b.wk, "shard-1", errHandler)
		}, "nobody said so: 1 of 2 attempts"},
		"stops, though there is a destination": {attempts, func(b *bench) {
			b.tries(b.wk, b.of, first)
			b.tries(b.wk, b.of, first)
			b.stopsRightly(b.wk, "shard-1", errHandler)
		}, "nobody said so"},
		"an idle worker is given a record soon": {Plan{}, func(b *bench) {
			time.Sleep(time.Hour)
			b.waited(b.wk, b.of, &consumer.Record{Arrival: time.Now().Add(-tipLag)})
		}, ""},
		"an idle worker is given a record late": {Plan{}, func(b *bench) {
			time.Sleep(time.Hour)
			b.waited(b.wk, b.of, &consumer.Record{Arrival: time.Now().Add(-tipLag - 1)})
		}, "to an idle worker after 5.000000001s"},
		"a worker was busy": {Plan{}, func(b *bench) {
			time.Sleep(time.Hour)
			b.wk.returns(b.of, nil)
			b.waited(b.wk, b.of, &consumer.Record{Arrival: time.Now().Add(-time.Minute)})
		}, ""},
		"an idle worker was kept from a record": {Plan{}, func(b *bench) {
			time.Sleep(time.Hour)
			b.storms.begin(string(ServerCrash))()
			b.waited(b.wk, b.of, &consumer.Record{Arrival: time.Now().Add(-time.Minute)})
		}, ""},
		"a handler has its time": {Plan{Timeout: time.Second, Drain: time.Second}, func(b *bench) {
			b.wk.tell()
			d := deed{began: time.Now()}
			time.Sleep(2 * time.Second)
			b.inTime(b.wk, d)
		}, ""},
		"a handler goes on after its time": {Plan{Timeout: time.Second}, func(b *bench) {
			d := deed{began: time.Now()}
			time.Sleep(2*time.Second + 1)
			b.inTime(b.wk, d)
		}, "may take 1s"},
		"a handler goes on after the drain": {Plan{Drain: time.Second}, func(b *bench) {
			b.wk.tell()
			time.Sleep(2*time.Second + 1)
			b.inTime(b.wk, deed{began: time.Now()})
		}, "after the worker was told to stop"},
		"a record fails in peace": {Plan{}, func(b *bench) {
			time.Sleep(2 * time.Minute)
			b.storms.begin(string(HandlerError), "worker-1>kinesis") // which is nothing to the node
			b.promised(b.wk.node, time.Now().Add(-time.Second), errHandler)
		}, "that nothing kept from the log fails after 1s"},
		"a record fails after a fault": {Plan{}, func(b *bench) {
			time.Sleep(2 * time.Minute)
			b.storms.begin("worker-0>kinesis")()
			b.promised(b.wk.node, time.Now(), errHandler)
		}, ""},
		"drained with an error": {Plan{}, func(b *bench) {
			time.Sleep(time.Hour)
			b.wk.err = errHandler
			close(b.wk.done)
			b.drains(b.wk)
		}, "drained in peace: the handler fails"},
		"drained late": {Plan{}, func(b *bench) {
			time.Sleep(time.Hour)
			time.AfterFunc(3*time.Second, func() { close(b.wk.done) })
			b.drains(b.wk)
		}, "takes 3s"},
		"drained among faults": {Plan{}, func(b *bench) {
			b.wk.err = errHandler
			close(b.wk.done)
			b.drains(b.wk)
		}, ""},
		"taken from the dead in time": {Plan{TTL: time.Second, Faults: []Fault{WorkerCrash}}, func(b *bench) {
			b.acquires(b.wk, b.of.lease)
			b.dies(b.wk)
			time.Sleep(3 * time.Second)
			b.acquires(b.wk, b.of.lease)
			time.Sleep(time.Hour)
			b.orphans()
		}, ""},
		"taken from the dead late": {Plan{TTL: time.Second, Faults: []Fault{WorkerCrash}}, func(b *bench) {
			b.acquires(b.wk, b.of.lease)
			b.dies(b.wk)
			time.Sleep(3*time.Second + 1)
			b.acquires(b.wk, b.of.lease)
		}, "is taken after 3.000000001s"},
		"never taken from the dead": {Plan{TTL: time.Second, Faults: []Fault{WorkerCrash}}, func(b *bench) {
			b.acquires(b.wk, b.of.lease)
			b.dies(b.wk)
			time.Sleep(time.Hour)
			b.orphans()
		}, "is taken after 1h0m0s"},
		"the dead had given it back": {Plan{TTL: time.Second, Faults: []Fault{WorkerCrash}}, func(b *bench) {
			b.acquires(b.wk, b.of.lease)
			b.givesBack(b.wk, b.of.lease)
			b.dies(b.wk)
			time.Sleep(time.Hour)
			b.orphans()
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(c.plan)
				defer b.redis.mini.Close()
				c.do(b)
				said(t, b.world, c.want)
			})
		})
	}
}

// said checks what a world was failed for.
func said(t *testing.T, w *world, want string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	got := strings.Join(w.failures, "\n")
	if (want == "") != (got == "") || !strings.Contains(got, want) {
		t.Errorf("failed for %q, want %q", got, want)
	}
}

// The log says that a record arrived at a time at which it was put.
func TestArrivals(t *testing.T) {
	at := time.UnixMilli(1_000_000)
	for name, c := range map[string]struct {
		op   string
		put  span
		want string
	}{
		"put then":            {"PutRecords", span{at.Add(-time.Hour), at.Add(time.Hour)}, ""},
		"in that millisecond": {"PutRecord", span{at.Add(999 * time.Microsecond), at.Add(time.Hour)}, ""},
		"put later":           {"PutRecord", span{at.Add(time.Millisecond), at.Add(time.Hour)}, "and was put from"},
		"put earlier":         {"PutRecord", span{at.Add(-time.Second), at.Add(-1)}, "and was put from"},
		"an answer to a read": {"GetRecords", span{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			long := strings.Repeat("7", 56)
			for sequence, answer := range map[string]string{
				"7":  `{"Records":[{"SequenceNumber":"6"},{"SequenceNumber":"7","ShardId":"shard-1"}]}`,
				"8":  "\xbfgRecords\x82\xa1nSequenceNumbera6\xa2nSequenceNumbera8gShardIdgshard-1\xff", // CBOR
				long: "\xa2nSequenceNumberx8" + long + "gShardIdgshard-1",
			} {
				w := newWorld(Plan{}, false, nil)
				defer w.redis.mini.Close()
				w.arrivals.answered(c.op, answer, c.put)
				w.judge(history.Shard{ID: "shard-1", Records: []history.Raw{{Sequence: sequence, Arrival: at}}})
				said(t, w, c.want)
			}
		})
	}
}

// Workers that have room share by their capacity, and none has more than it wants.
func TestShares(t *testing.T) {
	for name, c := range map[string]struct {
		held   []int
		change func(sessions []lease.Session)
		uneven bool
		many   bool
	}{
		"even":                  {held: []int{2, 2}},
		"one more":              {held: []int{3, 2}},
		"two more":              {held: []int{4, 2}, uneven: true},
		"all":                   {held: []int{2, 0}, uneven: true},
		"the other has no room": {held: []int{4, 2}, change: func(s []lease.Session) { s[1].MaxLeases = 2 }},
		"the other leaves":      {held: []int{4, 2}, change: func(s []lease.Session) { s[1].State = lease.StateDrain }},
		"the other is dead":     {held: []int{4, 2}, change: func(s []lease.Session) { s[1].Deadline = 5 }},
		"twice the capacity":    {held: []int{4, 2}, change: func(s []lease.Session) { s[0].Capacity = 2 }},
		"half the capacity":     {held: []int{2, 2}, change: func(s []lease.Session) { s[0].Capacity = 0.5 }, uneven: true},
		"more than it wants":    {held: []int{3, 3}, change: func(s []lease.Session) { s[0].MaxLeases = 2 }, uneven: true, many: true},
	} {
		v := lease.View{Now: 10}
		for i, n := range c.held {
			id := fmt.Sprintf("session-%d", i)
			v.Sessions = append(v.Sessions, lease.Session{ID: id, Name: id, Streams: []string{"orders"}, State: lease.StateUp, Deadline: 20})
			for k := range n {
				v.Leases = append(v.Leases, lease.Lease{Name: lease.Name("orders", fmt.Sprint(i, k)), Token: checkpoint.Token(id + "#1")})
			}
			v.Leases = append(v.Leases, lease.Lease{Name: lease.Name("orders", fmt.Sprint(i)), Token: checkpoint.Token(id + "#2"), Position: checkpoint.ShardEnd()})
		}
		if c.change != nil {
			c.change(v.Sessions)
		}
		if got := uneven(v); (got != "") != c.uneven {
			t.Errorf("%s: uneven: %q", name, got)
		}
		if got := tooMany(v); (got != "") != c.many {
			t.Errorf("%s: too many: %q", name, got)
		}
	}
}

// There is a lull from the end of the last fault that matters on.
func TestStorms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &storms{begun: time.Now(), active: map[string]int{}, ended: map[string]time.Time{}}
		check := func(what string, matters func(string) bool, want time.Duration) {
			t.Helper()
			if got := s.lull(matters); got != want {
				t.Errorf("%s: a lull of %v, want %v", what, got, want)
			}
		}
		time.Sleep(time.Minute)
		check("before", anyFault, time.Minute)
		first, second := s.begin("a", "b"), s.begin("a")
		first()
		time.Sleep(time.Minute)
		check("while there is one", anyFault, 0)
		check("beside it", but("a"), time.Minute)
		second()
		time.Sleep(time.Second)
		check("after it", anyFault, time.Second)
	})
}
