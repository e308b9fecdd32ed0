package vfs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/shardrun/shardrun/internal/vfs"
)

// systems are the file systems, which must behave alike.
func systems(t *testing.T) map[string]vfs.FS {
	t.Helper()
	disk, err := vfs.OpenOS(filepath.Join(t.TempDir(), "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	return map[string]vfs.FS{
		"os": disk, "memory": vfs.NewMemory(), "crash": vfs.NewCrash(), "fault": vfs.Fault(vfs.NewMemory(), vfs.Plan{}),
	}
}

func each(t *testing.T, run func(t *testing.T, fsys vfs.FS)) {
	for name, fsys := range systems(t) {
		t.Run(name, func(t *testing.T) { run(t, fsys) })
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// write makes a file with content, which is not synced.
func write(t *testing.T, fsys vfs.FS, name string, content []byte) vfs.File {
	t.Helper()
	f, err := fsys.Create(name)
	must(t, err)
	n, err := f.Write(content)
	if must(t, err); n != len(content) {
		t.Fatalf("wrote %d bytes of %d", n, len(content))
	}
	return f
}

func contentOf(t *testing.T, f vfs.File) []byte {
	t.Helper()
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n != len(b) {
		t.Fatalf("read %d bytes of %d: %v", n, size, err)
	}
	return b
}

func TestAFileIsAppendedToReadAndCut(t *testing.T) {
	each(t, func(t *testing.T, fsys vfs.FS) {
		rng := rand.New(rand.NewPCG(1, 1))
		want := []byte{}
		f := write(t, fsys, "file", want)
		for range 12 {
			part := make([]byte, rng.IntN(200_000))
			for i := range part {
				part[i] = byte(rng.Uint32())
			}
			_, err := f.Write(part)
			must(t, err)
			want = append(want, part...)
			if rng.IntN(3) == 0 {
				want = want[:rng.IntN(len(want)+1)]
				must(t, f.Truncate(int64(len(want))))
			}
			if got := contentOf(t, f); !bytes.Equal(got, want) {
				t.Fatalf("content differs, of %d bytes", len(want))
			}
		}
		must(t, f.Sync(), f.Close())

		f, err := fsys.Open("file")
		must(t, err)
		_, err = f.Write([]byte("end"))
		must(t, err)
		b := make([]byte, 10)
		n, err := f.ReadAt(b, int64(len(want)))
		if string(b[:n]) != "end" || !errors.Is(err, io.EOF) {
			t.Errorf("read %q, %v over the end", b[:n], err)
		}
		if n, err := f.ReadAt(b, int64(len(want)+50)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("read %d bytes, %v behind the end", n, err)
		}
		must(t, f.Close())
	})
}

func TestRewritingReplacesBytesInPlace(t *testing.T) {
	each(t, func(t *testing.T, fsys vfs.FS) {
		want := bytes.Repeat([]byte("0123456789"), 60_000) // more than a chunk of memory
		f := write(t, fsys, "file", want)
		must(t, f.Sync())
		copy(want[255_000:], bytes.Repeat([]byte("x"), 300_000))
		must(t, fsys.Rewrite("file", want[255_000:555_000], 255_000), f.Sync())
		if got := contentOf(t, f); !bytes.Equal(got, want) {
			t.Errorf("content differs, of %d bytes", len(got))
		}
		_, err := f.Write([]byte("end")) // still appends
		must(t, err)
		if got := contentOf(t, f); !bytes.Equal(got, append(want, "end"...)) {
			t.Errorf("content differs after an append, of %d bytes", len(got))
		}
		if err := fsys.Rewrite("none", []byte("x"), 0); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("rewriting what does not exist: %v", err)
		}
		must(t, f.Close())
	})
}

func TestNames(t *testing.T) {
	each(t, func(t *testing.T, fsys vfs.FS) {
		must(t, vfs.MkdirAll(fsys, "d/e"), vfs.MkdirAll(fsys, "d/e"), vfs.MkdirAll(fsys, "."))
		must(t, write(t, fsys, "d/two", []byte("22")).Close(), write(t, fsys, "d/one", []byte("1")).Close())
		list := func() []vfs.Entry {
			entries, err := fsys.List("d")
			must(t, err)
			for i := range entries {
				if entries[i].Dir {
					entries[i].Size = 0 // of a directory, up to the system
				}
			}
			return entries
		}
		if got, want := list(), []vfs.Entry{{Name: "e", Dir: true}, {Name: "one", Size: 1}, {Name: "two", Size: 2}}; !slices.Equal(got, want) {
			t.Errorf("list: %v, want %v", got, want)
		}
		if e, err := fsys.Stat("d/two"); err != nil || e != (vfs.Entry{Name: "two", Size: 2}) {
			t.Errorf("stat: %v, %v", e, err)
		}

		open, err := fsys.Open("d/one")
		must(t, err, fsys.Rename("d/two", "d/one"), fsys.SyncDir("d"))
		if got := contentOf(t, open); string(got) != "1" {
			t.Errorf("the file that was open and replaced holds %q", got)
		}
		must(t, open.Close())
		if got, want := list(), []vfs.Entry{{Name: "e", Dir: true}, {Name: "one", Size: 2}}; !slices.Equal(got, want) {
			t.Errorf("list after a rename: %v, want %v", got, want)
		}

		_, createErr := fsys.Create("d/one")
		for what, err := range map[string]error{"create": createErr, "mkdir": fsys.Mkdir("d/e")} {
			if !errors.Is(err, fs.ErrExist) {
				t.Errorf("%s of what exists: %v", what, err)
			}
		}
		_, openErr := fsys.Open("d/none")
		_, statErr := fsys.Stat("none")
		_, listErr := fsys.List("none")
		_, inNone := fsys.Create("none/file")
		for what, err := range map[string]error{"open": openErr, "stat": statErr, "list": listErr, "create": inNone,
			"remove": fsys.Remove("none"), "rename": fsys.Rename("none", "two"), "sync": fsys.SyncDir("none"), "mkdir": fsys.Mkdir("none/d")} {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s of what does not exist: %v", what, err)
			}
		}
		if fsys.Remove("d") == nil {
			t.Error("a directory with files in it was removed")
		}
		if err := vfs.MkdirAll(fsys, "d/one/x"); err == nil {
			t.Error("a directory was made in a file")
		}

		must(t, vfs.RemoveAll(fsys, "d"), vfs.RemoveAll(fsys, "d"))
		if entries, err := fsys.List("."); err != nil || len(entries) > 0 {
			t.Errorf("after removing all: %v, %v", entries, err)
		}
	})
}

func TestALockIsHeldOnce(t *testing.T) {
	each(t, func(t *testing.T, fsys vfs.FS) {
		lock, err := fsys.Lock("LOCK")
		must(t, err)
		if _, err := fsys.Lock("LOCK"); !errors.Is(err, vfs.ErrLocked) {
			t.Errorf("a second lock: %v", err)
		}
		must(t, lock.Close())
		lock, err = fsys.Lock("LOCK")
		must(t, err, lock.Close())
	})
}

func TestALockedDirectoryNamesItselfAndTheOtherProcess(t *testing.T) {
	dir := t.TempDir()
	a, err := vfs.OpenOS(dir)
	must(t, err)
	lock, err := a.Lock("LOCK")
	must(t, err)
	b, err := vfs.OpenOS(dir)
	must(t, err)
	_, err = b.Lock("LOCK")
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "another process") {
		t.Errorf("lock: %v", err)
	}
	must(t, lock.Close(), a.Close(), b.Close())
}

