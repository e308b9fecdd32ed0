package wal_test

import (
	"flag"
	"fmt"
	"slices"
	"sort"
	"testing"
	"testing/synctest"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

var tailAll = flag.Bool("tail.all", false, "every truncation of the last 64 KiB of a log and every bit of its last 8 KiB, not one of many")

const (
	cutTail  = 64 << 10
	flipTail = 8 << 10
)

// tailLog is an open log of one segment that is longer than cutTail. ends are
// where its batches end, ordered the records.
type tailLog struct {
	durability wal.Durability
	disk       *vfs.Crash
	file       []byte
	ends       []int
	records    [][]wal.Record // of shards 0 and 1
	before     [][2]int       // how many of them are in the first batches, by their number
}

func newTailLog(t *testing.T, d wal.Durability) *tailLog {
	t.Helper()
	out := &tailLog{durability: d, disk: vfs.NewCrash(), records: make([][]wal.Record, 2)}
	l, err := wal.Open(wal.Config{FS: out.disk, Dir: "stream", Durability: d})
	if err != nil {
		t.Fatal(err)
	}
	m := &model{shards: 2}
	m.opened(l, 0)
	rng := newRand(11)
	out.ends, out.before = append(out.ends, int(l.Size())), append(out.before, [2]int{})
	for l.Size() < cutTail+4<<10 {
		recs := randomRecords(rng, 2)
		if err := l.Append(recs); err != nil {
			t.Fatal(err)
		}
		n := out.before[len(out.before)-1]
		for _, r := range recs {
			out.records[r.Shard] = append(out.records[r.Shard], r)
			n[r.Shard]++
		}
		out.ends, out.before = append(out.ends, int(l.Size())), append(out.before, n)
	}
	if out.file, err = out.disk.ReadFile(firstSegment); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) // what is tested are copies
	return out
}

// check opens the log with this file. Found are exactly the records of the first
// batches, at least as many as said; fewer are an error unless damage is reported.
func (g *tailLog) check(file []byte, batches int) error {
	disk := vfs.NewMemory()
	if err := disk.Mkdir("stream"); err != nil {
		return err
	}
	f, err := disk.Create(firstSegment)
	if err == nil {
		_, err = f.Write(file)
	}
	if err != nil {
		return err
	}
	l, err := wal.Open(wal.Config{FS: disk, Dir: "stream", Durability: wal.Memory})
	if err != nil {
		return err
	}
	defer l.Close() // of a copy
	r := l.Recovery()
	if g.durability == wal.Sync && batches+1 < len(g.ends)-1 && len(file) > g.ends[batches+1] { // later batches prove that it was synced
		if len(r.Damage) == 0 {
			return fmt.Errorf("no damage is reported: %+v", r)
		}
		return nil
	}
	if len(r.Damage) > 0 || int(r.TornBytes) != len(file)-g.ends[batches] {
		return fmt.Errorf("want %d batches: %+v", batches, r)
	}
	for id, all := range g.records {
		l.OpenShard(uint32(id), 0)
		p, err := l.Read(uint32(id), 0, 0, len(all)+1, 1<<30)
		if err != nil {
			return err
		}
		if n := g.before[batches][id]; !slices.EqualFunc(p.Records, all[:n], sameRecord) {
			return fmt.Errorf("shard %d has %d records, and they are not the first %d", id, len(p.Records), n)
		}
	}
	return nil
}

// whole is how many batches end at or before an offset.
func (g *tailLog) whole(offset int) int { return sort.SearchInts(g.ends, offset+1) - 1 }

// TestEveryTail cuts the end of a log at every length, and flips every bit there.
// What was synced and can be told from a torn end is reported; otherwise exactly
// the batches before the torn one are there. With Async nothing of this log was
// synced; with Sync all but the last batch.
func TestEveryTail(t *testing.T) {
	cutStep, flipStep := 61, 53
	if *tailAll {
		cutStep, flipStep = 1, 1
	}
	cases := 0
	for _, d := range []wal.Durability{wal.Sync, wal.Async} {
		synctest.Test(t, func(t *testing.T) { // time stands still, so Async syncs nothing
			g := newTailLog(t, d)
			end := len(g.file)
			for size := end - cutTail; size <= end; size += cutStep {
				cases++
				if err := g.check(g.file[:size], g.whole(size)); err != nil {
					t.Fatalf("%v, cut to %d of %d bytes: %v", d, size, end, err)
				}
			}
			for bit := 8 * (end - flipTail); bit < 8*end; bit += flipStep {
				cases++
				file := slices.Clone(g.file)
				file[bit/8] ^= 1 << (bit % 8)
				if err := g.check(file, g.whole(bit/8)); err != nil {
					t.Fatalf("%v, bit %d of byte %d of %d: %v", d, bit%8, bit/8, end, err)
				}
			}
		})
	}
	t.Logf("%d cases", cases)
	if *tailAll && cases < 2*(cutTail+8*flipTail) {
		t.Errorf("%d cases, want %d", cases, 2*(cutTail+8*flipTail))
	}
}
