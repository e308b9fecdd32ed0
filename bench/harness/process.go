package harness

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopTime is how long a process may take to end after SIGTERM before it is
// killed.
const stopTime = 5 * time.Second

// Command says which process to start.
type Command struct {
	// Name is for messages. Defaults to Path.
	Name string
	// Path is the program, looked up in PATH when it has no slash.
	Path string
	Args []string
	// Env are further variables, KEY=value.
	Env []string
	// Dir is where it runs. Defaults to the scratch directory.
	Dir string
	// Ready, when set, is given each line of standard output until it returns
	// true; Start returns then, with that line in Process.ReadyLine.
	Ready func(line string) bool
	// Output, when set, is given each later line of standard output, one at a
	// time; it must not block.
	Output func(line string)
	// Stdin keeps a pipe to standard input in Process.Stdin.
	Stdin bool
}

// Process is a child that was started. Its methods may be called concurrently.
type Process struct {
	// ReadyLine is the line of output that said it was ready.
	ReadyLine string
	// Stdin is the pipe to its standard input, nil without Command.Stdin.
	Stdin io.WriteCloser

	name  string
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended and its output was read
	exit  error         // set before ended is closed
	last  tail          // end of its standard error
}

// readyTime is how long a process may take until it says that it is ready.
const readyTime = 60 * time.Second

func start(ctx context.Context, c Command) (*Process, error) {
	name := c.Name
	if name == "" {
		name = c.Path
	}
	cmd := exec.Command(c.Path, c.Args...) //nolint:noctx // ended by Stop, in good order, not by killing it with a context
	cmd.Dir = c.Dir
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.SysProcAttr = attributes()
	p := &Process{name: name, cmd: cmd, ended: make(chan struct{})}
	cmd.Stderr = &p.last
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if c.Stdin {
		if p.Stdin, err = cmd.StdinPipe(); err != nil {
			return nil, fmt.Errorf("start %s: %w", name, err)
		}
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	ready := make(chan string, 1) // one line at most is sent
	go func() {
		waiting := c.Ready != nil
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			switch line := lines.Text(); {
			case waiting && c.Ready(line):
				ready <- line
				waiting = false
			case !waiting && c.Output != nil:
				c.Output(line)
			}
		}
		_, _ = io.Copy(io.Discard, out) // what is left after a line that is too long
		p.exit = cmd.Wait()
		close(p.ended)
	}()
	if c.Ready == nil {
		return p, nil
	}
	select {
	case p.ReadyLine = <-ready:
		return p, nil
	case <-p.ended:
		err = p.failure()
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(readyTime):
		err = fmt.Errorf("not ready within %v", readyTime)
	}
	p.Stop()
	return nil, fmt.Errorf("start %s: %w", name, err)
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended and its output was read.
func (p *Process) Done() <-chan struct{} { return p.ended }

// Signal sends s to the process; one that has ended gets none.
func (p *Process) Signal(s os.Signal) error {
	err := p.cmd.Process.Signal(s)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Wait waits for the process's end and returns why it ended: nil for exit
// status 0.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.ended:
		if p.exit != nil {
			return fmt.Errorf("%s: %w", p.name, p.failure())
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stop ends the process with SIGTERM, or SIGKILL when it takes more than 5 s,
// and waits for its end. A stopped process (SIGSTOP) is continued first.
func (p *Process) Stop() {
	_ = p.Signal(syscall.SIGCONT)
	_ = p.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(stopTime):
		p.Kill()
	}
}

// Kill ends the process, and those that it started and that are in its group,
// with SIGKILL, and waits for its end.
func (p *Process) Kill() {
	select {
	case <-p.ended: // its id may be another's by now
	default:
		_ = syscall.Kill(-p.PID(), syscall.SIGKILL) // gone already is as good
	}
	<-p.ended
}

// CPU is the processor time that the process used so far, in seconds.
func (p *Process) CPU() float64 {
	select {
	case <-p.ended:
		return (p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()).Seconds()
	default:
		return processCPU(p.PID())
	}
}

// RSS is the resident memory of the process in bytes, 0 when it has ended.
func (p *Process) RSS() int64 { return statusBytes(p.PID(), "VmRSS") }

// PeakRSS is the greatest resident memory of the process in bytes since its
// start or the last ResetPeak, 0 when it has ended.
func (p *Process) PeakRSS() int64 { return statusBytes(p.PID(), "VmHWM") }

// ResetPeak begins PeakRSS anew.
func (p *Process) ResetPeak() { resetPeak(p.PID()) }

// failure says why the process ended, with the end of its standard error.
func (p *Process) failure() error {
	text := strings.TrimSpace(p.last.String())
	if p.exit == nil {
		return fmt.Errorf("exit status 0: %s", text)
	}
	return fmt.Errorf("%w: %s", p.exit, text)
}

// Ran is what a command left that ran to its end.
type Ran struct {
	// Output is what it wrote to standard output.
	Output []byte
	// CPU is the processor time that it took, in seconds.
	CPU float64
	// PeakRSS is its greatest resident memory in bytes.
	PeakRSS int64
}

// Output runs the command to its end, or until ctx ends; a status other than 0
// is an error. Ready, Output and Stdin of the command are not used.
func (e *Env) Output(ctx context.Context, c Command) (Ran, error) {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	if cmd.Dir = c.Dir; cmd.Dir == "" {
		cmd.Dir = e.Dir
	}
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.SysProcAttr = attributes()
	var last tail
	cmd.Stderr = &last
	out, err := cmd.Output()
	if err != nil {
		return Ran{}, fmt.Errorf("%s: %w: %s", c.Path, err, strings.TrimSpace(last.String()))
	}
	state := cmd.ProcessState
	return Ran{
		Output: out, CPU: (state.UserTime() + state.SystemTime()).Seconds(), PeakRSS: peakOf(state),
	}, nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex // guards b
	b  []byte
}

const tailBytes = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if extra := len(t.b) - tailBytes; extra > 0 {
		t.b = append(t.b[:0], t.b[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
