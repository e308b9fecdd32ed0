package consumer

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// fill puts n records of size bytes on the i-th shard, under a key.
func (b *bench) fill(i, n, size int, key string) {
	data := bytes.Repeat([]byte("x"), size)
	for range n {
		b.fake.put(i, key, data)
	}
}

// tally counts the records that a handler has done, by shard.
type tally struct {
	mu sync.Mutex // guards n
	n  map[string]int
}

func (c *tally) add(b *Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[b.Shard] += len(b.Records)
}

func (c *tally) of(i int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n["shardId-00000000000"+strconv.Itoa(i)]
}

// peak is the most memory that a worker takes while a time passes.
func peak(r *running, d time.Duration) (most int64) {
	for range 200 {
		time.Sleep(d / 200)
		most = max(most, r.Status().Memory)
	}
	return most
}

// slowFake takes its time to answer, so that reads are under way together.
type slowFake struct{ *fake }

func (s slowFake) GetRecords(ctx context.Context, in *kinesis.GetRecordsInput, o ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	time.Sleep(300 * time.Millisecond)
	return s.fake.GetRecords(ctx, in, o...)
}

func TestFirstReadsKeepTheMemoryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shards = 32
		b := newBench(t, shards, 0)
		for i := range shards {
			b.fill(i, 100, 100<<10, "k") // just under 10 MiB in one read
		}
		b.cfg.MemoryBudget, b.cfg.Client = 64<<20, slowFake{b.fake}
		b.h.then = func(int, context.Context, *Batch) error { time.Sleep(time.Minute); return nil }
		r := run(t, b.cfg)
		if p := peak(r, 10*time.Second); p > 64<<20 || p < 40<<20 {
			t.Errorf("peak %d MiB, the budget is 64", p>>20)
		}
		r.stop()
	})
}

func TestSmallMemoryBudgetIsExceededByTwoReadsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shards = 16
		b := newBench(t, shards, 0)
		for i := range shards {
			b.fill(i, 100, 100<<10, "k")
		}
		b.cfg.MemoryBudget, b.cfg.Client = 2<<20, slowFake{b.fake}
		b.h.then = func(int, context.Context, *Batch) error { time.Sleep(time.Minute); return nil }
		r := run(t, b.cfg)
		if p := peak(r, 10*time.Second); p > 22<<20 {
			t.Errorf("peak %d MiB, two reads bring 20", p>>20)
		}
		r.stop()
	})
}

// manyMembers is an aggregate of n records of ten bytes.
func manyMembers(n int) []byte {
	var b aggregate.Builder
	for range n {
		b.Add("k", "", []byte("0123456789"))
	}
	return b.Append(nil)
}

func TestAggregatesThatUnpackToMuchKeepTheMemoryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 0)
		data := manyMembers(4000) // about 60 KiB, and 540 KiB unpacked
		for range 100 {
			b.fake.put(0, "k", data)
		}
		b.cfg.MemoryBudget, b.cfg.PageSize, b.cfg.BatchSize = 32<<20, 50, 1000
		var done tally
		b.cfg.Handler = BatchFunc(func(_ context.Context, batch *Batch) error {
			time.Sleep(time.Millisecond)
			done.add(batch)
			return nil
		})
		var reads []ReadEvent
		b.cfg.Hooks.Read = func(e ReadEvent) { reads = append(reads, e) }
		r := run(t, b.cfg)
		most := int64(maxRead + 50*(maxKey+recordOverhead)) // of a read under way
		if p := peak(r, time.Second); p > most+8<<20 {
			t.Errorf("peak %d MiB, a page of 3 MiB unpacks to 27", p>>20)
		}
		time.Sleep(time.Minute)
		if n := done.of(0); n != 100*4000 {
			t.Errorf("%d records handled of %d", n, 100*4000)
		}
		r.stop()
		if m := r.Status().Memory; m != 0 {
			t.Errorf("%d bytes are not given back", m)
		}
		if reads[0].Raw != 50 || reads[0].Records != 50*4000 || reads[0].Bytes != 50*(len(data)+1) {
			t.Errorf("first read %+v", reads[0])
		}
	})
}

