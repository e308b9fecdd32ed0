//go:build unix

package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// aofSizes watches how the append-only file of Redis grows, so that it can be cut
// to what it had at a moment: all that a power failure leaves of what was written
// and not synced.
type aofSizes struct {
	dir string

	mu   sync.Mutex // guards seen
	seen []aofSize  // in order, of the last seconds
}

// aofSize is the size that the file had at a moment, or more.
type aofSize struct {
	at   time.Time
	name string
	size int64
}

const (
	aofTick = 20 * time.Millisecond
	// aofKept is how many sizes are known: of two seconds.
	aofKept = 100
)

// watch notes the size again and again until ctx ends.
func (a *aofSizes) watch(ctx context.Context) {
	tick := time.NewTicker(aofTick)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		at := time.Now() // before: what was written by now is in it
		name, size, err := aofFile(a.dir)
		if err != nil {
			continue // there is none yet
		}
		a.mu.Lock()
		a.seen = append(a.seen, aofSize{at, name, size})
		a.seen = a.seen[max(0, len(a.seen)-aofKept):]
		a.mu.Unlock()
	}
}

// forget forgets the sizes, when Redis was killed: what its file has then no later
// cut takes from it.
func (a *aofSizes) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = nil
}

// cut cuts the file to what it had at the first look since a moment, while Redis
// does not run. It returns when that look was: what was
// written by then is still there. The zero time says that nothing was cut.
func (a *aofSizes) cut(since time.Time) (time.Time, error) {
	a.mu.Lock()
	seen := a.seen
	a.mu.Unlock()
	i := slices.IndexFunc(seen, func(s aofSize) bool { return !s.at.Before(since) })
	if i < 0 {
		return time.Time{}, nil
	}
	name, size, err := aofFile(a.dir)
	if err != nil || name != seen[i].name || size <= seen[i].size {
		return time.Time{}, err
	}
	return seen[i].at, os.Truncate(name, seen[i].size)
}

// aofFile finds the file that Redis appends to, and its size: that of Redis 7 and
// later is in a directory, beside one with what came before it.
func aofFile(dir string) (name string, size int64, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.incr.aof"))
	if err != nil {
		return "", 0, err
	}
	name = filepath.Join(dir, "appendonly.aof")
	if len(names) > 0 {
		name = names[len(names)-1]
	}
	info, err := os.Stat(name)
	if err != nil {
		return "", 0, err
	}
	return name, info.Size(), nil
}
