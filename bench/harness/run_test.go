package harness

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// turns is a row whose contestants give the values in turn and write down who
// ran when.
func turns(log *[]string, values map[string][]float64, names ...string) Row {
	row := Row{Name: "group/row", Group: "group", Work: "work", Unit: "MB/s"}
	for _, name := range names {
		run := 0
		row.Contestants = append(row.Contestants, Contestant{Name: name, Setup: func(context.Context, *Env) (Bench, error) {
			if values[name] == nil {
				return Bench{}, errors.New("cannot be had")
			}
			return Bench{
				Warm: func(context.Context) error { *log = append(*log, "warm "+name); return nil },
				Run: func(context.Context) (Sample, error) {
					*log = append(*log, name)
					run++
					return Sample{Value: values[name][run-1], Extra: map[string]float64{"p99": 100 * values[name][run-1]}}, nil
				},
				Close: func() error { *log = append(*log, "close "+name); return nil },
			}, nil
		}})
	}
	return row
}

func run(t *testing.T, row Row) []Outcome {
	t.Helper()
	outcomes, err := Run(t.Context(), []Row{row}, Options{Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return outcomes
}

func TestContestantsRunInTurnsAndTheMedianCounts(t *testing.T) {
	var log []string
	row := turns(&log, map[string][]float64{"a": {1, 50, 3}, "b": {2, 2, 60}}, "a", "b")
	row.Target, row.Met = "≥ 3", AtLeast(3)
	o := run(t, row)[0]
	want := []string{"warm a", "warm b", "a", "b", "a", "b", "a", "b", "close a", "close b"}
	if !slices.Equal(log, want) {
		t.Errorf("they ran as %q, want %q", log, want)
	}
	if *o.Ours != 3 || o.Peers["b"] != 2 || *o.Ratio != 1.5 || o.Against != "b" || !o.Met || o.Error != "" {
		t.Errorf("outcome is %+v", o)
	}
}

func TestPeerThatCannotBeHadDoesNotFailTheRow(t *testing.T) {
	var log []string
	row := turns(&log, map[string][]float64{"a": {1, 1, 1}, "c": {2, 2, 2}}, "a", "b", "c", "d")
	row.Contestants[1].Published, row.Contestants[1].Source = 4, "its documentation"
	outcomes := run(t, row)
	o := outcomes[0]
	if o.Error != "" || Failed(outcomes) || o.Peers["b"] != 4 || o.Against != "b" {
		t.Errorf("outcome is %+v", o)
	}
	var table bytes.Buffer
	if err := Print(&table, outcomes); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"b 4.00* · c 2.00 · d –", "* b: not measured here; its documentation", "d of group/row: cannot be had"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, table.String())
		}
	}
}

func TestOursThatFailsIsAnError(t *testing.T) {
	var log []string
	row := turns(&log, map[string][]float64{"b": {2, 2, 2}}, "a", "b")
	row.Target, row.Met = "any", func(Result) bool { return true }
	outcomes := run(t, row)
	if o := outcomes[0]; !strings.Contains(o.Error, "cannot be had") || o.Met || !Failed(outcomes) {
		t.Errorf("outcome is %+v", o)
	}
}

// What an interrupted run has are the rows that were finished.
func TestAnInterruptedRunHasTheRowsThatWereFinished(t *testing.T) {
	var log []string
	ctx, cancel := context.WithCancel(t.Context())
	first, second, third := turns(&log, map[string][]float64{"a": {1, 2, 3}}, "a", "none"), turns(&log, nil, "b"), turns(&log, nil, "c")
	first.Name, second.Name, third.Name = "group/first", "group/second", "group/third"
	second.Contestants[0].Setup = func(context.Context, *Env) (Bench, error) {
		return Bench{Run: func(ctx context.Context) (Sample, error) {
			cancel()
			return Sample{}, ctx.Err()
		}}, nil
	}
	var progress bytes.Buffer
	outcomes, err := Run(ctx, []Row{first, second, third}, Options{Cache: t.TempDir(), Progress: &progress})
	if !errors.Is(err, context.Canceled) || len(outcomes) != 1 || outcomes[0].Name != "group/first" || *outcomes[0].Ours != 2 {
		t.Errorf("it has %+v, %v", outcomes, err)
	}
	if !strings.Contains(progress.String(), "group/second: work (2 of 3)\n") || strings.Contains(progress.String(), "group/third") {
		t.Errorf("it told\n%s", progress.String())
	}
	if told := progress.String(); strings.Count(told, "is out") != 1 || !strings.Contains(told, "group/first: none is out: cannot be had\n") {
		t.Errorf("an interrupt is told as the failure of a contestant, or another failure is not told:\n%s", told)
	}
}

