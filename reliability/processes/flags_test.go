//go:build unix

package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/reliability/cmdline"
)

// split cuts a command line at its blanks, with _ for a blank in an argument.
func split(line string) []string {
	args := strings.Fields(line)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "_", " ")
	}
	return args
}

func TestACommandLineThatMakesNoSenseIsRefused(t *testing.T) {
	dir := t.TempDir()
	for line, want := range map[string]string{
		"5m":                                    `"5m" is not a flag`,
		"-for 5m now":                           `"now" is not a flag`,
		"-fast":                                 "not defined: -fast",
		"-for 0s":                               "-for 0s: want a time above 0",
		"-for -1s":                              "-for -1s: want a time above 0",
		"-for long":                             `invalid value "long" for flag -for`,
		"-seed 0":                               "-seed 0: want more than 0, or leave it out",
		"-workers 1":                            "-workers 1: want 2 to 100",
		"-workers 1000":                         "-workers 1000: want 2 to 100",
		"-producers 0":                          "-producers 0: want 1 to 100",
		"-shards 9":                             "-shards 9: want 1 to 8",
		"-rate -5":                              "-rate -5: want 1 to 100000",
		"-lease-ttl 1ms":                        "-lease-ttl 1ms: want ",
		"-lease-ttl 0":                          "-lease-ttl 0s: want more than 0, or leave it out",
		"-pause 0":                              "-pause 0s: want more than 0, or leave it out",
		"-pause 1ns":                            "-pause 1ns: want at least 10ms",
		"-settle -1m":                           "-settle -1m0s: want at least",
		"-settle 1s":                            "-settle 1s: want at least three lease times, 3s",
		"-only kill_all":                        `-only "kill all": want some of kill worker, hold worker`,
		"-only split,,merge":                    `-only "": want some of`,
		"-only split,split":                     `-only: "split" stands there twice`,
		"-only fail_over_redis,kill_redis":      `-only "kill redis": in a run with -sentinels`,
		"-sentinels -only cut_worker_half_open": `-only "cut worker half open": in a run with -sentinels`,
		"-programs " + dir:                      "want a directory with the programs shardrun and node",
		"-check " + dir + " -for":               "flag needs an argument: -for",
		"-check " + dir + " -for 1m -v":         "-for does nothing with -check, which takes -v, -lines only",
		"-lines x":                              "-lines does nothing without -v",
		"-v -lines (":                           `invalid value "(" for flag -lines`,
		"-check " + dir + " -lines x":           "-lines does nothing without -v",
		"-keep -check " + dir:                   "-keep does nothing with -check, which takes -v, -lines only",
	} {
		_, err := parse(split(line))
		var text strings.Builder
		if status := cmdline.Status("processes", err, io.Discard, &text); status != 2 || !strings.Contains(text.String(), want) {
			t.Errorf("%q: status %d, %q; want %q", line, status, text.String(), want)
		}
	}
}

func TestWhatIsLeftOutHasDefaults(t *testing.T) {
	o, err := parse(split("-for 2m -lease-ttl 3s -only kill_server,_split -v -lines shardId-[78]"))
	if err != nil {
		t.Fatal(err)
	}
	if o.seed == 0 || o.pause != 3*time.Second || o.settle != 3*time.Minute || !slices.Equal(o.only, []string{"kill server", "split"}) || !o.verbose || !o.lines.MatchString("a shardId-7") {
		t.Errorf("options %+v", o)
	}
	if _, err := parse(split("-for 1s -lease-ttl 1m")); err != nil {
		t.Errorf("the default of -settle is too short for a long lease time: %v", err)
	}
	for _, more := range []string{"", "-sentinels"} {
		again, err := parse(slices.Concat(split("-for 2m0s"), split("-seed 7"), split(more)))
		if err != nil {
			t.Fatal(err)
		}
		third, err := parse(strings.Fields(strings.TrimPrefix(again.command(), "go run ./reliability/processes ")))
		if err != nil || third.command() != again.command() || third.sentinels != (more != "") {
			t.Errorf("%q is told to be made again as %q, %v", again.command(), third.command(), err)
		}
	}
	if o, err := parse(split("-only fail_over_redis")); err != nil || !o.sentinels {
		t.Errorf("a failover without a Sentinel set: %v", err)
	}
}

