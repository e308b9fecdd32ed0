package sim

import (
	"context"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// dialRedis opens a connection of a node to the Redis server.
func (w *world) dialRedis(ctx context.Context, n *node) (net.Conn, error) {
	name := n.name + ">redis"
	use, _ := ctx.Value(purpose{}).(string) // empty but for watches
	if !n.wakes(ctx, w.source, key(name, "dial", use)) {
		return nil, errDead
	}
	w.source.acts(n.name)
	w.source.tell("%s dials %s", name, use)
	r := w.weather.on(name)
	dice := w.source.dice(key(name, "dial", use))
	least, most := r.bounds(dice)
	wait := w.source.until(dice, n.stretch(least), n.stretch(most))
	patience := deadPeer
	if deadline, some := ctx.Deadline(); some {
		// A little earlier than the caller's, not at the same instant.
		patience = time.Until(deadline) - w.source.until(dice, time.Millisecond/2, time.Millisecond)
	}
	f, _ := r.draw(dice)
	w.happened(r.causes(f)...)
	if f == isLost || wait > patience {
		sleep(ctx, patience) // SYN after SYN
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: addr(name), Err: os.ErrDeadlineExceeded}
	}
	if !sleep(ctx, wait) {
		return nil, ctx.Err()
	}
	far, hung, err := w.redis.dial()
	if err != nil {
		return nil, err
	}
	c := &conn{
		world: w, node: n, name: name, use: use, number: n.dialled(), far: far, hung: hung,
		out: make(chan parcel, 1024), in: make(chan parcel, 1024), ready: make(chan []byte, 1024),
		left: make(chan struct{}), closed: make(chan struct{}),
	}
	w.source.tell("%s#%d dialled %s", c.name, c.number, use)
	w.work.Go(c.carry)
	w.work.Go(c.collect)
	w.work.Go(c.hand)
	return c, nil
}

// parcel is a piece of a stream of bytes, and when it arrives.
type parcel struct {
	data []byte
	wait time.Duration
	sent time.Time
	fate fate
	held bool // written by a node that is paused
}

// conn is a node's end of a connection to Redis. What is written arrives later,
// in order, also when the node has closed its end by then: a call that its caller
// gave up may still be carried out, after others on newer connections. After a
// loss, nothing arrives any more, as on a connection whose other end is gone. One
// goroutine reads at a time, and one writes.
type conn struct {
	world *world
	node  *node
	name  string
	use   string // what it is for, as far as that is known
	// number is that of the connection, of those of the node.
	number int
	far    net.Conn        // the server's end
	hung   <-chan struct{} // closed when the server hangs up

	out   chan parcel // to the server
	in    chan parcel // to the node
	ready chan []byte // arrived

	leaves sync.Once
	left   chan struct{} // closed when the node closes its end
	once   sync.Once
	closed chan struct{} // closed when both ends are
	rest   []byte        // the reader's: arrived and not read

	// mu guards all below.
	mu       sync.Mutex
	deadline time.Time // for reads; writes never wait
	silent   bool      // nothing passes any more
	why      error     // what reads say after the end
}

// who is the key of what one of the goroutines at the connection does.
func (c *conn) who(what string) uint64 { return key(c.name, what, strconv.Itoa(c.number)) }

// end closes the connection, for the reason that reads get.
func (c *conn) end(why error) {
	c.once.Do(func() {
		c.mu.Lock()
		c.why = why
		c.mu.Unlock()
		close(c.closed)
		c.far.Close()
	})
}

// carry takes what was written to the server.
func (c *conn) carry() {
	for {
		p, ok := c.next(c.out, c.left)
		if !ok {
			return
		}
		switch p.fate {
		case isLost:
			c.hush()
			continue // until the node closes its end
		case breaksBefore:
			c.cut()
			return
		}
		if c.hushed() {
			continue
		}
		c.world.source.acts("redis")
		if c.world.redis.clock() {
			c.world.happened(RedisClock)
		}
		if p.fate == losesReply {
			c.hush()
		}
		if _, err := c.far.Write(p.data); err != nil {
			c.end(errReset)
			return
		}
		if p.fate == breaksAfter {
			c.cut()
			return
		}
	}
}

// collect takes what the server writes, at once: the server must not wait. When the
// node has closed its end, whether anything comes before the other is closed too is
// a matter of luck, so that nothing is drawn for it.
func (c *conn) collect() {
	buf := make([]byte, 64<<10)
	for {
		n, err := c.far.Read(buf)
		if n > 0 && !c.hushed() && !c.abandoned() {
			r := c.world.weather.on(c.name)
			if r.cut {
				c.world.happened(LinkCut)
				c.hush()
				continue
			}
			data := append([]byte(nil), buf[:n]...)
			dice := c.world.source.dice(key(c.name, "read", c.use, string(data)))
			least, most := r.bounds(dice)
			d := c.world.source.until(dice, c.node.stretch(least), c.node.stretch(most))
			c.world.source.tell("%s#%d is sent %x", c.name, c.number, key(string(data)))
			select {
			case c.in <- parcel{data: data, wait: d, sent: time.Now()}:
			case <-c.closed:
				return
			}
		}
		if err != nil {
			c.end(errReset) // the server has hung up
			return
		}
	}
}

// hand makes what the server wrote arrive.
func (c *conn) hand() {
	for {
		p, ok := c.next(c.in, nil)
		if !ok {
			return
		}
		if c.hushed() {
			continue
		}
		select {
		case c.ready <- p.data:
		case <-c.closed:
			return
		}
	}
}

// next waits for the next parcel to arrive. Each arrives after the one before, and
// none when the server has hung up. After the last one, which is known when last
// is closed, it ends the connection.
func (c *conn) next(queue chan parcel, last <-chan struct{}) (parcel, bool) {
	select { // of several that are ready, the one below takes any
	case <-c.hung:
		queue = nil
	case <-c.closed:
		return parcel{}, false
	default:
	}
	select {
	case p := <-queue:
		return c.arrive(p)
	case <-last:
		select {
		case p := <-queue:
			return c.arrive(p)
		default:
		}
		c.end(net.ErrClosed)
		return parcel{}, false
	case <-c.hung:
		c.world.happened(RedisDown)
		c.cut()
		return parcel{}, false
	case <-c.closed:
		return parcel{}, false
	}
}

// arrive waits until a parcel is there.
func (c *conn) arrive(p parcel) (parcel, bool) {
	if p.held {
		if !c.node.wakes(context.Background(), c.world.source, c.who("writes")) {
			c.end(errReset)
			return parcel{}, false
		}
		p.sent = time.Now()
	}
	if d := time.Until(p.sent.Add(p.wait)); d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-c.closed:
			return parcel{}, false
		}
	}
	return p, true
}

// cut breaks the connection, a moment later: not at the instant at which others
// break too, or something arrives.
func (c *conn) cut() {
	dice := c.world.source.own(c.who("cut"))
	t := time.NewTimer(c.world.source.until(dice, 0, time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
		c.end(errReset)
	case <-c.closed:
	}
}
