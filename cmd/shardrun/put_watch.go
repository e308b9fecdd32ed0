package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/smithy-go"

	"github.com/shardrun/shardrun/cmd/shardrun/internal/plural"
	"github.com/shardrun/shardrun/internal/awserr"
	"github.com/shardrun/shardrun/producer"
)

// When a put that gets nowhere says so, first and then again.
const (
	quietPut  = 5 * time.Second
	repeatPut = 30 * time.Second
)

// putWatch sees how the calls of a put go.
type putWatch struct {
	patience time.Duration // 0 for no end

	mu        sync.Mutex // guards those below
	moved     time.Time  // when something was put, or nothing waited
	told      time.Time  // when it was last said that nothing is
	throttled bool       // since moved
	limit     string     // why, if that is not the rate of a shard; "" if it is
	failing   time.Time  // since when there are errors only; zero if there are none
	err       error      // the last of them
}

func newPutWatch(patience time.Duration) *putWatch {
	return &putWatch{patience: patience, moved: time.Now()}
}

// errEntries stands for records that Kinesis refused, but not for their rate.
var errEntries = errors.New("the service refuses the records")

// call sees a call of PutRecords.
func (w *putWatch) call(e producer.CallEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case e.Err == nil && e.Throttled+e.Failed < e.Entries:
		w.move(time.Now())
	case e.Err == nil && e.Throttled > 0, e.Err != nil && awserr.Classify(e.Err) == awserr.Throttle:
		w.throttled, w.failing, w.err = true, time.Time{}, nil
		w.limit = limitIn(e)
	case e.Err == nil:
		w.fail(time.Now(), errEntries)
	default:
		w.fail(time.Now(), e.Err)
	}
}

// limitIn is what a throttled call ran into, if that is told: it need not be the
// rate of a shard. AWS says "Rate exceeded for shard ... under account ...", and a
// local server goes on, where there is more to say, with ": the disk ...".
func limitIn(e producer.CallEvent) string {
	message := e.Limit
	if api, ok := errors.AsType[smithy.APIError](e.Err); ok {
		message = api.ErrorMessage()
	}
	if rate, ok := strings.CutPrefix(message, "Rate exceeded"); ok {
		_, message, _ = strings.Cut(rate, ": ")
	}
	return plain(strings.TrimSuffix(message, "."))
}

// shardMap sees a listing of the shards.
func (w *putWatch) shardMap(e producer.ShardMapEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Err != nil && awserr.Classify(e.Err) != awserr.Throttle {
		w.fail(time.Now(), e.Err)
	}
}

// move needs mu.
func (w *putWatch) move(now time.Time) {
	w.moved, w.throttled, w.failing, w.err = now, false, time.Time{}, nil
}

// fail needs mu.
func (w *putWatch) fail(now time.Time, err error) {
	if w.err = err; w.failing.IsZero() {
		w.failing = now
	}
}

// look is what to say now, "" for nothing, and why to give up, nil to go on.
func (w *putWatch) look(now time.Time, waiting int) (say string, end error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if waiting == 0 {
		w.move(now)
		return "", nil
	}
	if w.err != nil {
		class, failing := awserr.Classify(w.err), now.Sub(w.failing)
		switch {
		case (class == awserr.Fatal || class == awserr.Gone) && !awserr.Invalid(w.err):
			return "", w.err // of the stream, or of who puts, and not of a record
		case w.patience > 0 && failing >= w.patience:
			return "", fmt.Errorf("nothing could be put for %v (--patience): %w", failing.Round(time.Second), w.err)
		}
	}
	still := now.Sub(w.moved)
	if still < quietPut || w.told.After(w.moved) && now.Sub(w.told) < repeatPut {
		return "", nil
	}
	switch still = still.Round(time.Second); {
	case w.err != nil:
		say = fmt.Sprintf("nothing was put for %v, trying on: %v", still, explain(w.err))
	case w.throttled && w.limit != "":
		say = fmt.Sprintf("nothing was put for %v: %s; trying on", still, w.limit)
	case w.throttled:
		say = fmt.Sprintf("nothing was put for %v: the stream throttles all records, trying on (more shards take more)", still)
	default:
		return "", nil // the producer waits for its own pace
	}
	w.told = now
	return say, nil
}

// watchPut tells a person how the put is going, until done is closed, and ends
// it by stop when it gets nowhere. live shows a line of progress.
func (a *app) watchPut(done <-chan struct{}, w *putWatch, r *putResults, p *producer.Producer, stop context.CancelCauseFunc, live bool) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	clearLine := ""
	for {
		select {
		case <-done:
			fmt.Fprint(a.err, clearLine)
			return
		case <-tick.C:
		}
		waiting, _ := p.Buffered()
		now := time.Now()
		say, end := w.look(now, waiting)
		if say != "" {
			fmt.Fprintf(a.err, "%sshardrun: %s\n", clearLine, say)
		}
		if end != nil {
			stop(end)
		}
		if live {
			clearLine = "\r\x1b[K"
			fmt.Fprint(a.err, clearLine, progress(r.counted(), waiting, now.Sub(began)))
		}
	}
}

// progress is a line about what was put in a time.
func progress(put, waiting int, took time.Duration) string {
	return fmt.Sprintf("%s, %.0f/s, %d waiting", plural.Of(put, "record", "records"), float64(put)/took.Seconds(), waiting)
}
