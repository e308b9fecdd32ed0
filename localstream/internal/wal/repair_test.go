package wal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// repaired repairs the log in "stream", and finds out whether what the repair
// says is true: exactly what it calls lost is gone, nothing else was touched, and
// the log serves all its shards.
func repaired(disk *vfs.Crash, m *model) (*wal.Repair, error) {
	in, err := wal.Inspect(disk, "stream", false)
	if err != nil {
		return nil, err
	}
	r, err := wal.PlanRepair(in, []uint32{0, 1})
	if err != nil {
		return nil, err
	}
	before := filesOf(disk)
	if err := r.Apply(); err != nil {
		return nil, err
	}
	return r, errors.Join(checkFiles(disk, before, r), checkRepaired(disk, m, r))
}

func filesOf(disk *vfs.Crash) map[string][]byte {
	files := map[string][]byte{}
	entries, _ := disk.List("stream") // of a directory that is there
	for _, e := range entries {
		files["stream/"+e.Name], _ = disk.ReadFile("stream/" + e.Name)
	}
	return files
}

// checkFiles compares the files with those from before a repair.
func checkFiles(disk *vfs.Crash, before map[string][]byte, r *wal.Repair) error {
	for name, b := range before {
		i := slices.IndexFunc(r.Segments, func(s wal.SegmentRepair) bool { return s.Name == name })
		if i >= 0 {
			name = r.Segments[i].Saved
		}
		if after, err := disk.ReadFile(name); err != nil || !bytes.Equal(after, b) {
			return fmt.Errorf("%s has not the bytes from before: %w", name, err)
		}
	}
	return nil
}

// checkRepaired opens a log that was repaired.
func checkRepaired(disk *vfs.Crash, m *model, r *wal.Repair) error {
	if in, err := wal.Inspect(disk, "stream", false); err != nil || in.Damaged() {
		return fmt.Errorf("after the repair: %w, %+v", err, in)
	}
	l, err := wal.Open(wal.Config{FS: disk, Dir: "stream", SegmentBytes: 4 << 10})
	if err != nil {
		return err
	}
	defer l.Close() // checked below
	m.opened(l, 1<<40)
	if d := l.Recovery().Damage; len(d) > 0 {
		return fmt.Errorf("after the repair: %w", d[0])
	}
	for id := range uint32(m.shards) {
		found, err := readAll(l, id)
		if err != nil {
			return err
		}
		all, _ := m.of(id)
		for _, want := range all {
			i := slices.IndexFunc(found, func(r wal.Record) bool { return r.Seq == want.Seq })
			lost, exact := isLost(r.Losses, want)
			switch {
			case i < 0 && !lost:
				return fmt.Errorf("record %d of shard %d is gone, and was not called lost: %+v", want.Seq, id, r.Losses)
			case i >= 0 && exact:
				return fmt.Errorf("record %d of shard %d was called lost, and is there", want.Seq, id)
			case i >= 0 && !sameRecord(found[i], want):
				return fmt.Errorf("record %d of shard %d was altered", want.Seq, id)
			case i >= 0:
				found = slices.Delete(found, i, i+1)
			}
		}
		if len(found) > 0 {
			return fmt.Errorf("record %d of shard %d was never appended", found[0].Seq, id)
		}
		recs := []wal.Record{{Shard: id, Key: "k"}}
		if err := l.Append(recs); err != nil || recs[0].Seq < 1<<40 {
			return fmt.Errorf("append as %d: %w", recs[0].Seq, err)
		}
	}
	return l.Close()
}

// isLost reports whether a repair says that a record may be lost, or is.
func isLost(losses []wal.Loss, r wal.Record) (lost, exact bool) {
	for _, l := range losses {
		switch {
		case l.Shard != r.Shard:
		case l.Exact:
			if r.Seq >= l.First.Seq && r.Seq <= l.Last.Seq {
				return true, true
			}
		case (l.First == wal.Mark{} || r.Seq > l.First.Seq) && (l.Last == wal.Mark{} || r.Seq < l.Last.Seq):
			lost = true
		}
	}
	return lost, false
}

// stride looks at every byte of a small file, and at some two thousand of others.
func stride(size int) int { return 1 + size/2000 }

