//go:build !(linux || darwin || freebsd || dragonfly)

package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// syncDir does nothing: a directory is no file that can be synced here. That a
// new file survives a power failure is up to the journal of the file system.
func syncDir(*os.File) error { return nil }

// checkLink does nothing: links have no owners here that could be compared.
func checkLink(string) error { return nil }

// lockFile makes a file that must not exist. Unlike a lock of the kernel it
// outlives a process that was killed; the error says what to do about it.
func lockFile(root *os.Root, name string) (io.Closer, error) {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, fileMode)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w: another process uses it, or was killed; if none runs, remove %s",
			ErrLocked, filepath.Join(root.Name(), name))
	}
	if err != nil {
		return nil, err
	}
	return exclusiveFile{f, root, name}, nil
}

// shareLock fails: the file is there as long as a process has the lock. It closes
// the file.
func shareLock(f *os.File, name string) error {
	return errors.Join(fmt.Errorf("%w: another process uses it, or was killed; if none runs, remove %s", ErrLocked, name), f.Close())
}

type exclusiveFile struct {
	*os.File
	root *os.Root
	name string
}

// Close removes the file, and with it the lock.
func (e exclusiveFile) Close() error {
	return errors.Join(e.File.Close(), e.root.Remove(e.name))
}

func freeSpace(*os.File) (int64, error) { return 0, errors.ErrUnsupported }
