//go:build unix

package main

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

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