// TestARepairLosesWhatItSaysAndNothingElse flips a bit of each byte of logs that
// are closed, sealed, and were left by a crash.
func TestARepairLosesWhatItSaysAndNothingElse(t *testing.T) {
	open, openModel, ends := writtenLog(t, false)
	closed, closedModel, _ := writtenLog(t, true)
	sealed, sealedModel, entries := sealedLog(t)
	for _, c := range []struct {
		what  string
		disk  *vfs.Crash
		model *model
		name  string
		size  int
		torn  int // from here on it looks like a torn end
	}{
		{"open", open, openModel, firstSegment, ends[len(ends)-1], ends[len(ends)-2]},
		{"closed", closed, closedModel, firstSegment, ends[len(ends)-1], 1 << 30},
		{"sealed", sealed, sealedModel, "stream/" + entries[0].Name, int(entries[0].Size), 1 << 30},
		{"sealed, in the middle", sealed, sealedModel, "stream/" + entries[1].Name, int(entries[1].Size), 1 << 30},
	} {
		exact := 0
		for at := 0; at < c.size; at += stride(c.size) {
			clone := damaged(t, c.disk, c.name, flip(8*at+at%8))
			in, err := wal.Inspect(clone, "stream", false)
			if err != nil {
				t.Fatalf("%s, byte %d: %v", c.what, at, err)
			}
			if in.Damaged() != (at < c.torn) {
				t.Fatalf("%s, byte %d: damaged: %t", c.what, at, in.Damaged())
			}
			if at >= c.torn {
				continue // opening cuts it
			}
			r, err := repaired(clone, c.model)
			if err != nil {
				t.Fatalf("%s, byte %d: %v", c.what, at, err)
			}
			if len(r.Segments) != 1 || r.Segments[0].Name != c.name {
				t.Fatalf("%s, byte %d: %+v is replaced", c.what, at, r.Segments)
			}
			if len(r.Losses) == 1 && r.Losses[0].Exact {
				exact++
			}
		}
		if exact == 0 {
			t.Errorf("%s: no loss is known exactly", c.what)
		}
	}
}

// TestARepairOfWhatIsCutOff cuts a sealed segment at every length, and removes it.
func TestARepairOfWhatIsCutOff(t *testing.T) {
	disk, m, entries := sealedLog(t)
	for which, e := range entries[:len(entries)-1] {
		for size := 0; size < int(e.Size); size += stride(int(e.Size)) {
			clone := damaged(t, disk, "stream/"+e.Name, func(b []byte) []byte { return b[:size] })
			if _, err := repaired(clone, m); err != nil {
				t.Fatalf("segment %d cut to %d bytes: %v", which, size, err)
			}
		}
		if which == 0 {
			continue // what comes before the oldest segment may have been trimmed
		}
		clone := disk.CrashClone(newRand(1))
		if err := clone.Remove("stream/" + e.Name); err != nil {
			t.Fatal(err)
		}
		in, err := wal.Inspect(clone, "stream", false)
		if err != nil || !in.Damaged() || len(in.Missing) != 1 || in.Missing[0].Segment != "stream/"+e.Name {
			t.Errorf("segment %d is missing: %v, %+v", which, err, in)
		}
		if r, err := repaired(clone, m); err != nil || len(r.Losses) != 2 || r.Segments[0].Saved != "" {
			t.Errorf("segment %d is missing: %v, %+v", which, err, r)
		}
	}
}

