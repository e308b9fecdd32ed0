//go:build unix

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/internal/history"
)

// A history that is missing would make records look lost, and one that cannot be
// read hides what it tells: neither is judged, and the file is named.
func TestHistoriesThatCannotBeJudgedAreNamed(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(file string) error
		want   string
	}{
		"missing": {os.Remove, "has no worker-1.2.history.jsonl, which run.json lists as a history of the run"},
		"broken": {func(file string) error {
			return os.WriteFile(file, []byte("{\"n\":1,\"at\":1,\"begin\":{}}\n{\"n\":2,\n{\"n\":3,\"at\":3,\"healed\":true}\n"), 0o600)
		}, "worker-1.2.history.jsonl: line 2: "},
		"not a history": {func(file string) error { return os.WriteFile(file, []byte("{\"n\":7}\n"), 0o600) }, "worker-1.2.history.jsonl: line 1: "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{"worker-1.1", "worker-1.2", "worker-2.1"} {
				var text strings.Builder
				history.NewRecorder(&text).Started(name)
				if err := os.WriteFile(filepath.Join(dir, name+historySuffix), []byte(text.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			names, err := findHistories(dir)
			if err != nil {
				t.Fatal(err)
			}
			file := runOf(config{ttl: time.Second, settle: time.Minute})
			file.Ended = &totals{Histories: names}
			if err := file.save(dir); err != nil {
				t.Fatal(err)
			}
			if err := test.damage(filepath.Join(dir, "worker-1.2"+historySuffix)); err != nil {
				t.Fatal(err)
			}
			err = command(t.Context(), []string{"-check", dir}, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("judged with %v, want %q", err, test.want)
			}
		})
	}
}

// A program that was built elsewhere says what it needs to build the others, and
// leaves nothing behind.
func TestOutsideOfTheModuleThereIsNoRun(t *testing.T) {
	if redisServer() == "" {
		t.Skip("redis-server is not installed")
	}
	for name, args := range map[string][]string{
		"a directory of its own": {"-for", "1s"},
		"a new directory":        {"-for", "1s", "-dir", "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			outside := t.TempDir()
			t.Chdir(outside)
			t.Setenv("TMPDIR", outside)
			err := command(t.Context(), args, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), "want the go command and, as the directory to run this in, the module "+module+"; or -programs") {
				t.Errorf("it is told %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "files are in") {
				t.Errorf("it is told of files: %v", err)
			}
			if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// What is saved 80 times too late is seen, with the lease time that there is unless
// another is asked for; and a worker has time for a call that hangs.
func TestSavesAreJudgedByTime(t *testing.T) {
	c := config{ttl: time.Second}.withDefaults()
	if lag := c.options().SaveLag; lag < time.Second || lag > 5*time.Second {
		t.Errorf("a save may come %v late with a lease time of 1s", lag)
	}
	for _, ttl := range []time.Duration{100 * time.Millisecond, time.Second, 10 * time.Second, time.Minute} {
		if lag := (config{ttl: ttl}).saveLag(); lag < ttl/10+ttl/2 || lag < 3*time.Second {
			t.Errorf("lease time %v: a save may come %v late, which a machine under load does not keep to", ttl, lag)
		}
	}
}
