package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

func inspectJournal(t *testing.T, fsys vfs.FS) (*wal.JournalInspection, []string) {
	t.Helper()
	var entries []string
	in, err := wal.InspectJournal(fsys, "meta", func(b []byte) error {
		entries = append(entries, string(b))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return in, entries
}

// TestAnInspectedJournalGivesAllThatIsIntact flips a bit of each byte: the
// inspection agrees with the opening about what is damaged, and gives all other
// entries in order.
func TestAnInspectedJournalGivesAllThatIsIntact(t *testing.T) {
	all := []string{"snapshot", "one", "two", "three"}
	disk := vfs.NewCrash()
	j, _ := mustJournal(t, disk)
	for i, e := range all {
		var err error
		if i == 0 {
			err = j.Rewrite([]byte(e))
		} else {
			err = j.Append([]byte(e))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if in, got := inspectJournal(t, disk); in.Entries != 4 || len(in.Damage) > 0 || in.TornBytes > 0 || !slices.Equal(got, all) {
		t.Fatalf("%+v, %q", in, got)
	}
	for at := range int(j.Size()) {
		clone := damaged(t, disk, "meta/journal", flip(8*at+at%8))
		in, got := inspectJournal(t, clone)
		opened, _, err := openJournal(clone)
		if err == nil {
			_ = opened.Close() // nothing was appended
		}
		_, isDamage := errors.AsType[*wal.DamageError](err)
		if isDamage != (len(in.Damage) > 0) || err == nil && in.TornBytes == 0 {
			t.Fatalf("byte %d: opening says %v, the inspection %+v", at, err, in)
		}
		missing := 0
		for _, e := range all {
			if !slices.Contains(got, e) {
				missing++
			}
		}
		if missing > 1 || len(got)+missing != len(all) || isDamage && in.MaxLost() < uint64(missing) {
			t.Fatalf("byte %d: %q is left: %+v", at, got, in)
		}
	}
	for size := range 32 { // a header that is cut off, and with it all that is known
		clone := damaged(t, disk, "meta/journal", func(b []byte) []byte { return b[:size] })
		if in, got := inspectJournal(t, clone); len(in.Damage) == 0 || len(got) > 0 {
			t.Fatalf("cut to %d bytes: %+v", size, in)
		}
	}
	if in, _ := inspectJournal(t, vfs.NewCrash()); !in.Missing {
		t.Errorf("no journal: %+v", in)
	}
}

// TestAReplacedJournalIsTheOldOrTheNewOne fails each change to the file system.
func TestAReplacedJournalIsTheOldOrTheNewOne(t *testing.T) {
	disk := vfs.NewCrash()
	j, _ := mustJournal(t, disk)
	if err := errors.Join(j.Append([]byte("old")), j.Close()); err != nil {
		t.Fatal(err)
	}
	before, err := disk.ReadFile("meta/journal")
	if err != nil {
		t.Fatal(err)
	}
	count := vfs.Fault(disk.CrashClone(newRand(1)), vfs.Plan{})
	if saved, err := wal.ReplaceJournal(count, "meta", []byte("new")); err != nil || saved != "meta/journal.damaged" {
		t.Fatalf("%s, %v", saved, err)
	}
	for _, kind := range vfs.FaultKinds() {
		for at := 1; at <= count.Changes(); at++ {
			clone := disk.CrashClone(newRand(1))
			faulty := vfs.Fault(clone, vfs.Plan{Kind: kind, At: at})
			what := fmt.Sprintf("%s at operation %d", kind, at)
			if _, err := wal.ReplaceJournal(faulty, "meta", []byte("new")); err == nil {
				t.Errorf("%s (%s): no error", what, faulty.Operation(at))
			}
			clone = clone.CrashClone(newRand(uint64(at)))
			in, got := inspectJournal(t, clone)
			if len(in.Damage) > 0 || len(got) != 1 || got[0] != "old" && got[0] != "new" {
				t.Errorf("%s: left are %q, %+v", what, got, in)
			}
			if saved, err := clone.ReadFile("meta/journal.damaged"); got[0] == "new" && (err != nil || !bytes.Equal(saved, before)) {
				t.Errorf("%s: the original bytes are gone: %v", what, err)
			}
			saved, err := wal.ReplaceJournal(clone, "meta", []byte("new"))
			if err != nil {
				t.Fatalf("%s, and once more: %v", what, err)
			}
			if _, err := clone.ReadFile(saved); err != nil {
				t.Error(err)
			}
			if _, got := inspectJournal(t, clone); !slices.Equal(got, []string{"new"}) {
				t.Errorf("%s, and once more: %q", what, got)
			}
		}
	}
}
