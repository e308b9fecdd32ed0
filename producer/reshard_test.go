package producer

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// randomKey draws a hash key.
func randomKey(rnd *rand.Rand) hashkey.Key { return hashkey.Key{Hi: rnd.Uint64(), Lo: rnd.Uint64()} }

func TestOrderHoldsThroughReshardsAndFaults(t *testing.T) {
	for seed := range uint64(15) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 9))
				f := newFake(1 + rnd.IntN(4))
				f.latency = time.Duration(rnd.IntN(30)) * time.Millisecond
				f.listOld = rnd.IntN(3)
				faults := rand.New(rand.NewPCG(seed, 10))
				odds := func(n int) bool { f.mu.Lock(); defer f.mu.Unlock(); return seed%3 > 0 && faults.IntN(n) == 0 }
				f.before = func(int, *kinesis.PutRecordsInput) (*kinesis.PutRecordsOutput, error) {
					if odds(12) {
						return nil, errReset
					}
					return nil, nil
				}
				f.refuse = func(int, int, string) string {
					if seed%3 > 0 && faults.IntN(10) == 0 {
						return "InternalFailure"
					}
					return ""
				}
				f.lose = func(int) error {
					if odds(12) {
						return errReset
					}
					return nil
				}
				f.list = func(int) error {
					if odds(4) {
						return errReset
					}
					return nil
				}
				var e ends
				p := newTest(t, f, func(c *Config) {
					c.Ordered, c.RecordTTL = true, -1
					c.Linger = time.Duration(1+rnd.IntN(50)) * time.Millisecond
				})
				keys, total := map[string]int{}, 3000
				for range total {
					k := fmt.Sprint("key-", rnd.IntN(40))
					put(t, p, &e, k, fmt.Sprint(keys[k]))
					keys[k]++
					switch rnd.IntN(200) {
					case 0:
						f.split(randomKey(rnd))
					case 1:
						f.merge(randomKey(rnd))
					}
					if rnd.IntN(3) == 0 {
						time.Sleep(time.Duration(rnd.IntN(4)) * time.Millisecond)
					}
				}
				flush(t, p)
				e.checkOnce(t, total)
				if errs := e.failed(); len(errs) > 0 {
					t.Errorf("failed: %v", errs)
				}
				// Whether consumers judge by member or by aggregate.
				checkOrder(t, f.read(t, false), keys)
				checkOrder(t, f.read(t, true), keys)
				// A result names a place where the record can be read.
				at := map[string]bool{}
				for _, r := range f.read(t, true) {
					at[fmt.Sprintf("%s=%s %s:%d:%d", r.key, r.data, r.shard, r.seq, r.sub)] = true
				}
				for _, x := range e.all() {
					if !at[fmt.Sprintf("%s %s:%s:%d", x.name, x.res.Shard, x.res.Sequence, x.res.Subsequence)] {
						t.Fatalf("%s is not at %+v", x.name, x.res)
					}
				}
				if f.overlap > 0 && f.listOld == 0 && seed%3 == 0 {
					t.Logf("%d calls shared a shard", f.overlap)
				}
			})
		})
	}
}

func TestNothingIsLostThroughReshardsWithoutOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(5, 5))
		f := newFake(2)
		f.latency = 20 * time.Millisecond
		var e ends
		p := newTest(t, f, func(c *Config) { c.AggregateRecords = 10 })
		keys := map[string]int{}
		for i := range 5000 {
			k := fmt.Sprint("key-", rnd.IntN(100))
			put(t, p, &e, k, fmt.Sprint(keys[k]))
			keys[k]++
			if i%500 == 250 {
				f.split(randomKey(rnd))
			}
			if i%1000 == 900 {
				f.merge(randomKey(rnd))
			}
			if i%10 == 0 {
				time.Sleep(3 * time.Millisecond)
			}
		}
		flush(t, p)
		e.checkOnce(t, 5000)
		for _, strict := range []bool{true, false} {
			seen := map[string]bool{}
			for _, r := range f.read(t, strict) {
				seen[r.key+"="+r.data] = true
			}
			if len(seen) != 5000 {
				t.Errorf("strict %v: %d of 5000 records can be read", strict, len(seen))
			}
		}
	})
}

// twoKeys gives a key of each half of the hash keys.
func twoKeys() (low, high string) {
	for i := 0; low == "" || high == ""; i++ {
		k := fmt.Sprint("key-", i)
		if hashkey.Of(k).Hi>>63 == 0 {
			low = k
		} else {
			high = k
		}
	}
	return low, high
}

func TestAggregateThatStraddlesASplitIsSentAgainWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.latency = time.Second
		var e ends
		p := newTest(t, f, nil)
		synctest.Wait()
		low, high := twoKeys()
		put(t, p, &e, low, "0") // flies while the next two gather
		synctest.Wait()
		put(t, p, &e, low, "1")
		put(t, p, &e, high, "0")
		time.Sleep(1500 * time.Millisecond) // the aggregate of both is on its way
		f.split(hashkey.Key{})
		flush(t, p)
		e.checkOnce(t, 3)
		for _, x := range e.all()[1:] {
			if x.res.Attempts != 2 {
				t.Errorf("%s took %d attempts", x.name, x.res.Attempts)
			}
			if want := f.find(hashkey.Of(map[string]string{low + "=1": low, high + "=0": high}[x.name])).id; x.res.Shard != want {
				t.Errorf("%s is said to be in %s, want %s", x.name, x.res.Shard, want)
			}
		}
		checkOrder(t, f.read(t, true), map[string]int{low: 2, high: 1})
		if f.listings() != 2 {
			t.Errorf("the shards were listed %d times", f.listings())
		}
	})
}

func TestAggregateThatFitsItsNewShardIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(2)
		f.latency = time.Second
		var e ends
		p := newTest(t, f, nil)
		synctest.Wait()
		low, _ := twoKeys()
		put(t, p, &e, low, "0")
		synctest.Wait()
		put(t, p, &e, low, "1")
		put(t, p, &e, low, "2")
		time.Sleep(1500 * time.Millisecond)
		f.merge(hashkey.Key{})
		flush(t, p)
		e.checkOnce(t, 3)
		if d := checkOrder(t, f.read(t, true), map[string]int{low: 3}); d != 0 || len(f.calls()) != 2 {
			t.Errorf("%d duplicates, %d calls", d, len(f.calls()))
		}
		for _, x := range e.all()[1:] {
			if x.res.Shard != "shardId-000000000002" || x.res.Attempts != 1 {
				t.Errorf("%+v", x)
			}
		}
	})
}

func TestStreamThatIgnoresKeysGetsLoneRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(2)
		f.ignoreKeys = true
		var e ends
		p := newTest(t, f, nil)
		low, _ := twoKeys()
		for i := range 10 {
			put(t, p, &e, low, fmt.Sprint(i))
		}
		flush(t, p)
		e.checkOnce(t, 10)
		if errs := e.failed(); len(errs) > 0 {
			t.Errorf("failed: %v", errs)
		}
		lone := map[string]bool{}
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, r := range f.shards[1].records {
			if r.key == low {
				lone[string(r.data)] = true
			}
		}
		if len(lone) != 10 {
			t.Errorf("%d of 10 records are there by themselves", len(lone))
		}
	})
}

func TestLookalikeOnAStreamThatIgnoresKeysIsNotWrittenForEver(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		err  error
	}{
		"begins as an aggregate": {[]byte(aggregate.Magic + "hello"), nil},
		"is one":                 {foreign(1), errKeysIgnored},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(2)
			f.ignoreKeys = true
			var e ends
			p := newTest(t, f, nil)
			err := p.Put(t.Context(), Record{Key: "k", HashKey: eighth(0), Data: c.data, Done: e.done("x")})
			if err != nil {
				t.Fatal(err)
			}
			flush(t, p)
			e.checkOnce(t, 1)
			err = e.failed()["x"]
			if !errors.Is(err, c.err) || errors.Is(err, ErrMaybeSent) != (c.err != nil) {
				t.Errorf("%s: %v", name, err)
			}
			written := f.find(hashkey.Max).records
			if n := len(written); n > 2 || c.err == nil && string(written[n-1].data) != string(c.data) {
				t.Errorf("%s: written %d times, last %q", name, n, written[n-1].data)
			}
		})
	}
}

// An aggregate straddles a split, and waits for the listing that says so, when
// some of its records expire: the rest is not where the whole was written.
func TestRestOfAnAggregateThatExpiredInPartIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.latency = 100 * time.Millisecond
		start := time.Now()
		f.list = func(n int) error {
			if n == 1 {
				time.Sleep(time.Second) // the three leave together
			} else {
				time.Sleep(time.Until(start.Add(5300 * time.Millisecond)))
			}
			return nil
		}
		p := newTest(t, f, func(c *Config) { c.RecordTTL = 5 * time.Second })
		var e ends
		one := func(data string, at uint64) {
			err := p.Put(t.Context(), Record{Key: "k", HashKey: eighth(at), Data: []byte(data), Done: e.done("k=" + data)})
			if err != nil {
				t.Fatal(err)
			}
		}
		one("low, old", 0)
		one("high, old", 6)
		time.Sleep(500 * time.Millisecond)
		one("low, young", 1)
		time.Sleep(550 * time.Millisecond)
		f.split(hashkey.Key{}) // while the call is on its way
		flush(t, p)
		e.checkOnce(t, 3)
		if errs := e.failed(); len(errs) != 2 || !errors.Is(errs["k=low, old"], ErrExpired) || !errors.Is(errs["k=high, old"], ErrMaybeSent) {
			t.Errorf("failed: %v", errs)
		}
		checkEnds(t, f, e.all())
	})
}

func TestShardsAreListedOnceForABurstOfNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(8)
		f.latency = 10 * time.Millisecond
		var e ends
		p := newTest(t, f, nil)
		for i := range 100 {
			put(t, p, &e, fmt.Sprint(i), "x")
		}
		flush(t, p)
		for i := range 8 { // every shard at once
			f.split(hashkey.Key{Hi: uint64(i) << 61})
		}
		for i := range 100 {
			put(t, p, &e, fmt.Sprint(i), "y")
		}
		flush(t, p)
		if f.listings() > 4 { // of two pages each
			t.Errorf("the shards were listed %d times", f.listings())
		}
	})
}
