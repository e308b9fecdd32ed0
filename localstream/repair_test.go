package localstream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
)

// change changes a file on the disk.
func change(t *testing.T, name string, f func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, f(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// tree is every file below a directory but the lock.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == lockName {
			return err
		}
		b, err := os.ReadFile(name)
		files[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Damage of a shard is known once somebody has met it, and to the health page
// from then on.
func TestTheHealthPageNamesADamagedStream(t *testing.T) {
	dir := t.TempDir()
	h := open(t, Config{DataDir: dir, segmentBytes: 4 << 10})
	h.create("s", 1)
	for range 10 {
		h.put("k", strings.Repeat("data", 300))
	}
	log := streamsDir + "/" + mustView(h).ID
	h.must(h.server.Close())
	files, err := filepath.Glob(filepath.Join(dir, log, "*.log"))
	h.must(err)
	change(t, files[1], func(b []byte) []byte {
		b[bytes.Index(b, []byte("datadata"))] ^= 1
		return b
	})

	h = open(t, Config{DataDir: dir})
	it := h.iterator("0", types.ShardIteratorTypeTrimHorizon)
	equal(t, "before", h.health()["status"], "ok")
	_, err = h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &it})
	h.wantError(err, typeInternal, "")
	equal(t, "after", fmt.Sprintf("%v %v", h.health()["status"], h.health()["failed_streams"]), "degraded [arn:aws:kinesis:us-east-1:000000000000:stream/s]")
	h.must(h.server.Close())
}

// A shard whose records are damaged serves again after a repair, without the
// damaged ones, and all that is lost is named by its sequence numbers.
func TestARepairMakesAShardServeAgain(t *testing.T) {
	dir := t.TempDir()
	h := open(t, Config{DataDir: dir, segmentBytes: 4 << 10})
	h.create("s", 2)
	h.create("other", 1)
	const high = "340282366920938463463374607431768211455"
	var numbers []string
	for i := range 10 {
		numbers = append(numbers, *h.putAt("0", fmt.Sprintf("%d", i)+strings.Repeat("low", 300)).SequenceNumber)
		h.putAt(high, strings.Repeat("high", 300))
	}
	log := streamsDir + "/" + mustView(h).ID
	h.must(h.server.Close())
	v, err := Verify(dir)
	h.must(err)
	if v.Damaged || len(v.Streams) != 2 || v.Streams[1].Records != 20 || v.Streams[1].Shards[0].Records != 10 || v.Journal.Entries == 0 {
		t.Fatalf("intact: %+v", v)
	}

	files, err := filepath.Glob(filepath.Join(dir, log, "*.log"))
	h.must(err)
	damage := func(b []byte) []byte {
		b[bytes.Index(b, []byte("lowlow"))] ^= 1
		return b
	}
	change(t, files[1], damage)
	v, err = Verify(dir)
	h.must(err)
	s := v.Streams[1]
	equal(t, "damage", fmt.Sprintf("%t %d %s %t %t", v.Damaged, len(s.Damage), s.Damage[0].ShardID, s.Shards[0].Damaged, s.Shards[1].Damaged),
		"true 1 shardId-000000000000 true false")
	equal(t, "file", filepath.Join(dir, s.Damage[0].File), files[1])

	before := tree(t, dir)
	plan, err := PlanRepair(dir)
	h.must(err)
	if after := tree(t, dir); fmt.Sprint(after) != fmt.Sprint(before) || plan.Done {
		t.Error("a plan changes files")
	}
	done, err := Repair(dir)
	h.must(err)
	if !done.Done || fmt.Sprint(done.Files, done.Lost) != fmt.Sprint(plan.Files, plan.Lost) || len(done.Lost) != 1 || len(done.Files) != 1 {
		t.Fatalf("planned %+v, done %+v", plan, done)
	}
	lost := done.Lost[0]
	gone := slices.Index(numbers, lost.From)
	if !lost.Exact || lost.Records != 1 || gone < 0 || lost.To != lost.From || lost.ShardID != "shardId-000000000000" {
		t.Fatalf("lost: %+v, of %v", lost, numbers)
	}
	equal(t, "the original bytes", tree(t, dir)[filepath.Join(dir, done.Files[0].Saved)] == before[files[1]], true)

	h = open(t, Config{DataDir: dir})
	read := h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon))
	equal(t, "records that are left", len(read), 9)
	for i, data := range read {
		if i >= gone {
			i++
		}
		equal(t, "record", data[:1], fmt.Sprint(i))
	}
	equal(t, "from the lost one on", len(h.read(h.iterator("0", types.ShardIteratorTypeAtSequenceNumber, from(numbers[gone])))), 9-gone)
	equal(t, "the other shard", len(h.read(h.iterator("1", types.ShardIteratorTypeTrimHorizon))), 10)
	if next := *h.putAt("0", "x").SequenceNumber; next <= slices.Max(numbers) { // of the same length
		t.Errorf("number %s after %s", next, slices.Max(numbers))
	}
	h.must(h.server.Close())
	if v, err := Verify(dir); err != nil || v.Damaged {
		t.Errorf("after the repair: %v, %+v", err, v)
	}
	if r, err := Repair(dir); err != nil || len(r.Files) > 0 {
		t.Errorf("a second repair: %v, %+v", err, r)
	}
}

