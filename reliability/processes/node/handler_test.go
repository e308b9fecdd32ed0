package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/internal/history/witness"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/localstream"
	"github.com/shardrun/shardrun/producer"
	"github.com/shardrun/shardrun/reliability/cmdline"
)

// play runs a worker in memory on 600 records, with an answer of its handler
// changed on the way to the worker, and judges what was told.
func play(t *testing.T, change func(error) error) history.Verdict {
	t.Helper()
	h := history.New()
	n := &node{name: "worker", stream: "s", file: "worker", client: localstream.NewT(t).Client(), history: h, log: zap.NewNop()}
	if _, err := n.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &n.stream, ShardCount: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	p, err := producer.New(producer.Config{Client: n.client, Stream: n.stream, RateLimit: -1})
	if err != nil {
		t.Fatal(err)
	}
	put, rng := witness.Producer{To: p, History: h, Name: "producer"}, rand.New(rand.NewPCG(1, 1))
	for i := range 600 {
		if err := put.Put(t.Context(), record("producer", i, rng)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	cfg := n.worker(lease.NewMemory(), "g", time.Second)
	inner := cfg.Handler
	cfg.Handler = consumer.BatchFunc(func(ctx context.Context, b *consumer.Batch) error { return change(inner.Handle(ctx, b)) })
	w, err := consumer.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	truth, err := witness.Stream(t.Context(), n.client, n.stream)
	if err != nil {
		t.Fatal(err)
	}
	h.Stream(truth)
	return h.Check(history.Options{TTL: time.Second, Partial: []history.Rule{history.H7, history.H9, history.H12}})
}

// The history knows what was handled from the handler: a worker that goes on
// after a failed call as if it had succeeded is seen.
func TestAFailedCallThatCountsAsDoneIsSeen(t *testing.T) {
	for name, test := range map[string]struct {
		change func(error) error
		broken history.Rule // none for a good worker
	}{
		"an honest worker":                   {change: func(err error) error { return err }},
		"what failed counts as done":         {func(error) error { return nil }, history.H1},
		"what was handled is delivered anew": {func(err error) error { return consumer.FailFrom(1<<10, err) }, history.H3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := play(t, test.change)
				if test.broken == "" && (!v.OK() || v.Handled != 600 || v.Duplicates == 0) || test.broken != "" && v.Broken[test.broken] == 0 {
					t.Errorf("%v; want broken: %q", v, test.broken)
				}
			})
		})
	}
}

func TestTheHandlerTellsWhatItHandledBeforeItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := history.New()
		handle := (&handler{history: h, worker: "w", slow: time.Second, rng: rand.New(rand.NewPCG(1, 1))}).handle
		const n = 7
		failed, parts := 0, map[int]bool{}
		for call := range n * period {
			b := consumer.Batch{Lease: "s/a", Epoch: 1, Shard: "a"}
			for i := range n {
				id := history.ID{Sequence: fmt.Sprint(1 + call*n + i)}
				h.Acked(h.Put(history.Put{Key: "k"}), "a", id)
				b.Records = append(b.Records, consumer.Record{Key: "k", Sequence: checkpoint.SequenceNumber(id.Sequence), Arrival: time.Now()})
			}
			before := h.Counts().Handled
			err := recovered(func() error { return handle(t.Context(), &b) })
			handled := h.Counts().Handled - before
			if end := endOf(call, n); handled != end.done || (err == nil) != (end.err == nil) || (err == nil) != (handled == n) {
				t.Fatalf("call %d: %d of %d handled, %v; want %+v", call, handled, n, err, end)
			}
			if err != nil {
				failed++
				parts[handled] = true
			}
		}
		var told strings.Builder
		if err := h.Timeline(&told); err != nil {
			t.Fatal(err)
		}
		if returned := strings.Count(told.String(), "returned from a"); returned != n*period {
			t.Errorf("of %d calls %d are told to have returned", n*period, returned)
		}
		if failed != n*period/5 || len(parts) != n {
			t.Errorf("%d calls failed, in %d places; want one in five, in each place of a batch", failed, len(parts))
		}
		if c := h.Counts(); c.Handled == c.Acked || c.Repeats != 0 {
			t.Errorf("counts %+v", c)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		before, deaf := h.Counts().Handled, 0
		for range 200 {
			begun := time.Now()
			b := consumer.Batch{Records: []consumer.Record{{Key: "k", Sequence: "1", Arrival: begun}}}
			if err := handle(ctx, &b); !errors.Is(err, context.Canceled) || h.Counts().Handled != before {
				t.Fatalf("a call that was cancelled: %v", err)
			}
			if time.Since(begun) > 0 {
				deaf++
			}
		}
		if deaf == 0 || deaf > 50 {
			t.Errorf("of 200 calls that were cancelled %d took their time, want a few", deaf)
		}
	})
}

// recovered is f, with a panic as its error.
func recovered(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

func TestTheCommandLineIsChecked(t *testing.T) {
	all := "-name n -endpoint http://localhost:1 -stream s -history h"
	for line, want := range map[string]string{
		"":                                `the first argument is ""; want worker or producer`,
		"server":                          `the first argument is "server"; want worker or producer`,
		"worker":                          "-name is missing",
		"worker " + all:                   "-redis is missing",
		"producer " + all + " x":          `"x" is not a flag`,
		"producer " + all + " -rate":      "flag needs an argument: -rate",
		"producer " + all + " -rate -1":   "-rate -1: want 1 to 100000",
		"producer " + all + " -redis x":   "flag provided but not defined: -redis",
		"worker " + all + " -sentinels x": "-group is missing",
		"worker " + all + " -redis x -sentinels y -group g":     "-redis and -sentinels: want one of them",
		"worker " + all + " -redis x -group g -lease-ttl 100ms": "-lease-ttl 100ms: want at least",
	} {
		_, err := run(t.Context(), strings.Fields(line))
		var text strings.Builder
		if status := cmdline.Status("node", err, io.Discard, &text); status != 2 || !strings.Contains(text.String(), want) {
			t.Errorf("%q: status %d, %q; want %q", line, status, text.String(), want)
		}
	}
	for _, line := range []string{"-help", "worker -help"} {
		var text strings.Builder
		if _, err := run(t.Context(), strings.Fields(line)); cmdline.Status("node", err, &text, io.Discard) != 0 || !strings.Contains(text.String(), "SIGTERM") {
			t.Errorf("%s: %v, %q", line, err, text.String())
		}
	}
}

// A producer makes its file once it can be asked to end.
func TestANodeSaysThatItIsUp(t *testing.T) {
	dir := t.TempDir()
	up := filepath.Join(dir, "up")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := run(ctx, []string{
			"producer", "-name", "n", "-endpoint", "http://127.0.0.1:1", "-stream", "s",
			"-history", filepath.Join(dir, "history"), "-up", up, "-rate", "1",
		})
		ended <- err
	}()
	for {
		if _, err := os.Stat(up); err == nil {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("asked to end as soon as it was up, it failed: %v", err)
	}
}
