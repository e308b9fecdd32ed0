//go:build unix

package main

import (
	"context"
	"net"
	"sync"
	"time"
)

// wired is how many workers, the first ones, have a cable to Redis that can be
// cut. The others have none between: what a Redis that is away does to a dial
// should be seen too.
func wired(workers int) int { return (workers + 1) / 2 }

// cable is the way of one worker to Redis, which can be cut. Its methods may be
// called concurrently.
type cable struct {
	addr, to string

	mu       sync.Mutex // guards all below
	listener net.Listener
	how      string        // it is cut, "" when it is not
	open     chan struct{} // closed unless a black hole keeps what is sent
	wires    map[*wire]struct{}
	closed   bool
	running  sync.WaitGroup
}

// wire is one connection through a cable.
type wire struct {
	near, far net.Conn // of the worker, and of Redis
	mute      bool     // the worker hears nothing of Redis any more; guarded by the cable
}

// newCable is a cable that is whole, to an address.
func newCable(ctx context.Context, to string) (*cable, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &cable{addr: l.Addr().String(), to: to, open: make(chan struct{}), wires: map[*wire]struct{}{}}
	close(c.open)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listen(ctx, l)
	return c, nil
}

// listen takes connections, until the listener is closed. The caller holds mu.
func (c *cable) listen(ctx context.Context, l net.Listener) {
	c.listener = l
	c.running.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return // it was closed
			}
			c.running.Go(func() { c.lead(ctx, near) })
		}
	})
}

// lead makes the rest of the way of a connection.
func (c *cable) lead(ctx context.Context, near net.Conn) {
	w := &wire{near: near}
	c.mu.Lock()
	if c.closed || c.how == cutRefused {
		c.mu.Unlock()
		reset(near)
		return
	}
	w.mute = c.how == cutHalfOpen
	c.wires[w] = struct{}{}
	open := c.open
	c.mu.Unlock()
	<-open
	far, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", c.to)
	c.mu.Lock()
	_, wanted := c.wires[w]
	w.far = far // nil after an error
	c.mu.Unlock()
	if err != nil || !wanted {
		if err == nil {
			_ = far.Close() // it was never used
		}
		c.drop(w)
		return
	}
	c.running.Go(func() {
		c.pass(far, near, w, false)
		c.drop(w)
	})
	c.pass(near, far, w, true)
	if !c.muted(w) {
		c.drop(w)
	}
}

// pass copies what is sent until one end closes. Answers to a mute wire are lost.
func (c *cable) pass(to, from net.Conn, w *wire, answers bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		c.mu.Lock()
		open := c.open
		c.mu.Unlock()
		<-open
		if lost := answers && c.muted(w); n > 0 && !lost {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (c *cable) muted(w *wire) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return w.mute
}

// drop ends a connection.
func (c *cable) drop(w *wire) {
	c.mu.Lock()
	delete(c.wires, w)
	far := w.far
	c.mu.Unlock()
	_ = w.near.Close() // whatever it says, it is not used again
	if far != nil {
		_ = far.Close()
	}
}

// cut cuts a cable that is whole.
func (c *cable) cut(how string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.how = how; how {
	case cutRefused:
		_ = c.listener.Close() // nobody gets through any more
		c.resetAll()
	case cutHole:
		c.open = make(chan struct{})
	case cutHalfOpen:
		for w := range c.wires {
			w.mute = true
		}
	}
}

// mend makes a cable whole again.
func (c *cable) mend(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.how {
	case cutHole:
		close(c.open)
	case cutRefused:
		c.listenAgain(ctx)
	}
	c.how = ""
}

// listenAgain listens on the address that the worker knows, which a connection of
// somebody else may have for a moment. The caller holds mu.
func (c *cable) listenAgain(ctx context.Context) {
	for !c.closed && ctx.Err() == nil {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.addr)
		if err == nil {
			c.listen(ctx, l)
			return
		}
		c.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
		c.mu.Lock()
	}
}

// resetAll breaks all connections. The caller holds mu.
func (c *cable) resetAll() {
	for w := range c.wires {
		reset(w.near)
		if w.far != nil {
			reset(w.far)
		}
	}
	clear(c.wires)
}

// close ends it, and all that goes through it.
func (c *cable) close() {
	c.mu.Lock()
	c.closed = true
	if c.how == cutHole {
		close(c.open)
		c.how = ""
	}
	_ = c.listener.Close() // it may have been, by a cut
	c.resetAll()
	c.mu.Unlock()
	c.running.Wait()
}

// reset closes a connection so that the other side hears it as an error at once.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // else it is closed in peace
	}
	_ = conn.Close() // whatever it says, it is not used again
}