func TestUnpackEndsAPageThatGrows(t *testing.T) {
	var raw []types.Record
	for i := range 10 {
		raw = append(raw, rawRecord(strconv.Itoa(i+1), "k", manyMembers(4000)))
	}
	u := unpacker{keys: hashkey.Full}
	var pages, members int
	for rest := raw; len(rest) > 0; pages++ {
		var p *page
		p, rest = u.unpack(rest)
		if grown := p.size - p.cost; grown > maxGrowth+1<<20 {
			t.Errorf("a page grows by %d bytes", grown)
		}
		members += len(p.records)
	}
	if pages < 4 || members != 10*4000 {
		t.Errorf("%d pages of %d records", pages, members)
	}
	if u.after != checkpoint.At("10", 3999) {
		t.Errorf("read up to %v", u.after)
	}
}

func TestRetriedBatchDoesNotStarveOtherShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 4, 0)
		for i := range 3 {
			b.fill(i, 400, 40<<10, "k")
		}
		b.cfg.MemoryBudget, b.cfg.PageSize, b.cfg.BatchSize = 8<<20, 150, 10
		var bad sync.Map // shards that fail
		bad.Store("shardId-000000000000", true)
		bad.Store("shardId-000000000001", true)
		var done tally
		b.cfg.Handler = BatchFunc(func(_ context.Context, batch *Batch) error {
			if _, fails := bad.Load(batch.Shard); fails {
				return errBoom
			}
			done.add(batch)
			return nil
		})
		b.cfg.Hooks.RecordsExpired = func(string, checkpoint.Position, checkpoint.Position) { t.Error("records reported as expired") }
		r := run(t, b.cfg)
		time.Sleep(time.Minute)
		b.fake.put(3, "k", []byte("late"))
		time.Sleep(time.Minute)
		if done.of(2) != 400 || done.of(3) != 1 {
			t.Errorf("%d and %d records handled of 400 and 1, beside two shards that are retried", done.of(2), done.of(3))
		}
		if m := r.Status().Memory; m > 1<<20 {
			t.Errorf("%d bytes are held, two batches are 800 KiB", m)
		}
		bad.Clear()
		time.Sleep(2 * time.Minute)
		if done.of(0) != 400 || done.of(1) != 400 {
			t.Errorf("%d and %d records handled of 400 when the handler recovered", done.of(0), done.of(1))
		}
		r.stop()
		if m := r.Status().Memory; m != 0 {
			t.Errorf("%d bytes are not given back", m)
		}
	})
	t.Run("when they fill the budget", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 4, 0)
			for i := range 4 {
				b.fill(i, 20, 100<<10, "k")
			}
			b.cfg.MemoryBudget, b.cfg.BatchSize = 1<<20, 10
			var done tally
			b.cfg.Handler = BatchFunc(func(_ context.Context, batch *Batch) error {
				if batch.Shard != "shardId-000000000003" {
					return errBoom
				}
				done.add(batch)
				return nil
			})
			r := run(t, b.cfg)
			time.Sleep(5 * time.Minute)
			if done.of(3) != 20 {
				t.Errorf("%d records handled of 20", done.of(3))
			}
			r.stop()
		})
	})
	t.Run("nor does one whose destination refuses it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 2, 0)
			b.fill(0, 200, 40<<10, "k")
			b.fill(1, 200, 40<<10, "k")
			b.cfg.MemoryBudget, b.cfg.BatchSize = 4<<20, 10
			b.cfg.OnFailure = FailureFunc(func(context.Context, *Failure) error { return errBoom })
			var done tally
			b.cfg.Handler = BatchFunc(func(_ context.Context, batch *Batch) error {
				if batch.Shard == "shardId-000000000000" {
					return Poison(errBoom)
				}
				done.add(batch)
				return nil
			})
			r := run(t, b.cfg)
			time.Sleep(5 * time.Minute)
			if done.of(1) != 200 {
				t.Errorf("%d records handled of 200", done.of(1))
			}
			r.stop()
		})
	})
}

