package wal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// A process that is killed leaves what it wrote in the memory of the operating
// system, where the next one finds it as if it were durable. The tests here
// kill a process at every operation, start another that goes on, stop that at
// every operation too, and only then fail the power.

// killedRun appends to a log, of which each batch fills a segment or half of it.
func killedRun(fsys vfs.FS, d wal.Durability, m *model, rng *rand.Rand) error {
	l, err := wal.Open(wal.Config{FS: fsys, Dir: "logs/stream", Durability: d, SegmentBytes: 4 << 10})
	if err != nil {
		return err
	}
	if err := m.opened(l, 0).Err(); err != nil {
		return err
	}
	if err := m.settle(l); err != nil { // what is seen now has to stay
		return err
	}
	for i := range 3 {
		c := &modelCall{recs: []wal.Record{{Key: "k", Data: randomBytes(rng, 1800+300*(i%2))}}}
		err := l.Append(c.recs)
		c.acked = err == nil
		m.calls = append(m.calls, c)
		if err != nil {
			return errors.Join(err, l.Close())
		}
	}
	return l.Close()
}

func TestAPowerFailureAfterAKilledProcess(t *testing.T) {
	for _, d := range []wal.Durability{wal.Sync, wal.Async} {
		changes := func(disk vfs.FS) (n int) {
			synctest.Test(t, func(t *testing.T) {
				fsys := vfs.Fault(disk, vfs.Plan{})
				if err := killedRun(fsys, d, &model{shards: 1}, rand.New(rand.NewPCG(1, 1))); err != nil {
					t.Fatal(err)
				}
				n = fsys.Changes()
			})
			return n
		}
		for first := range changes(vfs.NewCrash()) {
			for second := range 12 {
				synctest.Test(t, func(t *testing.T) { testKilled(t, d, first+1, second+1) })
			}
		}
	}
}

func testKilled(t *testing.T, d wal.Durability, first, second int) {
	rng := rand.New(rand.NewPCG(uint64(first), uint64(second)))
	disk := vfs.NewCrash()
	m := &model{shards: 1}
	for _, plan := range []vfs.Plan{{Kind: vfs.CrashBefore, At: first}, {Kind: vfs.CrashAfter, At: second}} {
		if err := killedRun(vfs.Fault(disk, plan), d, m, rng); err != nil && !isCrash(err) {
			t.Fatalf("%s, killed at %d and %d: %v", d, first, second, err)
		}
	}
	for range 6 {
		clone := disk.CrashClone(rng)
		copied := &model{shards: 1, calls: slices.Clone(m.calls)}
		if err := reopen(clone, d, copied, d == wal.Async); err != nil {
			t.Fatalf("%s, killed at %d and %d: %v", d, first, second, err)
		}
	}
}

func TestAJournalSurvivesAPowerFailureAfterAKilledProcess(t *testing.T) {
	var acked, maybe []string // what must be found, and that with what may be
	work := func(fsys vfs.FS, name string) error {
		j, got, err := openJournal(fsys)
		if err != nil {
			return err
		}
		acked, maybe = got, got // what was shown has to stay
		for i := range 2 {
			maybe = append(slices.Clone(acked), fmt.Sprint(name, i))
			if err := j.Append([]byte(maybe[len(acked)])); err != nil {
				return errors.Join(err, j.Close())
			}
			acked = maybe
		}
		return j.Close()
	}
	rng := rand.New(rand.NewPCG(9, 9))
	for first := range 20 {
		for second := range 12 {
			disk := vfs.NewCrash()
			acked, maybe = nil, nil
			for life, plan := range []vfs.Plan{{Kind: vfs.CrashAfter, At: first + 1}, {Kind: vfs.CrashAfter, At: second + 1}} {
				if err := work(vfs.Fault(disk, plan), fmt.Sprint("life ", life, " entry ")); err != nil && !isCrash(err) {
					t.Fatal(err)
				}
			}
			for range 6 {
				_, got, err := openJournal(disk.CrashClone(rng))
				if err != nil || !slices.Equal(got, acked) && !slices.Equal(got, maybe) {
					t.Fatalf("killed at %d and %d: %q, %v; acknowledged were %q", first+1, second+1, got, err, acked)
				}
			}
		}
	}
}

