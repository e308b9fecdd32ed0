package vfs

import (
	"bytes"
	"fmt"
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
	n.appended = n.appended && int(size) >= len(n.durable)
	return nil
}

// Sync implements [File].
func (f crashFile) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	n := f.node
	if !n.appended {
		n.durable, n.appended = nil, true
	}
	n.durable = append(n.durable, n.data[len(n.durable):]...)
	return nil
}

// Size implements [File].
func (f crashFile) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.node.data)), nil
}

// Close implements [io.Closer].
func (f crashFile) Close() error { return nil }
