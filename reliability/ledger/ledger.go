package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Result is what one execution of a suite ran.
type Result struct {
	// Suite names it, the same each time, as [CheckName] accepts. Required.
	Suite string
	// Runs is how many runs it made (seeds, clones, targets …), Failures how
	// many of them found something wrong.
	Runs, Failures uint64
	// Counts says how much was run, by unit in the plural: "records", "kills", as
	// [CheckName] accepts. A unit that ends in "seconds" is shown in minutes or hours.
	Counts map[string]uint64
}

// Entry is the total of a suite.
type Entry struct {
	Suite    string            `json:"suite"`
	Runs     uint64            `json:"runs"`
	Failures uint64            `json:"failures"`
	Counts   map[string]uint64 `json:"counts,omitempty"`
	// Last is the day of the last execution, as 2006-01-02 in UTC, and Go the
	// version of Go that it ran with.
	Last string `json:"last"`
	Go   string `json:"go"`
}

// Ledger is the total of all suites, by name.
type Ledger struct {
	Suites []Entry `json:"suites"`
}

// Add adds a result to the total in a file, which is made if it does not exist.
// Processes that add at once wait for one another. The file is replaced in one
// step, so a crash leaves the old total or the new one.
func Add(file string, r Result) error {
	err := locked(filepath.Dir(file), func() error {
		l, err := Read(file)
		if err != nil {
			return err
		}
		if err := l.add(r, time.Now()); err != nil {
			return err
		}
		return l.write(file)
	})
	if err != nil {
		return fmt.Errorf("add to ledger %s: %w", file, err)
	}
	return nil
}

// Check reports whether Add could add to a file now: that it is a total or does
// not exist, and that a file can be made beside it. Who is about to run for long
// asks first.
func Check(file string) error {
	err := locked(filepath.Dir(file), func() error {
		if _, err := Read(file); err != nil {
			return err
		}
		temp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
		if err != nil {
			return err
		}
		return errors.Join(temp.Close(), os.Remove(temp.Name()))
	})
	if err != nil {
		return fmt.Errorf("ledger %s: %w", file, err)
	}
	return nil
}

// Read reads the total in a file. A file that does not exist is an empty total.
func Read(file string) (*Ledger, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return &Ledger{}, nil
	}
	if err != nil {
		return nil, err
	}
	var l Ledger
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields() // what is not understood would be lost by the next Add
	if err := d.Decode(&l); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return &l, nil
}

// inNames are the characters of the names of suites and units. None of them ends a
// cell or a line of a table in Markdown.
const inNames = "abcdefghijklmnopqrstuvwxyz0123456789 -_.,:()+/"

// CheckName refuses what cannot name a suite or a unit: those stand in a table, a
// line for each suite.
func CheckName(name string) error {
	other := func(r rune) bool { return !strings.ContainsRune(inNames, r) }
	if name == "" || name != strings.TrimSpace(name) || strings.ContainsFunc(name, other) {
		return errors.New("want a name of lower case letters, digits, spaces in between, and -_.,:()+/")
	}
	return nil
}

// check refuses a result that makes no sense.
func (r Result) check() error {
	if err := CheckName(r.Suite); err != nil {
		return fmt.Errorf("suite %q: %w", r.Suite, err)
	}
	for _, unit := range slices.Sorted(maps.Keys(r.Counts)) {
		if err := CheckName(unit); err != nil {
			return fmt.Errorf("suite %s, unit %q: %w", r.Suite, unit, err)
		}
	}
	if r.Failures > r.Runs {
		return fmt.Errorf("suite %s: %d failures in %d runs", r.Suite, r.Failures, r.Runs)
	}
	return nil
}

// add adds a result at a time.
func (l *Ledger) add(r Result, now time.Time) error {
	if err := r.check(); err != nil {
		return err
	}
	at, ok := slices.BinarySearchFunc(l.Suites, r.Suite, func(e Entry, name string) int { return strings.Compare(e.Suite, name) })
	if !ok {
		l.Suites = slices.Insert(l.Suites, at, Entry{Suite: r.Suite})
	}
	e := &l.Suites[at]
	e.Runs += r.Runs
	e.Failures += r.Failures
	for unit, n := range r.Counts {
		if n == 0 {
			continue
		}
		if e.Counts == nil {
			e.Counts = map[string]uint64{}
		}
		e.Counts[unit] += n
	}
	e.Last, e.Go = now.UTC().Format(time.DateOnly), runtime.Version()
	return nil
}

// write replaces the file.
func (l *Ledger) write(file string) error {
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	_, err = temp.Write(append(b, '\n'))
	if err = errors.Join(err, temp.Chmod(0o644), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}