func TestHelpTellsTheFlags(t *testing.T) {
	_, err := parse([]string{"--help"})
	var text strings.Builder
	if status := cmdline.Status("processes", err, &text, io.Discard); status != 0 {
		t.Errorf("status %d", status)
	}
	for _, want := range []string{"-for duration", "-check directory", "kill server", "(default: the lease time)"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the help lacks %q:\n%s", want, text.String())
		}
	}
}

// An error that would end a long run is found before it begins.
func TestALedgerThatCannotBeWrittenIsFoundAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	err := command(t.Context(), []string{"-for", "1h", "-dir", dir, "-ledger", filepath.Join(dir, "no", "totals.json")}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "ledger") {
		t.Errorf("it is %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the run began")
	}
}

func TestADirectoryThatIsNoRunIsNotJudged(t *testing.T) {
	empty, unended, damaged, without := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	file := runOf(config{seed: 77, ttl: time.Second, settle: time.Minute})
	if err := file.save(unended); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(damaged, runName), []byte(`{"seed":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	file.Ended = &totals{}
	if err := file.save(without); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		empty:                        "is not the directory of a run: it has no run.json",
		unended:                      "the run of seed 77 in " + unended + " was interrupted or failed",
		damaged:                      "has no lease time",
		without:                      "has no histories",
		filepath.Join(empty, "none"): "no such file or directory",
	} {
		err := command(t.Context(), []string{"-check", dir}, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestTheDirectoryOfARunIsEmpty(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := command(t.Context(), []string{"-dir", dir}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "want an empty directory") {
		t.Errorf("it is %v", err)
	}
}

func TestRecordsAreCountedAsTheirHistoriesGrow(t *testing.T) {
	name := filepath.Join(t.TempDir(), "producer-1.1"+historySuffix)
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c := tally{dir: filepath.Dir(name)}
	for _, step := range []struct {
		text        string
		acked, done int
	}{
		{"\n{\"n\":1,\"begin\":{}}\n{\"n\":2,\"end\":{\"no\":1,\"acked\":true}}\n{\"n\":3,\"end\":{\"no\":2,\"ac", 1, 0},
		{"ked\":true}}\n{\"n\":4,\"handled\":{}}\n{\"n\":5,\"end\":{\"no\":3,\"err\":\"no\"}}\n", 2, 1},
		{"", 2, 1},
	} {
		if _, err := file.WriteString(step.text); err != nil {
			t.Fatal(err)
		}
		if err := c.update(); err != nil {
			t.Fatal(err)
		}
		if c.acked != step.acked || c.done != step.done {
			t.Errorf("%d acknowledged and %d handled, want %d and %d", c.acked, c.done, step.acked, step.done)
		}
	}
}

func TestARunIsKnownFromItsFile(t *testing.T) {
	o, err := parse(split("-for 1m30.7s -seed 12345678901 -workers 5 -producers 3 -shards 2 -rate 77 -lease-ttl 700ms -pause 30ms -only split,fail_over_redis"))
	if err != nil {
		t.Fatal(err)
	}
	dir, file := t.TempDir(), runOf(o.config)
	file.Ended = &totals{Took: inSeconds(1234567890), Counts: counts{Kills: 3, Losses: 1}, Trouble: []string{"worker-1 ended by itself"}}
	if err := file.save(dir); err != nil {
		t.Fatal(err)
	}
	again, err := loadRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := again.config()
	if c.command() != o.command() || c.options().TTL != o.ttl || c.options().Lag != o.settle {
		t.Errorf("it is read as %+v, want %+v", c, o.config)
	}
	if e := again.Ended; e == nil || e.Took.duration() != 1234567890 || e.Counts != file.Ended.Counts || !slices.Equal(e.Trouble, file.Ended.Trouble) {
		t.Errorf("its end is read as %+v", e)
	}
}