// Whatever place of the journal is damaged, a repair makes the server open again.
// Streams that are left have their records, and numbers go on above all that were
// given out.
func TestARepairOfTheJournal(t *testing.T) {
	disk := vfs.NewCrash()
	h := open(t, Config{fs: disk})
	h.create("s", 1)
	h.put("a", "0")
	h.split("0", "100")
	h.put("a", "1")
	h.must(h.server.Close())
	h = open(t, Config{fs: disk}) // a third opening, and the newest number
	last := h.put("a", "2")
	h.create("t", 1)
	h.must(h.server.Close())
	name := journalDir + "/journal"
	b, err := disk.ReadFile(name)
	h.must(err)
	size := len(b)
	var whole, without, reopened int
	for at := 0; at < size-32; at += 5 { // the last entry is empty, and only proves what is before
		clone := disk.CrashClone(rand.New(rand.NewPCG(1, 1)))
		h.must(clone.Damage(name, func(b []byte) []byte {
			b[at] ^= 4
			return b
		}))
		in, err := inspectAll(clone)
		h.must(err)
		if !in.damaged() {
			t.Fatalf("byte %d: no damage", at)
		}
		p, err := planRepair(clone)
		h.must(err)
		if len(p.report.LostChanges) == 0 || len(p.report.Files) != 1 {
			t.Fatalf("byte %d: %+v", at, p.report)
		}
		h.must(p.apply())
		h = open(t, Config{fs: clone})
		_, _, gone := h.server.lookup(testKey("s"))
		if gone != nil {
			without++
			equal(t, fmt.Sprintf("byte %d: mention of the records without a stream", at), strings.Contains(fmt.Sprint(p.report.LostChanges), "no stream has the records"), true)
			h.create("s", 1)
		} else if records, err := h.server.Records("s"); err == nil && len(records) == 3 {
			whole++
		}
		if next := h.put("a", "3"); *next.ShardId == *last.ShardId && *next.SequenceNumber <= *last.SequenceNumber {
			t.Fatalf("byte %d: number %s after %s", at, *next.SequenceNumber, *last.SequenceNumber)
		} else if *next.ShardId < *last.ShardId && gone == nil { // the reshard is lost
			reopened++
			equal(t, fmt.Sprintf("byte %d: mention of the lost shards", at), strings.Contains(fmt.Sprint(p.report.LostChanges), *last.ShardId), true)
		}
		if shards := h.shards(); shards[len(shards)-1].SequenceNumberRange.EndingSequenceNumber == nil {
			h.split(*shards[len(shards)-1].ShardId, "1000")
			records, err := h.server.Records("s")
			h.must(err)
			for _, r := range records {
				if string(r.Data) != "0" && string(r.Data) != "1" && string(r.Data) != "2" && string(r.Data) != "3" {
					t.Fatalf("byte %d: %q", at, r.Data)
				}
			}
		}
		h.must(h.server.Close())
	}
	if whole == 0 || without == 0 || reopened == 0 {
		t.Errorf("%d journals kept the stream whole, %d lost it, %d its reshard: the test tests too little", whole, without, reopened)
	}
}

