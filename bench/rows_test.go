package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/reliability/cmdline"
)

func TestRowsAreComplete(t *testing.T) {
	for _, full := range []bool{false, true} {
		seen := map[string]bool{}
		check := func(r harness.Row, name, target string, met func(harness.Result) bool) {
			if seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
			if group, _, ok := strings.Cut(name, "/"); !ok || group != r.Group {
				t.Errorf("%s is of group %q", name, r.Group)
			}
			if r.Missing == "" && (target == "") != (met == nil) {
				t.Errorf("%s has the target %q, and what decides on it: %v", name, target, met != nil)
			}
		}
		for _, r := range rows(full) {
			check(r, r.Name, r.Target, r.Met)
			if r.Unit == "" || r.Work == "" {
				t.Errorf("%s has the unit %q and the work %q", r.Name, r.Unit, r.Work)
			}
			if r.Missing == "" && len(r.Contestants) == 0 {
				t.Errorf("%s has no contestants", r.Name)
			}
			names := map[string]bool{"": true}
			for _, c := range r.Contestants {
				names[c.Name] = true
			}
			for _, l := range append(r.Also, harness.Line{Name: r.Name, Against: r.Against, Target: r.Target, Met: r.Met}) {
				if l.Name != r.Name {
					check(r, l.Name, l.Target, l.Met)
				}
				if !names[l.Ours] || !names[l.Against] {
					t.Errorf("%s compares %q with %q, who do not take part", l.Name, l.Ours, l.Against)
				}
			}
		}
	}
}

func TestACommandLineThatMakesNoSenseIsRefused(t *testing.T) {
	var long string
	for _, r := range rows(false) {
		if r.FullOnly && r.Missing == "" {
			long = r.Name
		}
	}
	if long == "" {
		t.Fatal("no row is only measured with -full")
	}
	for line, want := range map[string]string{
		"-only nothing":        `-only "nothing": no such row; -list shows them`,
		"-only server/[":       `-only "server/[": the glob is malformed; want names`,
		"-only server,[a":      `-only "[a": the glob is malformed`,
		"-only server,nothing": `-only "nothing": no such row`,
		"-only server,":        `-only "": no such row`,
		"-only=":               "-only is empty",
		"-only " + long:        "is only measured with -full",
		"server":               `"server" is not a flag`,
		"-fast":                "not defined: -fast",
		"-list -json":          "-json does nothing with -list, which takes -only, -full only",
		"-readme -full":        "-full does nothing with -readme, which takes no other flags",
		"-readme -only server": "-only does nothing with -readme",
		"-list -only nothing":  "no such row",
	} {
		var text strings.Builder
		err := run(t.Context(), strings.Fields(line), io.Discard, io.Discard)
		if status := cmdline.Status("bench", err, io.Discard, &text); status != 2 || !strings.Contains(text.String(), want) {
			t.Errorf("%q: status %d, %q; want %q", line, status, text.String(), want)
		}
	}
	var help strings.Builder
	if status := cmdline.Status("bench", run(t.Context(), []string{"--help"}, io.Discard, io.Discard), &help, io.Discard); status != 0 || !strings.Contains(help.String(), "-only rows") {
		t.Errorf("help: status %d\n%s", status, help.String())
	}
}

// A run that was interrupted prints what it has and keeps nothing.
func TestAnInterruptedRunWritesNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	step := func(name string, after func()) harness.Row {
		return harness.Row{Name: name, Group: "group", Work: "work", Unit: "records/s", Rounds: 1, Contestants: []harness.Contestant{{
			Name: "ours", Setup: func(context.Context, *harness.Env) (harness.Bench, error) {
				return harness.Bench{Run: func(context.Context) (harness.Sample, error) {
					after()
					return harness.Sample{Value: 7}, nil
				}}, nil
			},
		}}}
	}
	both := []harness.Row{step("group/one", func() {}), step("group/two", cancel)}
	var out bytes.Buffer
	err := measure(ctx, both, choice{}, &out, io.Discard)
	if err == nil || err.Error() != "interrupted after 1 lines of the table; nothing was written" {
		t.Errorf("it ends with %v", err)
	}
	if text := out.String(); !strings.Contains(text, "group/one") || strings.Contains(text, "group/two") {
		t.Errorf("it printed\n%s", text)
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("it wrote %v, %v", left, err)
	}
	// The same to its end is kept.
	both[1] = step("group/two", func() {})
	if err := measure(t.Context(), both, choice{}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadDir(results); err != nil || len(kept) != 1 {
		t.Errorf("it kept %v, %v", kept, err)
	}
}

func TestAResultThatCouldNotBeKeptIsFoundAtOnce(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile(results, nil, 0o600); err != nil { // where the directory would be
		t.Fatal(err)
	}
	if err := measure(t.Context(), rows(false), choice{}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "could not be kept") {
		t.Errorf("it ends with %v", err)
	}
}

func TestListShowsRowsAndTheirLines(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-list", "-only", "server"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"server/put-record-async", "server/put-record-sync", "from the runs of "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the list lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "producer/") {
		t.Errorf("the list has rows that were not asked for:\n%s", out.String())
	}
}
