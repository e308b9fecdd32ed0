// The hunt command plants each mutant of the gallery, one at a time, and runs the
// test that has to find it. The checkout is not touched: the go command builds
// with an overlay.
//
//	go run ./reliability/mutants/hunt                       hunt all, write reliability/mutants.md
//	go run ./reliability/mutants/hunt -only NAME            hunt one
//	go run ./reliability/mutants/hunt -only NAME -run . -v  which tests of its package find it
//	go run ./reliability/mutants/hunt -sim                  hunt those that a simulation should find there
//	go run ./reliability/mutants/hunt -sim -only NAME -seed N -v  see one found there, with the timeline of the run
//
// It exits with 1 when a mutant survives.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/shardrun/shardrun/reliability/ledger"
	"github.com/shardrun/shardrun/reliability/mutants"
)

// options are what a person chose.
type options struct {
	only, run string
	jobs      int
	sim       bool
	seed      uint64
	verbose   bool
	limit     time.Duration
	out       string
	ledger    string
}

func main() {
	var o options
	flag.StringVar(&o.only, "only", "", "hunt the mutant of this name, or those whose names contain this")
	flag.StringVar(&o.run, "run", "", "run these tests of the package instead of the one in the gallery")
	flag.IntVar(&o.jobs, "jobs", 1, "mutants hunted at a time")
	flag.BoolVar(&o.sim, "sim", false, "hunt in the simulation, those that it should find")
	flag.Uint64Var(&o.seed, "seed", 0, "with -sim: run this seed only, with -v to see its timeline")
	flag.BoolVar(&o.verbose, "v", false, "print every test that found a mutant, and what survivors printed")
	flag.DurationVar(&o.limit, "limit", 0, "how long a hunt may take (default 2m, in the simulation 20m for all its seeds)")
	flag.StringVar(&o.out, "o", "", "file for the table, when all are hunted (default reliability/mutants.md, in the simulation none)")
	flag.StringVar(&o.ledger, "ledger", "", "file with the totals to add this hunt to (default none)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	survivors, err := hunt(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hunt:", err)
	}
	if err != nil || survivors > 0 {
		stop()
		os.Exit(1)
	}
}

// hunt hunts what o says and reports; it returns the number of survivors.
func hunt(ctx context.Context, o options) (survivors int, err error) {
	gallery := choose(mutants.Gallery(), o)
	if len(gallery) == 0 {
		return 0, fmt.Errorf("no mutant to hunt is called %q", o.only)
	}
	if o.limit == 0 {
		o.limit = 2 * time.Minute
		if o.sim {
			o.limit = 20 * time.Minute
		}
	}
	h, err := newHunter(ctx, o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(h.dir)) }()
	if err := h.checkBaseline(ctx, gallery); err != nil {
		return 0, err
	}
	results, err := h.huntAll(ctx, gallery)
	if err != nil {
		return 0, err
	}
	for _, r := range results {
		if !r.caught {
			survivors++
			fmt.Printf("SURVIVED  %s: %s: %s\n", r.mutant.Name, r.mutant.Breaks, r.how)
		}
	}
	fmt.Printf("%d mutants hunted, %d survived\n", len(results), survivors)
	whole := o.only == "" && o.run == "" && o.seed == 0
	if whole && !o.sim && o.out == "" {
		o.out = filepath.Join(h.root, "reliability", "mutants.md")
	}
	if whole && o.out != "" {
		if err := os.WriteFile(o.out, []byte(o.page(results)), 0o644); err != nil {
			return survivors, err
		}
	}
	if o.ledger == "" {
		return survivors, nil
	}
	suite := "mutants"
	if o.sim {
		suite = "mutants in the simulation"
	}
	return survivors, ledger.Add(o.ledger, ledger.Result{Suite: suite, Runs: uint64(len(results)), Failures: uint64(survivors)})
}

// choose returns the mutants that o means. One that is named is hunted in the
// simulation even if that is not known to find it.
func choose(gallery []mutants.Mutant, o options) []mutants.Mutant {
	if i := slices.IndexFunc(gallery, func(m mutants.Mutant) bool { return m.Name == o.only }); i >= 0 {
		return gallery[i : i+1]
	}
	return slices.DeleteFunc(gallery, func(m mutants.Mutant) bool {
		return !strings.Contains(m.Name, o.only) || o.sim && !m.Sim
	})
}

// page is the table of a whole hunt.
func (o options) page(results []result) string {
	if o.sim {
		return page(results, "mutants-sim", "go run ./reliability/mutants/hunt -sim -only NAME -seed N -v")
	}
	return page(results, "mutants", "go run ./reliability/mutants/hunt -only NAME -v")
}

// moduleRoot is where go.mod is.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
