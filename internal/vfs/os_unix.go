//go:build linux || darwin || freebsd || dragonfly

package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func syncDir(d *os.File) error { return d.Sync() }

// lockFile takes a flock, which the kernel gives up when the process ends, in
// whatever way. The process number in the file is for people only.
func lockFile(root *os.Root, name string) (io.Closer, error) {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	if err := flock(f, name, unix.LOCK_EX); err != nil {
		return nil, err
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// shareLock takes a flock that others may have as well, but not together with
// that of lockFile. It closes the file if it fails.
func shareLock(f *os.File, name string) error { return flock(f, name, unix.LOCK_SH) }

// flock locks a file without waiting, and closes it if that fails.
func flock(f *os.File, name string, how int) error {
	switch err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		holder := "another process"
		if pid := readPID(f); pid > 0 {
			holder = fmt.Sprintf("another process (pid %d)", pid)
		}
		return errors.Join(fmt.Errorf("%w: %s uses it", ErrLocked, holder), f.Close())
	case err != nil:
		return errors.Join(fmt.Errorf("flock %s: %w", name, err), f.Close())
	}
	return nil
}

// readPID is the process number in a lock file, or 0.
func readPID(f *os.File) int {
	var b [20]byte
	n, _ := f.ReadAt(b[:], 0) // io.EOF, or a file without a number: 0
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil {
		return 0
	}
	return pid
}

func freeSpace(d *os.File) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(d.Fd()), &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // the types differ between systems
}
