package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"go.uber.org/zap/zapcore"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/awserr"
	"github.com/shardrun/shardrun/lease"
)

type tailFlags struct {
	from     string
	most     int
	noFollow bool
}

func (a *app) tailCommand() *cobra.Command {
	var f tailFlags
	c := a.clientFlags(&cobra.Command{
		Use:   "tail STREAM",
		Short: "Print the records of a stream as they arrive, KPL aggregates unpacked",
		Long: `Print the records of a stream as they arrive, over splits and merges, with KPL aggregates
unpacked. Records of one partition key are in order. Control characters are printed
escaped; --json has the data in base64.`,
		Example: `  shardrun tail orders
  shardrun tail orders --from trim --no-follow
  shardrun tail orders --from 2026-01-02T15:04:05Z -n 10
  shardrun tail orders --from 15m --json | jq -r '.Data | @base64d'`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.tail(c.Context(), f, args[0]) },
	})
	c.Flags().StringVar(&f.from, "from", "latest", "where to begin: latest, trim (the oldest), a time (RFC 3339), or a duration ago (15m)")
	c.Flags().IntVarP(&f.most, "number", "n", 0, "stop after this many records (0: go on)")
	c.Flags().BoolVar(&f.noFollow, "no-follow", false, "stop when all that is there was printed")
	return c
}

// tailed is a record as the command prints it, with the API's field names.
type tailed struct {
	ShardId                     string //nolint:revive,staticcheck // the API's name
	SequenceNumber              string
	SubSequenceNumber           uint64
	ApproximateArrivalTimestamp time.Time
	PartitionKey                string
	Data                        []byte // base64 in JSON
}

// errEnough ends a tail that has printed what was asked for.
var errEnough = errors.New("enough")

func (a *app) tail(ctx context.Context, f tailFlags, stream string) error {
	start, err := parseStart("--from", f.from, time.Now())
	if err != nil {
		return err
	}
	if f.most < 0 {
		return usagef("--number %d: it must not be negative", f.most)
	}
	client, err := a.client(ctx)
	if err != nil {
		return err
	}
	if err := knock(ctx, client, stream); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t := &tail{app: a, most: f.most, noFollow: f.noFollow, enough: func() { cancel(errEnough) }, shards: make(map[string]*tailedShard)}
	store := lease.NewMemory()
	cfg := consumer.Config{
		Group: "tail-" + uuid.NewString(), Stream: stream, Client: client, Store: store,
		StartAt: start, Handler: consumer.BatchFunc(t.handle),
		Hooks:  consumer.Hooks{Started: t.started, Read: t.read},
		Logger: explainIn(newLogger(zapcore.AddSync(a.err), zapcore.WarnLevel)),
	}
	w, err := consumer.New(cfg)
	if err != nil {
		return err
	}
	var watching sync.WaitGroup
	if f.noFollow {
		watching.Go(func() { t.watch(ctx, store, cfg.Group) })
	}
	err = w.Run(ctx)
	cancel(nil)
	watching.Wait()
	return errors.Join(err, t.failure())
}

// knock asks for the stream once: a worker would go on asking for ever, where a
// person may be told what helps. What goes by itself is left to the worker.
func knock(ctx context.Context, client *kinesis.Client, stream string) error {
	in := &kinesis.DescribeStreamSummaryInput{StreamName: &stream}
	if strings.HasPrefix(stream, "arn:") {
		in = &kinesis.DescribeStreamSummaryInput{StreamARN: &stream}
	}
	if _, err := client.DescribeStreamSummary(ctx, in); err != nil && (awserr.Unreached(err) || hint(err) != "") {
		return fmt.Errorf("describe stream %s: %w", stream, err)
	}
	return nil
}

// tail prints records.
type tail struct {
	app      *app
	most     int
	noFollow bool
	enough   func()

	mu      sync.Mutex // guards all below and the printing
	printed int
	shards  map[string]*tailedShard
	err     error
}

// tailedShard is how far a shard is, since the worker got it.
type tailedShard struct {
	received, printed int
	tip               bool // the last read found nothing more
	failures          int  // reads in a row that failed
}

// mostFailures is how many reads of a shard in a row may fail before a tail
// that is to end by itself gives up; the client has tried each of them more
// than once.
const mostFailures = 2

// started begins a shard, also one that was lost and is read again.
func (t *tail) started(shard string, _ checkpoint.Position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shards[shard] = new(tailedShard)
}

// handle prints a batch.
func (t *tail) handle(_ context.Context, b *consumer.Batch) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range b.Records {
		if t.err != nil || t.most > 0 && t.printed == t.most {
			break
		}
		if t.err = t.print(b.Shard, &b.Records[i]); t.err != nil {
			t.enough()
		}
		t.printed++
	}
	t.shards[b.Shard].printed += len(b.Records)
	if t.most > 0 && t.printed == t.most {
		t.enough()
	}
	return nil
}

func (t *tail) print(shard string, r *consumer.Record) error {
	if t.app.json {
		return printJSON(t.app.out, tailed{shard, string(r.Sequence), r.Subsequence, r.Arrival.UTC(), r.Key, r.Data})
	}
	data := string(r.Data)
	if !utf8.Valid(r.Data) {
		data = "base64:" + base64.StdEncoding.EncodeToString(r.Data)
	}
	_, err := fmt.Fprintf(t.app.out, "%s  %s  %s  %s\n", r.Arrival.Local().Format("15:04:05.000"), shard, plain(r.Key), plain(data))
	return err
}

// read notes what a read of a shard found.
func (t *tail) read(e consumer.ReadEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.shards[e.Shard]
	if s.failures++; e.Err == nil {
		s.failures = 0
	}
	if s.failures == mostFailures && t.noFollow && t.err == nil {
		t.err = fmt.Errorf("read %s: %w", e.Shard, e.Err)
		t.enough()
	}
	s.received += e.Records
	s.tip = e.Err == nil && e.Raw == 0 && e.Behind == 0
}

func (t *tail) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// watch ends the tail once every shard was read to its tip and everything read
// was printed.
func (t *tail) watch(ctx context.Context, store lease.Store, group string) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		table, err := store.View(ctx, group)
		if err == nil && len(table.Leases) > 0 && t.atTips(table.Leases) {
			t.enough()
			return
		}
	}
}

func (t *tail) atTips(leases []lease.Lease) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range leases {
		s := t.shards[lease.ShardOf(l.Name)]
		if !l.Finished() && (s == nil || !s.tip || s.printed < s.received) {
			return false
		}
	}
	return true
}
