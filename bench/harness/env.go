package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrUnavailable is wrapped by the errors of contestants that cannot be had on
// this machine, with the reason.
var ErrUnavailable = errors.New("unavailable")

// Env is what a contestant's Setup works with. Its processes are stopped and
// its directory is removed when the row is done. Its methods may be called
// concurrently.
type Env struct {
	// Full says that the run is the full one: more rounds and larger sizes.
	Full bool
	// Dir is an empty scratch directory.
	Dir string
	// Cache is a directory that is kept between runs, for what is installed.
	Cache string

	builds *builds

	mu        sync.Mutex // guards processes
	processes []*Process
}

// Self is the command that runs this program again as role, one of the roles
// that its main function knows, in a process of its own.
func (e *Env) Self(role string, args ...string) Command {
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	return Command{Name: role, Path: path, Args: append([]string{role}, args...)}
}

// Build compiles a package of this module or of the main one (an import path),
// once a run, and returns the program's path.
func (e *Env) Build(ctx context.Context, pkg string) (string, error) {
	return e.builds.build(ctx, pkg)
}

// Start starts a process that is stopped with the row at the latest.
func (e *Env) Start(ctx context.Context, c Command) (*Process, error) {
	if c.Dir == "" {
		c.Dir = e.Dir
	}
	p, err := start(ctx, c)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.processes = append(e.processes, p)
	e.mu.Unlock()
	return p, nil
}

// close stops the processes, the youngest first, and removes the directory.
func (e *Env) close() error {
	e.mu.Lock()
	processes := e.processes
	e.processes = nil
	e.mu.Unlock()
	for _, p := range slices.Backward(processes) {
		p.Stop()
	}
	return os.RemoveAll(e.Dir)
}

// WaitTCP waits until address accepts connections, p has ended, or 30 s have
// passed.
func WaitTCP(ctx context.Context, p *Process, address string) error {
	return Poll(ctx, p, 30*time.Second, func() error {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// Poll calls ready each 2 ms until it returns nil, p (if given) has ended, or
// the time is over. It returns the last error.
func Poll(ctx context.Context, p *Process, limit time.Duration, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var ended <-chan struct{}
	if p != nil {
		ended = p.ended
	}
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("%s ended: %w", p.name, p.failure())
		case <-ctx.Done():
			return fmt.Errorf("not ready within %v: %w", limit, err)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// The import path of this module, and the folder of the main one, from that in
// which the benchmarks are run.
const (
	benchModule = "github.com/shardrun/shardrun/bench"
	mainModule  = ".."
)

// builds are the programs compiled in this run.
type builds struct {
	dir string

	mu   sync.Mutex // guards made
	made map[string]func() (string, error)
}

func (b *builds) build(ctx context.Context, pkg string) (string, error) {
	b.mu.Lock()
	once, ok := b.made[pkg]
	if !ok {
		once = sync.OnceValues(func() (string, error) {
			path := filepath.Join(b.dir, strings.ReplaceAll(pkg, "/", "-"))
			cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, pkg)
			if !strings.HasPrefix(pkg, benchModule) {
				cmd.Dir = mainModule // with the dependencies that its users get
			}
			out, err := cmd.CombinedOutput()
			if err != nil {
				return "", fmt.Errorf("build %s: %w: %s", pkg, err, out)
			}
			return path, nil
		})
		b.made[pkg] = once
	}
	b.mu.Unlock()
	return once()
}
