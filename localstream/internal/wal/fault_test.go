package wal_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

var (
	faultAppends = flag.Int("fault.appends", 14, "how many appends the workload has of which each operation fails once")
	faultClones  = flag.Int("fault.clones", 3, "after how many power failures each of the failures is looked at")
)

// faultRun is a small workload that makes every kind of change to the file
// system: batches, new segments, trimming, closing.
type faultRun struct {
	durability wal.Durability
	model      model
}

func (r *faultRun) run(fsys vfs.FS) error {
	rng := rand.New(rand.NewPCG(7, 7))
	r.model.shards = 2
	l, err := wal.Open(wal.Config{FS: fsys, Dir: "logs/stream", Durability: r.durability, SegmentBytes: 4 << 10})
	if err != nil {
		return err
	}
	r.model.opened(l, 0)
	var failed error
	for range *faultAppends {
		if err := r.model.append(l, rng); err != nil {
			if failed = errors.Join(failed, err); l.Err() != nil {
				return errors.Join(failed, r.afterFailure(l, rng))
			}
			if err := r.model.append(l, rng); err != nil && !isCrash(err) {
				return errors.Join(failed, fmt.Errorf("%w: the log says that it goes on, and does not: %w", errBroken, err))
			}
		}
		time.Sleep(40 * time.Millisecond)
		synctest.Wait() // the flusher may have woken at the same moment: it goes first
	}
	before := time.Now().Add(-300 * time.Millisecond).UnixMilli()
	r.model.trimmed = before
	if err := l.Trim(before); err != nil {
		return errors.Join(failed, err, l.Close())
	}
	if err := r.model.append(l, rng); err != nil {
		if failed = errors.Join(failed, err); l.Err() != nil {
			return errors.Join(failed, r.afterFailure(l, rng))
		}
	}
	return errors.Join(failed, l.Close())
}

var errBroken = errors.New("broken promise")

// afterFailure finds out whether a log of which an append failed does what it
// should when it could not be taken back: it refuses appends and goes on serving
// what it has.
func (r *faultRun) afterFailure(l *wal.Log, rng *rand.Rand) error {
	again := &model{shards: 2}
	if again.append(l, rng) == nil {
		return fmt.Errorf("%w: an append succeeded after one that failed", errBroken)
	}
	if err := r.model.check(l, oracle{}); err != nil && !isCrash(err) {
		return fmt.Errorf("%w: after a failure: %w", errBroken, err)
	}
	if err := l.Close(); err == nil {
		return fmt.Errorf("%w: close reports no failure", errBroken)
	}
	return nil
}

// TestAnyOperationMayFail fails each change to the file system in each way, and
// looks at what is found when the log is opened again, on the same disk and
// after a power failure.
func TestAnyOperationMayFail(t *testing.T) {
	for _, d := range []wal.Durability{wal.Sync, wal.Async} {
		var changes int
		synctest.Test(t, func(t *testing.T) {
			fsys := vfs.Fault(vfs.NewCrash(), vfs.Plan{})
			if err := (&faultRun{durability: d}).run(fsys); err != nil {
				t.Fatal(err)
			}
			changes = fsys.Changes()
		})
		if changes < 50 {
			t.Fatalf("the workload makes only %d changes", changes)
		}
		t.Logf("%s: %d operations, each fails in %d ways", d, changes, len(vfs.FaultKinds()))
		for _, kind := range vfs.FaultKinds() {
			for at := 1; at <= changes; at++ {
				synctest.Test(t, func(t *testing.T) { testFault(t, d, vfs.Plan{Kind: kind, At: at}) })
			}
		}
	}
}

func testFault(t *testing.T, d wal.Durability, plan vfs.Plan) {
	disk := vfs.NewCrash()
	fsys := vfs.Fault(disk, plan)
	r := faultRun{durability: d}
	err := r.run(fsys)
	what := fmt.Sprintf("%s, %s at operation %d (%s)", d, plan.Kind, plan.At, fsys.Operation(plan.At))
	switch {
	case !fsys.Fired():
		t.Errorf("%s: operation %d of the workload did not happen", d, plan.At)
		return
	case errors.Is(err, errBroken):
		t.Errorf("%s: %v", what, err)
	case err == nil:
		t.Errorf("%s: no call reports it", what)
	}
	rng := rand.New(rand.NewPCG(uint64(plan.At), uint64(plan.Kind)))
	clones := []*vfs.Crash{disk}
	for range *faultClones {
		clones = append(clones, disk.CrashClone(rng))
	}
	for i, clone := range clones {
		if err := reopen(clone, d, &r.model, i > 0 && d == wal.Async); err != nil {
			t.Errorf("%s, then opened (clone %d): %v", what, i, err)
		}
	}
	// The log was opened on the disk itself, after the process that failed: what
	// was found there has to stay when the power fails, whatever was believed of it.
	l, err := wal.Open(wal.Config{FS: disk, Dir: "logs/stream", Durability: d, SegmentBytes: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.model.opened(l, 0).Err(), r.model.settle(l), l.Close()); err != nil {
		t.Fatal(err)
	}
	for range *faultClones {
		if err := reopen(disk.CrashClone(rng), d, &r.model, false); err != nil {
			t.Errorf("%s, then opened, then a power failure: %v", what, err)
		}
	}
}

// reopen opens a log twice, to see that the first time left it well.
func reopen(disk *vfs.Crash, d wal.Durability, m *model, mayLose bool) error {
	for range 2 {
		l, err := wal.Open(wal.Config{FS: disk, Dir: "logs/stream", Durability: d, SegmentBytes: 4 << 10})
		if err != nil {
			return err
		}
		if damage := l.Recovery().Damage; len(damage) > 0 {
			return errors.Join(damage[0], l.Close())
		}
		m.opened(l, 0)
		if err := errors.Join(m.check(l, oracle{mayLoseAcked: mayLose}), l.Close()); err != nil {
			return err
		}
	}
	return nil
}

// TestAReadThatFailsIsNotDamage fails each read of an opening and of reading all
// there is.
func TestAReadThatFailsIsNotDamage(t *testing.T) {
	disk := vfs.NewCrash()
	synctest.Test(t, func(t *testing.T) {
		if err := (&faultRun{}).run(disk); err != nil {
			t.Fatal(err)
		}
	})
	work := func(fsys vfs.FS) error {
		l, err := wal.Open(wal.Config{FS: fsys, Dir: "logs/stream"})
		if err != nil {
			return err
		}
		m := &model{shards: 2}
		m.opened(l, 0)
		for id := range uint32(2) {
			if _, e := readAll(l, id); e != nil {
				err = e
				if _, e := readAll(l, id); e != nil {
					return fmt.Errorf("%w: a second read fails too: %w", errBroken, e)
				}
			}
		}
		return errors.Join(err, l.Close())
	}
	count := vfs.Fault(disk, vfs.Plan{})
	if err := work(count); err != nil {
		t.Fatal(err)
	}
	if count.Reads() < 10 {
		t.Fatalf("only %d reads", count.Reads())
	}
	for at := 1; at <= count.Reads(); at++ {
		err := work(vfs.Fault(disk, vfs.Plan{Kind: vfs.FailEIO, At: at, Reads: true}))
		if _, damaged := errors.AsType[*wal.DamageError](err); err == nil || damaged || errors.Is(err, errBroken) {
			t.Errorf("read %d fails: %v", at, err)
		}
	}
}