// TestARepairOfMuchDamage spoils many places of sealed segments at once.
func TestARepairOfMuchDamage(t *testing.T) {
	disk, m, entries := sealedLog(t)
	for seed := range uint64(400) {
		rng := newRand(seed)
		clone := disk.CrashClone(rng)
		for range 1 + rng.IntN(12) {
			name := "stream/" + entries[rng.IntN(len(entries)-1)].Name
			err := clone.Damage(name, func(b []byte) []byte {
				switch from := rng.IntN(len(b)); rng.IntN(6) {
				case 0: // a sector of zeros
					clear(b[from:min(len(b), from+512)])
				case 1: // bytes that were never written
					b = slices.Insert(b, from, randomBytes(rng, rng.IntN(100))...)
				default:
					b[from] ^= 1 << rng.IntN(8)
				}
				return b
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := repaired(clone, m); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestAnyOperationOfARepairMayFail fails each change to the file system, in each
// way, and repairs once more what is left, on the same disk and after a power
// failure. No intact record is lost on the way.
func TestAnyOperationOfARepairMayFail(t *testing.T) {
	disk, m, entries := sealedLog(t)
	for _, e := range entries[:2] {
		if err := disk.Damage("stream/"+e.Name, flip(8*200)); err != nil {
			t.Fatal(err)
		}
	}
	repair := func(fsys vfs.FS) (*wal.Repair, error) {
		in, err := wal.Inspect(fsys, "stream", false)
		if err != nil {
			return nil, err
		}
		r, err := wal.PlanRepair(in, nil)
		if err != nil {
			return nil, err
		}
		return r, r.Apply()
	}
	count := vfs.Fault(disk.CrashClone(newRand(1)), vfs.Plan{})
	whole, err := repair(count)
	if err != nil || count.Changes() < 10 || len(whole.Losses) == 0 {
		t.Fatalf("%d changes, %v", count.Changes(), err)
	}
	for _, kind := range vfs.FaultKinds() {
		for at := 1; at <= count.Changes(); at++ {
			left := disk.CrashClone(newRand(1))
			faulty := vfs.Fault(left, vfs.Plan{Kind: kind, At: at})
			_, err := repair(faulty)
			what := fmt.Sprintf("%s at operation %d (%s)", kind, at, faulty.Operation(at))
			if err == nil {
				t.Errorf("%s: no call reports it", what)
			}
			rng := newRand(uint64(at))
			for i, clone := range []*vfs.Crash{left, left.CrashClone(rng), left.CrashClone(rng), left.CrashClone(rng)} {
				if _, err := repair(clone); err != nil {
					t.Fatalf("%s, clone %d: %v", what, i, err)
				}
				if err := checkRepaired(clone.CrashClone(rng), m, whole); err != nil {
					t.Fatalf("%s, clone %d: %v", what, i, err)
				}
			}
		}
	}
}

func TestAnIntactLogIsNotRepaired(t *testing.T) {
	for _, closed := range []bool{false, true} {
		disk, m, _ := writtenLog(t, closed)
		if r, err := repaired(disk, m); err != nil || len(r.Segments) > 0 || len(r.Losses) > 0 {
			t.Errorf("closed: %t: %v, %+v", closed, err, r)
		}
	}
	disk, m, _ := sealedLog(t)
	in, err := wal.Inspect(disk, "stream", false)
	if err != nil {
		t.Fatal(err)
	}
	records := map[uint32]uint64{}
	for _, s := range in.Segments {
		for _, p := range s.Parts {
			records[p.Shard] += p.Records
		}
	}
	for id := range uint32(2) {
		if all, _ := m.of(id); records[id] != uint64(len(all)) {
			t.Errorf("shard %d: %d records of %d", id, records[id], len(all))
		}
	}
}

// TestATornEndIsNoDamage looks at what a crash leaves.
func TestATornEndIsNoDamage(t *testing.T) {
	disk, _, ends := writtenLog(t, false)
	for size := ends[0]; size < ends[len(ends)-1]; size++ {
		whole := 0
		for whole+1 < len(ends) && ends[whole+1] <= size {
			whole++
		}
		in, err := wal.Inspect(damaged(t, disk, firstSegment, func(b []byte) []byte { return b[:size] }), "stream", false)
		if err != nil || in.Damaged() || int(in.Segments[0].TornBytes) != size-ends[whole] {
			t.Fatalf("cut to %d bytes: %v, %+v", size, err, in)
		}
	}
}

// newer makes a file say that a newer program wrote it.
func newer(b []byte) []byte {
	b[8]++
	crc := crc32.Checksum(slices.Concat(b[:12], b[16:32]), crc32.MakeTable(crc32.Castagnoli))
	binary.LittleEndian.PutUint32(b[12:], crc)
	return b
}

// TestALogOfANewerVersionIsLeftAlone opens, inspects and repairs one.
func TestALogOfANewerVersionIsLeftAlone(t *testing.T) {
	disk, _, _ := writtenLog(t, true)
	j, _ := mustJournal(t, disk)
	if err := errors.Join(j.Append([]byte("entry")), j.Close()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(disk.Damage(firstSegment, newer), disk.Damage("meta/journal", newer)); err != nil {
		t.Fatal(err)
	}
	before := filesOf(disk)
	_, openErr := wal.Open(wal.Config{FS: disk, Dir: "stream"})
	_, inspectErr := wal.Inspect(disk, "stream", false)
	_, _, journalErr := openJournal(disk)
	_, err := wal.InspectJournal(disk, "meta", func([]byte) error { return nil })
	for what, err := range map[string]error{"open": openErr, "inspect": inspectErr, "open journal": journalErr, "inspect journal": err} {
		if v, ok := errors.AsType[*wal.VersionError](err); !ok || v.Version != 2 || v.File == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	for name, b := range before {
		if after, err := disk.ReadFile(name); err != nil || !bytes.Equal(after, b) {
			t.Errorf("%s was changed", name)
		}
	}
}
