package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// newLog is an open log in memory with shards 0 to 2.
func newLog(t *testing.T, d wal.Durability) *wal.Log {
	t.Helper()
	l := openLog(t, vfs.NewMemory(), d)
	for s := range uint32(3) {
		l.OpenShard(s, 0)
	}
	return l
}

func mustAppend(t *testing.T, l *wal.Log, recs ...wal.Record) []wal.Record {
	t.Helper()
	if err := l.Append(recs); err != nil {
		t.Fatal(err)
	}
	return recs
}

func mustRead(t *testing.T, l *wal.Log, shard uint32, from uint64, since int64, maxRecords, maxBytes int) wal.Page {
	t.Helper()
	p, err := l.Read(shard, from, since, maxRecords, maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func seqs(recs []wal.Record) []uint64 {
	out := []uint64{}
	for _, r := range recs {
		out = append(out, r.Seq)
	}
	return out
}

func TestConfigIsValidated(t *testing.T) {
	for _, c := range []struct {
		cfg  wal.Config
		want string
	}{
		{wal.Config{Dir: "d"}, "FS is required"},
		{wal.Config{FS: vfs.NewMemory()}, "Dir is required"},
		{wal.Config{FS: vfs.NewMemory(), Dir: "d", Durability: 9}, "Durability is 9"},
		{wal.Config{FS: vfs.NewMemory(), Dir: "d", SegmentBytes: 100}, "SegmentBytes is 100"},
		{wal.Config{FS: vfs.NewMemory(), Dir: "d", SegmentBytes: 2 << 30}, "SegmentBytes is 2147483648"},
	} {
		if _, err := wal.Open(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.cfg, err, c.want)
		}
	}
}

func TestNumbersFollowOneAnotherInEachShard(t *testing.T) {
	l := newLog(t, wal.Sync)
	l.OpenShard(2, 100)
	got := mustAppend(t, l, wal.Record{Shard: 0}, wal.Record{Shard: 2}, wal.Record{Shard: 0}, wal.Record{Shard: 2})
	if want := []uint64{0, 100, 1, 101}; !slices.Equal(seqs(got), want) {
		t.Errorf("numbers %v, want %v", seqs(got), want)
	}
	l.OpenShard(2, 50) // a floor below changes nothing
	l.OpenShard(0, 10)
	if next, _ := l.Tip(0); next != 10 {
		t.Errorf("after a higher floor the next number is %d, want 10", next)
	}
	got = mustAppend(t, l, wal.Record{Shard: 2}, wal.Record{Shard: 0})
	if want := []uint64{102, 10}; !slices.Equal(seqs(got), want) {
		t.Errorf("numbers %v, want %v", seqs(got), want)
	}
	if p := mustRead(t, l, 0, 2, 0, 10, 1000); !slices.Equal(seqs(p.Records), []uint64{10}) || p.Next != 11 {
		t.Errorf("reading from between two numbers: %v, next %d", seqs(p.Records), p.Next)
	}
}

func TestReadingFromAGapBetweenLargeRecords(t *testing.T) {
	l, err := wal.Open(wal.Config{FS: vfs.NewMemory(), Dir: "stream"}) // one segment
	if err != nil {
		t.Fatal(err)
	}
	l.OpenShard(0, 0)
	mustAppend(t, l, wal.Record{Data: make([]byte, 70_000)})
	l.OpenShard(0, 10)
	mustAppend(t, l, wal.Record{Data: make([]byte, 70_000)})
	if p := mustRead(t, l, 0, 5, 0, 1, 1); !slices.Equal(seqs(p.Records), []uint64{10}) {
		t.Errorf("from 5: %v", seqs(p.Records))
	}
}

func TestNumbersAndArrivalsRiseOverARestartThatSetsTheClockBack(t *testing.T) {
	disk := vfs.NewMemory()
	l := openLog(t, disk, wal.Sync)
	l.OpenShard(0, 0)
	before := mustAppend(t, l, wal.Record{}, wal.Record{})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { // begins in the year 2000
		l := openLog(t, disk, wal.Sync)
		l.OpenShard(0, 0)
		after := mustAppend(t, l, wal.Record{})
		if after[0].Seq != before[1].Seq+1 || after[0].Arrival != before[1].Arrival {
			t.Errorf("after %d of %d comes %d of %d", before[1].Seq, before[1].Arrival, after[0].Seq, after[0].Arrival)
		}
	})
}

