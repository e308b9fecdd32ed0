//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The file is cut to what it had at a moment, where the server keeps it in either
// version, and not below what a former life left.
func TestAFileIsCutToWhatItHad(t *testing.T) {
	for _, name := range []string{"appendonly.aof", "appendonlydir/appendonly.aof.1.incr.aof"} {
		dir := t.TempDir()
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
		at := func(s int) time.Time { return time.Unix(int64(s), 0) }
		a := &aofSizes{dir: dir, seen: []aofSize{{at(1), file, 50}, {at(2), file, 70}, {at(3), file, 100}}}
		size := func() int64 {
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			return info.Size()
		}
		for _, step := range []struct {
			since, cut time.Time
			size       int64
		}{
			{at(4), time.Time{}, 100},
			{at(3), time.Time{}, 100}, // nothing came later
			{at(1).Add(1), at(2), 70},
			{at(2), time.Time{}, 70},
		} {
			if cut, err := a.cut(step.since); err != nil || !cut.Equal(step.cut) || size() != step.size {
				t.Errorf("%s, since %v: cut to %v, %d bytes, %v; want %v and %d", name, step.since, cut, size(), err, step.cut, step.size)
			}
		}
		a.forget()
		if cut, err := a.cut(at(0)); err != nil || !cut.IsZero() {
			t.Errorf("what a former life left is cut to %v, %v", cut, err)
		}
	}
}
