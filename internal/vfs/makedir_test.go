package vfs

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestAMadeDataDirectoryIsDurable makes a directory and two above it, and finds
// out which were synced, and when: each parent after the name in it was made.
func TestAMadeDataDirectoryIsDurable(t *testing.T) {
	top := t.TempDir()
	var synced []string
	sync := func(dir string) error {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			synced = append(synced, filepath.Join(dir, e.Name()))
		}
		return nil
	}
	dir := filepath.Join(top, "a", "b", "c")
	if err := makeDir(dir, sync); err != nil {
		t.Fatal(err)
	}
	for d := dir; d != top; d = filepath.Dir(d) {
		if !slices.Contains(synced, d) {
			t.Errorf("%s may be lost: synced were %v", d, synced)
		}
	}
	synced = nil
	if err := makeDir(dir, sync); err != nil || !slices.Contains(synced, dir) {
		t.Errorf("a directory that exists may be lost all the same: %v, %v", synced, err)
	}
	fails := func(string) error { return os.ErrInvalid }
	if err := makeDir(filepath.Join(dir, "d"), fails); err == nil {
		t.Error("a directory that was made and cannot be synced is taken")
	}
	if err := makeDir(dir, fails); err != nil {
		t.Errorf("a directory that exists on a system that cannot sync: %v", err)
	}
}
