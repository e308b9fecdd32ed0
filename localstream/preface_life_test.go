package localstream

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// countedPipes are connections of one peer, in memory.
type countedPipes struct {
	*pipes
	open atomic.Int64 // that the server has not closed
}

// secure makes a connection to the server, with TLS and a protocol of ALPN, or
// with none.
func (p *countedPipes) secure(t *testing.T, s *Server, protocol ...string) *tls.Conn {
	t.Helper()
	client, server := net.Pipe()
	p.open.Add(1)
	p.queue <- &countedPipe{peerConn{server, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 2}}, &p.open, sync.Once{}}
	secure := tls.Client(client, &tls.Config{RootCAs: pool(t, s), ServerName: "localhost", NextProtos: protocol})
	if err := secure.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return secure
}

// countedPipe is the server's end of a connection.
type countedPipe struct {
	peerConn
	open *atomic.Int64
	once sync.Once
}

func (c *countedPipe) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.peerConn.Close()
}

// beginHTTP2 sends what a client begins with, and gives the settings of the
// server.
func beginHTTP2(t *testing.T, c net.Conn) string {
	t.Helper()
	if _, err := io.WriteString(c, prefaceHead+"SM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 9)
	if _, err := io.ReadFull(c, head); err != nil {
		t.Fatal(err)
	}
	if head[3] != 4 {
		t.Fatalf("the server begins with a frame of type %d", head[3])
	}
	settings := make([]byte, int(head[0])<<16|int(binary.BigEndian.Uint16(head[1:])))
	if _, err := io.ReadFull(c, settings); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", settings)
}

// A connection of HTTP/2 without ALPN is one like those with it: its settings
// are the same, its silence is cut off as soon, and it ends with the server. What
// is taken for it is closed, and nothing of it stays behind.
func TestAConnectionWithoutALPNIsLikeThoseWithIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := NewT(t, generated(Config{}))
		ln := &countedPipes{pipes: newPipes()}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx, ln) }()
		// ends says after how long the server closes a connection.
		ends := func(c *tls.Conn) time.Duration {
			t.Helper()
			began := time.Now()
			if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("the connection ended with %v", err)
			}
			c.Close()
			return time.Since(began)
		}

		unasked := ln.secure(t, s)
		settings := beginHTTP2(t, unasked)
		idle := ends(unasked)
		asked := ln.secure(t, s, "h2")
		equal(t, "settings", settings, beginHTTP2(t, asked))
		equal(t, "idle for", idle, ends(asked))

		for name, c := range map[string]struct {
			text string
			took time.Duration
		}{
			"half of it":             {prefaceHead, headerTimeout},
			"less than half of it":   {prefaceHead[:10], headerTimeout},
			"something else instead": {prefaceHead + "GET / HTTP/1.1\r\n\r\n", 0},
			"it, with a header":      {"PRI * HTTP/2.0\r\nA: b\r\n\r\nSM\r\n\r\n", 0},
			"it, with a host":        {"PRI * HTTP/2.0\r\nHost: localhost\r\n\r\nSM\r\n\r\n", 0},
			"it, and a bad frame":    {prefaceHead + "SM\r\n\r\n\xff\xff\xff\x04\x00\x00\x00\x00\x00", 0},
		} {
			conn := ln.secure(t, s)
			go func() { _, _ = io.WriteString(conn, c.text) }() // nobody may read all of it
			if took := ends(conn); took > c.took+time.Second {
				t.Errorf("%s: it took %v to end", name, took)
			}
		}
		gone := ln.secure(t, s)
		beginHTTP2(t, gone)
		gone.Close()
		synctest.Wait()
		equal(t, "open connections", ln.open.Load(), 0)

		last := ln.secure(t, s)
		beginHTTP2(t, last)
		stop()
		if took := ends(last); took >= shutdownTimeout {
			t.Errorf("with the server it took %v to end", took)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		equal(t, "open connections of a server that has ended", ln.open.Load(), 0)
	})
}

// One that begins while the server ends is closed.
func TestAPrefaceThatComesTooLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := NewT(t, generated(Config{}))
		ln := &countedPipes{pipes: newPipes()}
		secure, err := s.tlsConfig(ln.Addr())
		if err != nil {
			t.Fatal(err)
		}
		ended := newUnasked(ln.Addr())
		ended.Close()
		ended.Close() // which may come twice
		srv := &http.Server{Handler: ended.divert(s.Handler()), TLSConfig: secure}
		served := make(chan error, 1)
		go func() { served <- srv.ServeTLS(ln, "", "") }()
		c := ln.secure(t, s)
		if _, err := io.WriteString(c, prefaceHead); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
			t.Errorf("read %q, %v", b, err)
		}
		c.Close()
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		equal(t, "open connections", ln.open.Load(), 0)
		if _, err := ended.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accepted after the end: %v", err)
		}
	})
}
