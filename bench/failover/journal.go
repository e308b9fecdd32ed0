package failover

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/shardrun/shardrun/bench/worker"
)

// journal is what all workers told, in the order in which it was heard.
type journal struct {
	mu     sync.Mutex // guards all below
	events []worker.Event
	times  map[uint64]int // how often each record was handled
}

func newJournal() *journal { return &journal{times: map[uint64]int{}} }

// add is called by whoever hears a worker.
func (j *journal) add(e worker.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
	for _, n := range e.Records {
		j.times[n]++
	}
}

// mark is a place in the journal: its present end.
func (j *journal) mark() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.events)
}

// since are the events from a place on.
func (j *journal) since(mark int) []worker.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.events[mark:])
}

// repeated counts the deliveries beyond the first of each record.
func (j *journal) repeated() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, times := range j.times {
		n += times - 1
	}
	return n
}

// missing counts those of the records that nobody has handled.
func (j *journal) missing(records []uint64) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, r := range records {
		if j.times[r] == 0 {
			n++
		}
	}
	return n
}

// await waits until the events from a place on are as wanted, and returns
// them.
func (j *journal) await(ctx context.Context, mark int, limit time.Duration, what string, wanted func([]worker.Event) bool) ([]worker.Event, error) {
	over := time.NewTimer(limit)
	defer over.Stop()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for seen := -1; ; {
		if now := j.mark(); now != seen {
			seen = now
			if events := j.since(mark); wanted(events) {
				return events, nil
			}
		}
		select {
		case <-look.C:
		case <-over.C:
			return nil, fmt.Errorf("%s: not within %v", what, limit)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// batches reports whether a worker has handled records of all the shards.
func batches(name string, shards []string) func([]worker.Event) bool {
	return func(events []worker.Event) bool {
		return len(first(events, name, shards)) == len(shards)
	}
}

// told reports whether a worker told of something.
func told(name string, kind worker.Kind) func([]worker.Event) bool {
	return func(events []worker.Event) bool {
		return slices.ContainsFunc(events, func(e worker.Event) bool { return e.Worker == name && e.Kind == kind })
	}
}

// first is when a worker began its first batch of each of the shards; shards
// nil means all.
func first(events []worker.Event, name string, shards []string) map[string]int64 {
	at := map[string]int64{}
	for _, e := range events {
		if e.Worker != name && name != "" || e.Kind != worker.Batch || shards != nil && !slices.Contains(shards, e.Shard) {
			continue
		}
		if old, ok := at[e.Shard]; !ok || e.At < old {
			at[e.Shard] = e.At
		}
	}
	return at
}

// last is when a worker, or any for "", finished its last batch of each shard.
func last(events []worker.Event, name string) map[string]int64 {
	at := map[string]int64{}
	for _, e := range events {
		if (e.Worker == name || name == "") && e.Kind == worker.Batch {
			at[e.Shard] = max(at[e.Shard], e.Done)
		}
	}
	return at
}

// started is when a worker first began to work on each shard.
func started(events []worker.Event) map[string]int64 {
	at := map[string]int64{}
	for _, e := range events {
		if old, ok := at[e.Shard]; e.Kind == worker.Started && (!ok || e.At < old) {
			at[e.Shard] = e.At
		}
	}
	return at
}

// holders are the workers that handled a batch of each shard last.
func holders(events []worker.Event) map[string]string {
	at, who := map[string]int64{}, map[string]string{}
	for _, e := range events {
		if e.Kind == worker.Batch && e.Done > at[e.Shard] {
			at[e.Shard], who[e.Shard] = e.Done, e.Worker
		}
	}
	return who
}

// ms is a time in milliseconds.
func ms(nanoseconds int64) float64 { return float64(nanoseconds) / 1e6 }
