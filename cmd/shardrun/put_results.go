package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/shardrun/shardrun/cmd/shardrun/internal/plural"
	"github.com/shardrun/shardrun/producer"
)

// putResults counts and prints what became of the records.
type putResults struct {
	app        *app
	stream     string
	unit       string // what is numbered: line, or argument
	failedFile *failedFile
	quiet      bool // print the count only

	mu          sync.Mutex // guards those below, failedFile and the printing
	put         int
	aggregates  int // that hold two or more of them
	failed      int
	maybe       int // of the failed, those that may be in the stream all the same
	first, last int // the least and the greatest number of a record that failed
	err         error
}

// done is the promise of one record.
func (r *putResults) done(number int, key string, record []byte) func(producer.Result, error) {
	if r.failedFile == nil {
		record = nil // not kept in memory for nothing
	}
	return func(res producer.Result, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil {
			r.fail(number, record, err)
			return
		}
		r.put++
		if res.Subsequence == 1 { // each aggregate of two or more has one second record
			r.aggregates++
		}
		switch {
		case r.app.json:
			r.note(printJSON(r.app.out, placed{res.Shard, res.Sequence, res.Subsequence, key}))
		case !r.quiet:
			fmt.Fprintf(r.app.out, "%s %s:%d key %s\n", res.Shard, res.Sequence, res.Subsequence, plain(key))
		}
	}
}

// fail counts a record that was not put. The caller holds mu.
func (r *putResults) fail(number int, record []byte, err error) {
	if r.failed == 0 || number < r.first {
		r.first = number
	}
	r.last = max(r.last, number)
	r.failed++
	if errors.Is(err, producer.ErrMaybeSent) {
		r.maybe++
	}
	r.note(err)
	r.failedFile.keep(record)
}

// note keeps the first error. The caller holds mu.
func (r *putResults) note(err error) {
	if r.err == nil {
		r.err = err
	}
}

// counted is how many records were put so far.
func (r *putResults) counted() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.put
}

// verdict ends the file of what failed, prints the count and says what went wrong.
// next is the number of the first record that was not even tried, if there is one,
// and stopped is why.
func (r *putResults) verdict(next int, stopped error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	keeping := r.failedFile.close()
	return errors.Join(r.sum(next, stopped, keeping == nil), keeping)
}

// sum is verdict without the file; kept says that it has all that failed. The
// caller holds mu.
func (r *putResults) sum(next int, stopped error, kept bool) error {
	packed := ""
	if r.aggregates > 0 {
		packed = "in " + plural.Of(r.aggregates, "KPL aggregate", "KPL aggregates") + "; --no-aggregate puts them one by one"
	}
	switch {
	case r.quiet:
		fmt.Fprintln(r.app.out, strings.TrimSpace("put "+plural.Of(r.put, "record", "records")+" "+packed))
	case packed != "" && !r.app.json: // which has SubSequenceNumber
		fmt.Fprintln(r.app.err, "shardrun: records are", packed)
	}
	if r.failed == 0 && stopped == nil {
		return r.err
	}
	interrupted := errors.Is(stopped, context.Canceled)
	switch {
	case interrupted:
		stopped = errors.New("interrupted") // and nothing else: explain would say no more than that
	case r.failed == 0, r.err != nil && !errors.Is(r.err, producer.ErrClosed):
	case stopped != nil:
		r.err = stopped // ErrClosed is what that made of the others
	}
	if r.failed == 0 {
		return fmt.Errorf("%w%s", stopped, r.rest(next))
	}
	text := fmt.Sprintf("%s not put, %d were", plural.Of(r.failed, "record was", "records were"), r.put)
	if r.maybe > 0 {
		text += fmt.Sprintf(" (%d of those that were not may be in the stream nevertheless)", r.maybe)
	}
	text += fmt.Sprintf(": %s %d", r.unit, r.first)
	if r.last > r.first {
		text += fmt.Sprintf(" is the first of them, %s %d the last", r.unit, r.last)
	}
	text += r.rest(next)
	switch {
	case r.failedFile != nil && !kept:
		text += fmt.Sprintf("; not all of them are in %s", r.failedFile.file.Name())
	case r.failedFile != nil:
		text += fmt.Sprintf("; they are in %[1]s (put them again with --file %[1]s)", r.failedFile.file.Name())
	case r.unit == "line":
		text += "; --failed FILE would keep them, to be put again"
	}
	if interrupted {
		return fmt.Errorf("%w: %s", stopped, text)
	}
	return fmt.Errorf("%s; the first failed with: %w", text, r.err)
}

// rest says which records were not tried.
func (r *putResults) rest(next int) string {
	switch {
	case next == 0:
		return ""
	case r.unit == "line":
		return fmt.Sprintf("; line %[1]d and those behind it were not tried (tail -n +%[1]d gives them)", next)
	}
	return fmt.Sprintf("; argument %d and those behind it were not tried", next)
}
