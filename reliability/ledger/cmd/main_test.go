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
		"add -suite Sim":               `-suite "Sim": want a name of lower case letters, digits, spaces in between, and -_.,:()+/`,
		"add -suite a|b":               `-suite "a|b": want a name of `,
		"add -suite a\\nb":             `-suite "a\nb": want a name of `,
		"add -suite sim -runs 0":       `invalid value "0" for flag -runs: want a whole number, at least 1`,
		"add -suite sim -runs -3":      `invalid value "-3" for flag -runs: want a whole number, at least 1`,
		"add -suite sim -failures x":   `invalid value "x" for flag -failures: want a whole number, at least 0`,
		"add -suite sim -failures 2":   "-failures 2: want at most -runs, 1",
		"add -suite sim -count kills":  "want UNIT=N",
		"add -suite sim -count kills=": "want UNIT=N",
		"add -suite sim -count a|b=1":  `the unit "a|b": want a name of `,
		"check now":                    `"now" is not a flag`,
	} {
		args := strings.Fields(line)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], `\n`, "\n")
		}
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

// Who runs this elsewhere is told where it wants to be run.
func TestElsewhereTheErrorSaysWhere(t *testing.T) {
	t.Chdir(t.TempDir())
	const hint = "run this at the root of the checkout, or give -ledger"
	for line, hinted := range map[string]bool{
		"table": true, "check": true, "add -suite sim": true, "table -ledger mine.json": false,
	} {
		err := run(strings.Fields(line), io.Discard)
		if err == nil || strings.Contains(err.Error(), hint) != hinted {
			t.Errorf("%s: it is told %v", line, err)
		}
	}
}
