//go:build linux || darwin || freebsd || dragonfly

package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// checkLink refuses a directory that is a symbolic link, if the link or what it
// leads to belongs to somebody who is neither this user nor root: they could
// make it lead elsewhere at any time.
func checkLink(dir string) error {
	dir = filepath.Clean(dir) // a slash at its end would follow the link
	link, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && link.Mode()&fs.ModeSymlink == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	target, err := os.Stat(dir)
	if err != nil {
		return deadLink(dir, err)
	}
	for what, info := range map[string]fs.FileInfo{"it is a symbolic link that belongs": link, "it is a symbolic link to a directory that belongs": target} {
		owner, ok := info.Sys().(*syscall.Stat_t)
		if ok && owner.Uid != 0 && int(owner.Uid) != os.Geteuid() {
			return fmt.Errorf("%s to user %d: want one of this user or of root", what, owner.Uid)
		}
	}
	return nil
}
