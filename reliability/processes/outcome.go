//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
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

// judge merges the histories in a directory and checks them.
func judge(cfg config, dir string) (*outcome, error) {
	merged, err := readHistories(dir)
	if err != nil {
		return nil, err
	}
	return &outcome{
		events: merged.Counts(), history: merged,
		verdict: merged.Check(cfg.options()),
	}, nil
}

// readHistories merges the histories of a directory.
func readHistories(dir string) (_ *history.History, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"+historySuffix))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no histories (*%s)", dir, historySuffix)
	}
	var files []io.Reader
	for _, name := range names {
		f, e := os.Open(name)
		if e != nil {
			return nil, e
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		files = append(files, f)
	}
	h, err := history.ReadHistories(files...)
	if err != nil {
		return nil, fmt.Errorf("read the histories in %s: %w", dir, err)
	}
	return h, nil
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
