package localstream

import (
	"net/netip"
	"sync"
)

// headcount counts how much of something each peer has, up to a number.
type headcount struct {
	most int
	// mu guards has.
	mu  sync.Mutex
	has map[netip.Prefix]int
}

func newHeadcount(most int) *headcount { return &headcount{most: most, has: map[netip.Prefix]int{}} }

// take counts one more, and reports whether the peer may have it. Nothing is
// counted for who is no peer on a network.
func (t *headcount) take(peer netip.Prefix) bool {
	if !peer.IsValid() {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.has[peer] >= t.most {
		return false
	}
	t.has[peer]++
	return true
}

// give counts one less.
func (t *headcount) give(peer netip.Prefix) {
	if !peer.IsValid() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.has[peer]--; t.has[peer] == 0 {
		delete(t.has, peer)
	}
}

// peerOf is who is at an address: one address of IPv4, or the 64 bits of IPv6
// that one customer of a network has at least. The zero prefix is no peer on a
// network, such as a socket of Unix.
func peerOf(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	addr := at.Addr().Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	peer, _ := addr.Prefix(bits) // such a prefix always exists
	return peer
}
