package localstream

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shardrun/shardrun/internal/vfs"
)

// onItsOwnThread runs f on a thread that ends with it, so that it may give up
// rights, or mount file systems that nobody else sees.
func onItsOwnThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock it
		f()
	}()
	<-done
}

// obey makes this thread one that permissions are for, also if it is root's.
func obey() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	return unix.Capset(&header, &data[0])
}

// protect makes a directory one that nobody writes to, as its permissions say.
func protect(t *testing.T, dir string) {
	t.Helper()
	var dirs []string
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o400)
		if e.IsDir() {
			dirs = append(dirs, name)
			mode = 0o500
		}
		return os.Chmod(name, mode)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, name := range dirs {
			_ = os.Chmod(name, 0o700) // so that it can be removed
		}
	})
}

// A backup is looked at where it cannot be written to, by its permissions or
// because of how it is mounted, with a lock in it or without; a server that has
// the directory is seen there as well.
func TestWhatCannotBeWrittenToCanBeVerified(t *testing.T) {
	for _, way := range []string{"by permission", "by mount"} {
		for name, served := range map[string]bool{"no lock": false, "a lock": false, "a lock that is held": true} {
			t.Run(way+", "+name, func(t *testing.T) {
				dir := t.TempDir()
				h := open(t, Config{DataDir: dir})
				h.create("s", 1)
				h.put("k", "a")
				if !served {
					h.must(h.server.Close())
				}
				if name == "no lock" {
					h.must(os.Remove(filepath.Join(dir, lockName)))
				} else if !served {
					change(t, filepath.Join(dir, lockName), func([]byte) []byte { return []byte("1\n") })
				}
				before := tree(t, dir)
				var v *Verification
				var r *RepairReport
				var verifyErr, planErr, repairErr, unable error
				look := func() {
					v, verifyErr = Verify(dir)
					r, planErr = PlanRepair(dir)
					_, repairErr = Repair(dir)
				}
				if way == "by permission" {
					protect(t, dir)
					onItsOwnThread(func() {
						if unable = obey(); unable == nil {
							look()
						}
					})
				} else {
					onItsOwnThread(func() {
						unable = errors.Join(
							unix.Unshare(unix.CLONE_NEWNS),
							unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
							unix.Mount(dir, dir, "", unix.MS_BIND, ""),
							unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
						if unable == nil {
							look()
						}
					})
				}
				if unable != nil {
					t.Skipf("this cannot be tried here: %v", unable)
				}
				if served {
					for _, err := range []error{verifyErr, planErr} {
						if !errors.Is(err, vfs.ErrLocked) || !strings.Contains(err.Error(), "pid") {
							t.Errorf("with a server: %v", err)
						}
					}
					return
				}
				if verifyErr != nil || v.Damaged || v.Streams[0].Records != 1 {
					t.Errorf("verify: %+v, %v", v, verifyErr)
				}
				if planErr != nil || len(r.Files) > 0 {
					t.Errorf("plan: %+v, %v", r, planErr)
				}
				if !errors.Is(repairErr, syscall.EROFS) && !errors.Is(repairErr, fs.ErrPermission) {
					t.Errorf("repair: %v", repairErr)
				}
				if !maps.Equal(tree(t, dir), before) {
					t.Error("something was changed")
				}
			})
		}
	}
}
