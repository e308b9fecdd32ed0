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
	maxPeerConns      = maxConnections / 2 // of one peer
	maxPeerRequests   = 2048               // of one peer, at a time
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

// Serve serves HTTP/1.1 and HTTP/2 on a listener, which it closes, until ctx
// ends: over TLS with Config.TLS, and without encryption otherwise. When ctx
// ends it ends subscriptions, lets other requests finish for up to ten seconds,
// and returns nil. When the listener fails it does the same, and returns the
// error. Either way its connections are closed then; the Server is not.
//
// With AuthOff clients are not authenticated: whoever can reach the listener
// can read, write and delete every stream.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	s.warnOfOthers(ln.Addr())
	secure, err := s.tlsConfig(ln.Addr())
	if err != nil {
		return errors.Join(fmt.Errorf("serve on %s: %w", ln.Addr(), err), ln.Close())
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	srv := s.httpServer(serving)
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(secure != nil)
	srv.Protocols.SetUnencryptedHTTP2(secure == nil)
	srv.TLSConfig = secure
	limited := &limitListener{Listener: ln, slots: make(chan struct{}, maxConnections), peers: newHeadcount(maxPeerConns)}
	servers := []*http.Server{srv}
	var background sync.WaitGroup
	defer background.Wait()
	if secure != nil {
		prefaces := newUnasked(ln.Addr())
		srv.Handler = prefaces.divert(srv.Handler)
		second := s.httpServer(serving)
		second.Protocols.SetUnencryptedHTTP2(true)
		background.Go(func() { _ = second.Serve(prefaces) }) // it ends when it is shut down, for no other reason
		servers = append(servers, second)
	}
	served := make(chan error, 1) // one result, which may come after ctx ended
	go func() {
		if secure != nil {
			served <- srv.ServeTLS(limited, "", "")
			return
		}
		served <- srv.Serve(limited)
	}()
	var failed error // the listener did
	select {
	case failed = <-served:
	case <-ctx.Done():
	}
	stop()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err = shutDown(grace, servers)
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

// httpServer is a server of everything, with no protocol yet.
func (s *Server) httpServer(serving context.Context) *http.Server {
	return &http.Server{
		Handler: s.Handler(), Protocols: new(http.Protocols),
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog: zap.NewStdLog(s.logger),
		// What goes on for as long as it can, the subscriptions, ends with this.
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), servingKey{}, serving)
		},
	}
}

// shutDown ends servers at the same time, and cuts off what goes on after ctx.
func shutDown(ctx context.Context, servers []*http.Server) error {
	errs := make([]error, len(servers))
	var all sync.WaitGroup
	for i, srv := range servers {
		all.Go(func() {
			if err := srv.Shutdown(ctx); err != nil {
				errs[i] = errors.Join(fmt.Errorf("shut down: %w", err), srv.Close())
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// warnOfOthers says in the log what an address that others may reach exposes.
func (s *Server) warnOfOthers(addr net.Addr) {
	tcp, ok := addr.(*net.TCPAddr)
	switch {
	case !ok || tcp.IP.IsLoopback():
	case s.cfg.Auth == AuthOff:
		s.logger.Warn("whoever reaches this address may read, write and delete streams: clients are not authenticated", zap.Stringer("address", addr))
	case s.cfg.TLS == nil:
		s.logger.Warn("whoever is on the way to this address may read along: it is served without TLS", zap.Stringer("address", addr))
	}
}

// limitListener keeps connections above a number waiting, and closes those of a
// peer that has its share of them already.
type limitListener struct {
	net.Listener
	slots chan struct{} // one element for each open connection
	peers *headcount
}

// Accept waits for a slot and then for a connection.
func (l *limitListener) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.slots
			return nil, err
		}
		peer := peerOf(c.RemoteAddr().String())
		if l.peers.take(peer) {
			return &limitedConn{Conn: c, release: func() { l.peers.give(peer); <-l.slots }}, nil
		}
		_ = c.Close() // nothing was written, so there is nothing to fail
	}
}

// limitedConn gives its place back when it is closed.
type limitedConn struct {
	net.Conn
	release func()
	once    sync.Once
}

// Close closes the connection.
func (c *limitedConn) Close() error {
	c.once.Do(c.release)
	return c.Conn.Close()
}
