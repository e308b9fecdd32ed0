package localstream

import (
	"container/list"
	"context"
	"net/http"
	"sync"
	"time"
)

// The bounds of what requests may make the server hold in memory at once.
const (
	// maxInFlight is for the bodies of requests that are being read or handled,
	// and for pages that are being read and sent, all in bytes. What a body is
	// decoded to comes on top, at most as much again.
	maxInFlight = 256 << 20
	// roomPatience is how long a request waits for others to give room.
	roomPatience = 5 * time.Second
)

// budget is a number of bytes that requests share. Who asks first is served
// first.
type budget struct {
	// mu guards the two below.
	mu      sync.Mutex
	left    int64
	waiting list.List // of *waiter
}

// waiter is a request that waits for bytes.
type waiter struct {
	bytes int64
	given chan struct{} // closed, under the mutex of the budget, when it has them
}

func newBudget(bytes int64) *budget { return &budget{left: bytes} }

// try takes bytes if they are there and nobody waits.
func (b *budget) try(bytes int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < bytes || b.waiting.Len() > 0 {
		return false
	}
	b.left -= bytes
	return true
}

// take takes bytes, and waits for them until ctx ends. It reports whether it
// has them.
func (b *budget) take(ctx context.Context, bytes int64) bool {
	b.mu.Lock()
	w := &waiter{bytes: bytes, given: make(chan struct{})}
	place := b.waiting.PushBack(w)
	b.serve()
	b.mu.Unlock()
	select {
	case <-w.given:
		return true
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-w.given: // in the same moment
		return true
	default:
	}
	b.waiting.Remove(place)
	b.serve() // who waited behind it may need less
	return false
}

// give gives bytes back.
func (b *budget) give(bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += bytes
	b.serve()
}

// serve gives bytes to those that wait, as far as they go. b.mu is held.
func (b *budget) serve() {
	for first := b.waiting.Front(); first != nil; first = b.waiting.Front() {
		w := first.Value.(*waiter)
		if b.left < w.bytes {
			return
		}
		b.left -= w.bytes
		b.waiting.Remove(first)
		close(w.given)
	}
}

// share is what one request has of the budget.
type share struct {
	server *Server
	bytes  int64
}

// resize makes the share as large as this many bytes. If it has to grow it
// waits for room, and after a while it gives up: then the client should come
// again later.
func (sh *share) resize(ctx context.Context, bytes int64) error {
	if sh.tryResize(bytes) {
		return nil
	}
	s, more := sh.server, bytes-sh.bytes
	ctx, cancel := context.WithTimeout(ctx, roomPatience)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	if !s.inFlight.take(ctx, more) {
		return &apiError{
			Type: typeUnavailable, Status: http.StatusServiceUnavailable,
			Message: "the server has its hands full with the bytes of other requests",
		}
	}
	sh.bytes = bytes
	return nil
}

// tryResize is resize for those who do not wait. It reports whether the share
// is as large.
func (sh *share) tryResize(bytes int64) bool {
	more := bytes - sh.bytes
	if more <= 0 {
		sh.server.inFlight.give(-more)
	} else if !sh.server.inFlight.try(more) {
		return false
	}
	sh.bytes = bytes
	return true
}

// free gives the share back.
func (sh *share) free() {
	sh.server.inFlight.give(sh.bytes)
	sh.bytes = 0
}
