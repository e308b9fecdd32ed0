package localstream

import (
	"container/list"
	"context"
	"iter"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// The bounds of what requests may make the server hold in memory at once.
const (
	// maxInFlight is for the bodies of requests that are being read or handled,
	// and for pages that are being read and sent, all in bytes. What a body is
	// decoded to comes on top, at most as much again.
	maxInFlight = 256 << 20
	// peerPart is the part of it that one peer can have at a time: half.
	peerPart = 2
	// roomPatience is how long a request waits for others to give room.
	roomPatience = 5 * time.Second
)

// budget is a number of bytes that requests share. Who asks first is served
// first, but a peer never gets more than a part of all: what it sends or reads
// slowly is in the way of its own requests, and not of those of others. Requests
// ask for all that they need of one kind at once: if they had a part of it and
// waited for more, they would wait for one another.
type budget struct {
	most int64 // for one peer

	// mu guards everything below.
	mu      sync.Mutex
	left    int64
	held    map[netip.Prefix]int64 // by peers
	waiting list.List              // of *waiter
}

// claim is what a request asks for.
type claim struct {
	peer  netip.Prefix // the zero prefix for who is no peer on a network, and has no part
	has   int64        // bytes that the request has already
	bytes int64        // that it wants beside them
}

// waiter is a request that waits for bytes.
type waiter struct {
	claim
	given chan struct{} // closed, under the mutex of the budget, when it has them
}

func newBudget(bytes int64) *budget {
	return &budget{most: bytes / peerPart, left: bytes, held: map[netip.Prefix]int64{}}
}

// exceeds reports whether a peer would have more than its part. A request that
// is the only one of its peer never has. b.mu is held.
func (b *budget) exceeds(c claim) bool {
	held := b.held[c.peer]
	return c.peer.IsValid() && held > c.has && held+c.bytes > b.most
}

// grant gives a claim its bytes. b.mu is held.
func (b *budget) grant(c claim) {
	b.left -= c.bytes
	if !c.peer.IsValid() {
		return
	}
	if b.held[c.peer] += c.bytes; b.held[c.peer] == 0 {
		delete(b.held, c.peer)
	}
}

// try gives a claim its bytes if they are there and nobody waits for them.
func (b *budget) try(c claim) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < c.bytes || b.exceeds(c) {
		return false
	}
	for e := range b.next() {
		if w := e.Value.(*waiter); w.peer == c.peer || !b.exceeds(w.claim) {
			return false
		}
	}
	b.grant(c)
	return true
}

// take gives a claim its bytes, and waits for them until ctx ends. It reports
// whether they were given.
func (b *budget) take(ctx context.Context, c claim) bool {
	b.mu.Lock()
	w := &waiter{claim: c, given: make(chan struct{})}
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

// give takes bytes of a peer back.
func (b *budget) give(peer netip.Prefix, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.grant(claim{peer: peer, bytes: -bytes})
	b.serve()
}

// serve gives bytes to those that wait, as far as they go. b.mu is held.
func (b *budget) serve() {
	for e := range b.next() {
		w := e.Value.(*waiter)
		switch {
		case b.exceeds(w.claim):
		case b.left < w.bytes:
			return
		default:
			b.grant(w.claim)
			b.waiting.Remove(e)
			close(w.given)
		}
	}
}

// next gives those that wait, in the order in which they came: of each peer that
// would have more than its part only the first, which the others of that peer
// do not overtake. b.mu is held; the element at hand may be removed.
func (b *budget) next() iter.Seq[*list.Element] {
	return func(yield func(*list.Element) bool) {
		var full map[netip.Prefix]bool
		for e := b.waiting.Front(); e != nil; {
			at := e
			e = e.Next()
			c := at.Value.(*waiter).claim
			if full[c.peer] {
				continue
			}
			if b.exceeds(c) {
				if full == nil {
					full = map[netip.Prefix]bool{}
				}
				full[c.peer] = true
			}
			if !yield(at) {
				return
			}
		}
	}
}

// share is what one request has of the budget.
type share struct {
	server *Server
	peer   netip.Prefix // whose request it is
	bytes  int64
	least  int64 // what memory that is used again takes, until the share is freed
}

// resize makes the share as large as this many bytes. If it has to grow it
// waits for room, and after a while it gives up: then the client should come
// again later.
func (sh *share) resize(ctx context.Context, bytes int64) error {
	bytes = max(bytes, sh.least)
	if sh.tryResize(bytes) {
		return nil
	}
	s := sh.server
	ctx, cancel := context.WithTimeout(ctx, roomPatience)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	if !s.inFlight.take(ctx, claim{sh.peer, sh.bytes, bytes - sh.bytes}) {
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
	bytes = max(bytes, sh.least)
	more := bytes - sh.bytes
	if more <= 0 {
		sh.server.inFlight.give(sh.peer, -more)
	} else if !sh.server.inFlight.try(claim{sh.peer, sh.bytes, more}) {
		return false
	}
	sh.bytes = bytes
	return true
}

// free gives the share back.
func (sh *share) free() {
	sh.server.inFlight.give(sh.peer, sh.bytes)
	sh.bytes, sh.least = 0, 0
}