func TestADirectoryThatCannotBeUsedIsRefusedByName(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if _, err := vfs.OpenOS(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file as data directory: %v", err)
	}
	dead := filepath.Join(dir, "dead")
	must(t, os.Symlink("/nowhere/at/all", dead))
	for name, open := range map[string]func(string) (*vfs.OS, error){"OpenOS": vfs.OpenOS, "OpenExistingOS": vfs.OpenExistingOS} {
		if _, err := open(dead + "/"); err == nil || !strings.Contains(err.Error(), dead) || !strings.Contains(err.Error(), "a symbolic link to /nowhere/at/all, where there is nothing") {
			t.Errorf("%s of a symbolic link that leads nowhere: %v", name, err)
		}
	}
	closed := filepath.Join(dir, "closed")
	must(t, os.Mkdir(closed, 0o500))
	if os.Getuid() == 0 { // who may write there all the same
		if closed = "/proc/self"; runtime.GOOS != "linux" {
			t.Skip("root writes everywhere")
		}
	}
	if _, err := vfs.OpenOS(closed); err == nil || !strings.Contains(err.Error(), closed+" is not writable") {
		t.Errorf("a directory without write permission: %v", err)
	}
}

func TestFilesOfTheSystemArePrivateAndStayInside(t *testing.T) {
	dir := t.TempDir()
	disk, err := vfs.OpenOS(filepath.Join(dir, "data"))
	must(t, err, disk.Mkdir("d"), write(t, disk, "d/f", nil).Close())
	for name, want := range map[string]fs.FileMode{"data": 0o700, "data/d": 0o700, "data/d/f": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if must(t, err); info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), want)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("s"), 0o600),
		os.Symlink(filepath.Join(dir, "secret"), filepath.Join(dir, "data", "link")))
	for _, name := range []string{"../secret", "d/../../secret", "link", filepath.Join(dir, "secret")} {
		if _, err := disk.Open(name); err == nil {
			t.Errorf("%s leads out of the directory", name)
		}
	}
	if n, err := disk.Free(); err != nil || n <= 0 {
		t.Errorf("free space: %d, %v", n, err)
	}
	if _, err := vfs.NewMemory().Free(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("free space in memory: %v", err)
	}
	must(t, disk.Close())
}
