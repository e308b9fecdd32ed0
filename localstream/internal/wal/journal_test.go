package wal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// openJournal opens the journal in directory "meta" and returns what it holds.
func openJournal(fsys vfs.FS) (*wal.Journal, []string, error) {
	var entries []string
	j, err := wal.OpenJournal(fsys, "meta", func(b []byte) error {
		entries = append(entries, string(b))
		return nil
	})
	return j, entries, err
}

func mustJournal(t *testing.T, fsys vfs.FS) (*wal.Journal, []string) {
	t.Helper()
	j, entries, err := openJournal(fsys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() }) // its error is the test's only where the test asks
	return j, entries
}

func TestAJournalGivesBackItsEntries(t *testing.T) {
	disk := vfs.NewMemory()
	j, got := mustJournal(t, disk)
	if len(got) > 0 {
		t.Errorf("a new journal holds %q", got)
	}
	for _, e := range []string{"one", "two"} {
		if err := j.Append([]byte(e)); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range [][]byte{nil, make([]byte, 256<<20+1)} {
		if j.Append(bad) == nil || j.Rewrite(bad) == nil {
			t.Errorf("an entry of %d bytes is taken", len(bad))
		}
	}
	for range 2 { // not closed, then closed
		j, got = mustJournal(t, disk)
		if want := []string{"one", "two"}; !slices.Equal(got, want) {
			t.Errorf("found %q, want %q", got, want)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Append([]byte("x")); !errors.Is(err, wal.ErrClosed) {
		t.Errorf("append to a closed journal: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Errorf("a second close: %v", err)
	}

	j, _ = mustJournal(t, disk)
	before := j.Size()
	if err := j.Rewrite([]byte("all")); err != nil {
		t.Fatal(err)
	}
	if j.Size() >= before {
		t.Errorf("rewritten from %d to %d bytes", before, j.Size())
	}
	if err := j.Append([]byte("three")); err != nil {
		t.Fatal(err)
	}
	if _, got = mustJournal(t, disk); !slices.Equal(got, []string{"all", "three"}) {
		t.Errorf("after a rewrite: %q", got)
	}
}

func TestAnErrorOfReplayEndsTheOpening(t *testing.T) {
	disk := vfs.NewMemory()
	j, _ := mustJournal(t, disk)
	if err := j.Append([]byte("one")); err != nil {
		t.Fatal(err)
	}
	bad := errors.New("bad entry")
	if _, err := wal.OpenJournal(disk, "meta", func([]byte) error { return bad }); !errors.Is(err, bad) {
		t.Errorf("open: %v", err)
	}
}

// proofSize is what follows each entry, to say that it was synced.
const proofSize = 32

// TestAJournalCutAnywhereHoldsItsFirstEntries cuts it at every length.
func TestAJournalCutAnywhereHoldsItsFirstEntries(t *testing.T) {
	disk := vfs.NewCrash()
	j, _ := mustJournal(t, disk)
	ends := []int64{j.Size()}
	var all []string
	for i := range 4 {
		all = append(all, fmt.Sprintf("entry %d", i))
		if err := j.Append([]byte(all[i])); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, j.Size())
	}
	for size := ends[0]; size <= ends[4]; size++ {
		whole := 0
		for whole < 4 && ends[whole+1]-proofSize <= size {
			whole++
		}
		clone := damaged(t, disk, "meta/journal", func(b []byte) []byte { return b[:size] })
		j, got := mustJournal(t, clone)
		if !slices.Equal(got, all[:whole]) {
			t.Fatalf("cut to %d bytes: %q, want %d entries", size, got, whole)
		}
		if err := j.Append([]byte("more")); err != nil {
			t.Fatal(err)
		}
		if _, got = mustJournal(t, clone); !slices.Equal(got, append(slices.Clone(all[:whole]), "more")) {
			t.Fatalf("cut to %d bytes, appended to and opened again: %q", size, got)
		}
	}
}

// TestAFlippedBitOfAJournalIsDamage flips every bit of a journal whose process
// was killed. Only what follows the last entry, and says nothing but that it was
// synced, may be cut off.
func TestAFlippedBitOfAJournalIsDamage(t *testing.T) {
	disk := vfs.NewCrash()
	j, _ := mustJournal(t, disk)
	all := []string{"one", "two", "three"}
	for _, e := range all {
		if err := j.Append([]byte(e)); err != nil {
			t.Fatal(err)
		}
	}
	size := int(j.Size())
	for bit := range 8 * size {
		j, got, err := openJournal(damaged(t, disk, "meta/journal", flip(bit)))
		if bit >= 8*(size-proofSize) {
			if err != nil || !slices.Equal(got, all) || j.TornBytes() != proofSize {
				t.Fatalf("bit %d after the last entry: %q, %v", bit, got, err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		} else if _, ok := errors.AsType[*wal.DamageError](err); !ok {
			t.Fatalf("bit %d is not reported: %q, %v", bit, got, err)
		}
	}
}

// TestTheSnapshotOfAJournalIsNeverTorn flips every bit of a journal of one entry,
// which was synced before the file got its name, and cuts it at every length.
func TestTheSnapshotOfAJournalIsNeverTorn(t *testing.T) {
	disk := vfs.NewCrash()
	j, _ := mustJournal(t, disk)
	if err := errors.Join(j.Append([]byte("event")), j.Rewrite([]byte("all metadata"))); err != nil {
		t.Fatal(err)
	}
	for at := range int(j.Size()) {
		for what, change := range map[string]func([]byte) []byte{
			"flipped": flip(8*at + at%8),
			"cut":     func(b []byte) []byte { return b[:at] },
		} {
			_, got, err := openJournal(damaged(t, disk, "meta/journal", change))
			if _, ok := errors.AsType[*wal.DamageError](err); !ok {
				t.Errorf("%s at byte %d: %q, %v", what, at, got, err)
			}
		}
	}
}

// TestARewriteThatFailsEarlyLeavesTheJournalUsable fails it before the new file
// has its name.
func TestARewriteThatFailsEarlyLeavesTheJournalUsable(t *testing.T) {
	count := vfs.Fault(vfs.NewMemory(), vfs.Plan{})
	j, _ := mustJournal(t, count)
	if err := j.Append([]byte("one")); err != nil {
		t.Fatal(err)
	}
	before := count.Changes()
	for step := 1; step <= 4; step++ { // remove, create, write, sync
		disk := vfs.NewMemory()
		faulty := vfs.Fault(disk, vfs.Plan{Kind: vfs.NoSpace, At: before + step})
		j, _ := mustJournal(t, faulty)
		if err := j.Append([]byte("one")); err != nil {
			t.Fatal(err)
		}
		if err := j.Rewrite([]byte("all")); err == nil {
			t.Fatalf("step %d: the rewrite succeeds", step)
		}
		if err := errors.Join(j.Append([]byte("two")), j.Close()); err != nil {
			t.Errorf("%s: %v", faulty.Operation(before+step), err)
		}
		if _, got := mustJournal(t, disk); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("%s: %q", faulty.Operation(before+step), got)
		}
	}
}

// TestAnyOperationOfAJournalMayFail fails each change to the file system in each
// way, and opens what is left, on the same disk and after a power failure.
func TestAnyOperationOfAJournalMayFail(t *testing.T) {
	// work returns the entries that must be found, and the one that may be. A
	// rewrite takes all its predecessors with it.
	work := func(fsys vfs.FS) (states [][]string, err error) {
		j, _, err := openJournal(fsys)
		if err != nil {
			return [][]string{nil}, err
		}
		now, failed := []string(nil), error(nil)
		for i := range 9 {
			next := append(slices.Clone(now), fmt.Sprintf("entry %d", i))
			op := func() error { return j.Append([]byte(next[len(next)-1])) }
			if i%4 == 3 {
				next = []string{fmt.Sprintf("snapshot %d", i)}
				op = func() error { return j.Rewrite([]byte(next[0])) }
			}
			if err := op(); err != nil {
				failed = errors.Join(failed, err)
				if i%4 == 3 && op() == nil { // a rewrite that changed nothing yet
					now = next
					continue
				}
				if j.Append([]byte("x")) == nil || j.Rewrite([]byte("x")) == nil {
					return nil, errBroken
				}
				return [][]string{now, next}, errors.Join(failed, j.Close())
			}
			now = next
		}
		return [][]string{now}, errors.Join(failed, j.Close())
	}
	count := vfs.Fault(vfs.NewCrash(), vfs.Plan{})
	if _, err := work(count); err != nil {
		t.Fatal(err)
	}
	for _, kind := range vfs.FaultKinds() {
		for at := 1; at <= count.Changes(); at++ {
			disk := vfs.NewCrash()
			fsys := vfs.Fault(disk, vfs.Plan{Kind: kind, At: at})
			states, err := work(fsys)
			if err == nil || errors.Is(err, errBroken) {
				t.Errorf("%s at %q: %v", kind, fsys.Operation(at), err)
			}
			rng := rand.New(rand.NewPCG(uint64(at), uint64(kind)))
			for i := range 8 {
				clone := disk
				if i > 0 {
					clone = disk.CrashClone(rng)
				}
				for range 2 {
					j, got, err := openJournal(clone)
					if err != nil {
						t.Fatalf("%s at %q, then opened: %v", kind, fsys.Operation(at), err)
					}
					if !slices.ContainsFunc(states, func(s []string) bool { return slices.Equal(s, got) }) {
						t.Errorf("%s at %q, then opened: %q, want one of %q", kind, fsys.Operation(at), got, states)
					}
					if err := j.Close(); err != nil {
						t.Error(err)
					}
					if clone == disk { // what was found has to stay when the power fails
						states = [][]string{got}
					}
				}
			}
		}
	}
}
