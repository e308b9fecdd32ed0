package wal_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// slowDisk is a file system of which syncing a file waits, once hold was
// called, until release.
type slowDisk struct {
	vfs.FS
	syncs, dirSyncs atomic.Int64
	gate            atomic.Pointer[chan struct{}] // waited for by syncs
	one             atomic.Bool                   // only the first waits
	held            chan struct{}
}

func (s *slowDisk) hold() {
	s.held = make(chan struct{})
	s.gate.Store(&s.held)
}

// holdOne makes the next sync wait, and none after it.
func (s *slowDisk) holdOne() {
	s.one.Store(true)
	s.hold()
}

func (s *slowDisk) release() {
	s.gate.Store(nil)
	close(s.held)
}

// wait is where a sync waits.
func (s *slowDisk) wait() {
	gate := s.gate.Load()
	if gate != nil && s.one.Load() {
		s.gate.Store(nil)
	}
	if gate != nil {
		<-*gate
	}
}

func (s *slowDisk) Create(name string) (vfs.File, error) {
	f, err := s.FS.Create(name)
	return slowFile{f, s}, err
}

func (s *slowDisk) Open(name string) (vfs.File, error) {
	f, err := s.FS.Open(name)
	return slowFile{f, s}, err
}

func (s *slowDisk) SyncDir(dir string) error {
	s.dirSyncs.Add(1)
	return s.FS.SyncDir(dir)
}

type slowFile struct {
	vfs.File
	disk *slowDisk
}

func (f slowFile) Sync() error {
	f.disk.syncs.Add(1)
	f.disk.wait()
	return f.File.Sync()
}

func slowLog(t *testing.T, d wal.Durability) (*slowDisk, *wal.Log) {
	t.Helper()
	disk := &slowDisk{FS: vfs.NewMemory()}
	l, err := wal.Open(wal.Config{FS: disk, Dir: "stream", Durability: d})
	if err != nil {
		t.Fatal(err)
	}
	for s := range uint32(2) {
		l.OpenShard(s, 0)
	}
	disk.syncs.Store(0)
	return disk, l
}

