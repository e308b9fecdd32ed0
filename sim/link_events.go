package sim

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// contentEvents is the type of an answer that goes on.
const contentEvents = "application/vnd.amazon.eventstream"

// underWay is how many pieces of a stream may be on their way. A server that sends
// more waits for a node that does not read.
const underWay = 16

// events is the body of an answer that goes on. What the server sends arrives in
// order, each piece after a time of its own. After a loss nothing arrives any more,
// and nobody is told, as on any connection. One goroutine reads.
type events struct {
	link    *link
	key     uint64          // of the request and its arrival
	far     io.ReadCloser   // the server's end
	crashed <-chan struct{} // closed when the server crashes

	in   chan piece
	once sync.Once
	left chan struct{} // closed when the node closes its end

	rest []byte // the reader's: arrived and not read
	err  error  // the reader's: what comes behind it
}

// piece is a part of a stream, or its end.
type piece struct {
	data []byte
	err  error
	at   time.Time // when it arrives, unless the one before is later
}

// events is the node's end of an answer of the server that goes on.
func (m *message) events(far io.ReadCloser, crashed <-chan struct{}) *events {
	// The instant tells it from an answer to the same request that was sent again.
	e := &events{link: m.link, key: m.key ^ uint64(time.Now().UnixNano()), far: far, crashed: crashed, in: make(chan piece, underWay), left: make(chan struct{})}
	m.link.world.work.Go(e.collect)
	return e
}

// leave closes an answer that goes on, which nobody reads. The server is told, or
// goes on sending into the void.
func (a answer) leave(told bool) {
	if a.response == nil {
		return
	}
	if e, ok := a.response.Body.(*events); ok {
		e.leave(told)
	}
}

// lasts ends an answer that goes on with the context of its request, as package
// net/http does.
func (a answer) lasts(ctx context.Context) {
	if e, ok := a.response.Body.(*events); ok {
		context.AfterFunc(ctx, func() { _ = e.Close() })
	}
}

// collect takes what the server sends, and gives it its time.
func (e *events) collect() {
	defer e.far.Close()
	buf := make([]byte, 64<<10)
	for silent := false; ; {
		n, err := e.far.Read(buf)
		if isClosed(e.crashed) {
			n, err = 0, errReset // what a dead server sends is nobody's
		}
		silent = silent || isClosed(e.left)
		if n > 0 && !silent {
			e.link.world.source.acts("kinesis")
			switch p, f := e.post(append([]byte(nil), buf[:n]...)); f {
			case isLost, losesReply:
				silent = true
			case breaksBefore:
				err = errReset
			default:
				if e.push(p); f == breaksAfter {
					err = errReset
				}
			}
		}
		if err == nil {
			continue
		}
		if !silent {
			p, _ := e.post(nil)
			p.err = err
			e.push(p)
		}
		return
	}
}

// post gives a piece its time and its fate.
func (e *events) post(data []byte) (piece, fate) {
	w := e.link.world
	r := w.weather.on(e.link.name)
	dice := w.source.own(e.key ^ key("event", string(data))) // a server that had to wait may send the same twice
	f, _ := r.draw(dice)
	w.happened(r.causes(f)...)
	d := e.link.delay(r, dice)
	w.source.tell("%s is sent %x of %x", e.link.name, key(string(data)), e.key)
	return piece{data: data, at: time.Now().Add(d)}, f
}

// push waits for room on the way to the node.
func (e *events) push(p piece) {
	select {
	case e.in <- p:
	case <-e.left:
	}
}

// Read implements [io.Reader].
func (e *events) Read(p []byte) (int, error) {
	for len(e.rest) == 0 {
		if e.err != nil {
			return 0, e.err
		}
		if err := e.arrived(); err != nil {
			return 0, err
		}
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// arrived waits until the next piece is there.
func (e *events) arrived() error {
	if isClosed(e.left) {
		return net.ErrClosed
	}
	n := e.link.node
	select {
	case p := <-e.in:
		timer := time.NewTimer(time.Until(p.at))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-e.left:
			return net.ErrClosed
		case <-n.died:
			return io.EOF
		}
		if !n.wakes(context.Background(), e.link.world.source, e.key^key("reads")) {
			return io.EOF
		}
		e.rest, e.err = p.data, p.err
		return nil
	case <-e.left:
		return net.ErrClosed
	case <-n.died:
		return io.EOF
	}
}

// Close implements [io.Closer].
func (e *events) Close() error {
	e.leave(!e.link.world.weather.on(e.link.name).cut)
	return nil
}

// leave closes the node's end. The server hears of it a while later, if it does.
func (e *events) leave(told bool) {
	e.once.Do(func() {
		close(e.left)
		if !told {
			return
		}
		w := e.link.world
		later := e.link.delay(rates{}, w.source.own(e.key^key("leaves")))
		w.work.Go(func() {
			sleep(w.life, later)
			e.far.Close()
		})
	})
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
