package wal

import (
	"fmt"
	"sync"
	"time"
)

// flusher runs the loop that syncs an Async log.
type flusher struct {
	sync.WaitGroup
	dirty chan struct{} // capacity 1: one wake-up is enough
	quit  chan struct{}
}

func newFlusher() *flusher {
	return &flusher{dirty: make(chan struct{}, 1), quit: make(chan struct{})}
}

// wake says that there is something to sync.
func (f *flusher) wake() {
	select {
	case f.dirty <- struct{}{}:
	default:
	}
}

// stop ends the loop and waits for it.
func (f *flusher) stop() {
	close(f.quit)
	f.Wait()
}

// flushLoop syncs what was written, flushEvery after the first write.
func (l *Log) flushLoop() {
	for {
		select {
		case <-l.flusher.dirty:
		case <-l.flusher.quit:
			return
		}
		timer := time.NewTimer(flushEvery)
		select {
		case <-timer.C:
			l.flush()
		case <-l.flusher.quit:
			timer.Stop()
			return
		}
	}
}

// flush syncs the active segment, if something was written since it last was.
func (l *Log) flush() {
	l.mu.Lock()
	seg := l.segs[len(l.segs)-1]
	end, synced := seg.size, l.synced
	l.mu.Unlock()
	if end <= synced {
		return
	}
	file, err := l.files.get(seg)
	if err == nil {
		err = file.Sync()
		if e := l.files.put(file); err == nil {
			err = e
		}
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.fail(fmt.Errorf("sync %s: %w", seg.name, err))
	case seg == l.segs[len(l.segs)-1]:
		l.synced = max(l.synced, end)
	}
}
