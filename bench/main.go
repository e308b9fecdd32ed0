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
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/shardrun/shardrun/bench/harness"
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
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	if len(args) > 0 {
		if play, ok := roles()[args[0]]; ok {
			return play(ctx, args[1:])
		}
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	var (
		only    = flags.String("only", "", "run only these `rows`: names, prefixes (server) or globs (*/drain*), separated by commas")
		asJSON  = flags.Bool("json", false, "print JSON instead of the table")
		full    = flags.Bool("full", false, "more rounds, larger sizes, and the rows that take long")
		list    = flags.Bool("list", false, "list the rows")
		rewrite = flags.Bool("readme", false, "rewrite the table in "+readme+" from the newest result")
		told    = quietly(flags, progress)
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q; -only NAME selects rows", flags.Arg(0))
	}
	if *rewrite {
		report, err := harness.Newest(results)
		if err != nil {
			return err
		}
		return report.Rewrite(readme)
	}
	rows := rows(*full)
	if *only != "" {
		rows = slices.DeleteFunc(rows, func(r harness.Row) bool { return !r.Matches(*only) })
		if len(rows) == 0 {
			return fmt.Errorf("-only %s: no such row; -list shows them", *only)
		}
	}
	if *list {
		return printList(out, rows)
	}

	began := time.Now()
	outcomes, err := harness.Run(ctx, rows, harness.Options{Full: *full, Progress: told()})
	report := harness.NewReport(outcomes, began, *full)
	if *asJSON {
		text, problem := report.JSON()
		if problem != nil {
			return problem
		}
		if _, problem := out.Write(text); problem != nil {
			return problem
		}
	} else if problem := harness.Print(out, outcomes); problem != nil {
		return problem
	}
	if err != nil {
		return err
	}
	if *only == "" {
		path, err := report.Save(results)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%s after %s\n", path, time.Since(began).Round(time.Second))
	}
	if harness.Failed(outcomes) {
		return errors.New("some rows of ours could not be measured")
	}
	return nil
}

// quietly adds -quiet, and returns who is told of the progress.
func quietly(flags *flag.FlagSet, progress io.Writer) func() io.Writer {
	quiet := flags.Bool("quiet", false, "do not tell what is running")
	return func() io.Writer {
		if *quiet {
			return io.Discard
		}
		return progress
	}
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