func TestWhatWasLetGoOfIsReadAgain(t *testing.T) {
	for name, pageSize := range map[string]int{
		"with a page ahead":             2,
		"with the rest of one page":     3,
		"when the shard's end was read": 100,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 1, 0)
				b.fake.put(0, "k", packed("a=1", "b=2", "c=3", "d=4", "e=5"))
				b.fake.put(0, "k", []byte("6"))
				b.fake.put(0, "k", []byte("7"))
				b.fake.put(0, "k", []byte("8"))
				b.fake.split(0)
				b.fake.put(1, "k", []byte("child"))
				b.cfg.PageSize = pageSize
				b.h.then = func(n int, _ context.Context, _ *Batch) error {
					if n == 1 {
						return FailFrom(1, RetryAfter(time.Minute, errBoom))
					}
					return nil
				}
				r := run(t, b.cfg)
				time.Sleep(time.Second)
				held := r.Status().Memory
				r.budget.release(-r.cfg.MemoryBudget) // other shards hold all of it
				wait, leave := context.WithTimeout(t.Context(), time.Second)
				defer leave()
				if _, err := r.budget.acquire(wait, 1); err == nil {
					t.Error("there was memory")
				}
				r.budget.release(r.cfg.MemoryBudget)
				if now := r.Status().Memory; now >= held || now != 2*(2+recordOverhead) {
					t.Errorf("%d bytes held, %d before", now, held)
				}
				time.Sleep(2 * time.Minute)
				r.stop()
				text := strings.ReplaceAll(b.h.got(), " |", "")
				if want := "1 2 3 2 3 4 5 6 7 8 child"; text != want {
					t.Errorf("delivered %q, want %q", text, want)
				}
				b.wantPosition("SHARD_END")
				if !slices.Contains(b.fake.iterators, "AT_SEQUENCE_NUMBER 101") {
					t.Errorf("iterators %v: none inside of the aggregate", b.fake.iterators)
				}
				if m := r.Status().Memory; m != 0 {
					t.Errorf("%d bytes are not given back", m)
				}
			})
		})
	}
}

func TestWindowEndsEarlyWhenOthersNeedTheMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shards = 8
		b := newBench(t, shards, 0)
		for i := range shards {
			b.fill(i, 400, 10<<10, "k")
		}
		b.cfg.MemoryBudget, b.cfg.BatchSize, b.cfg.BatchWindow, b.cfg.PageSize = 4<<20, 10_000, 5*time.Minute, 50
		var done tally
		b.cfg.Handler = BatchFunc(func(_ context.Context, batch *Batch) error { done.add(batch); return nil })
		r := run(t, b.cfg)
		time.Sleep(10*time.Minute + time.Second) // two windows
		for i := range shards {
			if n := done.of(i); n != 400 {
				t.Errorf("shard %d: %d records handled of 400 by an idle handler", i, n)
			}
		}
		r.stop()
	})
}

func TestPaceBeginsWhenThereWasMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 0)
		b.fill(0, 300, 21<<10, "k")
		var at []time.Duration
		start := time.Now()
		src := &source{
			client: b.fake, shard: b.fake.shards[0].id, size: 100, budget: newBudget(64 << 20), log: zap.NewNop(),
			pace: pace{reads: 5, bytes: 2 << 20}, tip: func(time.Duration) {}, unpack: unpacker{keys: hashkey.Full},
			hooks: Hooks{Read: func(ReadEvent) { at = append(at, time.Since(start)) }},
		}
		src.budget.release(-64 << 20)
		ctx, cancel := context.WithCancel(t.Context())
		out := make(chan *page)
		ended := make(chan error, 1)
		go func() { ended <- src.run(ctx, out) }()
		time.Sleep(time.Minute)
		src.budget.release(64 << 20)
		for range 3 {
			src.budget.release(int64((<-out).size))
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("reading ended with %v", err)
		}
		if at[1]-at[0] < time.Second || at[2]-at[1] < time.Second { // 2.1 MB each, at 2 MiB a second
			t.Errorf("read at %v", at)
		}
		if used := src.budget.used(); used != 0 {
			t.Errorf("%d bytes are not given back", used)
		}
	})
}
