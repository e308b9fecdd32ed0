package vfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/shardrun/shardrun/internal/vfs"
)

// clones calls see with many crash clones of disk.
func clones(disk *vfs.Crash, see func(clone *vfs.Crash)) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		see(disk.CrashClone(rng))
	}
}

func TestACrashKeepsWhatWasSynced(t *testing.T) {
	disk := vfs.NewCrash()
	must(t, vfs.MkdirAll(disk, "d"))
	f := write(t, disk, "d/f", bytes.Repeat([]byte("s"), 700))
	must(t, f.Sync(), disk.SyncDir("d"))
	_, err := f.Write(bytes.Repeat([]byte("u"), 2000))
	must(t, err)

	sizes, torn := map[int]bool{}, 0
	clones(disk, func(clone *vfs.Crash) {
		b, err := clone.ReadFile("d/f")
		must(t, err)
		if len(b) < 700 || bytes.Count(b[:700], []byte("s")) != 700 {
			t.Fatalf("of 700 synced bytes are left %d in %d", bytes.Count(b, []byte("s")), len(b))
		}
		for _, c := range b[700:] {
			if c != 'u' && c != 0 {
				t.Fatalf("byte %q comes from nowhere", c)
			}
		}
		sizes[len(b)] = true
		for at := 1024; at+512 <= len(b); at += 512 { // sectors that were never synced
			if n := bytes.Count(b[at:at+512], []byte("u")); n > 0 && n < 512 {
				torn++
			}
		}
	})
	if !sizes[700] || !sizes[2700] || len(sizes) < 10 || torn == 0 {
		t.Errorf("%d sizes and %d torn sectors: the clones differ too little", len(sizes), torn)
	}
	if got := contentOf(t, f); len(got) != 2700 {
		t.Errorf("the disk itself was changed: %d bytes", len(got))
	}
}

func TestACrashMayLoseATruncation(t *testing.T) {
	disk := vfs.NewCrash()
	f := write(t, disk, "f", []byte("0123456789"))
	must(t, f.Sync(), disk.SyncDir("."), f.Truncate(4))
	seen := map[string]bool{}
	clones(disk, func(clone *vfs.Crash) {
		b, err := clone.ReadFile("f")
		must(t, err)
		seen[string(b)] = true
	})
	if !seen["0123"] || !seen["0123456789"] {
		t.Errorf("seen: %v", seen)
	}
	must(t, f.Sync())
	clones(disk, func(clone *vfs.Crash) {
		if b, err := clone.ReadFile("f"); err != nil || string(b) != "0123" {
			t.Fatalf("a truncation that was synced is lost: %q, %v", b, err)
		}
	})
}

func TestACrashMayLoseNamesThatWereNotSynced(t *testing.T) {
	disk := vfs.NewCrash()
	state := func(d *vfs.Crash) string {
		entries, err := d.List(".")
		must(t, err)
		return fmt.Sprint(entries)
	}
	f := write(t, disk, "a", nil)
	must(t, f.Sync())
	seen := map[string]bool{}
	clones(disk, func(clone *vfs.Crash) { seen[state(clone)] = true })
	if len(seen) != 2 {
		t.Errorf("a new file is there and is not: %v", seen)
	}

	must(t, disk.SyncDir("."), disk.Rename("a", "b"))
	write(t, disk, "c", nil)
	clear(seen)
	clones(disk, func(clone *vfs.Crash) { seen[state(clone)] = true })
	if len(seen) != 4 { // with and without each
		t.Errorf("after a rename and a create: %v", seen)
	}

	must(t, disk.SyncDir("."), disk.Remove("b"))
	clear(seen)
	clones(disk, func(clone *vfs.Crash) { seen[state(clone)] = true })
	if len(seen) != 2 {
		t.Errorf("after a remove: %v", seen)
	}
	must(t, disk.SyncDir("."))
	clones(disk, func(clone *vfs.Crash) {
		if got := state(clone); got != state(disk) {
			t.Fatalf("a directory that was synced lists %s", got)
		}
	})
}

func TestTheSameSeedGivesTheSameClone(t *testing.T) {
	disk := vfs.NewCrash()
	for i := range 20 {
		write(t, disk, fmt.Sprint(i), bytes.Repeat([]byte("x"), 1000*i))
	}
	dump := func(seed uint64) (s string) {
		clone := disk.CrashClone(rand.New(rand.NewPCG(seed, 0)))
		entries, err := clone.List(".")
		must(t, err)
		for _, e := range entries {
			b, err := clone.ReadFile(e.Name)
			must(t, err)
			s += e.Name + string(b)
		}
		return s
	}
	one, again, two := dump(1), dump(1), dump(2)
	if one != again || one == two {
		t.Error("clones do not depend on the seed, or not on it alone")
	}
}

