package awscbor

import (
	"errors"
	"io"
	"sync"
)

// A buffer goes back to its pool only between these sizes: below, the garbage
// collector is as cheap; above, nothing that Kinesis takes is left.
const (
	leastPooled = 16 << 10
	mostPooled  = 16 << 20
)

// requestPool keeps the buffers of large requests. The zero value is ready.
type requestPool struct{ pool sync.Pool }

// get gives an empty body with room for size bytes.
func (p *requestPool) get(size int) *requestBody {
	if size < leastPooled || size > mostPooled {
		return &requestBody{data: make([]byte, 0, size)}
	}
	if buf, ok := p.pool.Get().(*[]byte); ok && cap(*buf) >= size {
		return &requestBody{data: (*buf)[:0], pool: &p.pool}
	}
	return &requestBody{data: make([]byte, 0, size), pool: &p.pool}
}

// errReleased is for those who read a request after its call has returned.
var errReleased = errors.New("awscbor: the body of a request was read after its call had returned")

// requestBody is the body of a request. Attempts rewind it. When the call is
// over its buffer is used again, so all that anybody can have of it is this
// reader, which gives nothing from then on. (net/http may hold on to a body after
// it answered. The SDK closes the body for it then, but that is not all who may
// have it: interceptors are given it too.)
type requestBody struct {
	mu       sync.Mutex // guards what is below
	data     []byte
	at       int
	writing  int // calls of WriteTo that use data
	released bool
	pool     *sync.Pool // where data goes, or nil
}

// Read reads on.
func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.released:
		return 0, errReleased
	case b.at >= len(b.data):
		return 0, io.EOF
	}
	n := copy(p, b.data[b.at:])
	b.at += n
	return n, nil
}

// WriteTo writes the rest to w. The signer hashes the body so.
func (b *requestBody) WriteTo(w io.Writer) (int64, error) {
	b.mu.Lock()
	if b.released {
		b.mu.Unlock()
		return 0, errReleased
	}
	rest := b.data[min(b.at, len(b.data)):]
	b.at = len(b.data)
	b.writing++
	b.mu.Unlock()

	n, err := w.Write(rest)

	b.mu.Lock()
	b.writing--
	b.mu.Unlock()
	return int64(n), err
}

// Seek moves to a place.
func (b *requestBody) Seek(offset int64, whence int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += int64(b.at)
	case io.SeekEnd:
		offset += int64(len(b.data))
	}
	if offset < 0 {
		return 0, errors.New("awscbor: seek to before the start of a request")
	}
	b.at = int(offset)
	return offset, nil
}

// Len is how much is left to read.
func (b *requestBody) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, len(b.data)-b.at)
}

// release takes the buffer back. It may be nil.
func (b *requestBody) release() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if data := b.data[:0]; b.writing == 0 && b.pool != nil {
		b.pool.Put(&data)
	}
	b.released, b.data = true, nil
}
