package ledger

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// adding is the environment variable that makes the test binary add to the
// ledger that it names, and exit.
const adding = "LEDGER_TEST_FILE"

func TestMain(m *testing.M) {
	if file := os.Getenv(adding); file != "" {
		for range 20 {
			if err := Add(file, Result{Suite: "sim", Runs: 2, Failures: 1, Counts: map[string]uint64{"records": 3}}); err != nil {
				println(err.Error())
				os.Exit(1)
			}
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestAddSums(t *testing.T) {
	file := filepath.Join(t.TempDir(), "totals.json")
	for _, r := range []Result{
		{Suite: "sim", Runs: 10, Failures: 1, Counts: map[string]uint64{"records": 5, "kills": 0}},
		{Suite: "fuzz", Runs: 1},
		{Suite: "sim", Runs: 4, Counts: map[string]uint64{"records": 7, "kills": 2}},
	} {
		if err := Add(file, r); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	today := time.Now().UTC().Format(time.DateOnly)
	want := &Ledger{Suites: []Entry{
		{Suite: "fuzz", Runs: 1, Last: today, Go: runtime.Version()},
		{Suite: "sim", Runs: 14, Failures: 1, Counts: map[string]uint64{"records": 12, "kills": 2}, Last: today, Go: runtime.Version()},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("ledger %+v\nwant %+v", got, want)
	}
	left, err := filepath.Glob(file + "?*")
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestProcessesThatAddAtOnceLoseNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "totals.json")
	var running []*exec.Cmd
	for range 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), adding+"="+file)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
	}
	for _, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	l, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if e := l.Suites[0]; e.Runs != 160 || e.Failures != 80 || e.Counts["records"] != 240 {
		t.Errorf("total %+v", e)
	}
}

func TestAddRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "totals.json")
	for name, r := range map[string]Result{
		"no name":                 {Runs: 1},
		"capitals":                {Suite: "Sim", Runs: 1},
		"two cells":               {Suite: "a|b", Runs: 1},
		"two lines":               {Suite: "a\nb", Runs: 1},
		"a blank behind it":       {Suite: "sim ", Runs: 1},
		"a unit of two cells":     {Suite: "sim", Runs: 1, Counts: map[string]uint64{"a|b": 1}},
		"more failures than runs": {Suite: "sim", Runs: 1, Failures: 2},
	} {
		if err := Add(file, r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := os.WriteFile(file, []byte(`{"suites":[],"later":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Add(file, Result{Suite: "sim", Runs: 1}); err == nil {
		t.Error("a file of a later form was written over")
	}
}

func TestNamesOfSuitesAndUnits(t *testing.T) {
	for _, name := range []string{
		"simulation", "processes, kill server", "mutants in the simulation", "power failures", "losses of the store",
		"v1.2: a/b (x86_64) + c-d",
	} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", " ", " a", "a\t", "a|b", "a\nb", "A", "é", "a`b", "a<b", "a\\"} {
		if err := CheckName(name); err == nil || !strings.Contains(err.Error(), "want a name of lower case letters, digits, spaces in between, and -_.,:()+/") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTable(t *testing.T) {
	l := &Ledger{Suites: []Entry{{
		Suite: "sim", Runs: 1234567, Failures: 0, Last: "2026-01-02", Go: "go1.26.8",
		Counts: map[string]uint64{"simulated seconds": 3600*1500 + 1800, "kills": 12, "records": 999},
	}}}
	want := "| sim | 1,234,567 | 0 | 12 kills, 999 records, 1,500.5 simulated hours | 2026-01-02 | go1.26.8 |\n"
	if _, row, _ := strings.Cut(l.Table(), "--- |\n"); row != want {
		t.Errorf("row %q\nwant %q", row, want)
	}
}

func TestTimesAreShownInTheUnitThatAPersonWouldUse(t *testing.T) {
	for seconds, want := range map[uint64]string{
		1: "1 simulated seconds", 59: "59 simulated seconds", 60: "1.0 simulated minutes", 202: "3.3 simulated minutes",
		3599: "59.9 simulated minutes", 3600: "1.0 simulated hours", 3600*1500 + 1800: "1,500.5 simulated hours",
	} {
		if got := amounts(map[string]uint64{"simulated seconds": seconds}); got != want {
			t.Errorf("%d seconds are shown as %q, want %q", seconds, got, want)
		}
	}
}

func TestCheckFindsWhatAddWould(t *testing.T) {
	dir := t.TempDir()
	whole, other := filepath.Join(dir, "totals.json"), filepath.Join(dir, "other.json")
	if err := Check(whole); err != nil {
		t.Errorf("a file that does not exist yet: %v", err)
	}
	if err := Add(whole, Result{Suite: "sim", Runs: 1}); err != nil {
		t.Fatal(err)
	}
	if err := Check(whole); err != nil {
		t.Errorf("a total: %v", err)
	}
	if err := os.WriteFile(other, []byte("no total"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{
		"no total": other, "a directory": dir, "a directory that does not exist": filepath.Join(dir, "no", "totals.json"),
	} {
		if err := Check(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 2 {
		t.Errorf("it left %v behind, %v", left, err)
	}
}

func TestPut(t *testing.T) {
	got, err := Put("a\n<!-- reliability -->\nold\n<!-- /reliability -->\nb\n", "new\n")
	if want := "a\n<!-- reliability -->\nnew\n<!-- /reliability -->\nb\n"; err != nil || got != want {
		t.Errorf("%q %v", got, err)
	}
	if _, err := Put("a\n<!-- reliability -->\nold\n", "new\n"); err == nil {
		t.Error("a text without the second marker was accepted")
	}
}

// What the README shows is what the ledger says:
// go run ./reliability/ledger/cmd table -write
func TestReadmeShowsTheLedger(t *testing.T) {
	l, err := Read("../totals.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := Put(string(text), l.Table())
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != want {
		t.Error("the table in README.md is not that of reliability/totals.json; run: go run ./reliability/ledger/cmd table -write")
	}
}
