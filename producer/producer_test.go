package producer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/hashkey"
)

func TestPutSyncSaysWhereTheRecordIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(4)
		p := newTest(t, f, nil)
		for i := range 20 {
			key := fmt.Sprintf("key-%d", i)
			res, err := p.PutSync(t.Context(), Record{Key: key, Data: []byte("x")})
			if err != nil {
				t.Fatal(err)
			}
			want := f.find(hashkey.Of(key))
			if res != (Result{want.id, fmt.Sprint(i + 1), 0, 1}) {
				t.Errorf("%s: %+v, want shard %s, sequence number %d", key, res, want.id, i+1)
			}
		}
	})
}

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
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		p := newTest(t, f, nil)
		var inner aggregate.Builder
		inner.Add("inside", "", []byte("x"))
		inner.Add("inside", "", []byte("y"))
		data := inner.Append(nil)
		if _, err := p.PutSync(t.Context(), Record{Key: "k", Data: data}); err != nil {
			t.Fatal(err)
		}
		if got := f.read(t, true); len(got) != 1 || got[0].key != "k" || got[0].data != string(data) {
			t.Errorf("delivered %+v", got)
		}
	})
}

func TestRecordsOfAShardShareAnAggregate(t *testing.T) {
	for _, firstKey := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(1)
			f.list = func(int) error { time.Sleep(time.Second); return nil } // so that all gather
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

func TestFlushWaitsForWhatWasPutBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(2)
		f.latency = time.Second
		var before, after ends
		p := newTest(t, f, nil)
		flush(t, p) // of nothing: returns
		for i := range 100 {
			put(t, p, &before, fmt.Sprint(i), "x")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		err := p.Flush(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "100 records are left") {
			t.Errorf("%v", err)
		}
		stop := make(chan struct{})
		var others sync.WaitGroup
		others.Go(func() { // Puts without end do not keep Flush from returning
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					put(t, p, &after, fmt.Sprint(i), "y")
				}
			}
		})
		flush(t, p)
		before.checkOnce(t, 100)
		close(stop)
		others.Wait()
		flush(t, p)
		if n, b := p.Buffered(); n != 0 || b != 0 {
			t.Errorf("%d records, %d bytes are still in the buffer", n, b)
		}
	})
}

func TestFullBufferHoldsPutsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.latency = time.Second
		var e ends
		p := newTest(t, f, func(c *Config) { c.BufferRecords = 10; c.Linger = time.Hour; c.RecordTTL = -1 })
		for i := range 10 {
			put(t, p, &e, "k", fmt.Sprint(i))
		}
		if err := p.TryPut(Record{Key: "k"}); !errors.Is(err, ErrBufferFull) {
			t.Errorf("TryPut: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := p.Put(ctx, Record{Key: "k", Done: e.done("never")}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Put: %v", err)
		}
		var puts sync.WaitGroup
		for i := range 30 {
			puts.Go(func() { put(t, p, &e, "k", fmt.Sprint(10+i)) })
			synctest.Wait()
		}
		puts.Wait()
		flush(t, p)
		e.checkOnce(t, 40)
		checkOrder(t, f.read(t, true), map[string]int{"k": 40}) // first come, first served
		if err := p.TryPut(Record{Key: "k"}); err != nil {
			t.Errorf("TryPut with room: %v", err)
		}
	})
}

func TestBufferIsBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.latency = time.Second
		p := newTest(t, f, func(c *Config) { c.MaxRecordBytes = 1000; c.BufferBytes = 1000 })
		if err := p.TryPut(Record{Key: "kk", HashKey: "12", Data: make([]byte, 990)}); err != nil {
			t.Fatal(err)
		}
		if n, b := p.Buffered(); n != 1 || b != 994 {
			t.Errorf("%d records, %d bytes", n, b)
		}
		if err := p.TryPut(Record{Key: "k", Data: make([]byte, 6)}); !errors.Is(err, ErrBufferFull) {
			t.Errorf("one byte too many: %v", err)
		}
		if err := p.TryPut(Record{Key: "k", Data: make([]byte, 5)}); err != nil {
			t.Errorf("the last byte: %v", err)
		}
	})
}

