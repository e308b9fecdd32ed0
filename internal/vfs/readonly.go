package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
)

// ReadOnly is a directory of the operating system to look at: nothing in it is
// changed, but for its lock, and everything that would change it fails with
// EROFS. It need not be one that can be written to.
type ReadOnly struct {
	*OS
}

var _ FS = ReadOnly{}

func readOnly(op, name string) error {
	return &fs.PathError{Op: op, Path: name, Err: syscall.EROFS}
}

// Create implements [FS]; it fails.
func (ReadOnly) Create(name string) (File, error) { return nil, readOnly("create", name) }

// Open implements [FS]. The file is opened for reading alone.
func (r ReadOnly) Open(name string) (File, error) {
	f, err := r.root.Open(name)
	if err != nil {
		return nil, err // not f: a nil *os.File is not a nil File
	}
	return readOnlyFile{osFile{f}}, nil
}

// Rename implements [FS]; it fails.
func (ReadOnly) Rename(from, _ string) error { return readOnly("rename", from) }

// Rewrite implements [FS]; it fails.
func (ReadOnly) Rewrite(name string, _ []byte, _ int64) error { return readOnly("rewrite", name) }

// Remove implements [FS]; it fails.
func (ReadOnly) Remove(name string) error { return readOnly("remove", name) }

// Mkdir implements [FS]; it fails.
func (ReadOnly) Mkdir(name string) error { return readOnly("mkdir", name) }

// Lock implements [FS]. Where the file of the lock cannot be written to, others
// may look at the directory at the same time, but none may have its lock; where
// there is no such file either, and none can be made, nobody has the lock.
func (r ReadOnly) Lock(name string) (io.Closer, error) {
	l, err := r.OS.Lock(name)
	if !errors.Is(err, syscall.EROFS) && !errors.Is(err, fs.ErrPermission) {
		return l, err
	}
	f, err := r.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return noLock{}, nil
	}
	if err == nil {
		err = shareLock(f, name)
	}
	if err != nil {
		return nil, fmt.Errorf("lock data directory %s: %w", r.root.Name(), err)
	}
	return f, nil
}

// noLock is the lock of a directory in which nobody can have one.
type noLock struct{}

// Close does nothing.
func (noLock) Close() error { return nil }

// readOnlyFile is a file that is opened for reading alone.
type readOnlyFile struct{ osFile }

// Write implements [File]; it fails.
func (f readOnlyFile) Write([]byte) (int, error) { return 0, readOnly("write", f.Name()) }

// Truncate implements [File]; it fails.
func (f readOnlyFile) Truncate(int64) error { return readOnly("truncate", f.Name()) }

// Sync implements [File]: there is nothing to be made durable.
func (readOnlyFile) Sync() error { return nil }
