package localstream

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

// prefaceHead is what net/http has read of the preface of HTTP/2 when it takes
// that for a request.
const prefaceHead = "PRI * HTTP/2.0\r\n\r\n"

// unasked is a listener of connections over TLS on which the client began HTTP/2
// without agreeing on it in the handshake (ALPN), as KinesisAsyncClient of the
// AWS SDK for Java does, and with it the KCL. AWS takes them; net/http takes the
// preface for a request, with which they are handed over.
type unasked struct {
	addr  net.Addr
	conns chan net.Conn // not buffered: Accept has it, or the listener is closed
	done  chan struct{}
	close sync.Once
}

func newUnasked(addr net.Addr) *unasked {
	return &unasked{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// Accept waits for the next connection.
func (u *unasked) Accept() (net.Conn, error) {
	select {
	case c := <-u.conns:
		return c, nil
	case <-u.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. It may be called more than once.
func (u *unasked) Close() error {
	u.close.Do(func() { close(u.done) })
	return nil
}

// Addr is the address of the listener that the connections came by.
func (u *unasked) Addr() net.Addr { return u.addr }

// divert is a handler that takes the connections with a preface away, and leaves
// everything else to next.
func (u *unasked) divert(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || r.Method != "PRI" || r.RequestURI != "*" || r.Proto != "HTTP/2.0" || len(r.Header) > 0 || r.Host != "" {
			next.ServeHTTP(w, r)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil { // as in HTTP/2, where such a request is nothing special
			next.ServeHTTP(w, r)
			return
		}
		ahead := make([]byte, rw.Reader.Buffered())
		_, _ = io.ReadFull(rw.Reader, ahead) // they are in memory
		select {
		case u.conns <- &rereadConn{Conn: conn, Reader: io.MultiReader(strings.NewReader(prefaceHead), bytes.NewReader(ahead), conn)}:
		case <-u.done:
			_ = conn.Close() // nobody waits for anything that it could say
		}
	})
}

// rereadConn is a connection whose beginning is read again. It hides that it is
// one over TLS, on which net/http would not expect a preface.
type rereadConn struct {
	net.Conn
	io.Reader
}

// Read reads what was read before, and then from the connection.
func (c *rereadConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }
