package wal

import (
	"math/bits"

	"github.com/shardrun/shardrun/internal/vfs"
)

// buffered gathers small writes. After an error it writes no more.
type buffered struct {
	file vfs.File
	buf  []byte
	err  error
}

// newBuffered returns a buffer for a write of the given size.
func (l *Log) newBuffered(file vfs.File, size int64) *buffered {
	out, ok := l.buffers.Get().(*buffered)
	if !ok {
		out = &buffered{}
	}
	if want := int(min(size, writeBufferBytes)); cap(out.buf) < want {
		out.buf = make([]byte, 0, 1<<bits.Len(uint(want-1)))
	}
	out.file, out.err = file, nil
	return out
}

func (l *Log) freeBuffered(out *buffered) {
	out.file, out.buf = nil, out.buf[:0]
	l.buffers.Put(out)
}

// reserve makes room for n bytes, unless the whole buffer is too small.
func (o *buffered) reserve(n int) {
	if len(o.buf)+n > cap(o.buf) {
		o.flush()
	}
}

// write adds p. What is larger than the buffer goes past it.
func (o *buffered) write(p []byte) {
	o.reserve(len(p))
	if len(p) <= cap(o.buf)-len(o.buf) {
		o.buf = append(o.buf, p...)
		return
	}
	if o.err == nil {
		_, o.err = o.file.Write(p)
	}
}

func (o *buffered) flush() {
	if o.err == nil && len(o.buf) > 0 {
		_, o.err = o.file.Write(o.buf)
	}
	o.buf = o.buf[:0]
}
