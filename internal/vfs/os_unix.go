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
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		holder := "another process"
		if pid := readPID(f); pid > 0 {
			holder = fmt.Sprintf("another process (pid %d)", pid)
		}
		return nil, errors.Join(fmt.Errorf("%w: %s uses it", ErrLocked, holder), f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("flock %s: %w", name, err), f.Close())
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
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
