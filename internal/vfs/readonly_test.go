package vfs_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/shardrun/shardrun/internal/vfs"
)

// What is opened to be looked at cannot be changed by that, also where it could be.
func TestReadOnlyChangesNothing(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o600), os.Mkdir(filepath.Join(dir, "empty"), 0o700))
	o, err := vfs.OpenExistingOS(dir)
	must(t, err)
	fsys := vfs.ReadOnly{OS: o}
	f, err := fsys.Open("file")
	must(t, err)
	b := make([]byte, 4)
	if _, err := f.ReadAt(b, 0); err != nil || string(b) != "text" {
		t.Errorf("read %q, %v", b, err)
	}
	_, createErr := fsys.Create("new")
	_, writeErr := f.Write([]byte("more"))
	for what, err := range map[string]error{
		"create": createErr, "write": writeErr, "truncate": f.Truncate(0), "rename": fsys.Rename("file", "other"), "mkdir": fsys.Mkdir("dir"),
		"rewrite": fsys.Rewrite("file", []byte("x"), 0), "remove": fsys.Remove("empty"), "remove all": vfs.RemoveAll(fsys, "empty"),
	} {
		if !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s: %v", what, err)
		}
	}
	must(t, f.Sync(), f.Close())
	if _, err := fsys.Open("missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	lock, err := fsys.Lock("LOCK")
	must(t, err)
	if _, err := o.Lock("LOCK"); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("a second lock: %v", err)
	}
	must(t, lock.Close(), o.Close())
	entries, err := os.ReadDir(dir)
	must(t, err)
	if text, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(text) != "text" || len(entries) != 3 {
		t.Errorf("afterwards %q, %v, %v", text, err, entries)
	}
}
