package producer

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/hashkey"
)

func TestLoneRecordIsSentAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(2)
		p := newTest(t, f, nil)
		data := []byte("mine")
		if err := p.Put(t.Context(), Record{Key: "k", HashKey: "7", Data: data}); err != nil {
			t.Fatal(err)
		}
		copy(data, "gone") // Put has copied it
		flush(t, p)
		if _, err := p.PutSync(t.Context(), Record{Key: "empty"}); err != nil {
			t.Fatal(err)
		}
		calls := f.calls()
		e := calls[0].entries[0]
		if *e.PartitionKey != "k" || *e.ExplicitHashKey != "7" || string(e.Data) != "mine" {
			t.Errorf("sent key %q, hash %q, data %q", *e.PartitionKey, *e.ExplicitHashKey, e.Data)
		}
		e = calls[1].entries[0]
		if *e.PartitionKey != "empty" || e.ExplicitHashKey != nil || e.Data == nil || len(e.Data) != 0 {
			t.Errorf("sent key %q, hash %v, data %#v", *e.PartitionKey, e.ExplicitHashKey, e.Data)
		}
	})
}

func TestDataThatLooksLikeAnAggregateArrivesAsItIs(t *testing.T) {
	for _, size := range []int{1, 40 << 10, 60 << 10, 1<<20 - 200} { // about AggregateBytes, and MaxRecordBytes
		for _, firstKey := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(2)
				p := newTest(t, f, func(c *Config) { c.FirstKey = firstKey })
				data := foreign(size)
				if _, err := p.PutSync(t.Context(), Record{Key: "k", HashKey: eighth(0), Data: data}); err != nil {
					t.Fatal(err)
				}
				if got := f.read(t, true); len(got) != 1 || got[0].key != "k" || got[0].data != string(data) {
					t.Errorf("%d bytes: %d records are delivered", size, len(got))
				}
			})
		}
	}
}

// foreign is an aggregate of a record of size bytes, whose hash key is in the
// upper half.
func foreign(size int) []byte {
	var b aggregate.Builder
	b.Add("in", eighth(6), make([]byte, size))
	return b.Append(nil)
}

func TestDataThatLooksLikeAnAggregateNeedsRoomForOne(t *testing.T) {
	for _, firstKey := range []bool{false, true} {
		p := newTest(t, newFake(1), func(c *Config) { c.MaxRecordBytes, c.FirstKey = 5000, firstKey })
		key := "a key"
		// The most that is accepted is what makes a Kinesis record of 5000 bytes.
		size := 5000
		for {
			var b aggregate.Builder
			b.Add(key, "", make([]byte, size))
			if b.Size()+len(outerKey(key, firstKey)) <= 5000 {
				break
			}
			size--
		}
		data := append([]byte(aggregate.Magic), make([]byte, size-3)...)
		if err := p.Put(t.Context(), Record{Key: key, Data: data}); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "takes 5001 bytes") {
			t.Errorf("a byte too many: %v", err)
		}
		if _, err := p.PutSync(t.Context(), Record{Key: key, Data: data[:size]}); err != nil {
			t.Errorf("at the limit: %v", err)
		}
	}
}

func TestWithoutAggregationDataGoesAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		p := newTest(t, f, func(c *Config) { c.AggregateBytes = -1 })
		if _, err := p.PutSync(t.Context(), Record{Key: "k", Data: foreign(1)}); err != nil {
			t.Fatal(err)
		}
		if got := f.read(t, true); len(got) != 1 || got[0].key != "in" {
			t.Errorf("delivered %+v", got)
		}
	})
}

func TestRecordsOfAShardShareAnAggregate(t *testing.T) {
	for _, firstKey := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(1)
			f.gather()
			var e ends
			p := newTest(t, f, func(c *Config) { c.FirstKey = firstKey })
			for i := range 100 {
				put(t, p, &e, fmt.Sprintf("key-%d", i%7), fmt.Sprint(i))
			}
			flush(t, p)
			calls := f.calls()
			if len(calls) != 1 || len(calls[0].entries) != 1 {
				t.Fatalf("%d calls, the first of %d entries", len(calls), len(calls[0].entries))
			}
			entry := calls[0].entries[0]
			switch {
			case firstKey && (*entry.PartitionKey != "key-0" || entry.ExplicitHashKey != nil):
				t.Errorf("key %q, hash key %v", *entry.PartitionKey, entry.ExplicitHashKey)
			case !firstKey && (*entry.PartitionKey != "a" || *entry.ExplicitHashKey != hashkey.Of("key-0").String()):
				t.Errorf("key %q, hash key %q", *entry.PartitionKey, *entry.ExplicitHashKey)
			}
			for i, r := range f.read(t, true) {
				if r.key != fmt.Sprintf("key-%d", i%7) || r.data != fmt.Sprint(i) {
					t.Fatalf("record %d is %+v", i, r)
				}
			}
			e.checkOnce(t, 100)
			for i, x := range e.all() {
				if x.err != nil || x.res.Subsequence != uint64(i) || x.res.Sequence != "1" {
					t.Fatalf("promise %d: %+v", i, x)
				}
			}
		})
	}
}

