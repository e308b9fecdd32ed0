package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

const firstSegment = "stream/0000000000000001.log"

// writtenLog is a log of one segment, and what was appended to it. ends are
// where its batches end in the file.
func writtenLog(t *testing.T, closed bool) (disk *vfs.Crash, m *model, ends []int) {
	t.Helper()
	disk = vfs.NewCrash()
	m = &model{shards: 2}
	l, err := wal.Open(wal.Config{FS: disk, Dir: "stream"})
	if err != nil {
		t.Fatal(err)
	}
	m.opened(l, 0)
	rng := rand.New(rand.NewPCG(3, 3))
	ends = append(ends, int(l.Size()))
	for range 4 {
		c := &modelCall{acked: true, recs: []wal.Record{
			{Shard: 0, Key: "a", Data: randomBytes(rng, 40)},
			{Shard: 1, Key: "b", HashKey: "12", Data: randomBytes(rng, 50)},
		}}
		if err := l.Append(c.recs); err != nil {
			t.Fatal(err)
		}
		m.calls = append(m.calls, c)
		ends = append(ends, int(l.Size()))
	}
	if closed {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	} else {
		t.Cleanup(func() { l.Close() }) // nothing was left to write
	}
	return disk, m, ends
}

// damaged returns a copy of a disk with one file changed.
func damaged(t *testing.T, disk *vfs.Crash, name string, change func([]byte) []byte) *vfs.Crash {
	t.Helper()
	clone := disk.CrashClone(rand.New(rand.NewPCG(1, 1)))
	if err := clone.Damage(name, change); err != nil {
		t.Fatal(err)
	}
	return clone
}

func flip(bit int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[bit/8] ^= 1 << (bit % 8)
		return b
	}
}

// TestATruncatedTailIsCutAtABatch cuts the log at every length.
func TestATruncatedTailIsCutAtABatch(t *testing.T) {
	disk, m, ends := writtenLog(t, false)
	for size := ends[0]; size <= ends[len(ends)-1]; size++ {
		whole := 0
		for whole+1 < len(ends) && ends[whole+1] <= size {
			whole++
		}
		clone := damaged(t, disk, firstSegment, func(b []byte) []byte { return b[:size] })
		l := m.opened(openLog(t, clone, wal.Sync), 0)
		r := l.Recovery()
		if len(r.Damage) > 0 || int(r.TornBytes) != size-ends[whole] || int(r.Records) != 2*whole {
			t.Fatalf("cut to %d bytes: %+v, want %d batches", size, r, whole)
		}
		left := model{shards: 2, calls: slices.Clone(m.calls[:whole])}
		if err := left.check(l, oracle{}); err != nil {
			t.Fatalf("cut to %d bytes: %v", size, err)
		}
		if err := left.append(l, rand.New(rand.NewPCG(1, 1))); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		again := left.opened(openLog(t, clone, wal.Sync), 0)
		if err := left.check(again, oracle{}); err != nil {
			t.Fatalf("cut to %d bytes, appended to and opened again: %v", size, err)
		}
	}
}

// TestAFlippedBitIsNeverServed flips every bit of a log: in the last batch that
// looks like a torn tail, before it and in a log that was closed it is damage.
func TestAFlippedBitIsNeverServed(t *testing.T) {
	for _, closed := range []bool{false, true} {
		disk, m, ends := writtenLog(t, closed)
		for bit := range 8 * ends[len(ends)-1] {
			l := m.opened(openLog(t, damaged(t, disk, firstSegment, flip(bit)), wal.Sync), 0)
			at, last := bit/8, bit/8 >= ends[len(ends)-2]
			r := l.Recovery()
			if last && !closed {
				left := model{shards: 2, calls: m.calls[:len(m.calls)-1]}
				if err := left.check(l, oracle{}); err != nil || len(r.Damage) > 0 || r.TornBytes == 0 {
					t.Fatalf("bit %d in the last batch: %v, %+v", bit, err, r)
				}
				continue
			}
			if len(r.Damage) == 0 || r.TornBytes > 0 {
				t.Fatalf("bit %d of byte %d, in data that was synced, is not reported: %+v", bit%8, at, r)
			}
			if err := checkDamaged(l, m, r.Damage[0]); err != nil {
				t.Fatalf("bit %d of byte %d: %v", bit%8, at, err)
			}
		}
	}
}

