package consumer

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func TestHandlerMayChangeItsBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		b.h.then = func(n int, _ context.Context, batch *Batch) error {
			slices.Reverse(batch.Records)
			if n == 1 {
				return FailFrom(1, errBoom)
			}
			return nil
		}
		b.runs(time.Minute)
		b.wantBatches("1 2 3 | 2 3")
	})
}

func TestRecordAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 2)
		time.Sleep(time.Hour)
		b.fake.put(0, "key", []byte("new"))
		b.cfg.MaxRecordAge = time.Minute
		var failures []*Failure
		b.cfg.OnFailure = FailureFunc(func(_ context.Context, f *Failure) error {
			failures = append(failures, f)
			return nil
		})
		b.runs(time.Second)
		b.wantBatches("new")
		if len(failures) != 1 || failures[0].Reason != ReasonAge || len(failures[0].Records) != 2 || failures[0].Attempts != 0 {
			t.Errorf("failures %+v", failures)
		}
		b.wantPosition("103:0")
	})
	t.Run("without a destination the shard stops", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 1)
			time.Sleep(time.Hour)
			b.cfg.MaxRecordAge = time.Minute
			r := run(t, b.cfg)
			time.Sleep(time.Second)
			if s := r.Status(); s.Healthy || !errors.Is(s.Shards[0].Err, ErrTooOld) {
				t.Errorf("status %+v", s)
			}
			r.stop()
			b.wantBatches("")
			b.wantPosition("START")
		})
	})
}

func TestBatchWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 0)
		b.cfg.BatchWindow = 10 * time.Second
		r := run(t, b.cfg)
		time.Sleep(2 * time.Second)
		b.fake.put(0, "k", []byte("1"))
		time.Sleep(8 * time.Second)
		b.fake.put(0, "k", []byte("2"))
		b.wantBatches("")
		time.Sleep(4 * time.Second)
		b.wantBatches("1 2")
		for i := 3; i <= 6; i++ {
			b.fake.put(0, "k", []byte(strconv.Itoa(i)))
		}
		time.Sleep(2 * time.Second)
		b.wantBatches("1 2 | 3 4 5") // a full batch does not wait
		r.stop()
		b.wantBatches("1 2 | 3 4 5") // what waits is left for the next owner
		b.wantPosition("105:0")
	})
}

func TestWhatWasReadAheadJoinsTheBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 8)
		b.cfg.PageSize = 4
		b.h.then = func(int, context.Context, *Batch) error { time.Sleep(time.Second); return nil }
		b.runs(time.Minute)
		b.wantBatches("1 2 3 | 4 5 6 | 7 8")
	})
}

func TestMaxBatchBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 0)
		b.cfg.MaxBatchBytes = 10
		for _, d := range []string{"aaaa", "bbbb", "cccccccccccccccc", "dddd"} {
			b.fake.put(0, "k", []byte(d))
		}
		b.runs(time.Second)
		b.wantBatches("aaaa bbbb | cccccccccccccccc | dddd")
	})
}

func TestResumeInsideAnAggregate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 0)
		b.fake.put(0, "x", packed("a=1", "b=2", "c=3", "d=4"))
		b.fake.put(0, "x", packed("a=5", "b=6"))
		b.h.then = func(n int, _ context.Context, _ *Batch) error {
			if n == 2 {
				return Stop(errBoom)
			}
			return nil
		}
		b.runs(time.Second)
		b.wantPosition("101:2")
		b.runs(time.Second)
		b.wantBatches("1 2 3 | 4 5 6 | 4 5 6")
		b.wantPosition("102:1")
		if want := []string{"TRIM_HORIZON", "AT_SEQUENCE_NUMBER 101"}; !slices.Equal(b.fake.iterators, want) {
			t.Errorf("iterators %v, want %v", b.fake.iterators, want)
		}
	})
}

func TestMalformedAggregateIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 0)
		bad := packed("a=1", "b=2")
		bad[len(bad)-1]++
		b.fake.put(0, "x", bad)
		r := run(t, b.cfg)
		time.Sleep(time.Second)
		if s := r.Status(); s.Malformed != 1 {
			t.Errorf("status %+v", s)
		}
		r.stop()
		b.wantBatches(string(bad))
	})
}
