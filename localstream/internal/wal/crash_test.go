package wal_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

var (
	crashSeed  = flag.Uint64("crash.seed", 0, "run only the crash test with this seed")
	crashSeeds = flag.Uint64("crash.seeds", 150, "how many crash tests to run")
)

// TestACrashLosesNothingThatWasAcknowledged runs random workloads, stops the
// process at a random operation, opens what a power failure leaves, stops that
// too, and looks at what is found in the end.
func TestACrashLosesNothingThatWasAcknowledged(t *testing.T) {
	first, last := uint64(1), *crashSeeds
	if *crashSeed != 0 {
		first, last = *crashSeed, *crashSeed
	}
	var reached, torn int
	for seed := first; seed <= last; seed++ {
		synctest.Test(t, func(t *testing.T) {
			r := crashRun{seed: seed, rng: rand.New(rand.NewPCG(seed, 1))}
			if err := r.run(); err != nil {
				t.Errorf("-crash.seed=%d (%s): %v", seed, r.durability, err)
			}
			reached += r.crashes
			torn += r.torn
		})
	}
	if *crashSeed == 0 && (reached < int(last)/2 || torn < int(last)/10) {
		t.Errorf("only %d crashes and %d torn tails in %d runs: the test tests too little", reached, torn, last)
	}
}

// TestACrashTestDependsOnItsSeedAlone lives the same lives twice.
func TestACrashTestDependsOnItsSeedAlone(t *testing.T) {
	for seed := range uint64(40) {
		var traces [2][]string
		for i := range traces {
			synctest.Test(t, func(t *testing.T) {
				r := crashRun{seed: seed, rng: newRand(seed)}
				if err := r.run(); err != nil {
					t.Error(err)
				}
				traces[i] = r.trace
			})
		}
		if !slices.Equal(traces[0], traces[1]) {
			t.Errorf("seed %d: %d operations, then %d others", seed, len(traces[0]), len(traces[1]))
		}
	}
}

type crashRun struct {
	seed       uint64
	rng        *rand.Rand
	durability wal.Durability
	model      model
	slow       *lateWrites // of the running life
	crashes    int
	torn       int
	trace      []string // what was done to the disk
}

// lateWrites is a file system of which a write takes a millisecond while it is
// on. When it ends, all others in the bubble wait, so that what happens depends
// on nothing but the seed. It has one writer at a time.
type lateWrites struct {
	vfs.FS
	on atomic.Bool
}

func (s *lateWrites) Create(name string) (vfs.File, error) {
	f, err := s.FS.Create(name)
	return lateFile{f, s}, err
}

func (s *lateWrites) Open(name string) (vfs.File, error) {
	f, err := s.FS.Open(name)
	return lateFile{f, s}, err
}

type lateFile struct {
	vfs.File
	disk *lateWrites
}

func (f lateFile) Write(p []byte) (int, error) {
	if f.disk.on.Load() {
		time.Sleep(time.Millisecond)
		synctest.Wait()
	}
	return f.File.Write(p)
}

// run lives through a few crashes.
func (r *crashRun) run() error {
	r.durability = wal.Durability(r.rng.IntN(2)) // Sync or Async
	r.model.shards = 1 + r.rng.IntN(4)
	disk := vfs.NewCrash()
	for life := range uint64(3) {
		power := r.rng.IntN(3) > 0
		faulty := vfs.Fault(disk, vfs.Plan{Kind: vfs.CrashBefore + vfs.FaultKind(r.rng.IntN(2)), At: 1 + r.rng.IntN(120)})
		if err := r.live(faulty, life<<40); err != nil && !isCrash(err) {
			return fmt.Errorf("life %d: %w", life, err)
		}
		if faulty.Fired() {
			r.crashes++
		}
		for n := range faulty.Changes() {
			r.trace = append(r.trace, faulty.Operation(n+1))
		}
		if power {
			disk = disk.CrashClone(r.rng)
		}
		var err error
		if disk, err = r.recover(disk, power); err != nil {
			return fmt.Errorf("life %d, crash at %q (power failure: %t): %w", life, faulty.Operation(faulty.Changes()), power, err)
		}
	}
	return nil
}

// live opens the log and works with it until something fails.
func (r *crashRun) live(fsys vfs.FS, floor uint64) error {
	r.slow = &lateWrites{FS: fsys}
	l, err := wal.Open(wal.Config{FS: r.slow, Dir: "stream", Durability: r.durability, SegmentBytes: 4 << 10})
	if err != nil {
		return err
	}
	defer l.Close() // after a crash it fails, which is no news
	r.model.opened(l, floor)
	for range 5 + r.rng.IntN(60) {
		if err := r.act(l); err != nil {
			return err
		}
	}
	return l.Close()
}

// act does one thing to the log.
func (r *crashRun) act(l *wal.Log) error {
	switch r.rng.IntN(10) {
	case 0: // several at once: the first commits, slowly, while the others queue
		var callers sync.WaitGroup
		errs := make([]error, 4)
		r.slow.on.Store(true)
		for i := range errs {
			rng := rand.New(rand.NewPCG(r.rng.Uint64(), 2))
			callers.Go(func() { errs[i] = r.model.append(l, rng) })
			synctest.Wait() // so that they come in this order
		}
		callers.Wait()
		r.slow.on.Store(false)
		return errors.Join(errs...)
	case 1:
		time.Sleep(time.Duration(r.rng.IntN(300)) * time.Millisecond)
		synctest.Wait() // the flusher may have woken at the same moment: it goes first
		return nil
	case 2:
		if err := r.model.check(l, oracle{}); err != nil {
			return fmt.Errorf("while running: %w", err)
		}
		return nil
	case 3:
		before := time.Now().Add(-time.Duration(r.rng.IntN(500)) * time.Millisecond).UnixMilli()
		r.model.trimmed = max(r.model.trimmed, before)
		return l.Trim(before)
	default:
		return r.model.append(l, r.rng)
	}
}

// recover opens the log, with the process stopping a few times on the way, and
// checks what is there.
func (r *crashRun) recover(disk *vfs.Crash, power bool) (*vfs.Crash, error) {
	for range r.rng.IntN(3) {
		faulty := vfs.Fault(disk, vfs.Plan{Kind: vfs.CrashBefore + vfs.FaultKind(r.rng.IntN(2)), At: 1 + r.rng.IntN(6)})
		l, err := wal.Open(wal.Config{FS: faulty, Dir: "stream", Durability: r.durability, SegmentBytes: 4 << 10})
		if err == nil {
			err = l.Close()
		}
		if err != nil && !isCrash(err) {
			return nil, fmt.Errorf("recovery that stops: %w", err)
		}
		if power {
			disk = disk.CrashClone(r.rng)
		}
	}
	l, err := wal.Open(wal.Config{FS: disk, Dir: "stream", Durability: r.durability, SegmentBytes: 4 << 10})
	if err != nil {
		return nil, err
	}
	defer l.Close() // checked below; this is for the early returns
	if d := l.Recovery().Damage; len(d) > 0 {
		return nil, fmt.Errorf("a crash was taken for damage: %w", d[0])
	}
	if l.Recovery().TornBytes > 0 {
		r.torn++
	}
	r.model.opened(l, 0)
	if err := r.model.check(l, oracle{mayLoseAcked: power && r.durability == wal.Async}); err != nil {
		return nil, err
	}
	if err := r.model.settle(l); err != nil {
		return nil, err
	}
	return disk, l.Close()
}
