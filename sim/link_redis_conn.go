package sim

import (
	"context"
	"io"
	"net"
	"os"
	"time"
)

// Close implements [net.Conn].
func (c *conn) Close() error {
	c.leaves.Do(func() { close(c.left) })
	return nil
}

// abandoned reports whether the node has closed its end.
func (c *conn) abandoned() bool {
	select {
	case <-c.left:
		return true
	default:
		return false
	}
}

// Write implements [net.Conn]. It never waits, because go-redis writes under a lock:
// what a paused node writes is sent when it goes on.
func (c *conn) Write(p []byte) (int, error) {
	if !c.node.alive() {
		c.end(errReset)
	}
	select {
	case <-c.left:
		return 0, net.ErrClosed
	case <-c.closed:
		return 0, c.reason()
	default:
	}
	w := c.world
	w.source.acts(c.node.name)
	r := w.weather.on(c.name)
	dice := w.source.dice(key(c.name, "write", c.use, string(p)))
	f, _ := r.draw(dice)
	w.happened(r.causes(f)...)
	least, most := r.bounds(dice)
	d := w.source.until(dice, c.node.stretch(least), c.node.stretch(most))
	w.source.tell("%s#%d writes %x", c.name, c.number, key(string(p)))
	c.out <- parcel{data: append([]byte(nil), p...), wait: d, sent: time.Now(), fate: f, held: c.node.held()}
	return len(p), nil
}

// Read implements [net.Conn].
func (c *conn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		c.mu.Lock()
		deadline := c.deadline
		c.mu.Unlock()
		var expired <-chan time.Time
		if !deadline.IsZero() {
			// A little later than the context of the call, not at the same instant.
			dice := c.world.source.own(c.who("deadline"))
			wait := time.Until(deadline)
			t := time.NewTimer(c.world.source.until(dice, wait, wait+time.Millisecond/4))
			defer t.Stop()
			expired = t.C
		}
		if err := c.arrived(expired); err != nil {
			return 0, err
		}
		if !c.node.wakes(context.Background(), c.world.source, c.who("reads")) {
			return 0, io.EOF
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// arrived waits until something has arrived. What has is read before the end is
// told, whichever came while nobody was reading.
func (c *conn) arrived(expired <-chan time.Time) error {
	select {
	case c.rest = <-c.ready:
		return nil
	default:
	}
	select {
	case c.rest = <-c.ready:
		return nil
	case <-expired:
		return &net.OpError{Op: "read", Net: "tcp", Addr: addr(c.name), Err: os.ErrDeadlineExceeded}
	case <-c.left:
		return net.ErrClosed
	case <-c.closed:
		return c.reason()
	case <-c.node.died:
		return io.EOF
	}
}

func (c *conn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == nil {
		return net.ErrClosed
	}
	return c.why
}

func (c *conn) hush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent = true
}

func (c *conn) hushed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.silent
}

// SetDeadline implements [net.Conn].
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetReadDeadline implements [net.Conn]. It is for the reads that begin later.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return nil
}

// SetWriteDeadline implements [net.Conn].
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr implements [net.Conn].
func (c *conn) LocalAddr() net.Addr { return addr(c.node.name) }

// RemoteAddr implements [net.Conn].
func (c *conn) RemoteAddr() net.Addr { return addr("redis") }

// addr is the address of a node.
type addr string

func (addr) Network() string  { return "sim" }
func (a addr) String() string { return string(a) }
