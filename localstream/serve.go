package localstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

// The bounds of a connection.
const (
	maxConnections    = 4096
	maxHeaderBytes    = 64 << 10
	headerTimeout     = 5 * time.Second
	idleTimeout       = 2 * time.Minute
	maxStreams        = 128 // requests at a time on a connection of HTTP/2
	shutdownTimeout   = 10 * time.Second
	defaultListenAddr = "127.0.0.1:4567"
)

// ListenAndServe serves on a TCP address, 127.0.0.1:4567 if it is empty, until
// ctx ends. See [Server.Serve].
func (s *Server) ListenAndServe(ctx context.Context, addr string) error {
	if addr == "" {
		addr = defaultListenAddr
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	return s.Serve(ctx, ln)
}

// Serve serves HTTP/1.1 and HTTP/2 without TLS on a listener, which it closes,
// until ctx ends. Then it lets requests finish for up to ten seconds, and
// returns nil. When the listener fails it does the same, and returns the error.
// Either way its connections are closed then; the Server is not.
//
// Clients are not authenticated: whoever can reach the listener can read,
// write and delete every stream.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	if addr, ok := ln.Addr().(*net.TCPAddr); ok && !addr.IP.IsLoopback() {
		s.logger.Warn("serving without authentication on an address that others may reach", zap.Stringer("address", addr))
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		Handler: s.Handler(), Protocols: protocols,
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog: zap.NewStdLog(s.logger),
	}
	served := make(chan error, 1) // one result, which may come after ctx ended
	go func() { served <- srv.Serve(&limitListener{Listener: ln, slots: make(chan struct{}, maxConnections)}) }()
	var failed error // the listener did
	select {
	case failed = <-served:
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := srv.Shutdown(grace)
	if err != nil {
		err = errors.Join(fmt.Errorf("shut down: %w", err), srv.Close())
	}
	if failed == nil {
		failed = <-served
	}
	if !errors.Is(failed, http.ErrServerClosed) {
		err = errors.Join(failed, err)
	}
	if err != nil {
		return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
	}
	return nil
}

// limitListener keeps connections above a number waiting.
type limitListener struct {
	net.Listener
	slots chan struct{} // one element for each open connection
}

// Accept waits for a slot and then for a connection.
func (l *limitListener) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: c, slots: l.slots}, nil
}

// limitedConn gives its slot back when it is closed.
type limitedConn struct {
	net.Conn
	slots chan struct{}
	once  sync.Once
}

// Close closes the connection.
func (c *limitedConn) Close() error {
	c.once.Do(func() { <-c.slots })
	return c.Conn.Close()
}
