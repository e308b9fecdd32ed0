package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
)

// FS is a file system. All methods may be called concurrently.
//
// What was written is durable once [File.Sync] returned nil, and that a name
// exists, was renamed or was removed once [FS.SyncDir] of its directory did.
type FS interface {
	// Create makes a new, empty file; a name that exists is an error.
	Create(name string) (File, error)
	// Open opens a file that exists, for reading and for appending.
	Open(name string) (File, error)
	// Rename moves a file to another name of the same directory in one step,
	// in place of what is there.
	Rename(from, to string) error
	// Rewrite writes p over the bytes at off, which the file has already. It is
	// durable once a [File] of that name was synced after it. A process that
	// finds what another one wrote needs it: the sync of the other may have
	// failed, and the bytes then be seen though nothing will write them to the
	// disk any more, however often they are synced.
	Rewrite(name string, p []byte, off int64) error
	// Remove removes a file or an empty directory. Files that are open stay
	// readable until they are closed.
	Remove(name string) error
	// Mkdir makes a directory in one that exists.
	Mkdir(name string) error
	// List returns what is in a directory, sorted by name.
	List(dir string) ([]Entry, error)
	// Stat describes a file or directory.
	Stat(name string) (Entry, error)
	// SyncDir makes the entries of a directory durable.
	SyncDir(dir string) error
	// Lock takes the lock that name stands for, or returns an error matching
	// [ErrLocked] when it is held. It is given up by Close, and by the end of
	// the process.
	Lock(name string) (io.Closer, error)
	// Free is the space that is left to the user of this process, in bytes. An
	// error matching [errors.ErrUnsupported] means that it is not known.
	Free() (int64, error)
}

// File is an open file. Reads may run concurrently with everything but Close.
// Writes and Truncate have one caller at a time.
type File interface {
	io.ReaderAt
	// Write appends to the end of the file.
	io.Writer
	io.Closer
	// Truncate cuts the file to size bytes.
	Truncate(size int64) error
	// Sync makes everything written so far durable. After an error nothing is
	// known of what was written since the last Sync that succeeded, and a
	// second call proves nothing.
	Sync() error
	// Size is the length in bytes.
	Size() (int64, error)
}

// Entry describes a file or directory.
type Entry struct {
	// Name is the last element of the path.
	Name string
	// Dir says that it is a directory.
	Dir bool
	// Size is the length of a file in bytes.
	Size int64
}

// ErrLocked is matched by the error of a lock that somebody else holds.
var ErrLocked = errors.New("locked")

// MkdirAll makes dir and the directories above it where they are missing, each
// durable in its parent. That dir exists does not mean that it is durable: its
// maker may have been stopped before it was.
func MkdirAll(fsys FS, dir string) error {
	if dir = path.Clean(dir); dir == "." {
		return nil
	}
	switch e, err := fsys.Stat(dir); {
	case err == nil && e.Dir:
		return syncParent(fsys, dir)
	case err == nil:
		return fmt.Errorf("make directory %s: a file has this name", dir)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("make directory %s: %w", dir, err)
	}
	parent := path.Dir(dir)
	if err := MkdirAll(fsys, parent); err != nil {
		return err
	}
	if err := fsys.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make directory %s: %w", dir, err)
	}
	return syncParent(fsys, dir)
}

func syncParent(fsys FS, dir string) error {
	if err := fsys.SyncDir(path.Dir(dir)); err != nil {
		return fmt.Errorf("make directory %s durable: %w", dir, err)
	}
	return nil
}

// RemoveAll removes dir and everything in it, durably. A directory that does
// not exist is no error.
func RemoveAll(fsys FS, dir string) error {
	dir = path.Clean(dir)
	entries, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name)
		if e.Dir {
			err = RemoveAll(fsys, name)
		} else {
			err = fsys.Remove(name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove %s: %w", name, err)
		}
	}
	if err := fsys.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	if err := fsys.SyncDir(path.Dir(dir)); err != nil {
		return fmt.Errorf("remove %s durably: %w", dir, err)
	}
	return nil
}
