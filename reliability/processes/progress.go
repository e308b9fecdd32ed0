//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tally counts events in the files of histories as they grow.
type tally struct {
	dir   string
	read  map[string]int64 // by file: how much of it was counted
	acked int
	done  int // records that handlers finished, repeats included
}

// The beginnings of events that are counted, as the files have them.
var (
	ackedEvent   = []byte(`"acked":true`)
	handledEvent = []byte(`,"handled":{`)
)

// update counts what was written since.
func (t *tally) update() error {
	names, err := filepath.Glob(filepath.Join(t.dir, "*"+historySuffix))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := t.count(name); err != nil {
			return err
		}
	}
	return nil
}

// count counts the whole lines of a file that were not counted before.
func (t *tally) count(name string) (err error) {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	text, err := io.ReadAll(io.NewSectionReader(file, t.read[name], 1<<62))
	if err != nil {
		return err
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	if t.read == nil {
		t.read = map[string]int64{}
	}
	t.read[name] += int64(len(text))
	t.acked += bytes.Count(text, ackedEvent)
	t.done += bytes.Count(text, handledEvent)
	return nil
}

// tell writes a line on how far the run is, again and again until ctx ends.
func (r *run) tell(ctx context.Context, out io.Writer, begun time.Time) {
	tick := time.NewTicker(r.cfg.every)
	defer tick.Stop()
	t := tally{dir: r.dir}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := t.update(); err != nil {
			fmt.Fprintln(out, "cannot count records:", err)
		}
		fmt.Fprintln(out, r.line(time.Since(begun), &t))
	}
}

// line is a line on how far the run is. What the rules say is known at the end
// only; failures are of processes.
func (r *run) line(since time.Duration, t *tally) string {
	stage := fmt.Sprintf("%v of %v", since.Round(time.Second), r.cfg.duration)
	if r.healing.Load() {
		stage = fmt.Sprintf("%v, mended, waiting until all is handled", since.Round(time.Second))
	}
	line := fmt.Sprintf("%s: %d records acknowledged, %d handled with repeats; %v; %d failures so far",
		stage, t.acked, t.done, r.counted(), len(r.fleet.unexpected()))
	if failures := r.fleet.unexpected(); len(failures) > 0 {
		line += ": " + strings.Join(failures, "; ")
	}
	return line
}

func (c counts) String() string {
	text := fmt.Sprintf("%d kills, %d holds, %d drains, %d reshards, %d losses of the store",
		c.Kills, c.Holds, c.Drains, c.Reshards, c.Losses)
	if c.Cuts > 0 {
		text += fmt.Sprintf(", %d cuts", c.Cuts)
	}
	if c.Failovers > 0 {
		text += fmt.Sprintf(", %d failovers", c.Failovers)
	}
	return text
}