func TestNoisyRowsAreMarked(t *testing.T) {
	var log []string
	quiet, loud := turns(&log, map[string][]float64{"a": {1, 1, 1}}, "a"), turns(&log, map[string][]float64{"a": {1, 1, 1}}, "a")
	loud.Name, loud.Target, loud.Met = "group/loud", "≥ 1", AtLeast(1)
	outcomes := append(run(t, quiet), run(t, loud)...)
	outcomes[1].Noisy = true
	var table bytes.Buffer
	if err := Print(&table, outcomes); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"table": table.String(), "README": NewReport(outcomes, time.Now(), false).Markdown()} {
		if strings.Count(text, "yes (noisy)") != 1 || strings.Count(text, "(noisy)") != 1 ||
			!strings.Contains(text, "noisy: other programs used the processors") || !strings.Contains(text, "-only group/loud\n") {
			t.Errorf("the %s marks no noise, or too much:\n%s", name, text)
		}
	}
}

func TestMissingRowIsShownAndNotRun(t *testing.T) {
	var log []string
	row := turns(&log, map[string][]float64{"a": {1}}, "a")
	row.Missing, row.Target = "not built yet", "≥ 1"
	outcomes := run(t, row)
	if len(log) != 0 || outcomes[0].Met || outcomes[0].Missing != "not built yet" || Failed(outcomes) {
		t.Errorf("it ran %q, outcome is %+v", log, outcomes[0])
	}
}

func TestLinesJudgeTheSameRuns(t *testing.T) {
	var log []string
	row := turns(&log, map[string][]float64{"a": {4, 4, 4}, "a2": {2, 2, 2}, "b": {8, 8, 8}}, "a", "a2", "b")
	row.Contestants[1].Ours = true
	row.Also = []Line{
		{Name: "group/second", Ours: "a2", Against: "a", Met: RatioAtLeast("a", 0.5), Target: "half"},
		{Name: "group/p99", Extra: "p99", Unit: "ms", Better: Lower},
	}
	outcomes := run(t, row)
	if len(outcomes) != 3 || len(log) != 15 {
		t.Fatalf("%d lines, runs %q", len(outcomes), log)
	}
	if o := outcomes[1]; *o.Ours != 2 || *o.Ratio != 0.5 || !o.Met || o.Work != "work" || len(o.Peers) != 1 {
		t.Errorf("second line is %+v", o)
	}
	if o := outcomes[2]; *o.Ours != 400 || o.Peers["b"] != 800 || o.Unit != "ms" {
		t.Errorf("line of p99 is %+v", o)
	}
}

