package wal_test

import (
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// failingDisk is a file system of which one write waits for a token, and then finds
// the disk full.
type failingDisk struct {
	vfs.FS
	full atomic.Bool // the next write is the one
	gate chan struct{}
}

func (d *failingDisk) Create(name string) (vfs.File, error) {
	f, err := d.FS.Create(name)
	return failingFile{f, d}, err
}

type failingFile struct {
	vfs.File
	disk *failingDisk
}

func (f failingFile) Write(b []byte) (int, error) {
	if f.disk.full.CompareAndSwap(true, false) {
		<-f.disk.gate
		return 0, syscall.ENOSPC
	}
	return f.File.Write(b)
}

// Records that wait behind a write that fails have their numbers already. What
// comes later is numbered above them, and everything is found again.
func TestNumbersRiseOverAWriteThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &failingDisk{FS: vfs.NewMemory(), gate: make(chan struct{})}
		l := openLog(t, disk, wal.Sync)
		l.OpenShard(0, 0)
		append1 := func(data string) (uint64, error) {
			recs := []wal.Record{{Key: "k", Data: []byte(data)}}
			err := l.Append(recs)
			return recs[0].Seq, err
		}
		disk.full.Store(true)
		failed, waited := make(chan error, 1), make(chan uint64, 1)
		go func() { _, err := append1("does not fit"); failed <- err }()
		synctest.Wait() // it writes
		go func() {
			seq, err := append1("waits")
			if err != nil {
				t.Error(err)
			}
			waited <- seq
		}()
		synctest.Wait() // it queues
		disk.gate <- struct{}{}
		if err := <-failed; err == nil {
			t.Fatal("the write to a full disk succeeded")
		}
		second := <-waited
		third, err := append1("comes later")
		if err != nil {
			t.Fatal(err)
		}
		if third <= second {
			t.Errorf("number %d was given after %d", third, second)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = openLog(t, disk, wal.Sync)
		l.OpenShard(0, 0)
		if got := seqs(mustRead(t, l, 0, 0, 0, 10, 1<<20).Records); len(got) != 2 || got[0] != second || got[1] != third {
			t.Errorf("found %v, want %d and %d; damage: %v", got, second, third, l.Recovery().Damage)
		}
	})
}
