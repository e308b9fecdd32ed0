package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// TestDamageThatComesWhileTheLogIsOpen changes a sealed segment after the log
// was opened, in ways that are found at the first read.
func TestDamageThatComesWhileTheLogIsOpen(t *testing.T) {
	for name, c := range map[string]struct {
		change func(disk *vfs.Crash, segment string) error
		all    bool
	}{
		"the file is gone": {func(d *vfs.Crash, s string) error { return d.Remove(s) }, true},
		"the file is short": {func(d *vfs.Crash, s string) error {
			return d.Damage(s, func(b []byte) []byte { return b[:100] })
		}, false},
		"the frame headers are wrong": {func(d *vfs.Crash, s string) error {
			return d.Damage(s, func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("shrF"), []byte("shrX")) })
		}, true},
	} {
		disk, m, entries := sealedLog(t)
		l := m.opened(openLog(t, disk, wal.Sync), 0)
		if d := l.Recovery().Damage; len(d) > 0 {
			t.Fatal(d[0])
		}
		changed := l.Changed(0)
		if err := c.change(disk, "stream/"+entries[0].Name); err != nil {
			t.Fatal(err)
		}
		for range 2 { // it stays
			_, err := l.Read(0, 0, 0, 1, 1)
			d, ok := errors.AsType[*wal.DamageError](err)
			if !ok || !strings.HasSuffix(d.Segment, entries[0].Name) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := l.Append([]wal.Record{{Shard: 0}}); err == nil {
			t.Errorf("%s: an append is taken", name)
		}
		<-changed // those who wait have to learn of it
		if other := l.Append([]wal.Record{{Shard: 1}}); (other != nil) != c.all {
			t.Errorf("%s: an append to the other shard: %v", name, other)
		}
	}
}

// TestDamageThatIsTrimmedIsGone loses nothing more than what was to be removed.
func TestDamageThatIsTrimmedIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewCrash()
		l := openLog(t, disk, wal.Sync)
		l.OpenShard(0, 0)
		var last []wal.Record
		for range 4 {
			last = mustAppend(t, l, wal.Record{Key: "k", Data: make([]byte, 4000)})
			time.Sleep(time.Second)
		}
		if err := disk.Damage(firstSegment, flip(8*2000)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Read(0, 0, 0, 1, 1); err == nil {
			t.Fatal("damage is served")
		}
		if err := l.Trim(last[0].Arrival); err != nil {
			t.Fatal(err)
		}
		if p := mustRead(t, l, 0, 0, 0, 10, 10); len(p.Records) != 1 || p.Records[0].Seq != last[0].Seq {
			t.Errorf("after trimming the damage: %v", seqs(p.Records))
		}
		mustAppend(t, l, wal.Record{Key: "k"})
	})
}

// TestDamageIsRememberedWhenItsSegmentIsSealed damages a record of one shard in
// the active segment, and lets the other shard fill that.
func TestDamageIsRememberedWhenItsSegmentIsSealed(t *testing.T) {
	disk, m, ends := writtenLog(t, true)
	if err := disk.Damage(firstSegment, flip(8*(ends[0]+40+52+10))); err != nil { // the first record of shard 0
		t.Fatal(err)
	}
	for life := range uint64(3) {
		l := m.opened(openLog(t, disk, wal.Sync), life<<40)
		_, err := l.Read(0, 0, 0, 10, 1<<20)
		if _, ok := errors.AsType[*wal.DamageError](err); !ok {
			t.Fatalf("life %d: the damaged shard is read: %v", life, err)
		}
		for range 3 {
			mustAppend(t, l, wal.Record{Shard: 1, Key: "k", Data: make([]byte, 3000)})
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTrimmingOneOfTwoDamagesLeavesTheOther damages a shard in the segment that
// is trimmed, and in the one that stays.
func TestTrimmingOneOfTwoDamagesLeavesTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewCrash()
		l := openLog(t, disk, wal.Sync)
		l.OpenShard(0, 0)
		mustAppend(t, l, wal.Record{Key: "k", Data: make([]byte, 1000)})
		time.Sleep(time.Second)
		kept := mustAppend(t, l, wal.Record{Key: "k", Data: make([]byte, 3800)}) // in a segment of its own
		mustAppend(t, l, wal.Record{Key: "k", Data: make([]byte, 10)})           // behind the damage
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		entries, err := disk.List("stream")
		if err != nil {
			t.Fatal(err)
		}
		// The directory in the footer too, so that the opening reads the records.
		spoil := func(b []byte) []byte { b[200] ^= 1; b[len(b)-40] ^= 1; return b }
		if err := errors.Join(disk.Damage(firstSegment, spoil), disk.Damage("stream/"+entries[1].Name, spoil)); err != nil {
			t.Fatal(err)
		}
		l = openLog(t, disk, wal.Sync)
		l.OpenShard(0, 1<<40)
		if d := l.Recovery().Damage; len(d) != 2 || d[0].AllShards || d[1].AllShards {
			t.Fatalf("damage: %v", d)
		}
		for range 2 {
			if err := l.Trim(kept[0].Arrival); err != nil {
				t.Fatal(err)
			}
			if err := l.Append([]wal.Record{{Key: "k"}}); err == nil {
				t.Error("the shard takes appends")
			}
			if p, err := l.Read(0, 0, 0, 10, 1<<20); err == nil {
				t.Errorf("read %v: what was damaged is passed over", seqs(p.Records))
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = openLog(t, disk, wal.Sync) // and it is found again
			l.OpenShard(0, 2<<40)
		}
	})
}

// TestADamagedShardIsSealed seals one as the server does that opens a closed
// shard, and then trims the damage.
func TestADamagedShardIsSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewCrash()
		l := openLog(t, disk, wal.Sync)
		l.OpenShard(0, 0)
		mustAppend(t, l, wal.Record{Key: "k", Data: make([]byte, 1000)})
		time.Sleep(time.Second)
		last := mustAppend(t, l, wal.Record{Key: "k", Data: make([]byte, 3800)})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := disk.Damage(firstSegment, func(b []byte) []byte { b[200] ^= 1; b[len(b)-40] ^= 1; return b }); err != nil {
			t.Fatal(err)
		}
		l = openLog(t, disk, wal.Sync)
		l.OpenShard(0, 0)
		if _, ok := errors.AsType[*wal.DamageError](l.Seal(0)); !ok {
			t.Error("the seal does not tell of the damage")
		}
		if err := l.Trim(last[0].Arrival); err != nil {
			t.Fatal(err)
		}
		if p := mustRead(t, l, 0, 0, 0, 10, 1<<20); len(p.Records) != 1 || !p.End {
			t.Errorf("after the damage was trimmed: %v, end: %t", seqs(p.Records), p.End)
		}
		if _, ok := errors.AsType[*wal.SealedError](l.Append([]wal.Record{{}})); !ok {
			t.Error("a sealed shard takes appends")
		}
	})
}

