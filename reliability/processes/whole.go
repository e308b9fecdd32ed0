//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// countEvents counts the events in each of the histories of a directory, of these
// names, when their processes have ended.
func countEvents(dir string, names []string) (map[string]int, error) {
	counts := map[string]int{}
	for _, name := range names {
		numbers, err := eventsIn(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("history %s: %w", name, err)
		}
		counts[name] = len(numbers)
	}
	return counts, nil
}

// checkWhole fails when a history is not what the run left, for what is missing
// would look like a fault of those who are judged by it. Counts are the events
// that each had at the end of the run. A file that is not in it, of an older run,
// is whole as far as its numbers tell. One that does not exist is left to those
// who read it.
func checkWhole(dir string, names []string, counts map[string]int) error {
	for _, name := range names {
		numbers, err := eventsIn(filepath.Join(dir, name))
		switch count, known := counts[name]; {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil && known:
			err = lacks(numbers, count)
		case err == nil && len(numbers) > 0:
			err = lacks(numbers, numbers[len(numbers)-1])
		}
		if err != nil {
			return fmt.Errorf("history %s in %s is damaged: %w", name, dir, err)
		}
	}
	return nil
}

// lacks says which events are missing of a history that had count of them, by the
// numbers of those that are there, in order. A killed process may have numbered
// events that it did not write: they do not count.
func lacks(numbers []int, count int) error {
	for i := 1; i < len(numbers); i++ {
		if numbers[i] == numbers[i-1] {
			return fmt.Errorf("event %d stands there twice", numbers[i])
		}
	}
	if len(numbers) >= count {
		return nil
	}
	next := 1
	for _, n := range numbers {
		if n != next {
			return absent(next, n-1)
		}
		next++
	}
	return absent(next, count)
}

// absent says that events are, by the numbers of the first and the last.
func absent(first, last int) error {
	if first == last {
		return fmt.Errorf("event %d is missing", first)
	}
	return fmt.Errorf("events %d to %d are missing", first, last)
}

// eventsIn are the numbers of the events in the file of a history, in order. Its
// last line may be cut off, as a killed process leaves it, and is no event then.
func eventsIn(name string) ([]int, error) {
	rest, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var numbers []int
	no := 0
	for line := range bytes.Lines(rest) {
		no++
		rest = rest[len(line):]
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		n, err := numberOf(line)
		switch {
		case err == nil:
			numbers = append(numbers, n)
		case len(rest) > 0:
			return nil, fmt.Errorf("line %d: %w", no, err)
		}
	}
	slices.Sort(numbers) // lines are written concurrently
	return numbers, nil
}

// numberOf is the number of an event, as its line has it.
func numberOf(line []byte) (int, error) {
	var event struct {
		N int `json:"n"`
	}
	if err := json.Unmarshal(line, &event); err != nil {
		return 0, err
	}
	if event.N < 1 {
		return 0, errors.New("it has no number of an event")
	}
	return event.N, nil
}
