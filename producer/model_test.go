package producer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// dice are random numbers for several goroutines.
type dice struct {
	mu  sync.Mutex // guards rnd
	rnd *rand.Rand
}

func (d *dice) roll(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rnd.IntN(n)
}

func (d *dice) upTo(longest time.Duration) time.Duration {
	return time.Duration(d.roll(int(longest)))
}

// unruly makes a stream fail in every way that a stream can.
func unruly(f *fakeKinesis, d *dice) {
	f.listOld = d.roll(3)
	f.delay = func(int) time.Duration { return d.upTo(200 * time.Millisecond) }
	f.before = func(int, *kinesis.PutRecordsInput) (*kinesis.PutRecordsOutput, error) {
		switch d.roll(12) {
		case 0:
			return nil, errReset
		case 1:
			return nil, &types.ProvisionedThroughputExceededException{Message: aws.String("slow down")}
		}
		return nil, nil
	}
	f.refuse = func(int, int, string) string {
		switch d.roll(10) {
		case 0:
			return "ProvisionedThroughputExceededException"
		case 1:
			return "InternalFailure"
		}
		return ""
	}
	f.lose = func(int) error {
		if d.roll(10) == 0 {
			return errReset
		}
		return nil
	}
	f.list = func(int) error {
		time.Sleep(d.upTo(2500 * time.Millisecond))
		if d.roll(4) == 0 {
			return errReset
		}
		return nil
	}
}

// upset splits and merges shards, takes the stream away for a while, and makes
// another in its place, until ctx ends.
func upset(ctx context.Context, f *fakeKinesis, d *dice) {
	for ctx.Err() == nil {
		time.Sleep(d.upTo(1500 * time.Millisecond))
		d.mu.Lock()
		k := randomKey(d.rnd)
		d.mu.Unlock()
		switch d.roll(8) {
		case 0:
			f.leave([]error{missing, nobody}[d.roll(2)])
			time.Sleep(d.upTo(3 * time.Second))
			if d.roll(2) == 0 || !f.isMissed() { // else nobody could know
				f.leave(nil)
			} else {
				f.create(1 + d.roll(4))
			}
		case 1, 2, 3:
			f.merge(k)
		default:
			f.split(k)
		}
	}
}

func TestEachRecordEndsAsPromisedWhateverFails(t *testing.T) {
	for _, ttl := range []time.Duration{-1, 2 * time.Second} {
		for seed := range uint64(100) {
			t.Run(fmt.Sprintf("TTL %v, seed %d", ttl, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { keepPromises(t, seed, ttl) })
			})
		}
	}
}

func keepPromises(t *testing.T, seed uint64, ttl time.Duration) {
	d := &dice{rnd: rand.New(rand.NewPCG(seed, 7))}
	f := newFake(1 + d.roll(3))
	unruly(f, d)
	p := newTest(t, f, func(c *Config) {
		c.RecordTTL, c.Ordered, c.FirstKey = ttl, d.roll(2) == 0, d.roll(2) == 0
		c.BufferRecords, c.AggregateRecords = 20+d.roll(300), d.roll(12)
		c.Calls, c.CallRecords, c.RateLimit = 1+d.roll(4), 1+d.roll(20), float64(d.roll(3)-1)
		if d.roll(5) == 0 {
			c.AggregateBytes = -1
		}
	})
	upsetting, stop := context.WithCancel(t.Context())
	var upsets sync.WaitGroup
	upsets.Go(func() { upset(upsetting, f, d) })
	var e ends
	keys, total := map[string]int{}, 300
	for range total {
		k := fmt.Sprint("key-", d.roll(9))
		put(t, p, &e, k, fmt.Sprint(keys[k]))
		keys[k]++
		if d.roll(10) == 0 {
			time.Sleep(d.upTo(300 * time.Millisecond))
		}
		if d.roll(60) == 0 {
			ctx, cancel := context.WithTimeout(t.Context(), d.upTo(3*time.Second))
			_ = p.Flush(ctx)
			cancel()
		}
	}
	if d.roll(2) == 0 {
		stop() // before Close, so that all can be written
	}
	ctx, cancel := context.WithTimeout(t.Context(), d.upTo(time.Minute))
	err := p.Close(ctx)
	cancel()
	stop()
	upsets.Wait()

	e.checkOnce(t, total)
	if n, b := p.Buffered(); n != 0 || b != 0 {
		t.Errorf("%d records, %d bytes are still in the buffer", n, b)
	}
	if err == nil && ttl < 0 {
		for name, err := range e.failed() {
			if !errors.Is(err, missing) { // for longer than NotFoundTimeout
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	checkEnds(t, f, e.all())
	if p.cfg.Ordered {
		checkFirsts(t, f.read(t, false))
		checkFirsts(t, f.read(t, true))
		var dones []userRecord
		for _, x := range e.all() {
			key, data, _ := strings.Cut(x.name, "=")
			dones = append(dones, userRecord{key: key, data: data})
		}
		checkFirsts(t, dones)
	}
}

// checkEnds checks what the promises said against what is in the stream.
func checkEnds(t *testing.T, f *fakeKinesis, all []end) {
	t.Helper()
	there, kept, at := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range f.read(t, false) {
		there[r.key+"="+r.data] = true
		at[fmt.Sprintf("%s=%s %s:%d:%d", r.key, r.data, r.shard, r.seq, r.sub)] = true
	}
	for _, r := range f.read(t, true) {
		kept[r.key+"="+r.data] = true
	}
	for _, x := range all {
		switch {
		case x.err != nil && !errors.Is(x.err, ErrMaybeSent) && there[x.name]:
			t.Errorf("%s was not written for sure, and is there: %v", x.name, x.err)
		case x.err == nil && !kept[x.name]:
			t.Errorf("%s is lost for consumers that judge by aggregate: %+v", x.name, x.res)
		case x.err == nil && !at[fmt.Sprintf("%s %s:%s:%d", x.name, x.res.Shard, x.res.Sequence, x.res.Subsequence)]:
			t.Errorf("%s is not at %+v", x.name, x.res)
		}
	}
}

// checkFirsts checks that data, which counts up by key, comes first in order;
// some may be missing.
func checkFirsts(t *testing.T, got []userRecord) {
	t.Helper()
	last, seen := map[string]int{}, map[string]bool{}
	for _, r := range got {
		name := r.key + "=" + r.data
		if seen[name] {
			continue
		}
		seen[name] = true
		n, err := strconv.Atoi(r.data)
		if err != nil {
			t.Fatal(err)
		}
		if n < last[r.key] {
			t.Errorf("key %s: record %d came first after record %d", r.key, n, last[r.key])
		}
		last[r.key] = n
	}
}
