package consumer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shardrun/shardrun/checkpoint"
)

// failing makes the first n calls of an operation fail.
func failing(op string, n int, err error) func(string, int) error {
	return func(o string, call int) error {
		if o == op && call <= n {
			return err
		}
		return nil
	}
}

func TestReadErrorsPass(t *testing.T) {
	for name, err := range map[string]error{
		"throttled":           &types.ProvisionedThroughputExceededException{},
		"network":             errors.New("read tcp 127.0.0.1: use of closed network connection"),
		"cut short":           io.ErrUnexpectedEOF,
		"undecodable":         &smithy.DeserializationError{Err: errors.New("invalid character '<'")},
		"5xx":                 &smithy.GenericAPIError{Code: "InternalFailure", Fault: smithy.FaultServer},
		"timed out":           context.DeadlineExceeded,
		"cancelled elsewhere": context.Canceled,
		"expired credentials": apiError("ExpiredTokenException", "The security token included in the request is expired"),
		"expired iterator":    &types.ExpiredIteratorException{},
	} {
		for _, op := range []string{"GetRecords", "GetShardIterator"} {
			t.Run(name+" in "+op, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBench(t, 1, 4)
					b.fake.fault = failing(op, 5, err)
					var ended atomic.Bool
					b.cfg.Hooks.Ended = func(string, error) { ended.Store(true) }
					r := run(t, b.cfg)
					time.Sleep(time.Minute)
					b.wantBatches("1 2 3 | 4")
					if ended.Load() {
						t.Error("the worker gave the shard up")
					}
					if n := b.fake.count(op); n < 6 {
						t.Errorf("%d calls", n)
					}
					r.stop()
					b.wantPosition("104:0")
					if m := r.Status().Memory; m != 0 {
						t.Errorf("%d bytes are not given back", m)
					}
				})
			})
		}
	}
}

func TestReadsAreSpacedWhileTheyFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 4)
		b.fake.fault = failing("GetRecords", 1e9, &types.ProvisionedThroughputExceededException{})
		b.runs(time.Hour)
		if n := b.fake.count("GetRecords"); n < 300 || n > 1500 {
			t.Errorf("%d reads in an hour of throttling", n)
		}
	})
}

func TestExpiredIteratorGoesOnBehindWhatWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 9)
		b.cfg.PageSize = 2
		b.cfg.BatchSize = 2
		b.h.then = func(n int, _ context.Context, _ *Batch) error {
			if n == 1 {
				time.Sleep(time.Hour) // the page read ahead is there, its successor's iterator expires
			}
			return nil
		}
		b.runs(2 * time.Hour)
		b.wantBatches("1 2 | 3 4 | 5 6 | 7 8 | 9")
		if want := []string{"TRIM_HORIZON", "AFTER_SEQUENCE_NUMBER 104"}; !slices.Equal(b.fake.iterators, want) {
			t.Errorf("iterators %v, want %v", b.fake.iterators, want)
		}
	})
}

func TestInvalidIteratorIsGotAnew(t *testing.T) {
	invalid := apiError("InvalidArgumentException", "Invalid ShardIterator.")
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 2)
		b.fake.fault = failing("GetRecords", 3, invalid)
		b.runs(time.Minute)
		b.wantBatches("1 2")
	})
	t.Run("as often as the server forgets", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 9)
			b.cfg.PageSize = 1
			b.fake.fault = func(op string, call int) error {
				if op == "GetRecords" && call%3 != 0 {
					return invalid
				}
				return nil
			}
			b.cfg.Hooks.Ended = func(_ string, err error) {
				if err != nil {
					t.Error(err)
				}
			}
			b.runs(time.Minute)
			b.wantPosition("109:0")
		})
	})
	t.Run("but not for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 2)
			b.fake.fault = failing("GetRecords", 1e9, invalid)
			r := run(t, b.cfg)
			time.Sleep(time.Minute)
			shard, ok := errors.AsType[*ShardError](r.Status().LastError)
			if !ok || shard.Op != "get records of" || shard.Shard != "shardId-000000000000" {
				t.Errorf("last error %v", r.Status().LastError)
			}
			r.stop()
		})
	})
}

func TestStartThatTheServersClockHasNotReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 2)
		b.cfg.StartAt = AtTimestamp(time.Now())
		b.fake.fault = failing("GetShardIterator", 4, apiError("InvalidArgumentException", "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis."))
		b.cfg.Hooks.Ended = func(_ string, err error) {
			if err != nil {
				t.Error(err)
			}
		}
		b.runs(time.Minute)
		b.wantBatches("1 2")
	})
}

func TestRefusedCredentialsEndTheShardAndAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 2)
		b.fake.fault = failing("GetRecords", 2, apiError("AccessDeniedException", "not authorized to perform: kinesis:GetRecords"))
		var ends []error
		b.cfg.Hooks.Ended = func(_ string, err error) { ends = append(ends, err) }
		r := run(t, b.cfg)
		time.Sleep(500 * time.Millisecond)
		if s := r.Status(); s.Healthy || len(s.Shards) != 1 || s.Shards[0].State != StateFailed || !errors.Is(s.Shards[0].Err, s.LastError) {
			t.Errorf("status %+v", s)
		}
		time.Sleep(10 * time.Minute)
		if s := r.Status(); !s.Healthy || len(s.Shards) != 1 || s.Shards[0].Err != nil {
			t.Errorf("status %+v", s)
		}
		r.stop()
		b.wantBatches("1 2")
		if len(ends) != 3 || ends[0] == nil || ends[1] == nil || ends[2] != nil {
			t.Errorf("the shard ended with %v", ends)
		}
		b.wantPosition("102:0")
	})
}

func TestGarbledPageIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 4)
		reads := 0
		b.fake.edit = func(o *kinesis.GetRecordsOutput) {
			if reads++; reads == 1 {
				o.Records[2].SequenceNumber = nil
			}
		}
		b.runs(time.Minute)
		b.wantBatches("1 2 3 | 4")
	})
}

func TestOnePageIsReadAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 10)
		b.cfg.PageSize, b.cfg.BatchSize = 2, 2
		release := make(chan struct{})
		b.h.then = func(int, context.Context, *Batch) error { <-release; return nil }
		r := run(t, b.cfg)
		time.Sleep(time.Minute)
		if n := b.fake.count("GetRecords"); n != 2 {
			t.Errorf("%d pages read while the first is handled, want 2", n)
		}
		r.cancel() // with a page that nobody takes any more
		time.Sleep(time.Second)
		close(release)
		r.stop()
		b.wantPosition("102:0")
		if m := r.Status().Memory; m != 0 {
			t.Errorf("%d bytes are not given back", m)
		}
	})
}

func TestTheTipIsWatchedWhileAHandlerIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 1)
		b.h.then = func(int, context.Context, *Batch) error { time.Sleep(time.Hour); return nil }
		b.runs(time.Minute)
		if len(b.fake.iterators) != 1 {
			t.Errorf("iterators %v: one expired", b.fake.iterators)
		}
		if n := b.fake.count("GetRecords"); n < 50 {
			t.Errorf("%d reads in a minute", n)
		}
	})
}

// hangingFake never answers its first reads.
type hangingFake struct {
	*fake
	hangs atomic.Int64
}

func (h *hangingFake) GetRecords(ctx context.Context, in *kinesis.GetRecordsInput, o ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	if h.hangs.Add(-1) >= 0 {
		<-ctx.Done()
		return nil, &smithy.CanceledError{Err: ctx.Err()}
	}
	return h.fake.GetRecords(ctx, in, o...)
}

func TestDeadConnectionIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 1)
		h := &hangingFake{fake: b.fake}
		h.hangs.Store(2)
		b.cfg.Client = h
		b.runs(2 * time.Minute)
		b.wantBatches("1")
	})
}

func TestMemoryBudgetIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 8, 0)
		for i := range 8 {
			for range 20 {
				b.fake.put(i, "k", make([]byte, 100<<10))
			}
		}
		b.cfg.PageSize = 5 // half a mebibyte
		b.cfg.MemoryBudget = 1 << 20
		release := make(chan struct{})
		b.h.then = func(int, context.Context, *Batch) error { <-release; return nil }
		r := run(t, b.cfg)
		time.Sleep(time.Minute)
		if m := r.Status().Memory; m < 900<<10 || m > 3<<20 {
			t.Errorf("%d bytes taken of a budget of 1 MiB", m)
		}
		if n := b.fake.count("GetRecords"); n > 6 {
			t.Errorf("%d pages read of half a mebibyte each", n)
		}
		close(release)
		time.Sleep(time.Minute)
		for i := range 8 {
			if p := b.position(i); p.Rank != checkpoint.RankRecord {
				t.Errorf("shard %d is at %v", i, p)
			}
		}
		r.stop()
		if m := r.Status().Memory; m != 0 {
			t.Errorf("%d bytes are not given back", m)
		}
	})
}

func TestReadsKeepThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 0)
		for i := range 100 {
			b.fake.put(0, "k", []byte(strconv.Itoa(i)))
		}
		b.cfg.PageSize, b.cfg.ReadsPerSecond = 1, 5
		b.runs(10 * time.Second)
		if n := b.fake.count("GetRecords"); n < 48 || n > 51 {
			t.Errorf("%d reads in 10 s at 5 a second", n)
		}
	})
	t.Run("idle reads are a second apart", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 0)
			b.runs(100 * time.Second)
			if n := b.fake.count("GetRecords"); n < 95 || n > 105 {
				t.Errorf("%d reads in 100 idle seconds", n)
			}
		})
	})
}

func TestIteratorInput(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	for want, in := range map[string]*kinesis.GetShardIteratorInput{
		"TRIM_HORIZON":             iteratorInput(checkpoint.Start(), ""),
		"AT_SEQUENCE_NUMBER 7":     iteratorInput(checkpoint.At("7", 3), ""),
		"AFTER_SEQUENCE_NUMBER 9":  iteratorInput(checkpoint.At("7", 3), "9"),
		"AFTER_SEQUENCE_NUMBER 10": iteratorInput(checkpoint.StartAt(at), "10"),
		"AT_TIMESTAMP @123":        iteratorInput(checkpoint.StartAt(at), ""),
	} {
		got := string(in.ShardIteratorType)
		if in.StartingSequenceNumber != nil {
			got += " " + *in.StartingSequenceNumber
		}
		if in.Timestamp != nil {
			got += fmt.Sprintf(" @%d", in.Timestamp.UnixMilli()%1000)
		}
		if got != want {
			t.Errorf("iterator %q, want %q", got, want)
		}
	}
}
