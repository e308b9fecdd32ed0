package witness_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/internal/history/witness"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/localstream"
	"github.com/shardrun/shardrun/producer"
)

const stream = "orders"

// stage is a stream and a store, with a history of all that happens.
type stage struct {
	t      *testing.T
	h      *history.History
	client *kinesis.Client
	store  lease.Store
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, h: history.New(), client: localstream.NewT(t).Client(), store: lease.NewMemory()}
	_, err := s.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String(stream), ShardCount: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs a worker until what the test does has ended.
func (s *stage) run(cfg consumer.Config, do func()) {
	s.t.Helper()
	cfg.Group, cfg.Stream, cfg.Client, cfg.LeaseTTL = "group", stream, s.client, time.Second
	cfg.ReadsPerSecond, cfg.IdleDelay, cfg.MaxIdleDelay = -1, 10*time.Millisecond, 50*time.Millisecond
	if cfg.Store == nil {
		cfg.Store = s.store
	}
	c, err := consumer.New(witness.Worker(s.h, cfg))
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	do()
	cancel()
	if err := <-ended; err != nil {
		s.t.Error(err)
	}
}

// put puts n records of a few keys, some with a hash key, by an ordered producer.
func (s *stage) put(n int) {
	s.t.Helper()
	to, err := producer.New(producer.Config{Client: s.client, Stream: stream, Ordered: true, RateLimit: -1})
	if err != nil {
		s.t.Fatal(err)
	}
	p := witness.Producer{To: to, History: s.h, Name: "producer", Ordered: true}
	var told atomic.Int64
	for i := range n {
		r := producer.Record{Key: fmt.Sprintf("key-%d", i%5), Data: fmt.Appendf(nil, "%d-%d", s.h.Counts().Put, i)}
		if i%5 == 0 {
			r.HashKey = hashkey.Max.String()
		}
		r.Done = func(producer.Result, error) { told.Add(1) }
		if i%2 == 0 {
			err = p.Put(s.t.Context(), r)
		} else {
			err = p.TryPut(r)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	if err := to.Close(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	if told.Load() != int64(n) {
		s.t.Errorf("%d promises of %d were passed on", told.Load(), n)
	}
	before := s.h.Counts()
	if err := p.Put(s.t.Context(), producer.Record{Key: "late"}); !errors.Is(err, producer.ErrClosed) {
		s.t.Errorf("put after the end: %v", err)
	}
	if after := s.h.Counts(); after.Put != before.Put+1 || after.Failed != before.Failed+1 {
		s.t.Errorf("a put that was not accepted is %+v after %+v", after, before)
	}
}

func (s *stage) handled() {
	s.t.Helper()
	for range 2000 {
		if c := s.h.Counts(); c.Handled == c.Acked {
			synctest.Wait()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatalf("not all is handled: %+v", s.h.Counts())
}

// split splits the first open shard.
func (s *stage) split() {
	s.t.Helper()
	out, err := s.client.ListShards(s.t.Context(), &kinesis.ListShardsInput{StreamName: aws.String(stream)})
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.client.SplitShard(s.t.Context(), &kinesis.SplitShardInput{
		StreamName: aws.String(stream), ShardToSplit: out.Shards[0].ShardId, NewStartingHashKey: aws.String(hashkey.Full.Middle().String()),
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) owners() {
	s.t.Helper()
	v, err := s.store.View(s.t.Context(), "group")
	if err != nil {
		s.t.Fatal(err)
	}
	s.h.Owners(witness.Owners(v))
}

func (s *stage) audit(kind string, pages int, limit int32) {
	s.t.Helper()
	r := history.Read{Shard: "shardId-000000000000", Type: kind}
	if err := witness.Audit(s.t.Context(), s.h, s.client, stream, r, pages, limit); err != nil {
		s.t.Fatal(err)
	}
}

// verdict judges by all rules.
func (s *stage) verdict() history.Verdict {
	s.t.Helper()
	truth, err := witness.Stream(s.t.Context(), s.client, stream)
	if err != nil {
		s.t.Fatal(err)
	}
	s.h.Stream(truth)
	return s.h.Check(history.Options{TTL: time.Second, Lag: 5 * time.Second})
}

// A real run, with a reshard, handlers that fail and records that are given up,
// is told so that every rule can be judged, and holds.
func TestEverythingIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		var calls, batches, given atomic.Int64
		cfg := consumer.Config{
			WorkerName: "one", BatchSize: 7, MaxAttempts: 3, RetryDelay: time.Millisecond,
			Handler: consumer.BatchFunc(func(_ context.Context, b *consumer.Batch) error {
				n := calls.Add(1)
				first := string(b.Records[0].Data)
				b.Records[0] = consumer.Record{} // the slice is the handler's
				switch {
				case first == "0-33":
					return consumer.Poison(errors.New("33"))
				case n%3 == 0:
					return consumer.FailFrom(len(b.Records)/2, errors.New("second half"))
				}
				return nil
			}),
			OnFailure: consumer.Drop,
		}
		cfg.Hooks.Batch = func(consumer.BatchEvent) { batches.Add(1) }
		cfg.Hooks.Failed = func(f *consumer.Failure) { given.Add(int64(len(f.Records))) }
		s.run(cfg, func() {
			s.put(60)
			s.audit("TRIM_HORIZON", 100, 10)
			s.audit("TRIM_HORIZON", 1, 1)
			s.split()
			s.put(60)
			s.audit("TRIM_HORIZON", 100, 0)
			s.audit("LATEST", 100, 0)
			s.handled()
			time.Sleep(time.Second)
			s.h.Healed()
			s.owners()
			time.Sleep(5 * time.Second)
			s.owners()
		})
		if v := s.verdict(); !v.OK() || v.Sent != 120 || v.Handled != 120 || v.Duplicates == 0 {
			t.Error(v)
		}
		if calls.Load() == 0 || batches.Load() != calls.Load() {
			t.Errorf("%d calls of the handler, the user's hook saw %d", calls.Load(), batches.Load())
		}
		var b strings.Builder
		if err := s.h.Timeline(&b); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"calls create ", "answered create ", "calls acquire ", "granted with epoch", "calls save ", "calls complete ", "answered complete ", "calls bye", "answered bye",
		} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("nothing %q in the timeline", want)
			}
		}
	})
}

// Records that are too old are given up without a handler having seen them.
func TestGivenUpUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.put(20)
		time.Sleep(time.Hour)
		cfg := consumer.Config{
			WorkerName: "one", MaxRecordAge: time.Minute, OnFailure: consumer.Drop,
			Handler: consumer.BatchFunc(func(context.Context, *consumer.Batch) error { return nil }),
		}
		s.run(cfg, func() {
			s.audit("LATEST", 1, 0)
			s.put(20)
			s.handled()
			s.h.Healed()
			time.Sleep(5 * time.Second)
			s.owners()
		})
		if v := s.verdict(); !v.OK() || v.Handled != 40 {
			t.Error(v)
		}
	})
}

