package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shardrun/shardrun/reliability/cmdline"
)

func TestACommandLineThatMakesNoSenseIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "totals.json")
	for line, want := range map[string]string{
		"":                             `the first argument is missing; want table, add or check`,
		"show":                         `the first argument is "show"; want table, add or check`,
		"table all":                    `"all" is not a flag`,
		"table -readme x":              "-readme does nothing without -write",
		"table -suite x":               "not defined: -suite",
		"add":                          "-suite is missing: name of the suite",
		"add -suite Sim":               `-suite "Sim": want a name in lower case`,
		"add -suite sim -runs 0":       "-runs 0: want at least 1",
		"add -suite sim -runs -1":      `invalid value "-1" for flag -runs`,
		"add -suite sim -failures 2":   "-failures 2: want at most -runs, 1",
		"add -suite sim -count kills":  "want UNIT=N",
		"add -suite sim -count kills=": "want UNIT=N",
		"check now":                    `"now" is not a flag`,
	} {
		args := strings.Fields(line)
		if len(args) > 0 && args[0] != "show" {
			args = append([]string{args[0], "-ledger", file}, args[1:]...)
		}
		var text strings.Builder
		if status := cmdline.Status("ledger", run(args, io.Discard), io.Discard, &text); status != 2 || !strings.Contains(text.String(), want) {
			t.Errorf("%q: status %d, %q; want %q", line, status, text.String(), want)
		}
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("something was written")
	}
	for _, line := range []string{"-help", "add --help", "table -h"} {
		var text strings.Builder
		if status := cmdline.Status("ledger", run(strings.Fields(line), io.Discard), &text, io.Discard); status != 0 || !strings.Contains(text.String(), "-ledger file") {
			t.Errorf("%s: status %d, %q", line, status, text.String())
		}
	}
}

func TestWhatIsAddedIsInTheTable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "totals.json")
	if err := run([]string{"table", "-ledger", file}, io.Discard); err == nil {
		t.Error("a total that does not exist has a table")
	}
	for _, args := range [][]string{
		{"check"}, {"add", "-suite", "fuzz", "-runs", "10", "-count", "executions=1234567", "-count", "seconds=90"}, {"check"},
	} {
		if err := run(append(args, "-ledger", file), io.Discard); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	var out strings.Builder
	if err := run([]string{"table", "-ledger", file}, &out); err != nil || !strings.Contains(out.String(), "| fuzz | 10 | 0 | 1,234,567 executions, 1.5 minutes |") {
		t.Errorf("the table is %v\n%s", err, out.String())
	}
	if err := run([]string{"check", "-ledger", filepath.Dir(file)}, io.Discard); err == nil {
		t.Error("a directory can be added to")
	}
}
