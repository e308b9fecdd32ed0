//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// runName is the file that says what run the files beside it are of.
const runName = "run.json"

// runFile is what a directory of files is told about its run: what it was to be
// when it begins, and what came of it at its end.
type runFile struct {
	Started   time.Time `json:"started"`
	Go        string    `json:"go"`
	Seed      uint64    `json:"seed"`
	For       seconds   `json:"for_seconds"`
	Workers   int       `json:"workers"`
	Producers int       `json:"producers"`
	Shards    int       `json:"shards"`
	Rate      int       `json:"rate"`
	LeaseTTL  seconds   `json:"lease_ttl_seconds"`
	Pause     seconds   `json:"pause_seconds"`
	Settle    seconds   `json:"settle_seconds"`
	Only      []string  `json:"only,omitempty"`
	Sentinels bool      `json:"sentinels,omitempty"`

	// Ended is nil when the run was interrupted, or failed.
	Ended *totals `json:"ended,omitempty"`
}

// totals are what came of a run.
type totals struct {
	Took   seconds `json:"took_seconds"`
	Counts counts  `json:"counts"`
	// Histories are the names of the files that the processes wrote.
	Histories []string `json:"histories"`
	// Events are how many there are in each of them. Older runs did not count.
	Events map[string]int `json:"events,omitempty"`
	// Trouble is what was wrong beside what the histories tell.
	Trouble []string `json:"trouble,omitempty"`
}

// seconds is a time as the file has it.
type seconds float64

func inSeconds(d time.Duration) seconds { return seconds(d.Seconds()) }

func (s seconds) duration() time.Duration {
	return time.Duration(math.Round(float64(s) * float64(time.Second)))
}

// runOf describes a run that begins.
func runOf(c config) runFile {
	return runFile{
		Started: time.Now().UTC(), Go: runtime.Version(), Seed: c.seed, For: inSeconds(c.duration),
		Workers: c.workers, Producers: c.producers, Shards: c.shards, Rate: c.rate,
		LeaseTTL: inSeconds(c.ttl), Pause: inSeconds(c.pause), Settle: inSeconds(c.settle), Only: c.only, Sentinels: c.sentinels,
	}
}

// config is what the run was made with.
func (f *runFile) config() config {
	return config{
		seed: f.Seed, duration: f.For.duration(), workers: f.Workers, producers: f.Producers, shards: f.Shards, rate: f.Rate,
		ttl: f.LeaseTTL.duration(), pause: f.Pause.duration(), settle: f.Settle.duration(), only: f.Only, sentinels: f.Sentinels,
	}
}

// save writes the file into a directory.
func (f *runFile) save(dir string) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, runName), append(text, '\n'), 0o644)
}

// loadRun reads the file of a directory.
func loadRun(dir string) (*runFile, error) {
	text, err := os.ReadFile(filepath.Join(dir, runName))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dir); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%s is not the directory of a run: it has no %s", dir, runName)
	}
	if err != nil {
		return nil, err
	}
	f := new(runFile)
	if err := json.Unmarshal(text, f); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, runName), err)
	}
	if f.LeaseTTL <= 0 || f.Settle <= 0 {
		return nil, fmt.Errorf("%s has no lease time or no time to settle: it is not of a run", filepath.Join(dir, runName))
	}
	return f, nil
}