func TestAggregatesKeepToTheirLimits(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		check  func(records int, data []byte) bool
	}{
		"bytes":   {func(c *Config) { c.AggregateBytes = 1000 }, func(_ int, d []byte) bool { return len(d) <= 1000 }},
		"records": {func(c *Config) { c.AggregateRecords = 7 }, func(n int, _ []byte) bool { return n <= 7 }},
		"off":     {func(c *Config) { c.AggregateBytes = -1 }, func(n int, _ []byte) bool { return n == 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(1)
				var e ends
				p := newTest(t, f, func(cfg *Config) { c.change(cfg); cfg.RateLimit = -1 })
				for i := range 300 {
					put(t, p, &e, "k", strings.Repeat("x", i)+"|")
				}
				put(t, p, &e, "k", strings.Repeat("big", 20_000))
				put(t, p, &e, "k", "after")
				flush(t, p)
				for _, call := range f.calls() {
					for _, x := range call.entries {
						recs, v := aggregate.Decode(x.Data, nil)
						n := max(1, len(recs))
						if v == aggregate.Unpacked && !c.check(n, x.Data) {
							t.Errorf("an aggregate of %d records and %d bytes", n, len(x.Data))
						}
					}
				}
				got := f.read(t, true)
				if len(got) != 302 || len(got[300].data) != 60_000 || got[301].data != "after" {
					t.Fatalf("%d records", len(got))
				}
				e.checkOnce(t, 302)
			})
		})
	}
}

func TestIdleShardSendsAtOnceAndLingersUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.latency = 5 * time.Millisecond
		var e ends
		p := newTest(t, f, nil)
		synctest.Wait()
		start := time.Now()
		if _, err := p.PutSync(t.Context(), Record{Key: "k"}); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != f.latency {
			t.Errorf("a lone record took %v, one call takes %v", d, f.latency)
		}
		for i := range 5000 { // one each millisecond
			put(t, p, &e, "k", fmt.Sprint(i))
			time.Sleep(time.Millisecond)
		}
		calls := f.calls()
		for i := len(calls) - 10; i < len(calls); i++ {
			if gap := calls[i].at.Sub(calls[i-1].at); gap < 100*time.Millisecond || gap > 110*time.Millisecond {
				t.Errorf("under load calls are %v apart, want about the linger time", gap)
			}
		}
		// One caller at a time again: the linger time shrinks to nothing.
		for range 10 {
			_, _ = p.PutSync(t.Context(), Record{Key: "k"})
		}
		start = time.Now()
		_, _ = p.PutSync(t.Context(), Record{Key: "k"})
		if d := time.Since(start); d != f.latency {
			t.Errorf("after the load a lone record took %v, one call takes %v", d, f.latency)
		}
	})
}

func TestNobodyLingersWhilePutsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		var e ends
		p := newTest(t, f, func(c *Config) { c.BufferRecords = 10; c.RecordTTL = -1 })
		if _, err := p.PutSync(t.Context(), Record{Key: "k"}); err != nil {
			t.Fatal(err)
		}
		p.step(func(c *core) { c.routes[0].linger = time.Hour })
		start := time.Now()
		for i := range 10 {
			put(t, p, &e, "k", fmt.Sprint(i))
		}
		synctest.Wait() // all linger
		put(t, p, &e, "k", "10")
		if d := time.Since(start); d != 0 {
			t.Errorf("a Put waited %v for room", d)
		}
		p.step(func(c *core) { c.routes[0].linger = time.Hour })
		flush(t, p)
		if d := time.Since(start); d != 0 {
			t.Errorf("Flush waited %v", d)
		}
		e.checkOnce(t, 11)
	})
}

func TestCallsKeepToTheirLimits(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"bytes":   func(c *Config) { c.CallBytes = 100_000 },
		"records": func(c *Config) { c.CallRecords = 7 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(8)
				f.gather()
				var e ends
				p := newTest(t, f, func(c *Config) { c.AggregateBytes, c.RateLimit = -1, -1; change(c) })
				for i := range 1000 {
					put(t, p, &e, fmt.Sprint(i), strings.Repeat("x", 10_000-len(fmt.Sprint(i))))
				}
				put(t, p, &e, "large", strings.Repeat("x", 500_000)) // more than a call's bytes: alone
				flush(t, p)
				e.checkOnce(t, 1001)
				for _, c := range f.calls() {
					bytes := 0
					for _, x := range c.entries {
						bytes += len(x.Data) + len(*x.PartitionKey)
					}
					if len(c.entries) > 1 && bytes > p.cfg.CallBytes || len(c.entries) > p.cfg.CallRecords {
						t.Errorf("a call of %d entries, %d bytes", len(c.entries), bytes)
					}
				}
				if f.overlap > 0 {
					t.Errorf("%d times two calls had entries for one shard", f.overlap)
				}
			})
		})
	}
}

func TestCallsJoinShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(8)
		f.gather()
		var e ends
		p := newTest(t, f, func(c *Config) { c.Ordered = true })
		for i := range 1000 {
			put(t, p, &e, fmt.Sprint(i), "x")
		}
		flush(t, p)
		e.checkOnce(t, 1000)
		if calls := f.calls(); len(calls) != 1 || len(calls[0].entries) != 8 {
			t.Errorf("%d calls, the first of %d entries; want one with an aggregate for each shard", len(calls), len(calls[0].entries))
		}
	})
}
