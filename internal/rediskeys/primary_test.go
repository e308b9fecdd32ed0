package rediskeys

import (
	"context"
	"io"
	"net"
	"testing"
)

// at is a connection to a server at an address.
type at struct {
	net.Conn
	addr net.TCPAddr
}

func (c *at) RemoteAddr() net.Addr { return &c.addr }

// A dial may begin before a failover and end after it. Where it leads is the
// former primary, however late it comes.
func TestALateDialToAFormerPrimaryIsNotUsed(t *testing.T) {
	const former, next = 1, 2
	began, held := make(chan struct{}), make(chan struct{})
	where := make(chan int, 3) // the port that each dial leads to
	for _, port := range []int{former, next, next} {
		where <- port
	}
	closed := make(chan struct{}) // the late connection is
	c := conns{primary: &primary{}}
	dial := c.bound(func(_ context.Context, _, _ string) (net.Conn, error) {
		client, server := net.Pipe()
		port := <-where
		if port == former {
			close(began)
			<-held
		}
		go func() {
			_, _ = io.Copy(io.Discard, server) // until it is closed
			if port == former {
				close(closed)
			}
		}()
		return &at{client, net.TCPAddr{Port: port}}, nil
	})
	connect := func() net.Conn {
		conn, err := dial(t.Context(), "tcp", sentinelAddr)
		if err != nil {
			t.Error(err)
		}
		return conn
	}
	works := func(conn net.Conn) bool {
		_, err := conn.Write([]byte("x"))
		return err == nil
	}
	dialed := make(chan net.Conn)
	go func() { dialed <- connect() }()
	<-began
	first := connect()
	close(held)
	late := <-dialed
	if works(late) {
		t.Error("the late connection is used")
	}
	second := connect()
	if !works(first) || !works(second) {
		t.Error("a connection to the new primary was closed")
	}
	for _, conn := range []net.Conn{first, second, late} {
		_ = conn.Close() // whatever becomes of it, the test is over
	}
	<-closed // what is not used is not left open
}
