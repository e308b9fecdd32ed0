package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/localstream"
)

func TestOneWorkerReadsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		w.put(200)
		one := w.start(w.config("one"))
		w.allHandled(5 * time.Second)
		w.put(200)
		w.allHandled(5 * time.Second)
		one.stop(t)
		w.verdict(0)
	})
}

func TestFirstRecordSoonAfterStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		w.put(100)
		cfg := w.config("one")
		cfg.LeaseTTL = 10 * time.Second
		one := w.start(cfg)
		w.allHandled(500 * time.Millisecond)
		one.stop(t)
		two := w.start(cfg)
		w.put(100)
		w.allHandled(500 * time.Millisecond)
		two.stop(t)
		w.verdict(0)
	})
}

func TestSplitAndMergeWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		one, two := w.start(w.config("one")), w.start(w.config("two"))
		w.put(100)
		w.split(0)
		w.put(100)
		w.split(2)
		w.put(100)
		w.merge(1) // a child of each split
		w.put(100)
		w.allHandled(5 * time.Second)
		one.stop(t)
		two.stop(t)
		w.verdict(0)
		for _, s := range w.open() {
			if name := aws.ToString(s.ShardId); !w.delivered(name) {
				t.Errorf("no record of %s was delivered", name)
			}
		}
	})
}

func TestReadingBeginsAfterReshards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.put(50)
		w.split(0)
		w.put(50)
		w.split(1)
		w.put(50)
		w.merge(0)
		w.put(50)
		one := w.start(w.config("one"))
		w.allHandled(5 * time.Second)
		one.stop(t)
		w.verdict(0)
	})
}

func TestChildStartsAtOnceAfterItsParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		cfg := w.config("one")
		cfg.LeaseTTL = 10 * time.Second // beats and plans by time are seconds away
		var ended, started atomic.Int64
		cfg.Hooks.Ended = func(string, error) { ended.CompareAndSwap(0, time.Now().UnixNano()) }
		cfg.Hooks.Started = func(string, checkpoint.Position) { started.Store(time.Now().UnixNano()) }
		one := w.start(cfg)
		w.put(10)
		w.allHandled(5 * time.Second)
		w.split(0)
		w.put(20)
		w.allHandled(5 * time.Second)
		if took := time.Duration(started.Load() - ended.Load()); took > 100*time.Millisecond {
			t.Errorf("the last child started %v after its parent's end", took)
		}
		one.stop(t)
		w.verdict(0)
	})
}

func TestWorkersShareTheShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 6)
		one := w.start(w.config("one"))
		w.put(60)
		w.allHandled(5 * time.Second)
		two := w.start(w.config("two"))
		for range 200 { // 20 s
			w.put(1)
			time.Sleep(100 * time.Millisecond)
		}
		if a, b := len(one.Status().Shards), len(two.Status().Shards); a != 3 || b != 3 {
			t.Errorf("the workers have %d and %d of 6 shards", a, b)
		}
		one.stop(t) // drains
		w.put(60)
		w.allHandled(500 * time.Millisecond)
		two.stop(t)
		w.verdict(0)
	})
}

func TestWorkerThatIsCutOffIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		cut := &cutOff{Store: w.store}
		cfg := w.config("one")
		cfg.Store = cut
		one := w.start(cfg)
		w.put(50)
		w.allHandled(5 * time.Second)
		cut.off.Store(true)
		two := w.start(w.config("two"))
		w.put(50)
		w.allHandled(5 * time.Second) // still by the first
		time.Sleep(3 * time.Second)
		w.put(50)
		w.allHandled(5 * time.Second)
		if n := len(one.Status().Shards); n != 0 {
			t.Errorf("the worker that was cut off still works on %d shards", n)
		}
		one.cancel()
		if err := <-one.done; err != nil {
			t.Logf("it cannot say goodbye: %v", err)
		}
		two.stop(t)
		w.verdict(100)
	})
}

// cutOff is a store that can no longer be reached.
type cutOff struct {
	lease.Store
	off atomic.Bool
}

func (c *cutOff) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	if c.off.Load() {
		return lease.View{}, errors.New("connection refused")
	}
	return c.Store.Beat(ctx, group, b)
}

func (c *cutOff) Save(ctx context.Context, scope checkpoint.Scope, u ...checkpoint.Update) ([]checkpoint.Outcome, error) {
	if c.off.Load() {
		return nil, errors.New("connection refused")
	}
	return c.Store.Save(ctx, scope, u...)
}

func (c *cutOff) Complete(ctx context.Context, scope checkpoint.Scope, done lease.Completion) error {
	if c.off.Load() {
		return errors.New("connection refused")
	}
	return c.Store.Complete(ctx, scope, done)
}

func TestAggregatesOverASplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		cfg := w.config("one")
		cfg.BatchSize = 3 // ends within aggregates
		one := w.start(cfg)
		w.putAggregate([]string{"a", "b", "c", "d", "e"})
		w.split(0)
		middle := hashkey.Full.Middle()
		var low, high []string
		for i := 0; len(low) < 5 || len(high) < 5; i++ {
			if key := fmt.Sprintf("k%d", i); hashkey.Of(key).Compare(middle) < 0 {
				low = append(low, key)
			} else {
				high = append(high, key)
			}
		}
		// Made before the split was known, sent to the left child, and again as
		// a whole to the right one.
		mixed := []string{low[0], high[0], low[1], high[1], high[2]}
		w.putAggregate(mixed, high...)
		mixed[0], mixed[1] = mixed[1], mixed[0]
		w.putAggregate(mixed, low...)
		w.putAggregate(low)
		w.putAggregate(high)
		w.allHandled(5 * time.Second)
		time.Sleep(time.Second)
		if s := one.Status(); s.OutOfRange != 5 {
			t.Errorf("%d records left out, want 5", s.OutOfRange)
		}
		one.stop(t)
		w.verdict(0)
	})
}

func TestHandlerFailsNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		rnd := rand.New(rand.NewPCG(1, 2))
		var calls atomic.Int64
		cfg := w.config("one")
		cfg.RetryDelay, cfg.MaxRetryDelay = time.Millisecond, 10*time.Millisecond
		fates := make([]int, 10_000)
		for i := range fates {
			fates[i] = rnd.IntN(4)
		}
		cfg.Handler = w.handler(func(_ context.Context, b *consumer.Batch) error {
			switch n := calls.Add(1); fates[n] {
			case 0:
				return errors.New("now")
			case 1:
				panic("and then")
			}
			return nil
		})
		one := w.start(cfg)
		w.put(500)
		w.allHandled(time.Minute)
		one.stop(t)
		w.verdict(1e6)
	})
}

func TestServerFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		for _, f := range []localstream.Fault{
			{Operation: "DescribeStreamSummary", Count: 2, Action: localstream.Fail},
			{Operation: "ListShards", Count: 2, Action: localstream.Drop},
			{Operation: "GetShardIterator", Count: 3},
			{Operation: "GetRecords", Count: 5, Action: localstream.LoseReply},
			{Operation: "GetRecords", Count: 5, Action: localstream.ExpireIterator},
			{Operation: "GetRecords", Count: 5},
			{Operation: "GetRecords", Count: 5, Action: localstream.Drop},
			{Operation: "GetRecords", Count: 5, Action: localstream.Fail},
		} {
			w.server.Inject(f)
		}
		one := w.start(w.config("one"))
		w.put(100)
		w.split(0)
		w.put(100)
		w.allHandled(5 * time.Minute)
		one.stop(t)
		w.verdict(0)
	})
}

func TestUnknownStreamNamesItsRegion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		cfg := w.config("one")
		cfg.Stream = "nobody"
		err := <-w.start(cfg).done
		if !errors.Is(err, consumer.ErrStreamNotFound) || !strings.Contains(err.Error(), `"nobody" in us-east-1`) {
			t.Errorf("error %v", err)
		}
	})
}

func TestStreamIsDeletedAndMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		one := w.start(w.config("one"))
		w.put(50)
		w.allHandled(5 * time.Second)
		_, err := w.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String(streamName)})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-one.done; !errors.Is(err, consumer.ErrStreamNotFound) {
			t.Errorf("error %v", err)
		}
		time.Sleep(time.Second)
		w.createStream(1)
		w.remade = true
		w.put(50)
		two := w.start(w.config("one")) // the leases of the old stream are not in the way
		w.allHandled(5 * time.Second)
		two.stop(t)
		w.verdict(0)
	})
}

func TestStreamByARN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		out, err := w.client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(streamName)})
		if err != nil {
			t.Fatal(err)
		}
		cfg := w.config("one")
		cfg.Stream = aws.ToString(out.StreamDescriptionSummary.StreamARN)
		one := w.start(cfg)
		w.put(20)
		w.allHandled(5 * time.Second)
		if s := one.Status(); s.Stream != streamName {
			t.Errorf("status names %q", s.Stream)
		}
		one.stop(t)
		w.verdict(0)
	})
}

// TestRandomRuns plays reshards, workers that come, drain and are cut off, and
// handlers that fail, while records are put.
func TestRandomRuns(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { randomRun(t, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func randomRun(t *testing.T, rnd *rand.Rand) {
	w := newWorld(t, 1+rnd.IntN(3))
	type member struct {
		*worker
		store *cutOff
	}
	var living, dead []member
	join := func() {
		m := member{store: &cutOff{Store: w.store}}
		cfg := w.config(fmt.Sprintf("worker-%d", len(living)+len(dead)))
		cfg.WorkerName += fmt.Sprintf("-%d", w.puts.Load())
		cfg.Store, cfg.BatchSize, cfg.PageSize = m.store, 1+rnd.IntN(30), 1+rnd.IntN(30)
		fail := rnd.IntN(2) == 0
		cfg.Handler = w.handler(func(ctx context.Context, b *consumer.Batch) error {
			time.Sleep(time.Duration(len(b.Records)) * time.Millisecond)
			if fail && b.Attempt == 1 && b.Records[0].Data[0] == '7' {
				return errors.New("seven")
			}
			return ctx.Err()
		})
		m.worker = w.start(cfg)
		living = append(living, m)
	}
	join()
	for range 40 {
		w.put(1 + rnd.IntN(60))
		time.Sleep(time.Duration(rnd.IntN(800)) * time.Millisecond)
		switch i := rnd.IntN(max(1, len(living))); rnd.IntN(8) {
		case 0:
			w.split(rnd.IntN(len(w.open())))
		case 1:
			if n := len(w.open()); n > 1 {
				w.merge(rnd.IntN(n - 1))
			}
		case 2:
			join()
		case 3:
			if len(living) > 1 {
				living[i].stop(t)
				living = append(living[:i], living[i+1:]...)
			}
		case 4:
			if len(living) > 1 {
				living[i].store.off.Store(true)
				dead = append(dead, living[i])
				living = append(living[:i], living[i+1:]...)
			}
		}
	}
	w.allHandled(time.Minute)
	for _, m := range living {
		m.stop(t)
	}
	for _, m := range dead {
		m.cancel()
		if err := <-m.done; err != nil {
			t.Logf("a worker that was cut off: %v", err)
		}
	}
	w.verdict(int(w.puts.Load()))
}
