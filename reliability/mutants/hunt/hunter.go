package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/shardrun/shardrun/reliability/mutants"
)

// hunter runs tests on code with mutants in it.
type hunter struct {
	options
	root string // of the module
	dir  string // for mutated files and test programs
	base string // the simulation without a mutant

	mu       sync.Mutex // guards all below, and the order of lines
	out      io.Writer  // what came of it
	progress io.Writer  // how far it is
	told     time.Time  // when a line was written last
}

// result is the end of one hunt.
type result struct {
	mutant  mutants.Mutant
	command string // that hunts it again
	caught  bool
	how     string // what found it, or why nothing did
	took    time.Duration
}

func newHunter(ctx context.Context, o options, out, progress io.Writer) (*hunter, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return nil, err
	}
	return &hunter{options: o, root: root, dir: dir, out: out, progress: progress, told: time.Now()}, nil
}

// test is the one that hunts m.
func (h *hunter) test(m mutants.Mutant) mutants.Test {
	switch {
	case h.sim:
		return mutants.Simulation()
	case h.run != "":
		return mutants.Test{Package: m.Test.Package, Run: h.run}
	}
	return m.Test
}

// checkBaseline runs every test once on the code as it is: a test that fails
// anyway finds nothing. The simulation is only built: replay runs the seeds that
// find something on both.
func (h *hunter) checkBaseline(ctx context.Context, gallery []mutants.Mutant) error {
	if h.sim {
		return h.buildSimulation(ctx)
	}
	seen, built := map[mutants.Test]bool{}, map[string]string{}
	for i, m := range gallery {
		h.tell("the tests of %d of %d mutants pass without them", i, len(gallery))
		t := h.test(m)
		if seen[t] {
			continue
		}
		seen[t] = true
		if built[t.Package] == "" {
			program := filepath.Join(h.dir, fmt.Sprintf("base%d.test", len(built)))
			if out, err := h.build(ctx, t.Package, "", program); err != nil {
				return fmt.Errorf("build the tests of %s: %w\n%s", t.Package, err, out)
			}
			built[t.Package] = program
		}
		out, err := h.execute(ctx, built[t.Package], t, h.limit)
		switch {
		case err != nil:
			return fmt.Errorf("%s fails without a mutant: %w\n%s", t, err, out)
		case strings.Contains(out, "no tests to run"):
			return fmt.Errorf("there is no test %s, which is to find %s", t, m.Name)
		}
	}
	return nil
}

// huntAll hunts mutants, jobs at a time, and prints each result as it comes. When
// ctx ends it returns those that it has.
func (h *hunter) huntAll(ctx context.Context, gallery []mutants.Mutant) ([]result, error) {
	var (
		wait   sync.WaitGroup
		turns  = make(chan struct{}, h.jobs) // one token for each hunt that runs
		mu     sync.Mutex                    // guards the rest
		failed error
		found  = make([]*result, len(gallery)) // nil for those that have not been hunted
		done   int
		begun  = map[string]time.Time{} // the hunts that go on, by mutant
	)
	stop := every(tellEvery, func() {
		mu.Lock()
		defer mu.Unlock()
		h.tell("%d of %d mutants hunted; at work on %s", done, len(gallery), working(begun, time.Now()))
	})
	defer stop()
	for i, m := range gallery {
		turns <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wait.Go(func() {
			defer func() { <-turns }()
			mu.Lock()
			begun[m.Name] = time.Now()
			mu.Unlock()
			r, err := h.hunt(ctx, m)
			mu.Lock()
			defer mu.Unlock()
			delete(begun, m.Name)
			switch done++; {
			case ctx.Err() != nil:
			case err != nil:
				failed = errors.Join(failed, fmt.Errorf("mutant %s: %w", m.Name, err))
			default:
				found[i] = &r
				h.say(h.lines(r, done, len(gallery))...)
			}
		})
	}
	wait.Wait()
	var results []result
	for _, r := range found {
		if r != nil {
			results = append(results, *r)
		}
	}
	return results, failed
}

// hunt builds the test with the mutant and runs it.
func (h *hunter) hunt(ctx context.Context, m mutants.Mutant) (result, error) {
	dir, err := os.MkdirTemp(h.dir, m.Name)
	if err != nil {
		return result{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is in a directory that is removed at the end
	overlay, err := h.overlay(dir, m)
	if err != nil {
		return result{}, err
	}
	t := h.test(m)
	program := filepath.Join(dir, "mutant.test")
	if out, err := h.build(ctx, t.Package, overlay, program); err != nil {
		return result{}, fmt.Errorf("does not build: %w\n%s", err, out)
	}
	start := time.Now()
	r := result{mutant: m, command: t.String()}
	if h.sim {
		var seed uint64
		seed, r.how = h.simulate(ctx, program, m)
		r.caught, r.command = seed > 0, simCommand(m, seed)
	} else {
		limit := h.limit
		if m.Hangs {
			limit = min(limit, hangTime)
		}
		out, err := h.execute(ctx, program, t, limit)
		r.caught, r.how = judge(out, err, m.Hangs)
		h.show(out, r.caught)
	}
	r.took = time.Since(start)
	return r, ctx.Err()
}

// show prints what a person who asked for more wants to see.
func (h *hunter) show(out string, caught bool) {
	if !h.verbose {
		return
	}
	h.say(failures(out)...)
	if !caught {
		h.say(out)
	}
}

// overlay writes the mutated file, and the file that tells the go command of it.
func (h *hunter) overlay(dir string, m mutants.Mutant) (string, error) {
	source, err := m.Source(h.root)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, filepath.Base(filepath.FromSlash(m.File)))
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		return "", err
	}
	b, err := json.Marshal(map[string]any{
		"Replace": map[string]string{filepath.Join(h.root, filepath.FromSlash(m.File)): file},
	})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, b, 0o600)
}

// build makes the test program of a package.
func (h *hunter) build(ctx context.Context, pkg, overlay, program string) (string, error) {
	args := []string{"test", "-c", "-vet=off", "-o", program}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = h.root
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// hangTime is how long a test may take before a mutant that makes it hang is
// caught.
const hangTime = 20 * time.Second

// grace is how much longer than its own limit a test program may live.
const grace = 10 * time.Second

// execute runs a test program where the go command would.
func (h *hunter) execute(ctx context.Context, program string, t mutants.Test, limit time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit+grace)
	defer cancel()
	args = append([]string{"-test.run=" + t.Run, "-test.timeout=" + limit.String()}, args...)
	if !h.verbose {
		args = append(args, "-test.failfast")
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = filepath.Join(h.root, filepath.FromSlash(t.Package))
	killGroup := group(cmd)
	cmd.Cancel = killGroup
	cmd.WaitDelay = grace
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.Process != nil {
		_ = killGroup() // of servers that the test started and a panic left behind; mostly none
	}
	return string(out), err
}
