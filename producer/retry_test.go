package producer

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"
)

func TestStreamIsListedAgainOnlyOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.list = func(int) error { return errReset }
		var e ends
		p := newTest(t, f, nil)
		time.Sleep(time.Hour)
		if f.listings() != 1 {
			t.Errorf("%d listings without a record to send", f.listings())
		}
		put(t, p, &e, "k", "x")
		time.Sleep(20 * time.Second)
		if f.listings() < 4 || f.listings() > 20 {
			t.Errorf("%d listings in 20 s", f.listings())
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
				return nobody
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
					n, err := strconv.Atoi(strings.TrimPrefix(x.name, "k="))
					if err != nil {
						t.Fatal(err)
					}
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
		f.list = func(int) error {
			if gone {
				return missing
			}
			return nil
		}
		p := newTest(t, f, nil)
		start := time.Now()
		_, err := p.PutSync(t.Context(), Record{Key: "k"})
		if d := time.Since(start); !errors.Is(err, missing) || errors.Is(err, ErrMaybeSent) || d < 10*time.Second || d > 16*time.Second {
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
		if d := time.Since(start); !errors.Is(err, missing) || d < 10*time.Second || d > 16*time.Second {
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
		f.gather()
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
		if errs := e.failed(); len(errs) != 1 || !errors.Is(errs["x=bad"], invalid) {
			t.Errorf("failed: %v", errs)
		}
	})
}
