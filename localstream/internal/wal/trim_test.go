package wal_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

func TestTrimRemovesWholeSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMemory()
		l := openLog(t, disk, wal.Sync)
		l.OpenShard(0, 0)
		for range 20 {
			mustAppend(t, l, wal.Record{Key: "k", Data: make([]byte, 1500)})
			time.Sleep(time.Second)
		}
		size := l.Size()
		horizon := time.Now().Add(-10*time.Second - time.Millisecond).UnixMilli()
		if err := l.Trim(horizon); err != nil {
			t.Fatal(err)
		}
		p := mustRead(t, l, 0, 0, 0, 100, 1<<20)
		if oldest := p.Records[0].Seq; oldest == 0 || oldest > 10 {
			t.Errorf("after trimming the first 10 the oldest record is %d", oldest)
		}
		if l.Size() >= size || l.Size() != onDisk(t, disk) {
			t.Errorf("size is %d, was %d; on disk are %d", l.Size(), size, onDisk(t, disk))
		}
		// The rest of an idle log goes too, though its last segment is active.
		time.Sleep(time.Hour)
		if err := l.Trim(time.Now().UnixMilli()); err != nil {
			t.Fatal(err)
		}
		if p := mustRead(t, l, 0, 0, 0, 100, 1<<20); len(p.Records) > 0 || p.Next != 20 {
			t.Errorf("after trimming all: %d records, next %d", len(p.Records), p.Next)
		}
		if l.Size() > 100 || l.Size() != onDisk(t, disk) {
			t.Errorf("an empty log has %d bytes, and on disk are %d", l.Size(), onDisk(t, disk))
		}
		if got := mustAppend(t, l, wal.Record{}); got[0].Seq != 20 {
			t.Errorf("the next record is %d", got[0].Seq)
		}
	})
}

// TestAFullDiskIsTrimmedAndWrittenAgain lets each change that a log makes find
// the disk full: the append fails, what has expired goes, and the log goes on.
func TestAFullDiskIsTrimmedAndWrittenAgain(t *testing.T) {
	for _, d := range []wal.Durability{wal.Sync, wal.Async} {
		synctest.Test(t, func(t *testing.T) {
			full := &fullDisk{FS: vfs.NewMemory()}
			l := openLog(t, full, d)
			l.OpenShard(0, 0)
			for range 3 {
				mustAppend(t, l, wal.Record{Key: "k", Data: make([]byte, 3900)})
				time.Sleep(time.Second)
			}
			for _, room := range []int{0, 20, 200, 2000} { // bytes, in which more or less is written
				full.limit(room)
				last := time.Now()
				if err := l.Append([]wal.Record{{Key: "lost", Data: make([]byte, 3900)}}); !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("%d bytes of room: append: %v", room, err)
				}
				size := onDisk(t, full)
				// All but the active segment has expired, which cannot be sealed.
				if err := l.Trim(last.UnixMilli()); err != nil && !errors.Is(err, syscall.ENOSPC) {
					t.Fatal(err)
				}
				if after := onDisk(t, full); after >= size || after != l.Size() {
					t.Errorf("%d bytes of room: trimmed from %d to %d bytes, size is %d", room, size, after, l.Size())
				}
				full.unlimit()
				for range 2 {
					got := mustAppend(t, l, wal.Record{Key: "k", Data: make([]byte, 3900)})
					time.Sleep(time.Second)
					p := mustRead(t, l, 0, got[0].Seq-1, 0, 10, 1<<20)
					if n := len(p.Records); !sameRecord(p.Records[n-1], got[0]) {
						t.Errorf("%d bytes of room: read %v, want %d", room, seqs(p.Records), got[0].Seq)
					}
				}
			}
			full.limit(0)
			if err := l.Append([]wal.Record{{Key: "lost"}}); err == nil {
				t.Fatal("the disk is full")
			}
			full.unlimit()
			if err := l.Seal(0); err != nil {
				t.Fatal(err)
			}
			before, err := readAll(l, 0)
			if p := mustRead(t, l, 0, 1<<20, 0, 1, 1); err != nil || !p.End {
				t.Errorf("a shard of which the last append failed has no end: %+v, %v", p, err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = openLog(t, full, d)
			l.OpenShard(0, 0)
			if after, err := readAll(l, 0); err != nil || !slices.Equal(seqs(after), seqs(before)) || l.Recovery().TornBytes > 0 {
				t.Errorf("opened again: %v, %v; want %v", seqs(after), err, seqs(before))
			}
		})
	}
}

// TestALogWhoseSyncFailedIsTrimmed removes what is sealed, and leaves the rest.
func TestALogWhoseSyncFailedIsTrimmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work := func(f *vfs.Faulty) *wal.Log {
			l := openLog(t, f, wal.Sync)
			l.OpenShard(0, 0)
			for range 4 {
				if err := l.Append([]wal.Record{{Key: "k", Data: make([]byte, 3900)}}); err != nil && l.Err() == nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
			}
			return l
		}
		count := vfs.Fault(vfs.NewMemory(), vfs.Plan{})
		work(count)
		disk := vfs.NewMemory()
		l := work(vfs.Fault(disk, vfs.Plan{Kind: vfs.FailEIO, At: count.Changes()})) // the last sync
		if l.Err() == nil {
			t.Fatal("the log goes on after a failed sync")
		}
		if err := l.Trim(time.Now().UnixMilli()); err != nil {
			t.Error(err)
		}
		if entries, err := disk.List("stream"); err != nil || len(entries) != 1 || l.Size() != onDisk(t, disk) {
			t.Errorf("left: %v, %v, size is %d", entries, err, l.Size())
		}
	})
}

// fullDisk is a file system that has room for so many bytes.
type fullDisk struct {
	vfs.FS
	full atomic.Bool
	room atomic.Int64
}

func (d *fullDisk) limit(room int) { d.room.Store(int64(room)); d.full.Store(true) }

func (d *fullDisk) unlimit() { d.full.Store(false) }

func (d *fullDisk) Create(name string) (vfs.File, error) {
	f, err := d.FS.Create(name)
	return fullFile{f, d}, err
}

func (d *fullDisk) Open(name string) (vfs.File, error) {
	f, err := d.FS.Open(name)
	return fullFile{f, d}, err
}

type fullFile struct {
	vfs.File
	disk *fullDisk
}

func (f fullFile) Write(p []byte) (int, error) {
	if !f.disk.full.Load() {
		return f.File.Write(p)
	}
	fits := min(int64(len(p)), f.disk.room.Load())
	f.disk.room.Add(-fits)
	n, err := f.File.Write(p[:fits])
	if err == nil && n < len(p) {
		err = syscall.ENOSPC
	}
	return n, err
}

func onDisk(t *testing.T, disk vfs.FS) (size int64) {
	t.Helper()
	entries, err := disk.List("stream")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		size += e.Size
	}
	return size
}
