package wal

import (
	"bytes"

	"github.com/shardrun/shardrun/internal/vfs"
)

// windowBytes is how much of a file is read at once.
const windowBytes = 1 << 20

// window reads a file from front to back. Its memory is at most windowBytes, or
// the largest piece asked for.
type window struct {
	file vfs.File
	size int64
	buf  []byte
	off  int64 // of buf in the file
}

// at returns n bytes of the file, good until the next call. They must be in the
// file.
func (w *window) at(off int64, n int) ([]byte, error) {
	b, err := w.from(off, n)
	if err != nil {
		return nil, err
	}
	return b[:n], nil
}

// from returns n or more bytes of the file, good until the next call.
func (w *window) from(off int64, n int) ([]byte, error) {
	if off < w.off || off+int64(n) > w.off+int64(len(w.buf)) {
		want := int(min(max(int64(n), windowBytes), w.size-off))
		if cap(w.buf) < want {
			w.buf = make([]byte, want)
		}
		w.buf, w.off = w.buf[:want], off
		if err := readFull(w.file, w.buf, off); err != nil {
			w.buf = w.buf[:0]
			return nil, err
		}
	}
	return w.buf[off-w.off:], nil
}

// find calls visit with each place at off or after where needle is, and n bytes
// from there, until visit returns true or no place has n bytes any more.
func (w *window) find(needle []byte, off int64, n int, visit func(pos int64, b []byte) (stop bool)) error {
	for off+int64(n) <= w.size {
		b, err := w.from(off, n)
		if err != nil {
			return err
		}
		i := bytes.Index(b, needle)
		switch {
		case i < 0:
			off += int64(len(b) - len(needle) + 1)
		case len(b)-i < n:
			off += int64(i) // the next window begins with it
		case visit(off+int64(i), b[i:i+n]):
			return nil
		default:
			off += int64(i) + 1
		}
	}
	return nil
}
