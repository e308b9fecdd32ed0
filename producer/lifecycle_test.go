package producer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"
)

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

func TestDonesOfAShardAreInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(2)
		f.latency = 10 * time.Millisecond
		start := time.Now()
		f.before = func(int, *kinesis.PutRecordsInput) (*kinesis.PutRecordsOutput, error) {
			if time.Since(start) < 11*time.Second {
				return nil, errReset
			}
			return nil, nil
		}
		p := newTest(t, f, func(c *Config) { c.RecordTTL = 10 * time.Second })
		low, high := twoKeys()
		var mu sync.Mutex
		var order []string
		slow := func(key, name string, d time.Duration) {
			err := p.Put(t.Context(), Record{Key: key, Done: func(_ Result, err error) {
				time.Sleep(d)
				mu.Lock()
				order = append(order, fmt.Sprint(name, " ", err == nil))
				mu.Unlock()
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		// The new one could be written while the expired one's Done still runs,
		// which the other shard does not wait for.
		slow(low, "expired", 12*time.Second)
		time.Sleep(15 * time.Second)
		slow(low, "new", 0)
		if _, err := p.PutSync(t.Context(), Record{Key: high}); err != nil || time.Since(start) != 15*time.Second+f.latency {
			t.Errorf("the other shard's record took until %v: %v", time.Since(start), err)
		}
		flush(t, p)
		if want := []string{"expired false", "new true"}; !slices.Equal(order, want) {
			t.Errorf("Dones in the order %v, want %v", order, want)
		}
	})
}

// lateContext has ended, and tells so when all else has happened that can.
type lateContext struct{ context.Context }

func (c lateContext) Done() <-chan struct{} {
	time.Sleep(time.Hour)
	return c.Context.Done()
}

func TestEndThatComesWithTheEndOfTheContextCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.latency = time.Second
		var e ends
		p := newTest(t, f, nil)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		for range 20 { // select draws lots
			if _, err := p.PutSync(lateContext{over}, Record{Key: "k"}); err != nil {
				t.Errorf("PutSync: %v", err)
			}
			put(t, p, &e, "k", "x")
			if err := p.Flush(lateContext{over}); err != nil {
				t.Errorf("Flush: %v", err)
			}
		}
	})
}

func TestEmptyBufferTakesAnyRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.latency = time.Second
		p := newTest(t, f, func(c *Config) { c.MaxRecordBytes = 1000; c.BufferBytes = 1000 })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		large := Record{Key: "k", HashKey: "12345", Data: make([]byte, 999)} // the hash key takes room too
		for range 3 {
			if err := p.Put(ctx, large); err != nil {
				t.Fatal(err)
			}
			if err := p.TryPut(Record{Key: "k"}); !errors.Is(err, ErrBufferFull) {
				t.Errorf("beside it: %v", err)
			}
		}
		if err := p.Put(ctx, Record{Key: "k"}); err != nil {
			t.Error(err)
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

// Whoever starts without credentials is told what to set, once the time of the
// records is over.
func TestMissingCredentialsAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.list = func(int) error {
			return &smithy.OperationError{ServiceID: "Kinesis", OperationName: "ListShards", Err: errors.New("get identity: get credentials: no EC2 IMDS role found")}
		}
		_, err := newTest(t, f, nil).PutSync(t.Context(), Record{Key: "k"})
		if !errors.Is(err, ErrExpired) || !strings.Contains(err.Error(), "no AWS credentials: set AWS_ACCESS_KEY_ID") {
			t.Errorf("error %v", err)
		}
	})
}
