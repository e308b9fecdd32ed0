//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/shardrun/shardrun/internal/history"
)

// outcome is what came of a run.
type outcome struct {
	took    time.Duration
	counts  counts
	events  history.Counts
	verdict history.Verdict
	trouble []string // beside what the checker found
	history *history.History
}

// ok reports that nothing was wrong.
func (o *outcome) ok() bool { return o.verdict.OK() && len(o.trouble) == 0 }

// judge merges the histories in a directory, of these names, and checks them.
func judge(cfg config, dir string, names []string) (*outcome, error) {
	merged, err := readHistories(dir, names)
	if err != nil {
		return nil, err
	}
	return &outcome{
		events: merged.Counts(), history: merged,
		verdict: merged.Check(cfg.options()),
	}, nil
}

// findHistories finds the names of the histories in a directory.
func findHistories(dir string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"+historySuffix))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no histories (*%s)", dir, historySuffix)
	}
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	return names, nil
}

// readHistories merges the histories of these names. Without one of them records
// would look lost, or made up, so all must be there.
func readHistories(dir string, names []string) (_ *history.History, err error) {
	var files []io.Reader
	for _, name := range names {
		f, e := os.Open(filepath.Join(dir, name))
		if errors.Is(e, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s has no %s, which %s lists as a history of the run: without it nothing can be judged", dir, name, runName)
		}
		if e != nil {
			return nil, e
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		files = append(files, f)
	}
	h, err := history.ReadHistories(files...)
	if err != nil {
		return nil, fmt.Errorf("read the histories in %s: %w", dir, blame(dir, names, err))
	}
	return h, nil
}

// blame finds the file for which the histories cannot be read.
func blame(dir string, names []string, err error) error {
	for _, name := range names {
		f, e := os.Open(filepath.Join(dir, name))
		if e != nil {
			return e
		}
		_, e = history.ReadHistories(f)
		if e = errors.Join(e, f.Close()); e != nil {
			return fmt.Errorf("%s: %w", name, e)
		}
	}
	return err
}

// print writes the summary line, and a line for each violation.
func (o *outcome) print(w io.Writer, cfg config) {
	fmt.Fprintf(w, "seed %d: %v with %d workers: %d records acknowledged of %d put, %d handled, %d duplicates; %v: ",
		cfg.seed, o.took.Round(time.Second/10), cfg.workers, o.verdict.Sent, o.events.Put, o.verdict.Handled, o.verdict.Duplicates, o.counts)
	if o.ok() {
		fmt.Fprintln(w, "ok")
		return
	}
	broken := len(o.trouble)
	for _, n := range o.verdict.Broken {
		broken += n
	}
	fmt.Fprintf(w, "%d VIOLATIONS\n", broken)
	for _, t := range o.trouble {
		fmt.Fprintln(w, "  "+t)
	}
	for _, v := range o.verdict.Violations {
		fmt.Fprintf(w, "  %s %s\n", v.Rule, v.Text)
	}
	if n := broken - len(o.trouble) - len(o.verdict.Violations); n > 0 {
		fmt.Fprintf(w, "  and %d more of the same rules\n", n)
	}
}