// liar is a store that says what is not so.
type liar struct {
	lease.Store
	save     func(ctx context.Context, scope checkpoint.Scope, u []checkpoint.Update) ([]checkpoint.Outcome, error)
	complete error
}

func (l *liar) Save(ctx context.Context, scope checkpoint.Scope, u ...checkpoint.Update) ([]checkpoint.Outcome, error) {
	if l.save != nil {
		return l.save(ctx, scope, u)
	}
	return l.Store.Save(ctx, scope, u...)
}

func (l *liar) Complete(context.Context, checkpoint.Scope, lease.Completion) error { return l.complete }

func (l *liar) Acquire(context.Context, checkpoint.Scope, lease.Acquire) ([]lease.Grant, error) {
	return nil, lease.ErrReset
}

// What a store answers is told for what it is: done, refused, or unknown.
func TestAnswers(t *testing.T) {
	at := checkpoint.At("7", 1)
	scope := checkpoint.Scope{Group: "group"}
	lost := errors.New("connection reset")
	two := []checkpoint.Update{{Lease: "s/a", Token: "x#1", Position: at}, {Lease: "s/b", Token: "x#2", Position: at, Release: true}}
	for _, c := range []struct {
		name string
		call func(ctx context.Context, h *history.History)
		want string
	}{
		{"saved and fenced", func(ctx context.Context, h *history.History) {
			l := &liar{save: func(context.Context, checkpoint.Scope, []checkpoint.Update) ([]checkpoint.Outcome, error) {
				return []checkpoint.Outcome{{Position: at}, {Err: checkpoint.ErrFenced}}, nil
			}}
			_, _ = witness.Store(h, "w", l).Save(ctx, scope, two...)
		}, "answered save a ok b refused: " + checkpoint.ErrFenced.Error()},
		{"half of it known", func(ctx context.Context, h *history.History) {
			l := &liar{save: func(context.Context, checkpoint.Scope, []checkpoint.Update) ([]checkpoint.Outcome, error) {
				return []checkpoint.Outcome{{Position: at}}, lost
			}}
			_, _ = witness.Store(h, "w", l).Save(ctx, scope, two...)
		}, "answered save a ok b unknown failed: connection reset"},
		{"nothing known", func(ctx context.Context, h *history.History) {
			l := &liar{save: func(context.Context, checkpoint.Scope, []checkpoint.Update) ([]checkpoint.Outcome, error) {
				return nil, lost
			}}
			_, _ = witness.Store(h, "w", l).Save(ctx, scope, two...)
		}, "answered save a unknown b unknown failed: connection reset"},
		{"an end that is unknown", func(ctx context.Context, h *history.History) {
			_ = witness.Store(h, "w", &liar{complete: fmt.Errorf("complete: %w", lost)}).Complete(ctx, scope, lease.Completion{Name: "s/a"})
		}, "answered complete a unknown failed: complete: connection reset"},
		{"an end that was refused", func(ctx context.Context, h *history.History) {
			_ = witness.Store(h, "w", &liar{complete: fmt.Errorf("complete: %w", checkpoint.ErrFenced)}).Complete(ctx, scope, lease.Completion{Name: "s/a"})
		}, "answered complete a refused: complete: " + checkpoint.ErrFenced.Error()},
		{"an acquisition in the wrong state", func(ctx context.Context, h *history.History) {
			_, _ = witness.Store(h, "w", &liar{}).Acquire(ctx, scope, lease.Acquire{Session: "x", First: 3, Names: []string{"s/a"}})
		}, "answered acquire a refused: " + lease.ErrReset.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := history.New()
			c.call(t.Context(), h)
			var b strings.Builder
			if err := h.Timeline(&b); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(b.String(), c.want+"\n") {
				t.Errorf("no line %q in\n%s", c.want, b.String())
			}
		})
	}
}

