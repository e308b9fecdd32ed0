//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// trapped makes p ready once its script has set its trap, and made a file named
// ready, which is taken away for its next life.
func trapped(p *process) {
	p.ready = func(context.Context, int) error {
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
	}, nil, func(*process, int, error) { deaths.Add(1) })
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

func TestAProcessThatEndsByItselfIsToldOfOnce(t *testing.T) {
	died := make(chan error, 10)
	p := newProcess("short", t.TempDir(), func(*process, int) *exec.Cmd { return exec.Command("sh", "-c", "exit 3") }, nil,
		func(_ *process, life int, err error) { died <- fmt.Errorf("life %d: %w", life, err) })
	if err := p.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-died; err == nil || err.Error() != "life 1: exit status 3" {
		t.Errorf("told of %v", err)
	}
	for range 2 {
		if err := p.terminate(time.Minute); !errors.Is(err, errGone) {
			t.Errorf("when it is asked to end: %v", err)
		}
		p.kill()
	}
	if len(died) > 0 {
		t.Errorf("told again: %v", <-died)
	}
}

func TestAnEndIsToldOfOnceHoweverItComes(t *testing.T) {
	p, _ := sleeper(t, "trap 'exit 1' TERM; touch ready; while :; do sleep 0.01; done")
	trapped(p)
	if err := p.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.terminate(time.Minute); err == nil || errors.Is(err, errGone) {
		t.Errorf("asked to end: %v", err)
	}
	if err := p.terminate(time.Minute); !errors.Is(err, errGone) {
		t.Errorf("asked again: %v", err)
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
	p, deaths := sleeper(t, "exit 0")
	p.ready = func(context.Context, int) error { return errors.New("not yet") }
	if err := p.start(t.Context()); !errors.Is(err, errGone) || deaths.Load() != 1 {
		t.Errorf("one that ended: %v, %d deaths", err, deaths.Load())
	}
	p, deaths = sleeper(t, "exec sleep 60")
	p.ready = func(context.Context, int) error { return errors.New("not yet") }
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.start(ctx); err == nil || errors.Is(err, errGone) || !strings.Contains(err.Error(), "not yet") || deaths.Load() != 0 || p.up() {
		t.Errorf("one that is still not ready: %v, %d deaths, up: %v", err, deaths.Load(), p.up())
	}
}

// Nothing is done to a process before it is up: one that is asked to end before it
// can hear that dies of it, and did nothing wrong.
func TestAProcessIsUpBeforeAnythingIsDoneToIt(t *testing.T) {
	p, deaths := sleeper(t, "sleep 0.2; trap 'exit 0' TERM; touch ready; while :; do sleep 0.01; done")
	trapped(p)
	var lives []int
	ready := p.ready
	p.ready = func(ctx context.Context, life int) error {
		err := ready(ctx, life)
		if err == nil {
			lives = append(lives, life)
		}
		return err
	}
	for range 2 {
		if err := p.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.terminate(time.Minute); err != nil {
			t.Errorf("asked to end when it was up: %v", err)
		}
	}
	if !slices.Equal(lives, []int{1, 2}) || deaths.Load() != 0 {
		t.Errorf("lives %v were up, %d deaths", lives, deaths.Load())
	}
}