// openHook is a file system that calls a function before a file is opened.
type openHook struct {
	vfs.FS
	before func()
}

func (o *openHook) Open(name string) (vfs.File, error) {
	if o.before != nil {
		o.before()
	}
	return o.FS.Open(name)
}

func TestAReadWhoseSegmentIsTrimmedGoesOnAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &openHook{FS: vfs.NewMemory()}
		l := openLog(t, disk, wal.Sync)
		l.OpenShard(0, 0)
		for range 2 {
			mustAppend(t, l, wal.Record{Key: "k", Data: make([]byte, 4000)})
			time.Sleep(time.Second)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = openLog(t, disk, wal.Sync)
		l.OpenShard(0, 0)
		last := mustAppend(t, l, wal.Record{Key: "k", Data: make([]byte, 4000)})
		disk.before = func() {
			disk.before = nil
			if err := l.Trim(last[0].Arrival); err != nil {
				t.Error(err)
			}
		}
		if p := mustRead(t, l, 0, 0, 0, 10, 10); len(p.Records) != 1 || p.Records[0].Seq != last[0].Seq {
			t.Errorf("read %v", seqs(p.Records))
		}
		if disk.before != nil {
			t.Error("no segment was opened")
		}
	})
}

// TestAnIndexThatIsWrongIsMadeAnew damages the block index in the footer, and
// fails each read on the way.
func TestAnIndexThatIsWrongIsMadeAnew(t *testing.T) {
	disk := vfs.NewCrash()
	m := &model{shards: 1}
	l := m.opened(openLog(t, disk, wal.Sync), 0)
	for range 2 { // the second goes to another segment
		c := &modelCall{acked: true, recs: mustAppend(t, l, wal.Record{Key: "k", Data: make([]byte, 4000)})}
		m.calls = append(m.calls, c)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// A footer of one shard and one block: 24 bytes, before a directory of 56
	// and a trailer of 32.
	err := disk.Damage(firstSegment, func(b []byte) []byte {
		b[len(b)-32-56-24]++
		return b
	})
	if err != nil {
		t.Fatal(err)
	}
	check := func(fsys vfs.FS) error {
		l, err := wal.Open(wal.Config{FS: fsys, Dir: "stream", SegmentBytes: 4 << 10})
		if err != nil {
			return err
		}
		if n := l.Recovery().Scanned; n != 1 {
			return fmt.Errorf("%d segments were scanned at opening, want the last one only", n)
		}
		return errors.Join(m.check(m.opened(l, 0), oracle{}), l.Close())
	}
	count := vfs.Fault(disk, vfs.Plan{})
	if err := check(count); err != nil {
		t.Fatal(err)
	}
	for at := 1; at <= count.Reads(); at++ {
		err := check(vfs.Fault(disk, vfs.Plan{Kind: vfs.FailEIO, At: at, Reads: true}))
		if _, damaged := errors.AsType[*wal.DamageError](err); err == nil || damaged {
			t.Errorf("read %d fails: %v", at, err)
		}
	}
	if err := disk.Damage(firstSegment, flip(8*1000)); err != nil { // now a record too
		t.Fatal(err)
	}
	if _, ok := errors.AsType[*wal.DamageError](check(disk)); !ok {
		t.Error("a record that is wrong is not reported")
	}
}

func TestAJournalWhoseReadsFailIsNotDamaged(t *testing.T) {
	disk := vfs.NewCrash()
	j, _ := mustJournal(t, disk)
	for _, e := range []string{"one", strings.Repeat("x", 2<<20)} {
		if err := j.Append([]byte(e)); err != nil {
			t.Fatal(err)
		}
	}
	for _, torn := range []int{0, 1} {
		clone := damaged(t, disk, "meta/journal", func(b []byte) []byte { return b[:len(b)-torn] })
		count := vfs.Fault(clone.CrashClone(newRand(1)), vfs.Plan{})
		mustJournal(t, count)
		for at := 1; at <= count.Reads(); at++ {
			_, _, err := openJournal(vfs.Fault(clone.CrashClone(newRand(1)), vfs.Plan{Kind: vfs.FailEIO, At: at, Reads: true}))
			if _, damaged := errors.AsType[*wal.DamageError](err); err == nil || damaged {
				t.Errorf("read %d of %d fails: %v", at, count.Reads(), err)
			}
		}
	}
}