func TestFaultsHitTheOperationThatWasPlanned(t *testing.T) {
	// The workload makes 5 changes, of which the second is a write.
	work := func(fsys vfs.FS) error {
		f, err := fsys.Create("f")
		if err != nil {
			return err
		}
		if _, err := f.Write([]byte("12345678")); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		if err := fsys.SyncDir("."); err != nil {
			return err
		}
		return fsys.Rename("f", "g")
	}
	count := vfs.Fault(vfs.NewMemory(), vfs.Plan{})
	if must(t, work(count)); count.Changes() != 5 || count.Fired() || count.Operation(2) != "write f" {
		t.Errorf("%d changes, the second is %q", count.Changes(), count.Operation(2))
	}
	for _, c := range []struct {
		kind vfs.FaultKind
		err  error
		left int64 // bytes after the fault hit the write
	}{{vfs.FailEIO, syscall.EIO, 0}, {vfs.LostSync, syscall.EIO, 0}, {vfs.ShortWrite, syscall.EIO, 4}, {vfs.NoSpace, syscall.ENOSPC, 4},
		{vfs.CrashBefore, vfs.ErrCrashed, 0}, {vfs.CrashAfter, vfs.ErrCrashed, 8}} {
		for at := 1; at <= 5; at++ {
			disk := vfs.NewMemory()
			fsys := vfs.Fault(disk, vfs.Plan{Kind: c.kind, At: at})
			if err := work(fsys); !errors.Is(err, c.err) || !fsys.Fired() || fsys.Changes() != at {
				t.Errorf("%s at operation %d: %v after %d changes", c.kind, at, err, fsys.Changes())
			}
			if at == 2 {
				if e, err := disk.Stat("f"); err != nil || e.Size != c.left {
					t.Errorf("%s leaves %d bytes, %v; want %d", c.kind, e.Size, err, c.left)
				}
			}
			crashed := c.kind == vfs.CrashBefore || c.kind == vfs.CrashAfter
			_, openErr := fsys.Open("f")
			_, listErr := fsys.List(".")
			_, statErr := fsys.Stat(".")
			_, lockErr := fsys.Lock("l")
			for what, err := range map[string]error{"open": openErr, "list": listErr, "stat": statErr, "lock": lockErr, "sync": fsys.SyncDir(".")} {
				if errors.Is(err, vfs.ErrCrashed) != crashed {
					t.Errorf("%s, later %s: %v", c.kind, what, err)
				}
			}
		}
	}
}

// TestALostSyncIsMadeGoodByRewritingOnly fails a sync as Linux does.
func TestALostSyncIsMadeGoodByRewritingOnly(t *testing.T) {
	disk := vfs.NewCrash()
	f := write(t, disk, "f", []byte("kept"))
	must(t, f.Sync(), disk.SyncDir("."))
	faulty := vfs.Fault(disk, vfs.Plan{Kind: vfs.LostSync, At: 2})
	f, err := faulty.Open("f")
	must(t, err)
	_, err = f.Write([]byte("lost"))
	if must(t, err); !errors.Is(f.Sync(), syscall.EIO) {
		t.Fatal("the sync succeeds")
	}
	_, err = f.Write([]byte("more"))
	must(t, err, f.Sync()) // which proves nothing of what was written before
	if got := contentOf(t, f); string(got) != "keptlostmore" {
		t.Errorf("seen is %q", got)
	}
	after := func(want string) {
		t.Helper()
		clones(disk, func(clone *vfs.Crash) {
			if b, err := clone.ReadFile("f"); err != nil || string(b) != want {
				t.Fatalf("after a power failure: %q, %v; want %q", b, err, want)
			}
		})
	}
	after("kept\x00\x00\x00\x00more")
	must(t, faulty.Rewrite("f", []byte("los"), 4), f.Sync())
	after("keptlos\x00more")
	must(t, faulty.Rewrite("f", []byte("tm"), 7), f.Sync())
	after("keptlostmore")
}

func TestFaultsHitReads(t *testing.T) {
	disk := vfs.NewMemory()
	write(t, disk, "f", []byte("abc"))
	fsys := vfs.Fault(disk, vfs.Plan{Kind: vfs.FailEIO, At: 2, Reads: true})
	f, err := fsys.Open("f")
	must(t, err)
	for i, fails := range []bool{false, true, false} {
		if _, err := f.ReadAt(make([]byte, 3), 0); (err != nil) != fails {
			t.Errorf("read %d: %v", i+1, err)
		}
	}
	if fsys.Reads() != 3 || fsys.Changes() != 0 {
		t.Errorf("%d reads, %d changes", fsys.Reads(), fsys.Changes())
	}
}