func TestBadRecordsAreRefusedWithWhatIsAccepted(t *testing.T) {
	p := newTest(t, newFake(1), func(c *Config) { c.MaxRecordBytes = 5000 })
	for name, c := range map[string]struct {
		r    Record
		want string
		is   error
	}{
		"no key":              {Record{}, "partition key is empty, 1 to 256 characters are accepted", nil},
		"257 characters":      {Record{Key: strings.Repeat("ä", 257)}, "has 257 characters, 1 to 256 are accepted", nil},
		"not UTF-8":           {Record{Key: "\xff"}, "is not UTF-8", nil},
		"too large":           {Record{Key: "kk", Data: make([]byte, 4999)}, "5001 bytes of key and data, at most 5000 are accepted", ErrTooLarge},
		"hash key of letters": {Record{Key: "k", HashKey: "x"}, "a decimal number from 0 to 2^128-1 is accepted", nil},
		"hash key of 2^128":   {Record{Key: "k", HashKey: "340282366920938463463374607431768211456"}, "is above 2^128-1", nil},
	} {
		c.r.Done = func(Result, error) { t.Errorf("%s: Done was called", name) }
		for _, err := range []error{p.Put(t.Context(), c.r), p.TryPut(c.r)} {
			if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for name, r := range map[string]Record{
		"256 characters of two bytes": {Key: strings.Repeat("ä", 256)},
		"as large as may be":          {Key: "kk", Data: make([]byte, 4998)},
		"greatest hash key":           {Key: "k", HashKey: "340282366920938463463374607431768211455"},
	} {
		if _, err := p.PutSync(t.Context(), r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfigIsCheckedByField(t *testing.T) {
	good := Config{Client: newFake(1), Stream: "s"}
	for want, change := range map[string]func(*Config){
		"Client is required": func(c *Config) { c.Client = nil },
		"Stream is required": func(c *Config) { c.Stream = "" },
		"MaxRecordBytes is 10485761, 1 to 10485760 is accepted": func(c *Config) { c.MaxRecordBytes = 10<<20 + 1 },
		"BufferRecords is -1":   func(c *Config) { c.BufferRecords = -1 },
		"BufferBytes is 100":    func(c *Config) { c.BufferBytes = 100 },
		"CallRecords is 501":    func(c *Config) { c.CallRecords = 501 },
		"CallBytes is 10485761": func(c *Config) { c.CallBytes = 10<<20 + 1 },
		"Calls is -1":           func(c *Config) { c.Calls = -1 },
		"AggregateRecords is":   func(c *Config) { c.AggregateRecords = -1 },
		"RequestTimeout is -1s": func(c *Config) { c.RequestTimeout = -time.Second },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestStreamMayBeAnARN(t *testing.T) {
	arn := "arn:aws:kinesis:us-east-1:000000000000:stream/s"
	f := newFake(1)
	f.before = func(_ int, in *kinesis.PutRecordsInput) (*kinesis.PutRecordsOutput, error) {
		if in.StreamName != nil || *in.StreamARN != arn {
			t.Errorf("name %v, ARN %v", in.StreamName, in.StreamARN)
		}
		return nil, nil
	}
	p := newTest(t, f, func(c *Config) { c.Stream = arn })
	if _, err := p.PutSync(t.Context(), Record{Key: "k"}); err != nil {
		t.Fatal(err)
	}
}

func TestCallsJoinShardsAndKeepToTheirLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(8)
		f.latency = time.Second
		var e ends
		p := newTest(t, f, func(c *Config) {
			c.CallBytes, c.CallRecords, c.AggregateBytes, c.RateLimit = 100_000, 20, -1, -1
		})
		for i := range 1000 {
			put(t, p, &e, fmt.Sprint(i), strings.Repeat("x", 10_000-len(fmt.Sprint(i))))
		}
		put(t, p, &e, "large", strings.Repeat("x", 500_000)) // more than a call's bytes: alone
		flush(t, p)
		e.checkOnce(t, 1001)
		joined := 0
		for _, c := range f.calls() {
			bytes, shards := 0, map[string]bool{}
			for _, x := range c.entries {
				bytes += len(x.Data) + len(*x.PartitionKey)
				shards[f.find(entryHash(x)).id] = true
			}
			if len(c.entries) > 1 && (bytes > 100_000 || len(c.entries) > 20) {
				t.Errorf("a call of %d entries, %d bytes", len(c.entries), bytes)
			}
			if len(shards) > 1 {
				joined++
			}
		}
		if joined == 0 {
			t.Error("no call had records of several shards")
		}
		if f.overlap > 0 {
			t.Errorf("%d times two calls had entries for one shard", f.overlap)
		}
	})
}

func TestRefusedEntriesGoAgainFirst(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(3)
			rnd := rand.New(rand.NewPCG(1, 1))
			f.refuse = func(n, entry int, shard string) string {
				switch rnd.IntN(4) {
				case 0:
					return "ProvisionedThroughputExceededException"
				case 1:
					return "InternalFailure"
				}
				return ""
			}
			var e ends
			p := newTest(t, f, func(c *Config) { c.Ordered = ordered; c.AggregateRecords = 3 })
			keys := map[string]int{}
			for i := range 600 {
				k := fmt.Sprint("key-", i%10)
				put(t, p, &e, k, fmt.Sprint(keys[k]))
				keys[k]++
				if i%20 == 0 {
					time.Sleep(10 * time.Millisecond)
				}
			}
			flush(t, p)
			e.checkOnce(t, 600)
			if errs := e.failed(); len(errs) > 0 {
				t.Errorf("failed: %v", errs)
			}
			got := f.read(t, true)
			if len(got) != 600 {
				t.Errorf("%d records", len(got))
			}
			if ordered {
				if d := checkOrder(t, got, keys); d != 0 {
					t.Errorf("%d duplicates, though every refusal was plain", d)
				}
			}
			again := 0
			for _, x := range e.all() {
				if x.res.Attempts > 1 {
					again++
				}
			}
			if again == 0 {
				t.Error("no result tells of a second attempt")
			}
		})
	}
}

func TestRetriesPauseLongerAndLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.before = func(int, *kinesis.PutRecordsInput) (*kinesis.PutRecordsOutput, error) { return nil, errReset }
		var e ends
		p := newTest(t, f, func(c *Config) { c.RecordTTL = 10 * time.Minute })
		put(t, p, &e, "k", "0")
		time.Sleep(10*time.Minute + time.Second)
		n := len(f.calls())
		// Full jitter up to 5 s: one call in 2.5 s on average.
		if n < 150 || n > 350 {
			t.Errorf("%d calls in ten minutes", n)
		}
		e.checkOnce(t, 1)
		err := e.failed()["k=0"]
		re, ok := errors.AsType[*RecordError](err)
		if !ok || !errors.Is(err, ErrExpired) || !errors.Is(err, ErrMaybeSent) || !errors.Is(err, errReset) || re.Attempts != n {
			t.Errorf("%v", err)
		}
	})
}

func TestLostAnswersDuplicateAndNeverReorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(3)
		rnd := rand.New(rand.NewPCG(2, 2))
		f.lose = func(int) error {
			if rnd.IntN(3) == 0 {
				return errReset
			}
			return nil
		}
		var e ends
		p := newTest(t, f, func(c *Config) { c.Ordered = true })
		keys := map[string]int{}
		for i := range 2000 {
			k := fmt.Sprint("key-", i%10)
			put(t, p, &e, k, fmt.Sprint(keys[k]))
			keys[k]++
			time.Sleep(time.Millisecond)
		}
		flush(t, p)
		e.checkOnce(t, 2000)
		if d := checkOrder(t, f.read(t, true), keys); d == 0 {
			t.Error("no duplicates: the test lost no answer")
		}
	})
}

func TestSlowCallIsCutOffAndRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.delay = func(n int) time.Duration {
			if n == 1 {
				return time.Hour
			}
			return 0
		}
		p := newTest(t, f, func(c *Config) { c.RequestTimeout = 2 * time.Second })
		start := time.Now()
		res, err := p.PutSync(t.Context(), Record{Key: "k"})
		if err != nil || res.Attempts != 2 {
			t.Errorf("%+v, %v", res, err)
		}
		if d := time.Since(start); d < 2*time.Second || d > 3*time.Second {
			t.Errorf("took %v", d)
		}
	})
}

func TestRecordsExpireOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		var up atomic.Bool
		f.list = func(int) error {
			if !up.Load() {
				return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
			}
			return nil
		}
		start := time.Now()
		var e ends
		ages := map[string]time.Duration{}
		p := newTest(t, f, nil)
		for i := range 60 { // one each second, in one aggregate
			put(t, p, &e, "k", fmt.Sprint(i))
			time.Sleep(time.Second)
			for _, x := range e.all() {
				if _, seen := ages[x.name]; !seen {
					var n int
					fmt.Sscanf(x.name, "k=%d", &n)
					ages[x.name] = time.Since(start) - time.Duration(n)*time.Second
				}
			}
		}
		if len(ages) < 29 || len(ages) > 31 {
			t.Errorf("%d records expired within a minute", len(ages))
		}
		for name, age := range ages {
			if age < 30*time.Second || age > 32*time.Second {
				t.Errorf("%s expired at %v", name, age)
			}
		}
		for name, err := range e.failed() {
			if !errors.Is(err, ErrExpired) || errors.Is(err, ErrMaybeSent) || !errors.Is(err, syscall.ECONNREFUSED) ||
				!strings.Contains(err.Error(), "record expired after 30s (RecordTTL): list shards: dial tcp") {
				t.Errorf("%s: %v", name, err)
			}
		}
		up.Store(true)
		flush(t, p)
		e.checkOnce(t, 60)
		if got := f.read(t, true); len(got) != 60-len(e.failed()) {
			t.Errorf("%d written, %d expired", len(got), len(e.failed()))
		}
	})
}

func TestRecordWithoutTTLWaitsForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		start := time.Now()
		f.list = func(int) error {
			if time.Since(start) < 24*time.Hour {
				return errReset
			}
			return nil
		}
		p := newTest(t, f, func(c *Config) { c.RecordTTL = -1 })
		if _, err := p.PutSync(t.Context(), Record{Key: "k"}); err != nil {
			t.Error(err)
		}
	})
}

func TestVeryLongTTLDoesNotOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.latency = time.Second
		p := newTest(t, f, func(c *Config) { c.RecordTTL = 1<<63 - 1 })
		if _, err := p.PutSync(t.Context(), Record{Key: "k"}); err != nil {
			t.Error(err)
		}
	})
}

func TestUnknownStreamFailsAfterABoundedWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		gone := true
		missing := &types.ResourceNotFoundException{Message: new(string)}
		f.list = func(int) error {
			if gone {
				return missing
			}
			return nil
		}
		p := newTest(t, f, nil)
		start := time.Now()
		_, err := p.PutSync(t.Context(), Record{Key: "k"})
		if d := time.Since(start); !errors.Is(err, error(missing)) || errors.Is(err, ErrMaybeSent) || d < 10*time.Second || d > 16*time.Second {
			t.Errorf("after %v: %v", d, err)
		}
		if re, _ := errors.AsType[*RecordError](err); re == nil || re.Code != "ResourceNotFoundException" || re.Attempts != 0 {
			t.Errorf("%#v", err)
		}
		gone = false // a stream that is created later is found
		if _, err := p.PutSync(t.Context(), Record{Key: "k"}); err != nil {
			t.Error(err)
		}
		// And one that is deleted while running.
		f.before = func(int, *kinesis.PutRecordsInput) (*kinesis.PutRecordsOutput, error) { return nil, missing }
		start = time.Now()
		_, err = p.PutSync(t.Context(), Record{Key: "k"})
		if d := time.Since(start); !errors.Is(err, error(missing)) || d < 10*time.Second || d > 16*time.Second {
			t.Errorf("deleted, after %v: %v", d, err)
		}
	})
}

func TestRefusedCredentialsFailAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		denied := &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "no", Fault: smithy.FaultClient}
		f := newFake(2)
		f.list = func(int) error { return denied }
		p := newTest(t, f, nil)
		if _, err := p.PutSync(t.Context(), Record{Key: "k"}); !errors.Is(err, error(denied)) {
			t.Errorf("listing: %v", err)
		}
		f.list = nil
		f.before = func(int, *kinesis.PutRecordsInput) (*kinesis.PutRecordsOutput, error) { return nil, denied }
		_, err := p.PutSync(t.Context(), Record{Key: "k"})
		if re, _ := errors.AsType[*RecordError](err); re == nil || re.Attempts != 1 || re.Code != "AccessDeniedException" || re.MaybeSent {
			t.Errorf("putting: %v", err)
		}
	})
}

func TestInvalidRecordFailsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(4)
		invalid := &smithy.GenericAPIError{Code: "ValidationException", Message: "bad", Fault: smithy.FaultClient}
		f.before = func(_ int, in *kinesis.PutRecordsInput) (*kinesis.PutRecordsOutput, error) {
			for _, e := range in.Records {
				if bytes.Contains(e.Data, []byte("bad")) {
					return nil, invalid
				}
			}
			return nil, nil
		}
		var e ends
		p := newTest(t, f, func(c *Config) { c.AggregateBytes = -1 })
		for i := range 50 {
			put(t, p, &e, fmt.Sprint(i), "good")
		}
		put(t, p, &e, "x", "bad")
		flush(t, p)
		e.checkOnce(t, 51)
		if errs := e.failed(); len(errs) != 1 || !errors.Is(errs["x=bad"], error(invalid)) {
			t.Errorf("failed: %v", errs)
		}
	})
}

func TestPaceKeepsToTheShardsLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		var e ends
		p := newTest(t, f, func(c *Config) { c.AggregateBytes = -1; c.RateLimit = 0.5 })
		start := time.Now()
		for i := range 3000 {
			put(t, p, &e, "k", fmt.Sprint(i))
		}
		flush(t, p)
		// 500 at once, then 500 a second.
		if d := time.Since(start); d < 5*time.Second || d > 5200*time.Millisecond {
			t.Errorf("3000 records took %v", d)
		}
		start = time.Now()
		time.Sleep(2 * time.Second)
		for range 8 {
			_ = p.Put(t.Context(), Record{Key: "k", Data: make([]byte, 512<<10)})
		}
		flush(t, p)
		if d := time.Since(start); d < 9*time.Second || d > 9200*time.Millisecond {
			t.Errorf("4 MiB took %v with a rest of 2 s before", d)
		}
	})
}

func TestThrottledShardSlowsDownAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		second := map[int64]int{} // entries written by second: the service's own limit
		refused := 0
		f.refuse = func(int, int, string) string {
			if s := time.Now().Unix(); second[s] < 100 {
				second[s]++
				return ""
			}
			refused++
			return "ProvisionedThroughputExceededException"
		}
		var e ends
		p := newTest(t, f, func(c *Config) { c.AggregateBytes, c.RecordTTL, c.Ordered = -1, -1, true })
		for i := range 6000 {
			put(t, p, &e, "k", fmt.Sprint(i))
		}
		start := time.Now()
		flush(t, p)
		e.checkOnce(t, 6000)
		if d := time.Since(start); d > 90*time.Second {
			t.Errorf("6000 records took %v, 60 s are the least", d)
		}
		if refused > 600 {
			t.Errorf("%d entries were sent into a shard that was full", refused)
		}
		checkOrder(t, f.read(t, true), map[string]int{"k": 6000})
	})
}

func TestCloseSendsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(2)
		f.latency = time.Second
		var e ends
		p := newTest(t, f, nil)
		for i := range 100 {
			put(t, p, &e, fmt.Sprint(i), "x")
		}
		var closers sync.WaitGroup
		for range 3 {
			closers.Go(func() {
				if err := p.Close(t.Context()); err != nil {
					t.Error(err)
				}
				e.checkOnce(t, 100)
			})
		}
		closers.Wait()
		if errs := e.failed(); len(errs) > 0 {
			t.Errorf("failed: %v", errs)
		}
		for _, err := range []error{p.Put(t.Context(), Record{Key: "k"}), p.TryPut(Record{Key: "k"})} {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("put after close: %v", err)
			}
		}
		if err := p.Close(t.Context()); err != nil {
			t.Errorf("closing again: %v", err)
		}
		flush(t, p)
	})
}

func TestCloseHandsBackWhatItCouldNotSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.latency = time.Hour
		var e ends
		p := newTest(t, f, func(c *Config) {
			c.BufferRecords, c.AggregateRecords, c.Ordered, c.RequestTimeout = 10, 5, true, 2*time.Hour
		})
		synctest.Wait()
		for i := range 10 {
			put(t, p, &e, "k", fmt.Sprint(i))
		}
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if err := p.Put(t.Context(), Record{Key: "k", Done: e.done("never")}); !errors.Is(err, ErrClosed) {
				t.Errorf("a Put that waited: %v", err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := p.Close(ctx)
		waiting.Wait()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "10 records were not sent") {
			t.Errorf("close: %v", err)
		}
		e.checkOnce(t, 10)
		for name, err := range e.failed() {
			flew := slices.Contains([]string{"k=0", "k=1", "k=2", "k=3", "k=4"}, name)
			if !errors.Is(err, ErrClosed) || errors.Is(err, ErrMaybeSent) != flew {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestCloseDuringPutsLosesNoPromise(t *testing.T) {
	f := newFake(4)
	var e ends
	p := newTest(t, f, func(c *Config) { c.BufferRecords = 50; c.RateLimit = -1 })
	var accepted sync.Map
	var puts sync.WaitGroup
	for g := range 8 {
		puts.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d-%d", g, i)
				err := p.Put(t.Context(), Record{Key: name, Data: []byte(name), Done: e.done(name)})
				if err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					return
				}
				accepted.Store(name, true)
				if g == 0 && i == 500 {
					go func() { _ = p.Close(context.Background()) }()
				}
			}
		})
	}
	puts.Wait()
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	n := 0
	for range accepted.Range {
		n++
	}
	e.checkOnce(t, n)
	if got := len(f.read(t, true)); got != n {
		t.Errorf("%d written, %d accepted", got, n)
	}
}

func TestDoneMayTryPut(t *testing.T) {
	f := newFake(1)
	p := newTest(t, f, nil)
	second := make(chan error, 1)
	err := p.Put(t.Context(), Record{Key: "k", Done: func(Result, error) {
		if err := p.TryPut(Record{Key: "k", Done: func(_ Result, err error) { second <- err }}); err != nil {
			second <- err
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Error(err)
	}
}

func TestHooksTellOfCallsRecordsAndShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(2)
		f.latency = time.Second
		f.refuse = func(n, _ int, _ string) string {
			if n == 1 {
				return "ProvisionedThroughputExceededException"
			}
			return ""
		}
		var mu sync.Mutex
		var calls []CallEvent
		var settled []SettledEvent
		var maps []ShardMapEvent
		p := newTest(t, f, func(c *Config) {
			c.Hooks = Hooks{
				Call:     func(e CallEvent) { mu.Lock(); calls = append(calls, e); mu.Unlock() },
				Settled:  func(e SettledEvent) { mu.Lock(); settled = append(settled, e); mu.Unlock() },
				ShardMap: func(e ShardMapEvent) { mu.Lock(); maps = append(maps, e); mu.Unlock() },
			}
		})
		synctest.Wait()
		res, err := p.PutSync(t.Context(), Record{Key: "key", Data: []byte("data")})
		if err != nil {
			t.Fatal(err)
		}
		flush(t, p)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		want := CallEvent{Entries: 1, Records: 1, Bytes: 7, Throttled: 1, Duration: time.Second}
		if len(calls) != 2 || calls[0] != want || calls[1].Throttled != 0 {
			t.Errorf("calls: %+v", calls)
		}
		if len(settled) != 1 || settled[0].Shard != res.Shard || settled[0].Attempts != 2 || settled[0].Age < 2*time.Second {
			t.Errorf("settled: %+v", settled)
		}
		if len(maps) != 1 || maps[0].Shards != 2 {
			t.Errorf("shard maps: %+v", maps)
		}
	})
}
