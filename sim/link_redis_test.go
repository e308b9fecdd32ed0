package sim

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// What a node wrote before it closed its end of a connection arrives, unless the
// connection was lost by then; and at its own end everything fails at once.
func TestRedisLinkIsClosed(t *testing.T) {
	set := func(key string) []byte { return []byte("*3\r\n$3\r\nSET\r\n$1\r\n" + key + "\r\n$1\r\n1\r\n") }
	for name, c := range map[string]struct {
		lost    bool // the first write is lost, and what comes after it
		arrives bool
	}{
		"closed": {arrives: true},
		"lost":   {lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(Plan{}, false, nil)
				w.life = context.Background()
				defer w.work.Wait()
				defer w.redis.mini.Close()
				link, err := w.dialRedis(t.Context(), w.newNode("worker-0"))
				if err != nil {
					t.Fatal(err)
				}
				blocked := make(chan error)
				go func() {
					_, err := io.ReadFull(link, make([]byte, 100)) // more than the answers
					blocked <- err
				}()
				write := func(key string) {
					if _, err := link.Write(set(key)); err != nil {
						t.Errorf("write %s: %v", key, err)
					}
				}
				if c.lost {
					calm := w.weather.begin("worker-0>redis", rates{drop: 1})
					write("a")
					calm()
				} else {
					write("a")
				}
				time.Sleep(time.Nanosecond)
				write("b")
				closed := time.Now()
				if err := link.Close(); err != nil {
					t.Error(err)
				}
				if err := <-blocked; !errors.Is(err, net.ErrClosed) {
					t.Errorf("a read that waits ends with %v", err)
				}
				if _, err := link.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("a later read: %v", err)
				}
				if _, err := link.Write(set("c")); !errors.Is(err, net.ErrClosed) {
					t.Errorf("a later write: %v", err)
				}
				if took := time.Since(closed); took > 0 {
					t.Errorf("the end of the node took %v", took)
				}
				time.Sleep(time.Second)
				for _, key := range []string{"a", "b", "c"} {
					if got, want := w.redis.mini.Exists(key), c.arrives && key != "c"; got != want {
						t.Errorf("%s arrived: %v, want %v", key, got, want)
					}
				}
			})
		})
	}
}
