// Command bench measures shardrun side by side with others: the same work, in
// turns, in one run, with one table at its end. It starts all that it needs,
// and installs the peers that come from package registries into a cache
// folder.
//
//	go run .                        all rows; writes results/YYYYMMDD-HHMM.json
//	go run . -full                  the same with more rounds and larger sizes
//	go run . -only server -json     some rows, as JSON; writes nothing
//	go run . -list                  the rows and their targets
//	go run . -readme                the newest result into ../README.md; runs nothing
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/reliability/cmdline"
)

// The folder of results and the file with the table, from the folder of this
// program, in which it is run.
const (
	results = "results"
	readme  = "../README.md"
)

// role is what this program does instead when its first argument names it: a
// server or a worker that the benchmarks start in a process of its own.
type role = func(ctx context.Context, args []string) error

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(cmdline.Status("bench", err, os.Stdout, os.Stderr))
}

const about = `bench: shardrun side by side with others: the same work, in turns, in one run.

  go run .                        all rows; writes results/YYYYMMDD-HHMM.json
  go run . -full                  the same with more rounds and larger sizes
  go run . -only server -json     some rows, as JSON; writes nothing
  go run . -list                  the rows and their targets
  go run . -readme                the newest result into ../README.md; runs nothing

A run that is interrupted prints the rows that it has, and writes nothing. A row
that other programs disturbed is marked as noisy.`

// choice is what a person chose.
type choice struct {
	only                                string
	asJSON, full, list, rewrite, silent bool
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	if len(args) > 0 {
		if play, ok := roles()[args[0]]; ok {
			return play(ctx, args[1:])
		}
	}
	c, err := parse(args)
	if err != nil {
		return err
	}
	if c.rewrite {
		report, err := harness.Newest(results)
		if err != nil {
			return err
		}
		return report.Rewrite(readme)
	}
	rows, err := choose(rows(c.full), c)
	if err != nil {
		return err
	}
	if c.list {
		return printList(out, rows)
	}
	if c.silent {
		progress = io.Discard
	}
	return measure(ctx, rows, c, out, progress)
}

// parse reads the command line. Its errors say what is accepted instead.
func parse(args []string) (c choice, err error) {
	f := cmdline.New("bench", about)
	f.StringVar(&c.only, "only", "", "run only these `rows`: names (of one row each), prefixes (server) or globs (*/drain*), separated by commas")
	f.BoolVar(&c.asJSON, "json", false, "print JSON instead of the table")
	f.BoolVar(&c.full, "full", false, "more rounds, larger sizes, and the rows that take long")
	f.BoolVar(&c.list, "list", false, "list the rows")
	f.BoolVar(&c.rewrite, "readme", false, "rewrite the table in "+readme+" from the newest result")
	f.BoolVar(&c.silent, "quiet", false, "do not tell what is running")
	if err := f.Read(args); err != nil {
		return c, err
	}
	switch given := f.Given(); {
	case c.rewrite:
		return c, f.Only("-readme")
	case c.list:
		return c, f.Only("-list", "only", "full")
	case slices.Contains(given, "only") && c.only == "":
		return c, cmdline.Wrong("-only is empty: want rows; -list shows them")
	}
	return c, nil
}

// choose picks the rows that -only means. Each of its parts must mean one that is
// going to run.
func choose(rows []harness.Row, c choice) ([]harness.Row, error) {
	if c.only == "" {
		return rows, nil
	}
	for part := range strings.SplitSeq(c.only, ",") {
		if _, err := filepath.Match(strings.TrimSpace(part), ""); err != nil {
			return nil, cmdline.Wrong("-only %q: the glob is malformed; want names, prefixes (server) or globs (*/drain*), and -list shows the rows", part)
		}
		meant := harness.Select(rows, part)
		runs := func(r harness.Row) bool { return !r.FullOnly || r.Missing != "" }
		switch {
		case len(meant) == 0:
			return nil, cmdline.Wrong("-only %q: no such row; -list shows them", part)
		case !c.full && !c.list && !slices.ContainsFunc(meant, runs):
			return nil, cmdline.Wrong("-only %q: %s is only measured with -full", part, meant[0].Name)
		}
	}
	return harness.Select(rows, c.only), nil
}

// measure does the rows, prints the table, and keeps it if it is whole.
func measure(ctx context.Context, rows []harness.Row, c choice, out, progress io.Writer) error {
	whole := c.only == ""
	if whole {
		if err := writable(results); err != nil {
			return err
		}
	}
	began := time.Now()
	outcomes, err := harness.Run(ctx, rows, harness.Options{Full: c.full, Progress: progress})
	if err != nil && ctx.Err() == nil {
		return err
	}
	if len(outcomes) == 0 && ctx.Err() != nil {
		return errors.New("interrupted before a row was finished")
	}
	report := harness.NewReport(outcomes, began, c.full)
	if err := show(out, report, c.asJSON); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted after %d lines of the table; nothing was written", len(outcomes))
	}
	if whole {
		path, err := report.Save(results)
		if err != nil {
			return err
		}
		fmt.Fprintf(progress, "%s after %s\n", path, time.Since(began).Round(time.Second))
	}
	if harness.Failed(outcomes) {
		return errors.New("some rows of ours could not be measured")
	}
	return nil
}

// show prints what was measured.
func show(out io.Writer, report harness.Report, asJSON bool) error {
	if !asJSON {
		return harness.Print(out, report.Rows)
	}
	text, err := report.JSON()
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

// writable finds out, before a run, whether a result can be kept after it.
func writable(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		dir = filepath.Dir(dir) // it will be made
	}
	if err := cmdline.Writable(filepath.Join(dir, ".writable")); err != nil {
		return fmt.Errorf("the result could not be kept: %w", err)
	}
	return nil
}

func printList(out io.Writer, rows []harness.Row) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		var contestants []string
		for _, c := range r.Contestants {
			contestants = append(contestants, c.Name)
		}
		state := strings.Join(contestants, ", ")
		switch {
		case r.Missing != "":
			state = "missing: " + r.Missing
		case r.FullOnly:
			state += " (only with -full)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", r.Name, r.Target, state)
		for _, l := range r.Also {
			fmt.Fprintf(t, "%s\t%s\t  from the runs of %s\n", l.Name, l.Target, r.Name)
		}
	}
	return t.Flush()
}