func TestAnAppendToASealedOrUnknownShardWritesNothing(t *testing.T) {
	l := newLog(t, wal.Sync)
	mustAppend(t, l, wal.Record{Shard: 0}, wal.Record{Shard: 1})
	if err := l.Seal(1); err != nil {
		t.Fatal(err)
	}
	err := l.Append([]wal.Record{{Shard: 0}, {Shard: 1}})
	if s, ok := errors.AsType[*wal.SealedError](err); !ok || s.Shard != 1 {
		t.Errorf("append to a sealed shard: %v", err)
	}
	err = l.Append([]wal.Record{{Shard: 0}, {Shard: 7}})
	if s, ok := errors.AsType[*wal.UnknownShardError](err); !ok || s.Shard != 7 {
		t.Errorf("append to an unknown shard: %v", err)
	}
	if _, ok := errors.AsType[*wal.UnknownShardError](l.Seal(7)); !ok {
		t.Error("an unknown shard is sealed")
	}
	if _, err := l.Read(7, 0, 0, 1, 1); err == nil {
		t.Error("an unknown shard is read")
	}
	if got := mustAppend(t, l, wal.Record{Shard: 0}); got[0].Seq != 1 {
		t.Errorf("the next record of the other shard is %d, want 1", got[0].Seq)
	}
	if p := mustRead(t, l, 1, 0, 0, 10, 10); len(p.Records) != 1 || !p.End {
		t.Errorf("the sealed shard: %+v", p)
	}
	if p := mustRead(t, l, 0, 0, 0, 10, 10); p.End {
		t.Error("a shard that is not sealed has an end")
	}
}

func TestAPageKeepsItsLimits(t *testing.T) {
	l := newLog(t, wal.Sync)
	for i := range 10 {
		mustAppend(t, l, wal.Record{Shard: 1, Key: "k", Data: bytes.Repeat([]byte{byte(i)}, 9)}, wal.Record{Shard: 0, Key: "other"})
	}
	for _, c := range []struct {
		from                 uint64
		maxRecords, maxBytes int
		want                 []uint64
		next                 uint64
	}{
		{0, 3, 1000, []uint64{0, 1, 2}, 3},
		{3, 100, 25, []uint64{3, 4}, 5},
		{3, 100, 30, []uint64{3, 4, 5}, 6},
		{3, 100, 1, []uint64{3}, 4}, // at least one
		{8, 100, 1000, []uint64{8, 9}, 10},
		{8, 2, 1000, []uint64{8, 9}, 10},
		{10, 100, 1000, []uint64{}, 10},
		{77, 100, 1000, []uint64{}, 77},
	} {
		p := mustRead(t, l, 1, c.from, 0, c.maxRecords, c.maxBytes)
		if !slices.Equal(seqs(p.Records), c.want) || p.Next != c.next || (p.Behind == 0) != (c.next >= 10) {
			t.Errorf("from %d, at most %d records and %d bytes: %v, next %d, behind %d; want %v, next %d",
				c.from, c.maxRecords, c.maxBytes, seqs(p.Records), p.Next, p.Behind, c.want, c.next)
		}
	}
	for _, bad := range [][2]int{{0, 1}, {1, 0}, {-1, 1}} {
		if _, err := l.Read(1, 0, 0, bad[0], bad[1]); err == nil {
			t.Errorf("a read of %d records and %d bytes succeeds", bad[0], bad[1])
		}
	}
}

func TestRecordsAreFoundByArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLog(t, vfs.NewMemory(), wal.Sync) // segments of 4 KiB
		l.OpenShard(0, 5)
		if next, err := l.SeekTime(nil, 0, 1); err != nil || next != 5 {
			t.Errorf("in an empty shard: %d, %v", next, err)
		}
		start := time.Now().UnixMilli()
		const n = 60
		for range n {
			mustAppend(t, l, wal.Record{Key: "k", Data: make([]byte, 1000)}, wal.Record{Key: "k"})
			time.Sleep(10 * time.Millisecond)
		}
		for i := range int64(n) {
			for _, at := range []int64{start + 10*i, start + 10*i - 5} {
				if got, err := l.SeekTime(nil, 0, at); err != nil || got != uint64(5+2*i) {
					t.Errorf("arrival %d: record %d, %v; want %d", at-start, got, err, 5+2*i)
				}
			}
			p := mustRead(t, l, 0, 0, start+10*i, 1, 1)
			if p.Records[0].Seq != uint64(5+2*i) {
				t.Errorf("reading what arrived at %d or later begins at %d", 10*i, p.Records[0].Seq)
			}
			if want := max(1, 10*(n-1-i)); p.Behind != want {
				t.Errorf("record %d is %d ms behind, want %d", i, p.Behind, want)
			}
		}
		if got, err := l.SeekTime(nil, 0, start+10*n); err != nil || got != 5+2*n {
			t.Errorf("later than all: %d, %v; want %d", got, err, 5+2*n)
		}
	})
}

