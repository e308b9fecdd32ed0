//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// trapped makes p ready once its script has set its trap, and made a file named
// ready, which is taken away for its next life.
func trapped(p *process) {
	p.ready = func(context.Context) error {
		return os.Remove(filepath.Join(p.dir, "ready"))
	}
}

// sleeper is a process that sleeps, or what script says.
func sleeper(t *testing.T, script string) (*process, *atomic.Int32) {
	t.Helper()
	var deaths atomic.Int32
	dir := t.TempDir()
	p := newProcess("sleeper", dir, func(*process, int) *exec.Cmd {
		cmd := exec.Command("sh", "-c", script)
		cmd.Dir = dir
		return cmd
	}, nil, func(string, error) { deaths.Add(1) })
	t.Cleanup(p.kill)
	return p, &deaths
}

func TestAProcessLivesAgain(t *testing.T) {
	p, deaths := sleeper(t, "exec sleep 60")
	for life := 1; life <= 3; life++ {
		if err := p.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, n := p.life(); n != life || !p.up() {
			t.Fatalf("life %d, up %v; want life %d", n, p.up(), life)
		}
		p.kill()
		if p.up() {
			t.Fatal("it survived SIGKILL")
		}
	}
	if n := deaths.Load(); n != 0 {
		t.Errorf("%d deaths that nobody caused", n)
	}
}

func TestAProcessThatEndsByItselfIsToldOf(t *testing.T) {
	died := make(chan error, 1)
	p := newProcess("short", t.TempDir(), func(*process, int) *exec.Cmd { return exec.Command("sh", "-c", "exit 3") }, nil,
		func(_ string, err error) { died <- err })
	if err := p.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-died; err == nil || err.Error() != "exit status 3" {
		t.Errorf("told of %v", err)
	}
}

func TestAHeldProcessIsTerminatedAllTheSame(t *testing.T) {
	p, _ := sleeper(t, "trap 'exit 0' TERM; touch ready; while :; do sleep 0.01; done")
	trapped(p)
	if err := p.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.hold()
	if err := p.terminate(10 * time.Second); err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestAProcessThatDoesNotEndIsKilled(t *testing.T) {
	p, deaths := sleeper(t, "trap '' TERM; touch ready; while :; do sleep 0.01; done")
	trapped(p)
	if err := p.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.terminate(50 * time.Millisecond); !errors.Is(err, errImpatient) {
		t.Errorf("ended with %v", err)
	}
	if deaths.Load() != 0 || p.up() {
		t.Error("it was not killed, or counts as dead by itself")
	}
}

func TestAProcessThatDoesNotGetReadyIsAnError(t *testing.T) {
	p, _ := sleeper(t, "exit 0")
	p.ready = func(context.Context) error { return errors.New("not yet") }
	if err := p.start(t.Context()); err == nil {
		t.Error("it counts as ready")
	}
}
