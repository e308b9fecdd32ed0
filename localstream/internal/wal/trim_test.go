package wal_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/localstream/internal/vfs"
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