func TestWhatIsKeptIsACopy(t *testing.T) {
	l := newLog(t, wal.Sync)
	data := []byte("data")
	mustAppend(t, l, wal.Record{Key: "k", HashKey: "1", Data: data})
	copy(data, "XXXX")
	first := mustRead(t, l, 0, 0, 0, 1, 100)
	copy(first.Records[0].Data, "YYYY")
	again := mustRead(t, l, 0, 0, 0, 1, 100)
	if got := again.Records[0]; string(got.Data) != "data" || got.Key != "k" || got.HashKey != "1" {
		t.Errorf("read %q %q %q", got.Data, got.Key, got.HashKey)
	}
}

func TestLargeRecordsAndManyShards(t *testing.T) {
	disk := vfs.NewMemory()
	l := openLog(t, disk, wal.Sync)
	rng := rand.New(rand.NewPCG(1, 1))
	var recs []wal.Record
	for s := range uint32(500) {
		l.OpenShard(s, 0)
		recs = append(recs, wal.Record{Shard: s, Key: fmt.Sprint(s), Data: randomBytes(rng, 10)})
	}
	recs = append(recs, wal.Record{Shard: 3, Key: strings.Repeat("é", 300_000), Data: randomBytes(rng, 3<<20)},
		wal.Record{Shard: 3, Key: "after"})
	mustAppend(t, l, recs...)
	mustAppend(t, l, wal.Record{Shard: 3, Key: "later"})
	for range 2 {
		for _, r := range recs {
			if p := mustRead(t, l, r.Shard, r.Seq, 0, 1, 1); !sameRecord(p.Records[0], r) {
				t.Fatalf("record %d of shard %d was altered", r.Seq, r.Shard)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = openLog(t, disk, wal.Sync)
		for s := range uint32(500) {
			l.OpenShard(s, 0)
		}
	}
	if err := l.Append([]wal.Record{{Data: make([]byte, 256<<20)}}); err == nil {
		t.Error("an append of 256 MiB is taken")
	}
}

// TestAFrameOfManySmallRecordsIsChecked changes each record of one frame.
func TestAFrameOfManySmallRecordsIsChecked(t *testing.T) {
	disk := vfs.NewCrash()
	l := openLog(t, disk, wal.Sync)
	l.OpenShard(0, 0)
	recs := make([]wal.Record, 1000)
	for i := range recs {
		recs[i] = wal.Record{Key: "k", Data: fmt.Appendf(nil, "<%03d>", i)}
	}
	mustAppend(t, l, recs...)
	if p := mustRead(t, l, 0, 0, 0, 2000, 1<<20); len(p.Records) != 1000 || !sameRecord(p.Records[999], recs[999]) {
		t.Errorf("%d records of 1000", len(p.Records))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(recs); i += 37 {
		clone := damaged(t, disk, firstSegment, func(b []byte) []byte {
			b[bytes.Index(b, recs[i].Data)+2] ^= 1
			return b
		})
		if d := openLog(t, clone, wal.Sync).Recovery().Damage; len(d) != 1 || d[0].AllShards {
			t.Errorf("record %d was changed: %v", i, d)
		}
	}
}

func TestAClosedLogRefuses(t *testing.T) {
	l := newLog(t, wal.Sync)
	mustAppend(t, l, wal.Record{})
	changed := l.Changed(0)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("those who wait for a change are not told of the end")
	}
	<-l.Changed(0)
	_, readErr := l.Read(0, 0, 0, 1, 1)
	for what, err := range map[string]error{"append": l.Append([]wal.Record{{}}), "read": readErr, "trim": l.Trim(1), "err": l.Err()} {
		if !errors.Is(err, wal.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := l.Close(); err != nil {
		t.Errorf("a second close: %v", err)
	}
}

func TestRemoveRemovesALog(t *testing.T) {
	disk := vfs.NewMemory()
	l := openLog(t, disk, wal.Sync)
	l.OpenShard(0, 0)
	mustAppend(t, l, wal.Record{})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // one that does not exist is no error
		if err := wal.Remove(disk, "stream"); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := disk.List("."); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}
