package vfs

import (
	"bytes"
	"fmt"
	"math"
)

// crashFile is an open file of [Crash].
type crashFile struct {
	fs   *Crash
	node *crashNode
}

// ReadAt implements [io.ReaderAt].
func (f crashFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return bytes.NewReader(f.node.data).ReadAt(p, off)
}

// Write implements [io.Writer].
func (f crashFile) Write(p []byte) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.node.data = append(f.node.data, p...)
	return len(p), nil
}

// Truncate implements [File].
func (f crashFile) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	n := f.node
	if size < 0 || size > int64(len(n.data)) {
		return fmt.Errorf("truncate a file of %d bytes to %d", len(n.data), size)
	}
	n.data = n.data[:size]
	n.forget(int(size), math.MaxInt)
	n.appended = n.appended && int(size) >= len(n.durable)
	return nil
}

// Sync implements [File].
func (f crashFile) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	n := f.node
	if len(n.lost) > 0 {
		n.durable, n.appended = n.syncable(), false
		return nil
	}
	if !n.appended {
		n.durable, n.appended = nil, true
	}
	n.durable = append(n.durable, n.data[len(n.durable):]...)
	return nil
}

// loseUnsynced makes what was written since the last sync seen and nothing else:
// no later sync makes it durable.
func (f crashFile) loseUnsynced() {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	n := f.node
	if from := len(n.durable); n.appended && from < len(n.data) {
		n.lost = append(n.lost, span{from, len(n.data)})
	} else if !n.appended {
		n.lost = []span{{0, len(n.data)}}
	}
}

// rewrite writes p at an offset.
func (n *crashNode) rewrite(p []byte, off int) {
	if !bytes.Equal(n.data[off:off+len(p)], p) {
		n.data = bytes.Clone(n.data)
		copy(n.data[off:], p)
		n.appended = false
	}
	n.forget(off, off+len(p))
}

// forget takes a piece out of what is lost.
func (n *crashNode) forget(from, to int) {
	var left []span
	for _, l := range n.lost {
		if before := (span{l.from, min(l.to, from)}); before.from < before.to {
			left = append(left, before)
		}
		if after := (span{max(l.from, to), l.to}); after.from < after.to {
			left = append(left, after)
		}
	}
	n.lost = left
}

// syncable is what a sync makes durable: what is seen, and in place of what is
// lost what was durable before, or zeros.
func (n *crashNode) syncable() []byte {
	b := bytes.Clone(n.data)
	for _, l := range n.lost {
		clear(b[l.from:l.to])
		if l.from < len(n.durable) {
			copy(b[l.from:l.to], n.durable[l.from:])
		}
	}
	return b
}

// Size implements [File].
func (f crashFile) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.node.data)), nil
}

// Close implements [io.Closer].
func (f crashFile) Close() error { return nil }
