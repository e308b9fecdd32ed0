package wal_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/localstream/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

var (
	crashSeed  = flag.Uint64("crash.seed", 0, "run only the crash test with this seed")
	crashSeeds = flag.Uint64("crash.seeds", 300, "how many crash tests to run")
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

type crashRun struct {
	seed       uint64
	rng        *rand.Rand
	durability wal.Durability
	model      model
	crashes    int
	torn       int
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
	l, err := wal.Open(wal.Config{FS: fsys, Dir: "stream", Durability: r.durability, SegmentBytes: 4 << 10})
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
	case 0: // several at once
		var callers sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			rng := rand.New(rand.NewPCG(r.rng.Uint64(), 2))
			callers.Go(func() { errs[i] = r.model.append(l, rng) })
		}
		callers.Wait()
		return errors.Join(errs...)
	case 1:
		time.Sleep(time.Duration(r.rng.IntN(300)) * time.Millisecond)
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