func TestABatchWhoseSyncFailedIsNotFoundLater(t *testing.T) {
	count := vfs.Fault(vfs.NewMemory(), vfs.Plan{})
	openLog(t, count, wal.Sync)
	disk := vfs.NewMemory()
	l := openLog(t, vfs.Fault(disk, vfs.Plan{Kind: vfs.FailEIO, At: count.Changes() + 2}), wal.Sync) // write, sync
	l.OpenShard(0, 0)
	if err := l.Append([]wal.Record{{Key: "k"}}); err == nil {
		t.Fatal("the append succeeded")
	}
	if l.Close() == nil {
		t.Error("close reports nothing")
	}
	if r := openLog(t, disk, wal.Sync).Recovery(); r.Records != 0 || r.TornBytes != 0 {
		t.Errorf("found: %+v", r)
	}

	countJournal := vfs.Fault(vfs.NewMemory(), vfs.Plan{})
	mustJournal(t, countJournal)
	disk = vfs.NewMemory()
	j, _ := mustJournal(t, vfs.Fault(disk, vfs.Plan{Kind: vfs.FailEIO, At: countJournal.Changes() + 2}))
	if err := j.Append([]byte("e")); err == nil {
		t.Fatal("the append to the journal succeeded")
	}
	if _, got := mustJournal(t, disk); len(got) > 0 {
		t.Errorf("the journal holds %q", got)
	}
}

// TestABatchOutOfPlaceEndsTheLog takes a batch out of the middle of a log that
// was never synced, so that nothing proves that it was there but the numbers.
func TestABatchOutOfPlaceEndsTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewCrash()
		l := openLog(t, disk, wal.Async)
		l.OpenShard(0, 0)
		ends := []int64{l.Size()}
		for range 4 {
			mustAppend(t, l, wal.Record{Key: "k", Data: make([]byte, 100)})
			ends = append(ends, l.Size())
		}
		clone := damaged(t, disk, firstSegment, func([]byte) []byte {
			b, err := disk.ReadFile(firstSegment)
			if err != nil {
				t.Fatal(err)
			}
			return slices.Delete(b, int(ends[1]), int(ends[2]))
		})
		if r := openLog(t, clone, wal.Async).Recovery(); r.Records != 1 || r.TornBytes != ends[4]-ends[2] {
			t.Errorf("recovery: %+v", r)
		}
	})
}

// TestASyncThatEndsAfterItsSegmentWasSealed must not count for the next segment.
func TestASyncThatEndsAfterItsSegmentWasSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &slowDisk{FS: vfs.NewMemory()}
		l := openLog(t, disk, wal.Async)
		l.OpenShard(0, 0)
		mustAppend(t, l, wal.Record{Key: "k", Data: make([]byte, 3500)})
		disk.holdOne()
		time.Sleep(flushTime) // the flusher waits in its sync
		synctest.Wait()
		for range 2 { // the first begins the next segment
			mustAppend(t, l, wal.Record{Key: "k", Data: make([]byte, 1000)})
		}
		disk.release()
		synctest.Wait()
		mustAppend(t, l, wal.Record{Key: "k"})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		again := openLog(t, disk, wal.Async)
		again.OpenShard(0, 0)
		if p := mustRead(t, again, 0, 0, 0, 10, 1<<20); len(p.Records) != 4 {
			t.Errorf("%d records of 4 are left: %+v", len(p.Records), again.Recovery())
		}
	})
}

