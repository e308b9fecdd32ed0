package sim

import (
	"context"
	"sync"
	"time"
)

// node is a process of the simulated fleet, as its links see it.
type node struct {
	name string
	tell func(...Fault) // that a fault had an effect
	died chan struct{}  // closed by crash

	// mu guards all below.
	mu     sync.Mutex
	dead   bool
	paused chan struct{} // closed at the end of the pause, nil outside of one
	slow   float64       // delays are this many times as long, 0 is 1
	conns  int           // connections to Redis so far
}

func (w *world) newNode(name string) *node {
	return &node{name: name, tell: w.happened, died: make(chan struct{})}
}

// crash ends the process: nothing it does from now on is seen by anybody.
func (n *node) crash() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.dead {
		n.dead = true
		close(n.died)
	}
}

func (n *node) alive() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.dead
}

// pause stops everything that the node sends, receives and handles, until the
// returned function is called.
func (n *node) pause() (resume func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := make(chan struct{})
	n.paused = c
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.paused == c {
			n.paused = nil
		}
		close(c)
	}
}

// slowness sets how many times as long everything takes.
func (n *node) slowness(times float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.slow = times
}

// stretch is a delay of the node.
func (n *node) stretch(d time.Duration) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.slow > 1 {
		n.tell(WorkerSlow)
		return time.Duration(float64(d) * n.slow)
	}
	return d
}

// awake waits while the node is paused, and reports whether it lives.
func (n *node) awake(ctx context.Context) bool {
	for {
		n.mu.Lock()
		dead, paused := n.dead, n.paused
		n.mu.Unlock()
		if dead || paused == nil {
			return !dead
		}
		n.tell(WorkerPause)
		select {
		case <-paused:
		case <-n.died:
		case <-ctx.Done():
			return false
		}
	}
}

// held reports whether the node is paused.
func (n *node) held() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.paused != nil && !n.dead
}

// wakes is awake for one of several who may wait for the end of a pause: each
// goes on at an instant of its own, which follows from who it is.
func (n *node) wakes(ctx context.Context, s *source, who uint64) bool {
	for {
		if !n.held() {
			return n.alive()
		}
		if !n.awake(ctx) || !sleep(ctx, s.until(s.dice(who^key("wakes")), 0, time.Millisecond)) {
			return false
		}
	}
}

// dialled counts a new connection to Redis, and returns its number.
func (n *node) dialled() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns++
	return n.conns
}