// forgetful is a store that lost what it had.
type forgetful struct {
	lease.Store
	err error
}

func (f forgetful) Beat(context.Context, string, lease.Beat) (lease.View, error) {
	return lease.View{}, f.err
}

func TestALossThatABeatIsToldOf(t *testing.T) {
	for _, err := range []error{nil, lease.ErrReset, fmt.Errorf("beat: %w", lease.ErrStateLost)} {
		h := history.New()
		if _, got := witness.Store(h, "w", forgetful{err: err}).Beat(t.Context(), "g", lease.Beat{}); !errors.Is(got, err) {
			t.Errorf("answered %v, and it was %v", got, err)
		}
		var b strings.Builder
		if err := h.Timeline(&b); err != nil {
			t.Fatal(err)
		}
		if told := strings.Contains(b.String(), "told that the store lost what it had"); told != errors.Is(err, lease.ErrStateLost) {
			t.Errorf("%v: told is %v", err, told)
		}
	}
}

// However a call of the handler ends, it is told.
func TestCallsThatReturnAreTold(t *testing.T) {
	inner := consumer.BatchFunc(func(_ context.Context, b *consumer.Batch) error {
		switch b.Attempt {
		case 1:
			panic("the first")
		case 2:
			return errors.New("the second")
		}
		return nil
	})
	for name, wrap := range map[string]func(h *history.History) consumer.Handler{
		"handler": func(h *history.History) consumer.Handler { return witness.Handler(h, "w", inner) },
		"worker": func(h *history.History) consumer.Handler {
			return witness.Worker(h, consumer.Config{WorkerName: "w", Handler: inner}).Handler
		},
	} {
		h := history.New()
		handler := wrap(h)
		for n := range 3 {
			func() {
				defer func() { _ = recover() }()
				_ = handler.Handle(t.Context(), &consumer.Batch{Lease: "s/a", Epoch: 3, Attempt: n + 1})
			}()
		}
		var b strings.Builder
		if err := h.Timeline(&b); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(b.String(), "returned from a, epoch 3\n"); n != 3 {
			t.Errorf("%s: %d of 3 are told in\n%s", name, n, b.String())
		}
	}
}

func TestHandlerIsToldOfOnlyWhenItSucceeds(t *testing.T) {
	h := history.New()
	fail := errors.New("no")
	handler := witness.Handler(h, "w", consumer.BatchFunc(func(_ context.Context, b *consumer.Batch) error {
		if b.Attempt == 1 {
			return fail
		}
		return nil
	}))
	b := consumer.Batch{Lease: "s/a", Epoch: 3, Attempt: 1, Records: []consumer.Record{{Key: "k", Sequence: "5"}, {Key: "k", Sequence: "6"}}}
	for n := range 2 {
		h.Acked(h.Put(history.Put{Key: "k"}), "a", history.ID{Sequence: fmt.Sprint(5 + n)})
	}
	if err := handler.Handle(t.Context(), &b); !errors.Is(err, fail) || h.Counts().Handled != 0 {
		t.Errorf("after an error %v: %+v", err, h.Counts())
	}
	b.Attempt = 2
	if err := handler.Handle(t.Context(), &b); err != nil || h.Counts().Handled != 2 || h.Counts().Repeats != 2 {
		t.Errorf("after success %v: %+v", err, h.Counts())
	}
}

// Only those whose session has not lapsed own leases.
func TestOwners(t *testing.T) {
	got := witness.Owners(lease.View{
		Now:      100,
		Sessions: []lease.Session{{ID: "x", Name: "lives", Deadline: 101}, {ID: "y", Name: "lapsed", Deadline: 100}},
		Leases: []lease.Lease{
			{Name: "s/a", Token: "x#1", Shard: lease.Shard{StartingHashKey: "0", EndingHashKey: "7", Parents: []string{"s/p"}}},
			{Name: "s/b", Token: "y#1"}, {Name: "s/c", Position: checkpoint.ShardEnd()},
		},
	})
	if got[0].Worker != "lives" || got[0].EndHashKey != "7" || got[0].Parents[0] != "s/p" || got[1].Worker != "" || !got[2].Position.IsEnd() {
		t.Errorf("owners %+v", got)
	}
}