// TestASyncVouchesForNothingThatCameAfterIt writes a batch while the one before
// is being synced. Damage to that batch is a torn end: no sync of it has ended.
func TestASyncVouchesForNothingThatCameAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crash := vfs.NewCrash()
		disk := &slowDisk{FS: crash}
		l := openLog(t, disk, wal.Async)
		l.OpenShard(0, 0)
		mustAppend(t, l, wal.Record{Key: "a"})
		disk.holdOne()
		time.Sleep(flushTime) // the flusher waits in its sync
		synctest.Wait()
		during := l.Size()
		mustAppend(t, l, wal.Record{Key: "b"})
		disk.release()
		synctest.Wait()
		mustAppend(t, l, wal.Record{Key: "c"})
		seen, err := crash.ReadFile(firstSegment)
		if err != nil {
			t.Fatal(err)
		}
		clone := damaged(t, crash, firstSegment, func([]byte) []byte { return flip(8 * int(during+20))(seen) })
		if r := openLog(t, clone, wal.Async).Recovery(); len(r.Damage) > 0 || r.Records != 1 || r.TornBytes == 0 {
			t.Errorf("recovery: %+v", r)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestCloseWaitsForTheSyncThatRuns lets that fail: a sync of Close's own proves
// nothing any more.
func TestCloseWaitsForTheSyncThatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := vfs.NewMemory()
		disk := &lateFailure{FS: memory, held: make(chan struct{})}
		l := openLog(t, disk, wal.Async)
		l.OpenShard(0, 0)
		mustAppend(t, l, wal.Record{Key: "k"})
		disk.armed.Store(true)
		time.Sleep(flushTime) // the flusher waits in its sync
		synctest.Wait()
		var closed error
		var closer sync.WaitGroup
		closer.Go(func() { closed = l.Close() })
		synctest.Wait()
		size := onDisk(t, memory)
		close(disk.held)
		closer.Wait()
		if closed == nil || size != onDisk(t, memory) {
			t.Errorf("close: %v; wrote %d bytes after the sync had failed", closed, onDisk(t, memory)-size)
		}
	})
}

// lateFailure is a file system of which one sync waits, and then fails.
type lateFailure struct {
	vfs.FS
	armed atomic.Bool // the next sync is the one
	held  chan struct{}
}

func (l *lateFailure) Create(name string) (vfs.File, error) {
	f, err := l.FS.Create(name)
	return lateFailureFile{f, l}, err
}

type lateFailureFile struct {
	vfs.File
	disk *lateFailure
}

func (f lateFailureFile) Sync() error {
	if !f.disk.armed.CompareAndSwap(true, false) {
		return f.File.Sync()
	}
	<-f.disk.held
	return syscall.EIO
}

// flushTime is longer than a written batch stays unsynced with Async.
const flushTime = 150 * time.Millisecond

// TestAnEntryWhoseSyncFailedAndThatStaysIsWrittenAnew fails the sync of an entry
// and the attempt to take it back. The next process finds it, shows it and goes
// on behind it, so a power failure must not take it.
func TestAnEntryWhoseSyncFailedAndThatStaysIsWrittenAnew(t *testing.T) {
	count := vfs.Fault(vfs.NewMemory(), vfs.Plan{})
	mustJournal(t, count)
	disk := vfs.NewCrash()
	j, _ := mustJournal(t, noTruncate{vfs.Fault(disk, vfs.Plan{Kind: vfs.LostSync, At: count.Changes() + 2})}) // write, sync
	if err := j.Append([]byte("one")); err == nil {
		t.Fatal("the append succeeds")
	}
	j, got := mustJournal(t, disk)
	if !slices.Equal(got, []string{"one"}) {
		t.Fatalf("found %q", got)
	}
	if err := j.Append([]byte("two")); err != nil {
		t.Fatal(err)
	}
	if _, got := mustJournal(t, disk.CrashClone(newRand(1))); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("after a power failure: %q", got)
	}
}

// noTruncate is a file system on which no file can be cut.
type noTruncate struct{ vfs.FS }

func (n noTruncate) Create(name string) (vfs.File, error) {
	f, err := n.FS.Create(name)
	return noTruncateFile{f}, err
}

type noTruncateFile struct{ vfs.File }

func (noTruncateFile) Truncate(int64) error { return syscall.EROFS }
