// The hunt command plants each mutant of the gallery, one at a time, and runs the
// test that has to find it. The checkout is not touched: the go command builds
// with an overlay.
//
//	go run ./reliability/mutants/hunt                       hunt all, write reliability/mutants.md
//	go run ./reliability/mutants/hunt -list                 name them all, hunt none
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
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/shardrun/shardrun/reliability/cmdline"
	"github.com/shardrun/shardrun/reliability/ledger"
	"github.com/shardrun/shardrun/reliability/mutants"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(cmdline.Status("hunt", err, os.Stdout, os.Stderr))
}

// command does what the command line says. It tells what came of it to out, and
// how far it is to progress.
func command(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	gallery := choose(mutants.Gallery(), o)
	if len(gallery) == 0 {
		return nobody(o)
	}
	if o.list {
		return list(out, gallery)
	}
	return hunt(ctx, o, gallery, out, progress)
}

// nobody says why no mutant was chosen.
func nobody(o options) error {
	where := ""
	if o.sim {
		where = " that a simulation should find"
	}
	return cmdline.Wrong("-only %q: there is no such mutant%s; -list names them", o.only, where)
}

// list names mutants.
func list(out io.Writer, gallery []mutants.Mutant) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "mutant\tfile\tin the simulation\twhat it breaks")
	for _, m := range gallery {
		sim := ""
		if m.Sim {
			sim = "too"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", m.Name, m.File, sim, m.Breaks)
	}
	return t.Flush()
}

// hunt hunts a gallery as o says, and reports. It fails when a mutant survives.
func hunt(ctx context.Context, o options, gallery []mutants.Mutant, out, progress io.Writer) (err error) {
	h, err := newHunter(ctx, o, out, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(h.dir)) }()
	if o.whole() && !o.sim && o.out == "" {
		o.out = filepath.Join(h.root, "reliability", "mutants.md")
	}
	if err := o.checkFiles(); err != nil {
		return err
	}
	began := time.Now()
	if err := h.checkBaseline(ctx, gallery); err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted before the hunt began")
		}
		return err
	}
	baseline := time.Since(began)
	results, err := h.huntAll(ctx, gallery)
	survived := survivors(results)
	for _, r := range survived {
		fmt.Fprintf(out, "SURVIVED  %s: %s: %s\n", r.mutant.Name, r.mutant.Breaks, r.how)
	}
	fmt.Fprintln(out, summary(len(results), len(gallery), len(survived), baseline, time.Since(began)))
	if ctx.Err() != nil {
		return errors.New("interrupted, so nothing was written")
	}
	if err != nil {
		return err
	}
	if err := o.keep(results, len(survived)); err != nil {
		return err
	}
	if len(survived) > 0 {
		return errors.New("a mutant that survives is a hole in the tests")
	}
	return nil
}

// summary is the line that sums up a hunt. What it took begins with the
// baseline, the tests on the code as it is.
func summary(hunted, all, survived int, baseline, took time.Duration) string {
	return fmt.Sprintf("%d of %d mutants hunted in %v (%v of it on the code without them), %d survived",
		hunted, all, took.Round(time.Second), baseline.Round(time.Second), survived)
}

// survivors are those that nothing found.
func survivors(results []result) []result {
	return slices.DeleteFunc(slices.Clone(results), func(r result) bool { return r.caught })
}

// checkFiles finds out, before the hunt, whether what comes of it can be written.
func (o options) checkFiles() error {
	if o.out != "" {
		if err := cmdline.Writable(o.out); err != nil {
			return err
		}
	}
	if o.ledger != "" {
		return ledger.Check(o.ledger)
	}
	return nil
}

// keep writes what came of a hunt to the files that were asked for.
func (o options) keep(results []result, survived int) error {
	if o.out != "" {
		if err := os.WriteFile(o.out, []byte(o.page(results)), 0o644); err != nil {
			return err
		}
	}
	if o.ledger == "" {
		return nil
	}
	suite := "mutants"
	if o.sim {
		suite = "mutants in the simulation"
	}
	return ledger.Add(o.ledger, ledger.Result{Suite: suite, Runs: uint64(len(results)), Failures: uint64(survived)})
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
