package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/reliability/cmdline"
	"github.com/shardrun/shardrun/reliability/mutants"
)

func TestACommandLineThatMakesNoSenseIsRefused(t *testing.T) {
	for line, want := range map[string]string{
		"skip-an-fsync":                     `"skip-an-fsync" is not a flag`,
		"-fast":                             "not defined: -fast",
		"-only no-such":                     `-only "no-such": there is no such mutant; -list names them`,
		"-sim -only begin-latest -only zzz": `-only "zzz": there is no such mutant that a simulation should find`,
		"-only =":                           `-only "=": there is no such mutant`,
		"-only=":                            "-only is empty: want a name",
		"-run=":                             `-run "": want a pattern`,
		"-run (":                            `-run "(": want a pattern`,
		"-run .":                            "-run is of one mutant; name it with -only",
		"-run . -sim":                       "-run does nothing with -sim",
		"-seed 3":                           "-seed does nothing without -sim",
		"-sim -seed 3":                      "-seed is of one mutant; name it with -only",
		"-sim -only x -seed 0":              "-seed 0: want a seed from 1 on",
		"-jobs 0":                           "-jobs 0: want at least 1",
		"-limit -1s":                        "-limit -1s: want at least 1s",
		"-limit 0":                          "-limit 0s: want at least 1s",
		"-only fsync -o x.md":               "-o does nothing with -only, -run or -seed",
		"-only fsync -run . -ledger x":      "-ledger does nothing with -run or -seed",
		"-list -jobs 2":                     "-jobs does nothing with -list, which takes -only, -sim only",
	} {
		err := command(t.Context(), strings.Fields(line), io.Discard, io.Discard)
		var text strings.Builder
		if status := cmdline.Status("hunt", err, io.Discard, &text); status != 2 || !strings.Contains(text.String(), want) {
			t.Errorf("%q: status %d, %q; want %q", line, status, text.String(), want)
		}
	}
}

func TestTheLimitOfAHuntDependsOnWhere(t *testing.T) {
	for line, want := range map[string]time.Duration{"": 2 * time.Minute, "-sim": 20 * time.Minute, "-sim -limit 3s": 3 * time.Second} {
		if o, err := parse(strings.Fields(line)); err != nil || o.limit != want || o.jobs != 1 {
			t.Errorf("%q: %+v, %v", line, o, err)
		}
	}
}

func TestListNamesMutants(t *testing.T) {
	var all, sim strings.Builder
	for line, out := range map[string]io.Writer{"-list": &all, "-list -sim -only aggregate": &sim} {
		if err := command(t.Context(), strings.Fields(line), out, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range mutants.Gallery() {
		if !strings.Contains(all.String(), m.Name+" ") || !strings.Contains(all.String(), m.Breaks) {
			t.Errorf("%s is not in the list", m.Name)
		}
		if in := strings.Contains(sim.String(), m.Name+" "); in != (m.Sim && strings.Contains(m.Name, "aggregate")) {
			t.Errorf("%s is in the list of the simulation and of aggregates: %v", m.Name, in)
		}
	}
}

// What comes of a hunt must have somewhere to go before it begins.
func TestFilesThatCannotBeWrittenAreFoundAtOnce(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none", "file")
	for _, flag := range []string{"-o", "-ledger"} {
		var told strings.Builder
		err := command(t.Context(), []string{flag, none}, &told, &told)
		if err == nil || !strings.Contains(err.Error(), none) && !strings.Contains(err.Error(), filepath.Dir(none)) || told.Len() > 0 {
			t.Errorf("%s: %v, after %q", flag, err, told.String())
		}
	}
}

func TestAHuntThatIsInterruptedHasWhatItFound(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var told strings.Builder
	h := &hunter{options: options{jobs: 2}, root: "../../..", dir: t.TempDir(), out: &told, progress: &told, told: time.Now()}
	results, err := h.huntAll(ctx, mutants.Gallery())
	if len(results) > 0 || err != nil || told.Len() > 0 {
		t.Errorf("%v, %v, %q", results, err, told.String())
	}
	out := filepath.Join(t.TempDir(), "table.md")
	err = hunt(ctx, options{jobs: 1, limit: time.Second, out: out}, mutants.Gallery()[:1], &told, &told)
	if _, missing := os.Stat(out); err == nil || missing == nil {
		t.Errorf("interrupted, it ends with %v and wrote its table: %v", err, missing == nil)
	}
}

// What is summed up is the time that the whole hunt took, as a clock on the wall
// has it: that of the tests on the code without mutants, which come first, too.
func TestTheSummaryTellsAllOfTheTime(t *testing.T) {
	got := summary(75, 162, 2, 97*time.Second, 10*time.Minute+9*time.Second)
	if want := "75 of 162 mutants hunted in 10m9s (1m37s of it on the code without them), 2 survived"; got != want {
		t.Errorf("it is %q, want %q", got, want)
	}
}

func TestProgressIsToldNowAndThen(t *testing.T) {
	var told strings.Builder
	h := &hunter{progress: &told, told: time.Now()}
	h.tell("too %s", "soon")
	h.told = time.Now().Add(-tellEvery)
	h.tell("%d of %d", 3, 7)
	h.tell("too %s", "soon")
	if told.String() != "3 of 7\n" {
		t.Errorf("told %q", told.String())
	}
	began := time.Unix(100, 0)
	if got := working(map[string]time.Time{"c-d": began, "a-b": began.Add(time.Second)}, began.Add(time.Minute)); got != "a-b (59s), c-d (1m0s)" {
		t.Errorf("at work on %q", got)
	}
	called := make(chan bool)
	stop := every(time.Millisecond, func() { called <- true })
	<-called
	<-called
	stopped := make(chan bool)
	go func() { stop(); close(stopped) }()
	for waiting := true; waiting; {
		select {
		case <-called:
		case <-stopped:
			waiting = false
		}
	}
	r := result{mutant: mutants.Mutant{Name: "a-b"}, command: "go run x", caught: true, how: "TestA", took: time.Second}
	if got := h.lines(r, 3, 75)[0]; got != " 3/75  caught       1.0s  a-b: TestA" {
		t.Errorf("the result is told as %q", got)
	}
}