func TestRecordsAreSeenAndAcknowledgedWhenTheyAreSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, l := slowLog(t, wal.Sync)
		disk.hold()
		var acked atomic.Bool
		go func() {
			if err := l.Append([]wal.Record{{Key: "k"}}); err != nil {
				t.Error(err)
			}
			acked.Store(true)
		}()
		changed := l.Changed(0)
		synctest.Wait()
		next, _ := l.Tip(0)
		if p := mustRead(t, l, 0, 0, 0, 1, 1); len(p.Records) > 0 || acked.Load() || next != 0 {
			t.Errorf("before the sync: %d records are seen, acknowledged: %t, next number %d", len(p.Records), acked.Load(), next)
		}
		select {
		case <-changed:
			t.Error("a change is told before the sync")
		default:
		}
		disk.release()
		<-changed
		synctest.Wait()
		next, _ = l.Tip(0)
		if p := mustRead(t, l, 0, 0, 0, 1, 1); len(p.Records) != 1 || !acked.Load() || next != 1 {
			t.Errorf("after the sync: %d records are seen, acknowledged: %t, next number %d", len(p.Records), acked.Load(), next)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAppendsThatWaitShareOneSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, l := slowLog(t, wal.Sync)
		disk.hold()
		var callers sync.WaitGroup
		for range 50 {
			callers.Go(func() {
				if err := l.Append([]wal.Record{{Key: "k"}, {Shard: 1, Key: "k"}}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		disk.release()
		callers.Wait()
		if n := disk.syncs.Load(); n != 2 {
			t.Errorf("50 appends, of which one came first, took %d syncs, want 2", n)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestSealWaitsForEarlierAppendsAndRefusesLaterOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, l := slowLog(t, wal.Sync)
		disk.hold()
		var callers sync.WaitGroup
		for range 2 { // one is being committed, one waits
			callers.Go(func() {
				if err := l.Append([]wal.Record{{Key: "k"}}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		var sealed atomic.Bool
		callers.Go(func() {
			if err := l.Seal(0); err != nil {
				t.Error(err)
			}
			if p := mustRead(t, l, 0, 0, 0, 10, 10); len(p.Records) != 2 || !p.End {
				t.Errorf("when sealed: %d records, end: %t", len(p.Records), p.End)
			}
			sealed.Store(true)
		})
		synctest.Wait()
		if _, ok := errors.AsType[*wal.SealedError](l.Append([]wal.Record{{Key: "late"}})); !ok {
			t.Error("an append after the seal is taken")
		}
		if p := mustRead(t, l, 0, 0, 0, 10, 10); p.End || sealed.Load() {
			t.Errorf("before all is committed: end: %t, sealed: %t", p.End, sealed.Load())
		}
		disk.release()
		callers.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestChangedTellsOfASealToThoseWhoHaveReadAll(t *testing.T) {
	l := newLog(t, wal.Sync)
	other, changed := l.Changed(1), l.Changed(0)
	if err := l.Seal(0); err != nil {
		t.Fatal(err)
	}
	<-changed
	select {
	case <-other:
		t.Error("another shard is told too")
	default:
	}
	<-l.Changed(9) // unknown: nothing to wait for
}

func TestAppendsWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, l := slowLog(t, wal.Sync)
		disk.hold()
		var callers sync.WaitGroup
		data := make([]byte, 30<<20) // two fill the 64 MiB that may wait
		for range 4 {
			callers.Go(func() {
				if err := l.Append([]wal.Record{{Key: "k", Data: data}}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		// Those that are in have their numbers, so a further record tells how
		// many they are.
		small := make(chan uint64, 1)
		callers.Go(func() {
			recs := []wal.Record{{Key: "small"}}
			if err := l.Append(recs); err != nil {
				t.Error(err)
			}
			small <- recs[0].Seq
		})
		synctest.Wait()
		disk.release()
		callers.Wait()
		if n := <-small; n != 2 {
			t.Errorf("%d appends of 30 MiB were let in, want 2", n)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAsyncAcknowledgesBeforeItSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, l := slowLog(t, wal.Async)
		mustAppend(t, l, wal.Record{Key: "k"})
		time.Sleep(50 * time.Millisecond)
		mustAppend(t, l, wal.Record{Key: "k"})
		if n := disk.syncs.Load(); n != 0 {
			t.Errorf("%d syncs after 50 ms, want none", n)
		}
		time.Sleep(51 * time.Millisecond)
		if n := disk.syncs.Load(); n != 1 {
			t.Errorf("%d syncs after 101 ms, want 1", n)
		}
		time.Sleep(time.Hour)
		if n := disk.syncs.Load(); n != 1 {
			t.Errorf("%d syncs after an idle hour, want 1", n)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if n := disk.syncs.Load(); n < 2 {
			t.Error("close does not sync")
		}
	})
}

func TestAsyncFailsWhenItsSyncFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := vfs.Fault(vfs.NewMemory(), vfs.Plan{})
		l := openLog(t, fsys, wal.Async)
		l.OpenShard(0, 0)
		opening := fsys.Changes()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}

		// The write of the append is the next change, and the sync the one after.
		l = openLog(t, vfs.Fault(vfs.NewMemory(), vfs.Plan{Kind: vfs.FailEIO, At: opening + 2}), wal.Async)
		l.OpenShard(0, 0)
		mustAppend(t, l, wal.Record{Key: "k"})
		time.Sleep(time.Second)
		if l.Err() == nil || l.Append([]wal.Record{{}}) == nil {
			t.Errorf("after a failed sync: %v", l.Err())
		}
		if p := mustRead(t, l, 0, 0, 0, 1, 1); len(p.Records) != 1 {
			t.Error("the record that was acknowledged is gone")
		}
		if l.Close() == nil {
			t.Error("close reports nothing")
		}
	})
}

func TestMemoryNeverSyncs(t *testing.T) {
	disk, l := slowLog(t, wal.Memory)
	mustAppend(t, l, wal.Record{Key: "k"})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if n := disk.syncs.Load(); n != 0 {
		t.Errorf("%d syncs", n)
	}
}
