package redistest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/shardrun/shardrun/internal/freeport"
)

// ProgramEnv names the environment variable with the server program that tests
// start, for runs with another server than the redis-server of PATH.
const ProgramEnv = "SHARDRUN_REDIS_SERVER"

// Process is a server that a test started, and that ends with it. Its methods
// are called by one goroutine at a time.
type Process struct {
	// Addr is host:port.
	Addr string

	t    testing.TB
	path string
	port int
	args []string
	tls  *tls.Config

	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended
}

// Server starts a server on a free port and returns its address.
func Server(t testing.TB) string { return Start(t).Addr }

// Start starts a server on a free port, with settings like "--requirepass",
// "secret" besides those that keep it from writing files.
func Start(t testing.TB, settings ...string) *Process {
	t.Helper()
	p, err := start(t, nil, settings)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// program is the path of the server. Without one the test fails.
func program(t testing.TB) string {
	t.Helper()
	name := os.Getenv(ProgramEnv)
	if name == "" {
		name = "redis-server"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not there (%v); install Redis 6.2 or later (Debian, Ubuntu: apt-get install redis-server) or name a server's program in %s",
			name, err, ProgramEnv)
	}
	return path
}

// Version is the major version of the Redis that the server is, or is
// compatible with.
func Version(t testing.TB) int {
	t.Helper()
	info := Start(t).Do("INFO", "server").String()
	_, text, _ := strings.Cut(info, "redis_version:")
	major, err := strconv.Atoi(text[:strings.Index(text+".", ".")])
	if err != nil {
		t.Fatalf("%v: %s", err, info)
	}
	return major
}

// start starts a server that speaks TLS alone when it has a configuration for
// its clients.
func start(t testing.TB, secure *tls.Config, settings []string) (*Process, error) {
	t.Helper()
	path := program(t)
	var err error
	for range 5 { // another process may take the port between here and the server's start
		port := freePort(t)
		args := []string{"--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir(), "--daemonize", "no"}
		if secure == nil {
			args = append(args, "--port", strconv.Itoa(port))
		} else {
			args = append(args, "--port", "0", "--tls-port", strconv.Itoa(port))
		}
		p := newProcess(t, path, port, secure, append(args, settings...))
		if err = p.run(); err == nil {
			return p, nil
		}
	}
	return nil, err
}

func newProcess(t testing.TB, path string, port int, secure *tls.Config, args []string) *Process {
	return &Process{
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		t:    t, path: path, port: port, tls: secure, args: args,
	}
}

// freePort is a port that is free together with the one 10,000 above it, which
// nodes of a cluster talk over.
func freePort(t testing.TB) int {
	t.Helper()
	port, err := freeport.Find(10_000)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// run starts the process and waits until it answers.
func (p *Process) run() error {
	var output bytes.Buffer
	cmd := exec.Command(p.path, p.args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return err
	}
	var exit error // set before ended is closed
	ended := make(chan struct{})
	go func() { exit = cmd.Wait(); close(ended) }()
	p.cmd, p.ended = cmd, ended
	c := p.Client()
	defer func() { _ = c.Close() }() // it was only for the pings
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	for {
		conn, err := net.Dial("tcp", p.Addr)
		if err == nil {
			_ = conn.Close() // somebody listens
			err = c.Ping(context.Background()).Err()
		}
		if _, answered := errors.AsType[redis.Error](err); answered || err == nil { // it may want a password
			p.t.Cleanup(p.Kill)
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("%s on port %d: %w: %s", p.path, p.port, exit, output.String())
		case <-deadline.C:
			p.Kill()
			return fmt.Errorf("%s on port %d does not answer: %w: %s", p.path, p.port, err, output.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Client is a client without a user, which the caller closes.
func (p *Process) Client() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: p.Addr, TLSConfig: p.tls, DialerRetries: 1, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// Do runs a command as the server's administrator, which must succeed.
func (p *Process) Do(args ...any) *redis.Cmd {
	p.t.Helper()
	c := p.Client()
	defer func() { _ = c.Close() }() // it was only for this
	cmd := c.Do(p.t.Context(), args...)
	if err := cmd.Err(); err != nil {
		p.t.Fatalf("%s: %v: %v", p.Addr, args, err)
	}
	return cmd
}

// Kill ends the process, if it has not ended, with all that it has in memory.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// Restart starts a server that was killed again, on the same port.
func (p *Process) Restart() {
	p.t.Helper()
	if err := p.run(); err != nil {
		p.t.Fatal(err)
	}
}

// Hold stops the process until Release; its connections stay open.
func (p *Process) Hold() { p.signal(syscall.SIGSTOP) }

// Release has a held process go on.
func (p *Process) Release() { p.signal(syscall.SIGCONT) }

func (p *Process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%v to %s: %v", s, p.Addr, err)
	}
}
