//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// process is one program under one name, which is started again and again. Each
// start is a life. The methods that change its state are called by one goroutine
// at a time, which holds claim.
type process struct {
	name string
	// command is the program of a life of p, from 1 on.
	command func(p *process, life int) *exec.Cmd
	// ready returns nil once the program of a life serves, or says that it is up;
	// before that nothing is done to it. Nil: when it was started.
	ready func(ctx context.Context, life int) error
	// died is told, once, of a life that ended although nobody ended it.
	died func(p *process, life int, err error)
	dir  string // its output goes to dir/name.log

	claim chan struct{} // holds a token while somebody uses the process

	mu    sync.Mutex // guards all below
	lives int
	now   *life // nil before the first
}

// life is one start of a process.
type life struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
	err   error         // of its end, after ended

	mu    sync.Mutex // guards all below
	asked bool       // somebody ended it
	over  bool       // it has ended
}

// errGone is that a process had ended by itself, which died was told of.
var errGone = errors.New("it ended by itself")

func newProcess(name, dir string, command func(*process, int) *exec.Cmd, ready func(context.Context, int) error, died func(*process, int, error)) *process {
	return &process{name: name, dir: dir, command: command, ready: ready, died: died, claim: make(chan struct{}, 1)}
}

// tryClaim takes the process for a goroutine, unless another has it.
func (p *process) tryClaim() bool {
	select {
	case p.claim <- struct{}{}:
		return true
	default:
		return false
	}
}

// awaitClaim takes the process when nobody else has it any more.
func (p *process) awaitClaim() { p.claim <- struct{}{} }

// free gives the process back.
func (p *process) free() { <-p.claim }

// life returns the current life and its number, nil and 0 before the first.
func (p *process) life() (*life, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now, p.lives
}

// up reports whether it runs, held or not.
func (p *process) up() bool {
	l, _ := p.life()
	return l != nil && l.running()
}

// start begins a life and waits until it serves. A life that does not come to
// serve is ended; one that ended by itself is errGone.
func (p *process) start(ctx context.Context) error {
	p.mu.Lock()
	p.lives++
	number := p.lives
	p.mu.Unlock()

	log, err := os.OpenFile(filepath.Join(p.dir, p.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	cmd := p.command(p, number)
	cmd.Stderr = log
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	cmd.SysProcAttr = apart()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	l := &life{cmd: cmd, ended: make(chan struct{})}
	p.mu.Lock()
	p.now = l
	p.mu.Unlock()
	go func() { // end waits for it
		err := cmd.Wait()
		if !l.finish(err) {
			p.died(p, number, err)
		}
		close(l.ended)
	}()
	if p.ready == nil {
		return nil
	}
	err = p.awaitReady(ctx, l, number)
	if err == nil {
		return nil
	}
	if ended := p.end(syscall.SIGKILL, 0); errors.Is(ended, errGone) {
		return fmt.Errorf("%s: %w: %w", p.name, errGone, l.err)
	}
	return fmt.Errorf("%s does not get ready: %w", p.name, err)
}

// readyTime is how long a process may take to serve.
const readyTime = 20 * time.Second

func (p *process) awaitReady(ctx context.Context, l *life, number int) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	for {
		err := p.ready(ctx, number)
		if err == nil {
			return nil
		}
		select {
		case <-l.ended:
			return errGone
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// kill ends the process as SIGKILL does, and waits for its end.
func (p *process) kill() { _ = p.end(syscall.SIGKILL, 0) } // that it was killed is no news

// terminate asks the process to end, kills it when it takes longer than patience,
// and returns how it ended: errGone when it had before.
func (p *process) terminate(patience time.Duration) error { return p.end(syscall.SIGTERM, patience) }

var errImpatient = errors.New("it did not end when asked to, and was killed")

func (p *process) end(signal syscall.Signal, patience time.Duration) error {
	l, _ := p.life()
	if l == nil {
		return nil
	}
	if !l.ask() {
		<-l.ended
		return errGone
	}
	l.signal(signal)
	if signal == syscall.SIGKILL {
		<-l.ended
		return l.err
	}
	l.signal(syscall.SIGCONT)
	select {
	case <-l.ended:
		return l.err
	case <-time.After(patience):
		l.signal(syscall.SIGKILL)
		<-l.ended
		return errImpatient
	}
}

// hold stops the process in its tracks; resume lets it go on.
func (p *process) hold()   { p.signal(syscall.SIGSTOP) }
func (p *process) resume() { p.signal(syscall.SIGCONT) }

func (p *process) signal(s syscall.Signal) {
	if l, _ := p.life(); l != nil {
		l.signal(s)
	}
}

func (l *life) signal(s syscall.Signal) {
	_ = l.cmd.Process.Signal(s) // it may have ended, which is told elsewhere
}

// ask notes that somebody ends the life, unless it has ended.
func (l *life) ask() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = l.asked || !l.over
	return !l.over
}

// finish notes that the life has ended, and reports whether somebody ended it.
func (l *life) finish(err error) (asked bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over, l.err = true, err
	return l.asked
}

func (l *life) running() bool {
	select {
	case <-l.ended:
		return false
	default:
		return true
	}
}
