//go:build unix

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/internal/history"
)

// damaged is the history of the tests that is changed, with 30 events before.
const damaged = "worker-1.2" + historySuffix

// writeLines writes a history of lines.
func writeLines(t *testing.T, file string, lines []string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// endedRun makes the directory of a run with three histories, one of which the run
// left as it made of the lines of its 30 events.
func endedRun(t *testing.T, left func(lines []string) []string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"worker-1.1", "worker-1.2", "worker-2.1"} {
		var text strings.Builder
		h := history.NewRecorder(&text)
		for range 29 { // behind the beginning
			h.Note(name, "on it goes")
		}
		lines := slices.Collect(strings.Lines(strings.TrimPrefix(text.String(), "\n")))
		if len(lines) != 30 {
			t.Fatalf("%d lines", len(lines))
		}
		if name+historySuffix == damaged {
			lines = left(lines)
		}
		writeLines(t, filepath.Join(dir, name+historySuffix), lines)
	}
	names, err := findHistories(dir)
	if err != nil {
		t.Fatal(err)
	}
	file := runOf(config{ttl: time.Second, settle: time.Minute})
	file.Ended = &totals{Histories: names}
	if file.Ended.Events, err = countEvents(dir, names); err != nil {
		t.Fatal(err)
	}
	if err := file.save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// edit changes the lines of the history that is to be changed.
func edit(t *testing.T, dir string, f func(lines []string) []string) {
	t.Helper()
	file := filepath.Join(dir, damaged)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	writeLines(t, file, f(slices.Collect(strings.Lines(string(text)))))
}

// asItIs leaves lines as they are; without leaves out those from one event to
// another; torn cuts the last one off, as a process does that is killed.
func asItIs(lines []string) []string { return lines }

func without(first, last int) func([]string) []string {
	return func(lines []string) []string { return slices.Delete(lines, first-1, last) }
}

func torn(lines []string) []string {
	end := &lines[len(lines)-1]
	*end = (*end)[:len(*end)/2]
	return lines
}

// recheckDir judges a directory again.
func recheckDir(t *testing.T, dir string) error {
	t.Helper()
	err := command(t.Context(), []string{"-check", dir}, io.Discard, io.Discard)
	if errors.Is(err, errViolated) { // the runs of these tests have no stream
		return nil
	}
	return err
}

// What a history lacks would look like a fault of those who are judged by it: the
// file is named, and what is missing, and nothing is judged.
func TestADamagedHistoryIsNotJudged(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(lines []string) []string
		want   string
	}{
		"a line from its middle":  {without(17, 17), "event 17 is missing"},
		"lines from its middle":   {without(17, 21), "events 17 to 21 are missing"},
		"its beginning":           {without(1, 1), "event 1 is missing"},
		"its last line":           {without(30, 30), "event 30 is missing"},
		"half of it":              {without(16, 30), "events 16 to 30 are missing"},
		"all of it":               {without(1, 30), "events 1 to 30 are missing"},
		"the end of its last one": {torn, "event 30 is missing"},
		"a line that is broken":   {func(lines []string) []string { lines[1] = "{\"n\":2,\n"; return lines }, "line 2: unexpected end of JSON input"},
		"a line of another file":  {func(lines []string) []string { lines[1] = "{\"seed\":2}\n"; return lines }, "line 2: it has no number of an event"},
		"a line that is doubled":  {func(lines []string) []string { return append(lines, lines[6]) }, "event 7 stands there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := endedRun(t, asItIs)
			if err := recheckDir(t, dir); err != nil {
				t.Fatalf("it cannot be judged when it is whole: %v", err)
			}
			edit(t, dir, test.damage)
			err := recheckDir(t, dir)
			if want := "history " + damaged + " in " + dir + " is damaged: " + test.want; err == nil || err.Error() != want {
				t.Errorf("it is told %v, want %s", err, want)
			}
		})
	}
}

// What the run left is whole: lines that are out of order, and the end that a
// killed process leaves.
func TestAHistoryThatIsAsTheRunLeftItIsJudged(t *testing.T) {
	for name, left := range map[string]func(lines []string) []string{
		"swapped lines":                     func(lines []string) []string { lines[7], lines[8] = lines[8], lines[7]; return lines },
		"a last line that is cut off":       torn,
		"an event numbered and not written": without(28, 28),
	} {
		t.Run(name, func(t *testing.T) {
			dir := endedRun(t, left)
			if err := recheckDir(t, dir); err != nil {
				t.Errorf("it is told %v", err)
			}
			edit(t, dir, without(12, 12))
			if err := recheckDir(t, dir); err == nil || !strings.Contains(err.Error(), "event 12 is missing") {
				t.Errorf("without event 12 it is told %v", err)
			}
		})
	}
}

// The numbers of a run that did not count its events tell of what is missing
// before the last of them.
func TestAHistoryOfAnOlderRunHasNoGap(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(lines []string) []string
		want   string
	}{
		"whole":                  {damage: asItIs},
		"a line from its middle": {without(17, 17), "event 17 is missing"},
		"cut off":                {damage: torn},
	} {
		t.Run(name, func(t *testing.T) {
			dir := endedRun(t, asItIs)
			file, err := loadRun(dir)
			if err != nil {
				t.Fatal(err)
			}
			file.Ended.Events = nil
			if err := file.save(dir); err != nil {
				t.Fatal(err)
			}
			edit(t, dir, test.damage)
			switch err := recheckDir(t, dir); {
			case test.want == "" && err != nil, test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("it is told %v, want %q", err, test.want)
			}
		})
	}
}

// Without one of the histories records would look lost.
func TestAHistoryThatIsNotThereIsNamed(t *testing.T) {
	dir := endedRun(t, asItIs)
	if err := os.Remove(filepath.Join(dir, damaged)); err != nil {
		t.Fatal(err)
	}
	if err := recheckDir(t, dir); err == nil || !strings.Contains(err.Error(), "has no "+damaged+", which run.json lists as a history of the run") {
		t.Errorf("it is told %v", err)
	}
}

// One whose events say nothing is named too, with the line.
func TestAHistoryThatCannotBeReadIsNamed(t *testing.T) {
	dir := endedRun(t, asItIs)
	edit(t, dir, func(lines []string) []string { lines[1] = "{\"n\":2,\"at\":\"noon\"}\n"; return lines })
	if err := recheckDir(t, dir); err == nil || !strings.Contains(err.Error(), damaged+": line 2: ") {
		t.Errorf("it is told %v", err)
	}
}
