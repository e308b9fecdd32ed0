// Package redistest starts Redis servers for tests: a real redis-server, or
// miniredis inside of a bubble of testing/synctest.
package redistest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Server starts a redis-server on a free port, which ends with the test, and
// returns its address. Without one the test fails.
func Server(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is not installed; install Redis 6.2 or later (Debian, Ubuntu: apt-get install redis-server)")
	}
	// Another process may take the port between here and the server's start.
	for range 5 {
		addr, err := start(t, path, freePort(t))
		if err == nil {
			return addr
		}
		t.Log(err)
	}
	t.Fatal("redis-server did not start")
	return ""
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // only its number is wanted
	return l.Addr().(*net.TCPAddr).Port
}

func start(t testing.TB, path string, port int) (string, error) {
	var output bytes.Buffer
	cmd := exec.Command(path, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", t.TempDir(), "--daemonize", "no")
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return "", err
	}
	var exit error // set before ended is closed
	ended := make(chan struct{})
	go func() { exit = cmd.Wait(); close(ended) }()
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = c.Close() }() // it was only for the pings
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	for {
		if c.Ping(context.Background()).Err() == nil {
			t.Cleanup(func() {
				_ = cmd.Process.Kill() // it keeps nothing
				<-ended
			})
			return addr, nil
		}
		select {
		case <-ended:
			return "", fmt.Errorf("redis-server on port %d: %w: %s", port, exit, output.String())
		case <-deadline.C:
			_ = cmd.Process.Kill() // it never answered
			<-ended
			return "", fmt.Errorf("redis-server on port %d does not answer: %s", port, output.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Mini starts a miniredis without a socket, whose clock is that of the bubble
// that the test is in, and returns it with a client. Both end with the test.
func Mini(t testing.TB) (*miniredis.Miniredis, *redis.Client) {
	t.Helper()
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true)
	c := redis.NewClient(&redis.Options{
		Dialer:          func(context.Context, string, string) (net.Conn, error) { return m.Dial() },
		DisableIdentity: true,
		// Else the client looks its address up, by a resolver that is shared
		// with the world outside of the bubble.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() {
		_ = c.Close() // nothing of the test depends on it any more
		m.Close()
	})
	return m, c
}