func TestReportIsKeptAndTheReadmeRewritten(t *testing.T) {
	var log []string
	row := turns(&log, map[string][]float64{"a": {1, 1, 1}}, "a")
	row.Target = "≥ 1"
	outcomes := run(t, row)
	dir := t.TempDir()
	first := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	for _, began := range []time.Time{first, first.Add(time.Hour)} {
		if _, err := NewReport(outcomes, began, false).Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	newest, err := Newest(dir)
	if err != nil || !newest.Time.Equal(first.Add(time.Hour)) || *newest.Rows[0].Ours != 1 {
		t.Fatalf("newest report is %+v, %v", newest, err)
	}
	if host, err := os.Hostname(); err == nil && strings.Contains(newest.Machine, host) {
		t.Errorf("the machine %q has the host's name", newest.Machine)
	}

	readme := filepath.Join(dir, "README.md")
	text := "before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n"
	if err := os.WriteFile(readme, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // again and again is the same
		if err := newest.Rewrite(readme); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(got); strings.Contains(s, "old") || !strings.HasPrefix(s, "before\n<!-- bench -->\n") ||
		!strings.HasSuffix(s, "\n<!-- /bench -->\nafter\n") || strings.Count(s, "| group/row |") != 1 {
		t.Errorf("the README is now\n%s", s)
	}
	if err := os.WriteFile(readme, []byte("no table"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := newest.Rewrite(readme); err == nil {
		t.Error("a README without a place for the table was rewritten")
	}
}

func TestNumbersHaveThreeDigits(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0", 0.0123456: "0.0123", 0.5: "0.500", 9.876: "9.88", 12.34: "12.3", 123.4: "123", 1234: "1,230",
		1_590_000: "1,590,000", -4321: "-4,320", 999.9: "1,000",
	} {
		if got := number(value); got != want {
			t.Errorf("%v is shown as %s, want %s", value, got, want)
		}
	}
}

func TestFiguresThatAreNoneFailTheRun(t *testing.T) {
	for name, s := range map[string]Sample{
		"value":        {Value: math.NaN()},
		"extra":        {Extra: map[string]float64{"p99": math.Inf(1)}},
		"observation":  {Observations: []float64{1, math.NaN()}},
		"observations": {Observations: []float64{}},
	} {
		row := Row{Name: "group/row", Group: "group", Contestants: []Contestant{{Name: "a", Setup: func(context.Context, *Env) (Bench, error) {
			return Bench{Run: func(context.Context) (Sample, error) { return s, nil }}, nil
		}}}}
		outcomes := run(t, row)
		if outcomes[0].Error == "" || outcomes[0].Ours != nil {
			t.Errorf("%s: outcome is %+v", name, outcomes[0])
		}
		if _, err := NewReport(outcomes, time.Now(), false).JSON(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProcessorTimeIsShownBesideTheOther(t *testing.T) {
	one := func(name string, cpu CPU) Contestant {
		return Contestant{Name: name, Setup: func(context.Context, *Env) (Bench, error) {
			return Bench{Run: func(context.Context) (Sample, error) {
				return Sample{Value: 1, Records: 1000, CPU: cpu, PeakRSS: 3 << 20}, nil
			}}, nil
		}}
	}
	c := run(t, Row{Name: "group/row", Group: "group", Contestants: []Contestant{
		one("a", CPU{Client: 0.01, Server: 0.02}), one("b", CPU{Client: 0.03}),
	}})[0].cells()
	if c.cpu != "1.00 + 2.00 (b 3.00 + 0)" || c.rss != "3 MiB" {
		t.Errorf("processor time is shown as %q, memory as %q", c.cpu, c.rss)
	}
}

func TestSelect(t *testing.T) {
	row := Row{Name: "server/put-record-async", Also: []Line{{Name: "server/put-record-sync"}}}
	for pattern, want := range map[string]bool{
		"server": true, "server/": true, "server/put": true, "server/put-record": true, "server/put-record-async": true,
		"server/put-record-sync": true, "*/put-record*": true, "producer,server": true,
		"server/put-rec": false, "serv": false, "put-record": false, "": false, "producer": false,
	} {
		if got := len(Select([]Row{row}, pattern)) == 1; got != want {
			t.Errorf("-only %q selects it: %v, want %v", pattern, got, want)
		}
	}

	rows := []Row{
		{Name: "lease/save"}, {Name: "lease/save-1000"}, {Name: "scale/few", Also: []Line{{Name: "scale/few/join"}}}, {Name: "scale/few-more"},
	}
	for pattern, want := range map[string]string{
		"lease/save":             "lease/save", // a row's name is that row's alone
		"lease/save-1000":        "lease/save-1000",
		"lease":                  "lease/save lease/save-1000",
		"lease/save*":            "lease/save lease/save-1000",
		"scale/few/join":         "scale/few",
		"scale/few-more,lease":   "lease/save lease/save-1000 scale/few-more",
		" scale/few, lease/save": "lease/save scale/few",
	} {
		var got []string
		for _, r := range Select(rows, pattern) {
			got = append(got, r.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("-only %q selects %q, want %q", pattern, got, want)
		}
	}
}
