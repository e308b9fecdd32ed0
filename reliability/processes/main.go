//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"

	goredis "github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/reliability/cmdline"
	"github.com/shardrun/shardrun/reliability/ledger"
)

// silent is a log of go-redis: that Redis is away is what these runs are about.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func main() {
	goredis.SetLogger(silent{})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, errViolated) { // which was told of
		os.Exit(1)
	}
	os.Exit(cmdline.Status("processes", err, os.Stdout, os.Stderr))
}

// errViolated is that the run was judged, and something was violated.
var errViolated = errors.New("violated")

// command does what the command line says. It tells what came of it to out, and
// how far it is to progress.
func command(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.check != "" {
		return recheck(o, out)
	}
	return report(ctx, o, out, progress)
}

// report makes a run and says what came of it.
func report(ctx context.Context, o options, out, progress io.Writer) (err error) {
	if o.ledger != "" {
		if err := ledger.Check(o.ledger); err != nil {
			return err
		}
	}
	made := true // the directory is ours
	if o.dir == "" {
		o.dir, err = os.MkdirTemp("", "shardrun-processes-")
	} else {
		made, err = makeEmpty(o.dir)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(progress, "seed %d, for %v, in %s\n", o.seed, o.duration, o.dir)
	came, err := execute(ctx, o.config, o.dir, progress)
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted, so nothing was judged and nothing counts (files are in %s)", o.dir)
	}
	switch {
	case errors.Is(err, errNotBuilt) && made:
		return errors.Join(err, os.Remove(o.dir)) // there is nothing in it
	case errors.Is(err, errNotBuilt):
		return err
	case err != nil:
		return fmt.Errorf("%w (files are in %s)", err, o.dir)
	}
	if err := show(came, o, out); err != nil {
		return err
	}
	if o.ledger != "" {
		if err := ledger.Add(o.ledger, came.result(o.config)); err != nil {
			return err
		}
	}
	if came.ok() && !o.keep {
		return os.RemoveAll(o.dir)
	}
	fmt.Fprintf(out, "files are in %s; judge them again: go run ./reliability/processes -check %s -v\n", o.dir, o.dir)
	if came.ok() {
		return nil
	}
	fmt.Fprintf(out, "the same plan again: %s\n", o.command())
	return errViolated
}

// show prints what came of a run.
func show(came *outcome, o options, out io.Writer) error {
	if o.verbose {
		if err := came.history.Show(out, history.View{Only: o.lines, Verdict: came.verdict}); err != nil {
			return err
		}
	}
	came.print(out, o.config)
	return nil
}

// makeEmpty makes a directory, or takes one in which nothing is.
func makeEmpty(dir string) (made bool, err error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return true, os.MkdirAll(dir, 0o755)
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = cmdline.Wrong("-dir %s: want an empty directory", dir)
	}
	return false, err
}

// recheck judges the histories of an earlier run.
func recheck(o options, out io.Writer) error {
	file, err := loadRun(o.check)
	if err != nil {
		return err
	}
	o.config = file.config()
	if file.Ended == nil {
		return unended(o, out)
	}
	names := file.Ended.Histories
	if len(names) == 0 { // of an older run
		if names, err = findHistories(o.check); err != nil {
			return err
		}
	}
	if err := checkWhole(o.check, names, file.Ended.Events); err != nil {
		return err
	}
	came, err := judge(o.config, o.check, names)
	if err != nil {
		return err
	}
	came.took, came.counts, came.trouble = file.Ended.Took.duration(), file.Ended.Counts, file.Ended.Trouble
	if err := show(came, o, out); err != nil {
		return err
	}
	if !came.ok() {
		return errViolated
	}
	return nil
}

// unended shows what there is of a run that did not come to its end.
func unended(o options, out io.Writer) error {
	if o.verbose {
		names, err := findHistories(o.check)
		if err != nil {
			return err
		}
		h, err := readHistories(o.check, names)
		if err != nil {
			return err
		}
		if err := h.Show(out, history.View{Only: o.lines}); err != nil {
			return err
		}
	}
	return fmt.Errorf("the run of seed %d in %s was interrupted or failed, so there is nothing to judge its histories by; -v prints its timeline", o.seed, o.check)
}

// result is what the ledger is told.
func (o *outcome) result(cfg config) ledger.Result {
	suite := "processes"
	switch {
	case len(cfg.only) == 0 && cfg.sentinels:
		suite += ", sentinels"
	case len(cfg.only) > 0:
		suite += ", " + strings.Join(cfg.only, " and ")
	}
	r := ledger.Result{Suite: suite, Runs: 1, Counts: map[string]uint64{
		"records": uint64(o.verdict.Sent), "kills": uint64(o.counts.Kills), "holds": uint64(o.counts.Holds),
		"reshards": uint64(o.counts.Reshards), "losses of the store": uint64(o.counts.Losses),
		"cuts": uint64(o.counts.Cuts), "failovers": uint64(o.counts.Failovers),
		"seconds": uint64(o.took.Seconds()),
	}}
	if !o.ok() {
		r.Failures = 1
	}
	return r
}
