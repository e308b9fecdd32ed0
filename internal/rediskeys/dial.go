package rediskeys

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

// within notes how long a call may take.
func (c *conns) within(ctx context.Context) {
	if deadline, ok := ctx.Deadline(); ok {
		c.limit.Store(int64(time.Until(deadline)))
	}
}

// bound is a dialer that takes no longer than a call.
func (c *conns) bound(dial dialer) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if limit := time.Duration(c.limit.Load()); limit > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, limit)
			defer cancel()
		}
		if err := ctx.Err(); err != nil {
			return nil, err // a watch that ends is not connected again
		}
		var no uint64
		if c.primary != nil {
			no = c.primary.dials.Add(1)
		}
		conn, err := await(ctx, dial, network, addr)
		if err != nil {
			return failed{fmt.Errorf("%w", err)}, nil // go-redis takes one error off
		}
		if l, watches := ctx.Value(lineKey{}).(*line); watches {
			l.takes(conn)
		}
		if c.primary != nil {
			conn = c.primary.opened(conn, no)
		}
		return conn, nil
	}
}

// failed is a connection that was not made: what is done with it first fails with
// the error of the dial. When as many dials as a pool has connections return
// errors, go-redis dials once a second only; but workers must all be back within
// a fraction of a lease time when the store is.
type failed struct{ err error }

// SyscallConn fails, by which a pool that kept the connection, as who wanted it
// did not wait, sees that it is broken.
func (f failed) SyscallConn() (syscall.RawConn, error) { return nil, f.err }

func (f failed) Read([]byte) (int, error)         { return 0, f.err }
func (f failed) Write([]byte) (int, error)        { return 0, f.err }
func (f failed) Close() error                     { return nil }
func (f failed) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (f failed) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (f failed) SetDeadline(time.Time) error      { return nil }
func (f failed) SetReadDeadline(time.Time) error  { return nil }
func (f failed) SetWriteDeadline(time.Time) error { return nil }

// await dials until ctx ends. The dialers of go-redis go on after it: through a
// TLS handshake, and through questions to a sentinel that gives no answer.
func await(ctx context.Context, dial dialer, network, addr string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result)
	go func() {
		conn, err := dial(ctx, network, addr)
		select {
		case done <- result{conn, err}:
		case <-ctx.Done():
			if err == nil {
				_ = conn.Close() // it came too late
			}
		}
	}()
	select {
	case r := <-done:
		return r.conn, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// primary follows the primary of a Sentinel set: once a connection leads to
// another server than those before, they are closed. The former primary may go
// on to answer, cut off from the sentinels, and what it is told is lost.
type primary struct {
	dials atomic.Uint64 // that were begun

	mu     sync.Mutex // guards all below
	addr   string
	latest uint64                 // of the dials that led to addr, the one that was begun last
	conns  map[*followed]struct{} // open ones, all to addr
}

// errFormer is why a connection is not used that took long to be made.
var errFormer = errors.New("redis: it was the primary when the dial began, another is now")

// followed is a connection to the primary.
type followed struct {
	net.Conn
	of *primary
}

// checked is one of which a pool can see, before it is used, that it is broken or
// was closed: else each connection to a former primary costs a call.
type checked struct {
	*followed
	syscall.Conn
}

// opened takes a new connection, of the dial of that number. One that leads
// elsewhere than a dial that was begun after it leads to a former primary: the
// order in which dials end says nothing, as one may hang over a failover.
func (p *primary) opened(conn net.Conn, no uint64) net.Conn {
	f, addr := &followed{Conn: conn, of: p}, conn.RemoteAddr().String()
	p.mu.Lock()
	if p.addr != addr && no < p.latest {
		p.mu.Unlock()
		_ = conn.Close() // whatever it says, it is not used
		return failed{fmt.Errorf("%s: %w", addr, errFormer)}
	}
	var former map[*followed]struct{}
	if p.addr != addr || p.conns == nil {
		former = p.conns
		p.addr, p.conns = addr, map[*followed]struct{}{}
	}
	p.conns[f] = struct{}{}
	p.latest = max(p.latest, no)
	p.mu.Unlock()
	for old := range former {
		_ = old.Conn.Close() // whatever it says, it is not used again
	}
	if raw, ok := conn.(syscall.Conn); ok {
		return checked{f, raw}
	}
	return f
}

// Close closes the connection.
func (f *followed) Close() error {
	f.of.mu.Lock()
	delete(f.of.conns, f)
	f.of.mu.Unlock()
	return f.Conn.Close()
}