// checkDamaged finds out whether the shards that damage concerns refuse reads
// and appends, and the others serve what they have.
func checkDamaged(l *wal.Log, m *model, want *wal.DamageError) error {
	for id := range uint32(m.shards) {
		concerned := want.AllShards || want.Shard == id
		_, readErr := l.Read(id, 0, 0, 1, 1)
		appendErr := l.Append([]wal.Record{{Shard: id, Key: "k"}})
		for _, err := range []error{readErr, appendErr} {
			if d, ok := errors.AsType[*wal.DamageError](err); ok != concerned || ok && d.Segment != firstSegment {
				return fmt.Errorf("shard %d answers %w, and reported is: %s", id, err, want.Error())
			}
		}
		if concerned {
			continue
		}
		recs, err := readAll(l, id)
		if err != nil {
			return err
		}
		all, _ := m.of(id)
		for i, r := range all {
			if !sameRecord(recs[i], r) {
				return fmt.Errorf("record %d is not what was appended", recs[i].Seq)
			}
		}
	}
	if want.AllShards && l.Err() == nil {
		return errors.New("the log says that it takes appends")
	}
	return nil
}

// sealedLog is a log of several sealed segments.
func sealedLog(t *testing.T) (*vfs.Crash, *model, []vfs.Entry) {
	t.Helper()
	disk := vfs.NewCrash()
	m := &model{shards: 2}
	l := m.opened(openLog(t, disk, wal.Sync), 0)
	rng := rand.New(rand.NewPCG(4, 4))
	for range 10 {
		if err := m.append(l, rng); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := disk.List("stream")
	if err != nil || len(entries) < 3 {
		t.Fatalf("%d segments, %v", len(entries), err)
	}
	return disk, m, entries
}

// TestDamageInASealedSegmentIsNeverServed flips a bit of each byte of a sealed
// segment. What is read is right, or refused.
func TestDamageInASealedSegmentIsNeverServed(t *testing.T) {
	disk, m, entries := sealedLog(t)
	var refused, rebuilt int
	for at := range int(entries[0].Size) {
		l := m.opened(openLog(t, damaged(t, disk, "stream/"+entries[0].Name, flip(8*at+at%8)), wal.Sync), 0)
		if l.Recovery().Scanned > 1 {
			rebuilt++
		}
		for id := range uint32(m.shards) {
			recs, err := readAll(l, id)
			if _, ok := errors.AsType[*wal.DamageError](err); ok {
				refused++
				if err := l.Append([]wal.Record{{Shard: id, Key: "k"}}); err == nil {
					t.Fatalf("byte %d: a shard that refuses reads takes appends", at)
				}
				continue
			}
			want, _ := m.of(id)
			if err != nil || len(recs) != len(want) {
				t.Fatalf("byte %d: %d records of %d, %v", at, len(recs), len(want), err)
			}
			for i := range recs {
				if !sameRecord(recs[i], want[i]) {
					t.Fatalf("byte %d: record %d was altered", at, recs[i].Seq)
				}
			}
		}
	}
	if refused == 0 || rebuilt == 0 {
		t.Errorf("%d reads refused, %d footers made anew: the test tests too little", refused, rebuilt)
	}
}

// TestAMissingSegmentIsDamage removes one from the middle.
func TestAMissingSegmentIsDamage(t *testing.T) {
	disk, m, entries := sealedLog(t)
	if err := disk.Remove("stream/" + entries[1].Name); err != nil {
		t.Fatal(err)
	}
	l := m.opened(openLog(t, disk, wal.Sync), 0)
	if d := l.Recovery().Damage; len(d) == 0 || !d[0].AllShards {
		t.Errorf("damage: %v", d)
	}
	if _, err := l.Read(0, 0, 0, 1, 1); err == nil {
		t.Error("a log with a hole is served")
	}
}

// TestALostFooterIsMadeAnew cuts the footer off a sealed segment.
// A log that was there, and of which nothing is left, is damaged: it serves
// nothing and takes nothing, nothing is changed, and a repair makes it an empty one.
func TestALogThatIsGoneIsDamage(t *testing.T) {
	for _, d := range []wal.Durability{wal.Sync, wal.Async} {
		disk := vfs.NewMemory()
		cfg := wal.Config{FS: disk, Dir: "stream", Exists: true, Durability: d}
		l, err := wal.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		l.OpenShard(0, 0)
		_, readErr := l.Read(0, 0, 0, 1, 1)
		for _, err := range []error{readErr, l.Append([]wal.Record{{Key: "k"}}), l.Seal(0), l.Trim(1)} {
			if e, ok := errors.AsType[*wal.DamageError](err); !ok || !e.AllShards || e.Segment != firstSegment {
				t.Errorf("a log that is gone: %v", err)
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := disk.Stat("stream"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the directory was made: %v", err)
		}
		in, err := wal.Inspect(disk, "stream", true)
		if err != nil || !in.Damaged() {
			t.Fatalf("inspection: %+v, %v", in, err)
		}
		r, err := wal.PlanRepair(in, []uint32{0, 1})
		if err != nil || len(r.Losses) != 2 || len(r.Segments) != 1 {
			t.Fatalf("repair: %+v, %v", r, err)
		}
		if err := r.Apply(); err != nil {
			t.Fatal(err)
		}
		if in, err = wal.Inspect(disk, "stream", true); err != nil || in.Damaged() {
			t.Errorf("after the repair: %+v, %v", in, err)
		}
		if l, err = wal.Open(cfg); err != nil {
			t.Fatal(err)
		}
		l.OpenShard(0, 7)
		if got := mustAppend(t, l, wal.Record{Shard: 0, Key: "k"}); got[0].Seq != 7 {
			t.Errorf("number %d", got[0].Seq)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestALostFooterIsMadeAnew(t *testing.T) {
	disk, m, entries := sealedLog(t)
	err := disk.Damage("stream/"+entries[0].Name, func(b []byte) []byte { return b[:len(b)-10] })
	if err != nil {
		t.Fatal(err)
	}
	l := m.opened(openLog(t, disk, wal.Sync), 0)
	if r := l.Recovery(); len(r.Damage) > 0 || r.Scanned != 2 {
		t.Errorf("recovery: %+v", r)
	}
	if err := m.check(l, oracle{}); err != nil {
		t.Error(err)
	}
}

// TestDamageIsLeftAsItIs opens a damaged log and compares the disk.
func TestDamageIsLeftAsItIs(t *testing.T) {
	disk, m, ends := writtenLog(t, false)
	clone := damaged(t, disk, firstSegment, flip(8*ends[1]))
	before, err := clone.ReadFile(firstSegment)
	if err != nil {
		t.Fatal(err)
	}
	l := m.opened(openLog(t, clone, wal.Sync), 0)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	after, err := clone.ReadFile(firstSegment)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed: %v", err)
	}
}

// TestRecordsCannotForgeBatches appends the bytes of another log as a record,
// and damages that batch. Its bytes would prove, if they counted, that the batch
// had been synced before.
func TestRecordsCannotForgeBatches(t *testing.T) {
	other, _, _ := writtenLog(t, true)
	data, err := other.ReadFile(firstSegment)
	if err != nil {
		t.Fatal(err)
	}
	disk := vfs.NewCrash()
	l := openLog(t, disk, wal.Sync)
	l.OpenShard(0, 0)
	if err := l.Append([]wal.Record{{Key: "k", Data: data}}); err != nil {
		t.Fatal(err)
	}
	clone := damaged(t, disk, firstSegment, flip(8*40))
	if r := openLog(t, clone, wal.Sync).Recovery(); r.TornBytes == 0 || len(r.Damage) > 0 {
		t.Errorf("recovery: %+v", r)
	}
}
