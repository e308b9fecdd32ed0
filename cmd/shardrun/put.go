package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/producer"
)

type putFlags struct {
	key, keyField, hashKey, file, failed string
	plain                                bool
	patience                             time.Duration
}

func (a *app) putCommand() *cobra.Command {
	var f putFlags
	c := a.clientFlags(&cobra.Command{
		Use:   "put STREAM [DATA...]",
		Short: "Put records: the arguments, or the lines of standard input",
		Long: `Put records into a stream: each argument is a record, or, without arguments, each line of
standard input or of --file. Records of one partition key keep their order. Without a key
each record has a random one.

Two or more records that go to one shard together share a Kinesis record, in the form of
the Kinesis Producer Library (a KPL aggregate). Consumers of shardrun, the KCL and Lambda's
de-aggregation modules unpack them; a plain GetRecords shows the aggregate. --no-aggregate
puts each record as a Kinesis record of its own. As their order is kept, a shard then gets
one record a call, and waits for the answer: with calls of 10 ms, 100 records a second.

What the stream has no room for waits, however long it takes: a throttled put reads its
input more slowly. When nothing can be put for another reason, a server that is not there,
say, it gives up after --patience. The error names the lines that were not put, and
--failed FILE keeps them, to put them again with --file FILE.`,
		Example: `  shardrun put orders --key customer-7 '{"total": 12}'
  shardrun put flights --key-field origin < flights.ndjson
  shardrun put flights --file flights.ndjson --failed again.ndjson
  seq 1000 | shardrun put numbers --key all --json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.put(c.Context(), f, args[0], args[1:]) },
	})
	c.Flags().StringVar(&f.key, "key", "", "partition key of all records")
	c.Flags().StringVar(&f.keyField, "key-field", "", "field of a JSON record that is its partition key")
	c.Flags().StringVar(&f.hashKey, "hash-key", "", "explicit hash key of all records, in decimal")
	c.Flags().StringVar(&f.file, "file", "", "read lines from this file instead of standard input")
	c.Flags().StringVar(&f.failed, "failed", "", "new file for the records that were not put, a line each, if there are any")
	c.Flags().DurationVar(&f.patience, "patience", 30*time.Second, "how long to go on when nothing can be put, for another reason than throttling; 0 for ever")
	c.Flags().BoolVar(&f.plain, "no-aggregate", false, "put each record as a Kinesis record of its own, for readers that know no KPL aggregates")
	c.MarkFlagsMutuallyExclusive("key", "key-field")
	return c
}

// placed is where a record went, with the API's field names.
type placed struct {
	ShardId           string //nolint:revive,staticcheck // the API's name
	SequenceNumber    string
	SubSequenceNumber uint64
	PartitionKey      string
}

func (a *app) put(ctx context.Context, f putFlags, stream string, data []string) error {
	if f.hashKey != "" {
		if _, err := hashkey.Parse(f.hashKey); err != nil {
			return usagef("--hash-key: %w", err)
		}
	}
	if len(data) > 0 && f.file != "" {
		return usagef("put: give records as arguments or with --file, not both")
	}
	if i := slices.IndexFunc(data, func(d string) bool { return strings.Contains(d, "\n") }); i >= 0 && f.failed != "" {
		return usagef("--failed keeps a line for each record, and argument %d has several lines: put it without --failed", i+1)
	}
	if f.patience < 0 {
		return usagef("--patience %v: it must not be negative", f.patience)
	}
	client, err := a.client(ctx)
	if err != nil {
		return err
	}
	in, err := a.input(f.file)
	if err != nil {
		return err
	}
	defer in.close()
	failed, err := newFailedFile(f.failed)
	if err != nil {
		return err
	}

	results := &putResults{app: a, stream: stream, failedFile: failed, quiet: len(data) == 0 && !a.json, unit: "line"}
	if len(data) > 0 {
		results.unit = "argument"
	}
	watch := newPutWatch(f.patience)
	cfg := producer.Config{
		Client: client, Stream: stream, Ordered: true, NotFoundTimeout: -1,
		RecordTTL: -1, // who puts a file wants it in the stream, however long that takes
		Hooks:     producer.Hooks{Call: watch.call, ShardMap: watch.shardMap},
	}
	if f.plain {
		cfg.AggregateBytes = -1
	}
	p, err := producer.New(cfg)
	if err != nil {
		return errors.Join(err, failed.close())
	}
	ctx, stop := context.WithCancelCause(ctx)
	watching := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.watchPut(watching, watch, results, p, stop, in.unseen && results.quiet && isTerminal(a.err))
	}()
	put := func(number int, record []byte) error {
		key, err := f.keyOf(record)
		if err != nil {
			return err
		}
		return p.Put(ctx, producer.Record{Key: key, HashKey: f.hashKey, Data: record, Done: results.done(number, key, record)})
	}
	var next int
	var putErr error
	if len(data) > 0 {
		next, putErr = eachArgument(data, put)
	} else {
		next, putErr = eachLine(ctx, in, put)
	}
	closeErr := p.Close(ctx)
	if closeErr != nil && ctx.Err() != nil {
		closeErr = context.Cause(ctx) // what it left is counted here
	}
	close(watching)
	<-ended
	stop(nil)
	return results.verdict(next, cmp.Or(putErr, closeErr))
}

// keyOf is the partition key of a record.
func (f putFlags) keyOf(record []byte) (string, error) {
	switch {
	case f.key != "":
		return f.key, nil
	case f.keyField == "":
		return uuid.NewString(), nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(record, &fields); err != nil {
		return "", fmt.Errorf("--key-field %s: the record is not a JSON object: %w", f.keyField, err)
	}
	raw, ok := fields[f.keyField]
	if !ok {
		return "", fmt.Errorf("--key-field %s: the record has no such field", f.keyField)
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	return string(raw), nil // a number, say
}
