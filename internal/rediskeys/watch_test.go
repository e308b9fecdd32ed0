package rediskeys

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

// A worker that ends does not wait for a server that has hung up on nobody and
// answers nothing.
func TestAWatchEndsWhileItConnects(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan struct{})
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 64)) // HELLO, or the test is over
		close(asked)
		<-t.Context().Done()
	}()
	db, err := Open(Options{Addr: l.Addr().String(), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- db.Watch(ctx, "group", func() {}) }()
	<-asked
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Watch returned %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("Watch goes on 20 s after its context ended")
	}
}
