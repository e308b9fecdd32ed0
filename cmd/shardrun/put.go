package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/producer"
)

// mostLine is the longest line that put reads, the greatest record of the API.
const mostLine = 10 << 20

type putFlags struct {
	key, keyField, hashKey, file string
	plain                        bool
}

func (a *app) putCommand() *cobra.Command {
	var f putFlags
	c := a.clientFlags(&cobra.Command{
		Use:   "put STREAM [DATA...]",
		Short: "Put records: the arguments, or the lines of standard input",
		Long: `Put records into a stream: each argument is a record, or, without arguments, each line of
standard input or of --file. Records of one partition key keep their order. Without a key
each record has a random one.`,
		Example: `  shardrun put orders --key customer-7 '{"total": 12}'
  shardrun put flights --key-field origin < flights.ndjson
  seq 1000 | shardrun put numbers --key all --json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.put(c.Context(), f, args[0], args[1:]) },
	})
	c.Flags().StringVar(&f.key, "key", "", "partition key of all records")
	c.Flags().StringVar(&f.keyField, "key-field", "", "field of a JSON record that is its partition key")
	c.Flags().StringVar(&f.hashKey, "hash-key", "", "explicit hash key of all records, in decimal")
	c.Flags().StringVar(&f.file, "file", "", "read lines from this file instead of standard input")
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

func (a *app) put(ctx context.Context, f putFlags, stream string, data []string) (err error) {
	if f.hashKey != "" {
		if _, err := hashkey.Parse(f.hashKey); err != nil {
			return usagef("--hash-key: %w", err)
		}
	}
	if len(data) > 0 && f.file != "" {
		return usagef("put: give records as arguments or with --file, not both")
	}
	client, err := a.client(ctx)
	if err != nil {
		return err
	}
	cfg := producer.Config{Client: client, Stream: stream, Ordered: true, NotFoundTimeout: -1}
	if f.plain {
		cfg.AggregateBytes = -1
	}
	p, err := producer.New(cfg)
	if err != nil {
		return err
	}
	results := &putResults{app: a, quiet: len(data) == 0 && !a.json}
	putErr := f.each(ctx, a, data, func(record []byte) error {
		key, err := f.keyOf(record)
		if err != nil {
			return err
		}
		return p.Put(ctx, producer.Record{Key: key, HashKey: f.hashKey, Data: record, Done: results.done(key)})
	})
	closeErr := p.Close(ctx)
	return results.verdict(errors.Join(putErr, closeErr))
}

// each calls f for every record, until it fails.
func (f putFlags) each(ctx context.Context, a *app, data []string, put func([]byte) error) error {
	for _, d := range data {
		if err := put([]byte(d)); err != nil {
			return err
		}
	}
	if len(data) > 0 {
		return nil
	}
	var in io.Reader = a.in
	if f.file != "" {
		file, err := os.Open(f.file)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	lines := make(chan []byte, 256) // some read ahead
	var readErr error               // set before lines is closed
	go func() {                     // ends with the input, or with the program: a read of a terminal cannot be ended
		defer close(lines)
		readErr = readLines(ctx, in, lines)
	}()
	for n := 1; ; n++ {
		select {
		case line, more := <-lines:
			if !more && readErr != nil {
				return fmt.Errorf("line %d: %w", n, readErr)
			}
			if !more {
				return nil
			}
			if err := put(line); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// readLines sends the lines of in until it ends or ctx does.
func readLines(ctx context.Context, in io.Reader, lines chan<- []byte) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, mostLine)
	for scanner.Scan() {
		select {
		case lines <- bytes.Clone(scanner.Bytes()):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return scanner.Err()
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

// putResults counts and prints what became of the records.
type putResults struct {
	app   *app
	quiet bool // print the count only

	mu     sync.Mutex // guards those below and the printing
	put    int
	failed int
	err    error // the first
}

// done is the promise of one record.
func (r *putResults) done(key string) func(producer.Result, error) {
	return func(res producer.Result, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil {
			r.failed++
			r.fail(err)
			return
		}
		r.put++
		switch {
		case r.app.json:
			r.fail(printJSON(r.app.out, placed{res.Shard, res.Sequence, res.Subsequence, key}))
		case !r.quiet:
			fmt.Fprintf(r.app.out, "%s %s:%d key %s\n", res.Shard, res.Sequence, res.Subsequence, plain(key))
		}
	}
}

// fail keeps the first error. The caller holds mu.
func (r *putResults) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// verdict prints the count and joins what went wrong.
func (r *putResults) verdict(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.quiet {
		fmt.Fprintf(r.app.out, "put %d records\n", r.put)
	}
	if r.failed > 0 {
		return fmt.Errorf("%d records were not put, %d were; the first failed with: %w", r.failed, r.put, r.err)
	}
	return errors.Join(err, r.err)
}