// A journal that is gone is told of, and a server opens after the repair, with
// the records where they were.
func TestARepairWithoutAJournal(t *testing.T) {
	disk := vfs.NewCrash()
	h := open(t, Config{fs: disk})
	h.create("s", 1)
	h.put("a", "0")
	dir := streamsDir + "/" + mustView(h).ID
	h.must(h.server.Close())
	h.must(disk.Remove(journalDir + "/journal"))
	p, err := planRepair(disk)
	h.must(err)
	h.must(p.apply())
	h = open(t, Config{fs: disk})
	h.create("s", 1)
	h.put("a", "1")
	if _, err := disk.Stat(dir + "/0000000000000001.log"); err != nil {
		t.Error(err)
	}
}

// Any operation of a repair of the whole directory may fail; a second one mends
// what is left.
func TestAnyOperationOfARepairMayFail(t *testing.T) {
	disk := vfs.NewCrash()
	h := open(t, Config{fs: disk})
	h.create("s", 1)
	for i := range 5 {
		h.put("a", fmt.Sprint(i)+"xxxx")
	}
	h.create("t", 1)
	dir := streamsDir + "/" + mustView(h).ID
	h.must(h.server.Close())
	h.must(disk.Damage(dir+"/0000000000000001.log", func(b []byte) []byte {
		b[bytes.Index(b, []byte("2xxxx"))] ^= 1
		return b
	}))
	h.must(disk.Damage(journalDir+"/journal", func(b []byte) []byte {
		b[len(b)-60] ^= 1
		return b
	}))
	repair := func(fsys vfs.FS) error {
		p, err := planRepair(fsys)
		if err == nil {
			err = p.apply()
		}
		return err
	}
	count := vfs.Fault(disk.CrashClone(rand.New(rand.NewPCG(1, 1))), vfs.Plan{})
	h.must(repair(count))
	for _, kind := range vfs.FaultKinds() {
		for at := 1; at <= count.Changes(); at++ {
			clone := disk.CrashClone(rand.New(rand.NewPCG(1, 1)))
			err := repair(vfs.Fault(clone, vfs.Plan{Kind: kind, At: at}))
			if err == nil {
				t.Errorf("%v at operation %d: no error", kind, at)
			}
			clone = clone.CrashClone(rand.New(rand.NewPCG(uint64(at), 1)))
			h.must(repair(clone))
			h = open(t, Config{fs: clone.CrashClone(rand.New(rand.NewPCG(uint64(at), 2)))})
			equal(t, "records", h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon)), "[0xxxx 1xxxx 3xxxx 4xxxx]")
			h.must(h.server.Close())
		}
	}
}

// A directory that cannot be verified is named, with the reason.
func TestVerifyErrors(t *testing.T) {
	used, newer, none, file := t.TempDir(), t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "file")
	open(t, Config{DataDir: used})
	h := open(t, Config{DataDir: newer})
	h.create("s", 1)
	h.must(h.server.Close())
	segments, err := filepath.Glob(filepath.Join(newer, streamsDir, "*", "*.log"))
	h.must(err)
	change(t, segments[0], laterVersion)
	h.must(os.WriteFile(file, nil, 0o600))
	for dir, want := range map[string]string{
		used: fmt.Sprintf("pid %d", os.Getpid()), newer: "another version of shardrun", none: "not a data directory", file: "not a directory",
		filepath.Join(none, "missing"): "no such file",
	} {
		_, verifyErr := Verify(dir)
		_, planErr := PlanRepair(dir)
		_, repairErr := Repair(dir)
		for _, err := range []error{verifyErr, planErr, repairErr} {
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("want %q: %v", want, err)
			}
		}
	}
	if entries, err := os.ReadDir(none); err != nil || len(entries) > 0 {
		t.Errorf("something was made in a directory that is none of ours: %v", entries)
	}
	if _, err := Open(Config{DataDir: newer}); err == nil || !strings.Contains(err.Error(), "another version of shardrun") {
		t.Errorf("a newer directory is opened: %v", err)
	}
}

// laterVersion makes a file of the log say that a later program wrote it.
func laterVersion(b []byte) []byte {
	b[8]++
	binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(slices.Concat(b[:12], b[16:32]), crc32.MakeTable(crc32.Castagnoli)))
	return b
}
