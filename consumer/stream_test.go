package consumer

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestUnknownStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for stream, want := range map[string]string{
			"nobody": `stream "nobody"`,
			"arn:aws:kinesis:eu-west-3:123456789012:stream/nobody": `stream "nobody" in eu-west-3`,
		} {
			b := newBench(t, 1, 0)
			b.fake.setGone()
			b.cfg.Stream = stream
			start := time.Now()
			err := <-run(t, b.cfg).done
			if !errors.Is(err, ErrStreamNotFound) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "123456789012") {
				t.Errorf("error %v", err)
			}
			if time.Since(start) > 0 {
				t.Errorf("it took %v", time.Since(start))
			}
		}
	})
}

func TestStartTimeout(t *testing.T) {
	unsigned := &smithy.OperationError{ServiceID: "Kinesis", OperationName: "DescribeStreamSummary",
		Err: errors.New("get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found")}
	for name, test := range map[string]struct {
		fault  error
		status types.StreamStatus
		store  bool // cut
		want   []string
	}{
		"no credentials":        {fault: unsigned, want: []string{`"orders"`, "30s", "no AWS credentials: set AWS_ACCESS_KEY_ID", "no EC2 IMDS role"}},
		"endpoint unreachable":  {fault: errors.New("dial tcp 10.0.0.1:443: i/o timeout"), want: []string{`"orders"`, "30s", "i/o timeout"}},
		"still being created":   {status: types.StreamStatusCreating, want: []string{`"orders"`, "30s", "created"}},
		"the store unreachable": {store: true, want: []string{"group \"test\"", "connection refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 1, 1)
				b.fake.status = types.StreamStatusActive
				if test.status != "" {
					b.fake.status = test.status
				}
				b.fake.fault = failing("DescribeStreamSummary", 1e9, test.fault)
				core, logs := observer.New(zap.WarnLevel)
				b.cfg.Logger = zap.New(core)
				store := &cutStore{Store: b.store}
				store.cut.Store(test.store)
				b.cfg.Store = store
				start := time.Now()
				err := <-run(t, b.cfg).done
				if err == nil {
					t.Fatal("no error")
				}
				for _, w := range test.want {
					if !strings.Contains(err.Error(), w) {
						t.Errorf("error %q does not name %q", err, w)
					}
				}
				if took := time.Since(start); took < 20*time.Second || took > 35*time.Second {
					t.Errorf("gave up after %v", took)
				}
				if n := logs.FilterMessage("no AWS credentials yet, will try again").Len(); (n > 0) != (test.fault == unsigned) { //nolint:errorlint // the very same
					t.Errorf("told of credentials %d times", n)
				}
			})
		})
	}
	t.Run("what passes in time is waited for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 1)
			b.fake.fault = failing("DescribeStreamSummary", 4, errors.New("connection refused"))
			b.runs(time.Minute)
			b.wantBatches("1")
		})
	})
	t.Run("refused credentials are not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 1)
			b.fake.fault = failing("DescribeStreamSummary", 1, apiError("AccessDeniedException", "not authorized"))
			start := time.Now()
			if err := <-run(t, b.cfg).done; err == nil || time.Since(start) > 0 {
				t.Errorf("error %v after %v", err, time.Since(start))
			}
		})
	})
	t.Run("nor is a refused list of shards", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 1)
			b.fake.fault = failing("ListShards", 1, apiError("AccessDeniedException", "not authorized to perform: kinesis:ListShards"))
			start := time.Now()
			if err := <-run(t, b.cfg).done; err == nil || !strings.Contains(err.Error(), "kinesis:ListShards") || time.Since(start) > time.Second {
				t.Errorf("error %v after %v", err, time.Since(start))
			}
		})
	})
	t.Run("a list that is out of reach is waited for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 1)
			b.fake.fault = failing("ListShards", 4, errors.New("connection refused"))
			b.runs(time.Minute)
			b.wantBatches("1")
		})
	})
	t.Run("a worker that is cancelled before it began ends in peace", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 1)
			b.fake.status = types.StreamStatusCreating
			r := run(t, b.cfg)
			time.Sleep(5 * time.Second)
			r.stop()
		})
	})
}

func TestStreamDeletedWhileItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2, 3)
		r := run(t, b.cfg)
		time.Sleep(time.Second)
		b.fake.setGone()
		start := time.Now()
		err := <-r.done
		if !errors.Is(err, ErrStreamNotFound) || !strings.Contains(err.Error(), `stream "orders" was deleted`) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(start); took < 20*time.Second || took > 40*time.Second {
			t.Errorf("given up after %v, the StartTimeout is 30 s", took)
		}
		b.wantPosition("103:0") // not the end
	})
	for name, start := range map[string]StartAt{"its oldest records": TrimHorizon(), "its oldest records, too, when the group began at the latest": Latest()} {
		t.Run("and made anew, it is read from "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 1, 0)
				b.cfg.StartAt = start
				r := run(t, b.cfg)
				time.Sleep(time.Second)
				b.fake.put(0, "k", []byte("old"))
				time.Sleep(2 * time.Second)
				b.fake.setGone()
				time.Sleep(10 * time.Second)
				b.fake.mu.Lock()
				b.fake.gone, b.fake.created = false, b.fake.created.Add(time.Hour)
				b.fake.shards[0].id, b.fake.shards[0].records = "shardId-other", nil
				b.fake.mu.Unlock()
				b.fake.put(0, "k", []byte("new"))
				time.Sleep(20 * time.Second)
				b.wantBatches("old | new")
				if s := r.Status(); !s.Healthy || !s.Ready || len(s.Shards) != 1 {
					t.Errorf("status %+v", s)
				}
				r.stop()
			})
		})
	}
	t.Run("and made anew, which the audit finds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 3)
			b.cfg.AuditInterval = 10 * time.Second
			idle := b.cfg
			idle.MaxLeases, idle.WorkerName = 1, "idle"
			one, two := run(t, b.cfg), run(t, idle)
			time.Sleep(20 * time.Second)
			b.fake.mu.Lock()
			b.fake.created = b.fake.created.Add(time.Hour) // iterators of the old one go on
			b.fake.mu.Unlock()
			time.Sleep(2 * time.Minute)
			b.wantBatches("1 2 3 | 1 2 3")
			one.stop()
			two.stop()
		})
	})
	t.Run("one wrong answer ends nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 0)
			b.fake.fault = func(op string, call int) error {
				if op == "GetRecords" && call == 1 || op == "DescribeStreamSummary" && call == 2 {
					return errNotFound
				}
				return nil
			}
			r := run(t, b.cfg)
			time.Sleep(30 * time.Second)
			b.fake.put(0, "k", []byte("1"))
			time.Sleep(5 * time.Second)
			r.stop()
			b.wantBatches("1")
		})
	})
}

func TestStreamDeletedBeforeItWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		b.fake.fault = func(op string, _ int) error {
			b.fake.gone = op == "ListShards" || b.fake.gone
			return nil
		}
		if err := <-run(t, b.cfg).done; !errors.Is(err, ErrStreamNotFound) {
			t.Errorf("error %v", err)
		}
	})
}

func TestRefusalOfALaterListIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		r := run(t, b.cfg)
		time.Sleep(time.Second)
		var refuse atomic.Bool
		refuse.Store(true)
		b.fake.mu.Lock()
		b.fake.fault = func(op string, _ int) error {
			if op == "ListShards" && refuse.Load() {
				return apiError("AccessDeniedException", "not authorized to perform: kinesis:ListShards")
			}
			return nil
		}
		b.fake.mu.Unlock()
		b.store.Forget("test")
		time.Sleep(time.Minute)
		if s := r.Status(); s.Healthy || !s.Running || s.LastError == nil || !strings.Contains(s.LastError.Error(), "kinesis:ListShards") {
			t.Errorf("status %+v", s)
		}
		refuse.Store(false)
		time.Sleep(time.Minute)
		if s := r.Status(); !s.Healthy {
			t.Errorf("status %+v", s)
		}
		b.wantBatches("1 2 3")
		r.stop()
	})
}
