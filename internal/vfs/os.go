package vfs

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// Files and directories belong to their owner alone.
const (
	dirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600
)

// OS is a directory of the operating system. No name leads out of it, by ".."
// or by a symbolic link.
type OS struct {
	root *os.Root
}

var _ FS = (*OS)(nil)

// OpenOS opens dir, which is made, durably, if it does not exist. It fails when
// dir is not a directory or cannot be written to, and on Unix when it is a
// symbolic link that belongs, or leads, to another user who is not root. Close
// it when nothing uses it any more.
func OpenOS(dir string) (*OS, error) {
	if err := checkLink(dir); err != nil {
		return nil, fmt.Errorf("open data directory %s: %w", dir, err)
	}
	if err := makeDir(dir, syncPath); err != nil {
		return nil, fmt.Errorf("open data directory %s: %w", dir, err)
	}
	o, err := OpenExistingOS(dir)
	if err != nil {
		return nil, err
	}
	if err := probe(o.root); err != nil {
		return nil, errors.Join(fmt.Errorf("data directory %s is not writable: %w", dir, err), o.Close())
	}
	return o, nil
}

// OpenExistingOS opens dir, which must exist, and changes nothing. Whether it
// can be written to shows when it is. Close it when nothing uses it any more.
func OpenExistingOS(dir string) (*OS, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open data directory %s: %w", dir, deadLink(dir, err))
	}
	return &OS{root}, nil
}

// deadLink says more of an error about a directory that is not there, if it is a
// symbolic link that leads nowhere.
func deadLink(dir string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	to, linkErr := os.Readlink(filepath.Clean(dir))
	if linkErr != nil {
		return err
	}
	return fmt.Errorf("it is a symbolic link to %s, where there is nothing: %w", to, err)
}

// makeDir makes dir and the directories above it where they are missing, and
// syncs the parent of each that it made.
func makeDir(dir string, sync func(dir string) error) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	parent := filepath.Dir(dir)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || parent == dir {
		if err := os.MkdirAll(dir, dirMode); err != nil { // a file has this name
			return err
		}
		// Who made it may have been stopped before it was durable. Its parent
		// may as well be closed to us, or lie on a system that cannot sync.
		_ = sync(parent)
		return nil
	}
	if err := makeDir(parent, sync); err != nil {
		return err
	}
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return sync(parent)
}

func syncPath(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(syncDir(d), d.Close())
}

// probe finds out whether files can be made in root. Permission bits do not
// tell: the file system may be mounted read-only.
func probe(root *os.Root) error {
	name := fmt.Sprintf(".probe-%d", os.Getpid())
	f, err := root.OpenFile(name, os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), root.Remove(name))
}

// Close releases the directory. Files that are open stay usable.
func (o *OS) Close() error { return o.root.Close() }

// Create implements [FS].
func (o *OS) Create(name string) (File, error) { return o.open(name, os.O_CREATE|os.O_EXCL) }

// Open implements [FS].
func (o *OS) Open(name string) (File, error) { return o.open(name, 0) }

func (o *OS) open(name string, flags int) (File, error) {
	f, err := o.root.OpenFile(name, os.O_RDWR|os.O_APPEND|flags, fileMode)
	if err != nil {
		return nil, err // not f: a nil *os.File is not a nil File
	}
	return osFile{f}, nil
}

// Rename implements [FS].
func (o *OS) Rename(from, to string) error { return o.root.Rename(from, to) }

// Rewrite implements [FS]. It needs a file of its own: on one that is opened for
// appending, Linux appends whatever the offset.
func (o *OS) Rewrite(name string, p []byte, off int64) error {
	f, err := o.root.OpenFile(name, os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(p, off)
	return errors.Join(err, f.Close())
}

// Remove implements [FS].
func (o *OS) Remove(name string) error { return o.root.Remove(name) }

// Mkdir implements [FS].
func (o *OS) Mkdir(name string) error { return o.root.Mkdir(name, dirMode) }

// List implements [FS].
func (o *OS) List(dir string) ([]Entry, error) {
	d, err := o.root.Open(dir)
	if err != nil {
		return nil, err
	}
	infos, err := d.Readdir(-1)
	if err := errors.Join(err, d.Close()); err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(infos))
	for _, info := range infos {
		entries = append(entries, entryOf(info))
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	return entries, nil
}

// Stat implements [FS].
func (o *OS) Stat(name string) (Entry, error) {
	info, err := o.root.Stat(name)
	if err != nil {
		return Entry{}, err
	}
	return entryOf(info), nil
}

func entryOf(info fs.FileInfo) Entry {
	return Entry{Name: path.Base(info.Name()), Dir: info.IsDir(), Size: info.Size()}
}

// SyncDir implements [FS].
func (o *OS) SyncDir(dir string) error {
	d, err := o.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(syncDir(d), d.Close())
}

// Lock implements [FS] by a lock on a file that stays. The error of a lock that
// is held names the file and, when it is known, the process.
func (o *OS) Lock(name string) (io.Closer, error) {
	l, err := lockFile(o.root, name)
	if err != nil {
		return nil, fmt.Errorf("lock data directory %s: %w", o.root.Name(), err)
	}
	return l, nil
}

// Free implements [FS].
func (o *OS) Free() (int64, error) {
	d, err := o.root.Open(".")
	if err != nil {
		return 0, err
	}
	n, err := freeSpace(d)
	if err := errors.Join(err, d.Close()); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", o.root.Name(), err)
	}
	return n, nil
}

// osFile is opened for appending, so that Write needs no position.
type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
