package localstream

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
	"github.com/shardrun/shardrun/localstream/internal/vfs"
)

// open opens a server that the caller closes.
func open(t *testing.T, cfg Config) *harness {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // a second Close gives the error of the first, which the test has seen
	return &harness{T: t, server: s, client: s.Client(noRetry)}
}

// What was put is there after a restart, numbers go on rising, and so do
// iterators that were given before.
func TestRestart(t *testing.T) {
	for _, d := range []Durability{Sync, Async} {
		t.Run(d.String(), func(t *testing.T) {
			cfg := Config{DataDir: filepath.Join(t.TempDir(), "data"), Durability: d}
			h := open(t, cfg)
			h.create("s", 1)
			h.create("gone", 1)
			number := *h.putAt("1", "0").SequenceNumber
			it := h.iterator("0", types.ShardIteratorTypeTrimHorizon)
			_, err := h.client.IncreaseStreamRetentionPeriod(t.Context(), &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: aws.String("s"), RetentionPeriodHours: aws.Int32(30)})
			h.must(err)
			h.split("0", "100")
			h.putAt("1", "1")
			_, err = h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("gone")})
			h.must(err)
			before := fmt.Sprint(describe(mustView(h).Shards))
			h.must(h.server.Close())
			h.must(h.server.Close())

			for i := range 3 {
				h = open(t, cfg)
				out := h.get(it)
				equal(t, "parent", dataOf(out.Records), "[0]")
				equal(t, "number", *out.Records[0].SequenceNumber, number)
				equal(t, "children", len(out.ChildShards), 2)
				equal(t, "retention", *h.describe("s").RetentionPeriodHours, 30)
				list, err := h.client.ListStreams(t.Context(), &kinesis.ListStreamsInput{})
				h.must(err)
				equal(t, "streams", list.StreamNames, "[s]")
				number := *h.putAt("1", fmt.Sprint(i+2)).SequenceNumber
				var want []string
				for n := range i + 2 {
					want = append(want, fmt.Sprint(n+1))
				}
				child := h.get(h.iterator("1", types.ShardIteratorTypeTrimHorizon))
				equal(t, "child", dataOf(child.Records), want)
				numbers := []string{}
				for _, r := range child.Records {
					numbers = append(numbers, *r.SequenceNumber)
				}
				if !slices.IsSorted(numbers) || numbers[len(numbers)-1] != number {
					t.Errorf("numbers do not rise: %v", numbers)
				}
				h.must(h.server.Close())
			}
			h = open(t, cfg)
			if got := fmt.Sprint(describe(mustView(h).Shards)); len(got) != len(before) {
				t.Errorf("shards changed:\n%s\n%s", before, got)
			}
			dirs, err := os.ReadDir(filepath.Join(cfg.DataDir, streamsDir))
			h.must(err)
			equal(t, "directories", len(dirs), 1)
		})
	}
}

func mustView(h *harness) *view {
	h.Helper()
	_, v, err := h.server.lookup(testKey("s"))
	h.must(err)
	return v
}

// After a power failure at any moment the records that were acknowledged are
// there, at the numbers that were given, and nothing is there that was not put;
// new numbers are above all that was ever given out; the shards tile. With
// Async only numbers are promised, and that the server opens.
func TestPowerFailure(t *testing.T) {
	for seed := range uint64(60) {
		for _, durability := range []Durability{Sync, Async} {
			rng := rand.New(rand.NewPCG(seed, uint64(durability)))
			powerFailures(t, rng, durability)
			if t.Failed() {
				t.Fatalf("seed %d, durability %v", seed, durability)
			}
		}
	}
}

func powerFailures(t *testing.T, rng *rand.Rand, durability Durability) {
	disk := vfs.NewCrash()
	acked := map[string]string{} // data → shard and number
	highest := map[string]string{}
	next := 0
	for range 3 {
		h := open(t, Config{Durability: durability, fs: disk, segmentBytes: 8 << 10})
		if len(*h.server.catalog.Load()) == 0 {
			h.create("s", 1)
		}
		checkRecovered(t, h, acked, next, durability)
		if durability == Async { // what was lost is lost; what is there has to stay
			clear(acked)
			records, err := h.server.Records("s")
			h.must(err)
			for _, r := range records {
				acked[string(r.Data)] = r.ShardID + r.SequenceNumber
			}
		}
		for range 1 + rng.IntN(15) {
			switch rng.IntN(8) {
			case 0:
				v := mustView(h)
				if n := len(v.open) + rng.IntN(3) - 1; n >= 1 && n <= 4 {
					_, err := h.client.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{
						StreamName: aws.String("s"), TargetShardCount: aws.Int32(int32(n)), ScalingType: types.ScalingTypeUniformScaling})
					h.must(err)
				}
			case 1:
				name := fmt.Sprint("other", rng.IntN(3))
				if _, err := h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: &name}); err != nil {
					h.create(name, 1)
				}
			default:
				in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
				for range 1 + rng.IntN(5) {
					in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint(rng.IntN(50))),
						Data: []byte(fmt.Sprintf("%06d", next) + strings.Repeat("x", rng.IntN(600)))})
					next++
				}
				out, err := h.client.PutRecords(t.Context(), in)
				h.must(err)
				for i, r := range out.Records {
					if *r.SequenceNumber <= highest[*r.ShardId] {
						t.Errorf("number %s in %s was given before", *r.SequenceNumber, *r.ShardId)
					}
					highest[*r.ShardId] = *r.SequenceNumber
					acked[string(in.Records[i].Data)] = *r.ShardId + *r.SequenceNumber
				}
			}
		}
		crashed := disk.CrashClone(rng)
		h.must(h.server.Close()) // the end of the process; the clone does not see it
		disk = crashed
	}
}

func checkRecovered(t *testing.T, h *harness, acked map[string]string, next int, durability Durability) {
	t.Helper()
	records, err := h.server.Records("s")
	h.must(err)
	found := map[string]string{}
	for _, r := range records {
		var n int
		if _, err := fmt.Sscanf(string(r.Data), "%06d", &n); err != nil || n >= next {
			t.Errorf("a record that nobody put: %q", r.Data)
		}
		found[string(r.Data)] = r.ShardID + r.SequenceNumber
	}
	for data, place := range acked {
		if got, ok := found[data]; ok && got != place || !ok && durability == Sync {
			t.Errorf("record %.6s was acknowledged at %s, it is at %q", data, place, got)
		}
	}
}

// A transition that was under way goes on when the server is opened again.
func TestTransitionsGoOnAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := vfs.NewMemory()
		cfg := Config{fs: disk, CreateDelay: time.Second, UpdateDelay: time.Second, DeleteDelay: time.Second}
		wait := func() {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		h := open(t, cfg)
		h.create("s", 1)
		h.create("other", 1)
		h.must(h.server.Close())
		h = open(t, cfg)
		equal(t, "created, reopened", h.describe("s").StreamStatus, "CREATING")
		wait()
		h.split("0", "100")
		_, err := h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("other")})
		h.must(err)
		h.must(h.server.Close())
		h = open(t, cfg)
		equal(t, "split, reopened", h.describe("s").StreamStatus, "UPDATING")
		equal(t, "deleted, reopened", h.describe("other").StreamStatus, "DELETING")
		wait()
		equal(t, "shards", len(h.shards()), 3)
		_, err = h.client.DescribeStream(t.Context(), &kinesis.DescribeStreamInput{StreamName: aws.String("other")})
		h.wantError(err, typeNotFound, "")
		h.must(h.server.Close())
	})
}

// Reopening without delays ends every transition at once.
func TestTransitionsEndAtOnceWithoutDelays(t *testing.T) {
	disk := vfs.NewMemory()
	h := open(t, Config{fs: disk, CreateDelay: time.Hour})
	h.create("s", 1)
	h.must(h.server.Close())
	h = open(t, Config{fs: disk})
	equal(t, "status", h.describe("s").StreamStatus, "ACTIVE")
}

func TestTheJournalIsCompacted(t *testing.T) {
	h := open(t, Config{Durability: Memory})
	h.create("s", 1)
	for i := range compactAfter + 10 {
		hours := int32(25 + i%2)
		err := h.server.change(t.Context(), func(m *metadata) error {
			return m.save(state.Event{Retention: &state.Retention{ID: mustView(h).ID, Hours: hours}})
		})
		h.must(err)
	}
	if events := h.server.metadata.events; events > 100 {
		t.Errorf("%d events are in the journal", events)
	}
}

func TestDataDirErrors(t *testing.T) {
	dir := t.TempDir()
	open(t, Config{DataDir: dir})
	_, err := Open(Config{DataDir: dir})
	if !errors.Is(err, vfs.ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a data directory in use: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{DataDir: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a data directory that is a file: %v", err)
	}
	if _, err := Open(Config{DataDir: "/proc/nothing"}); err == nil || !strings.Contains(err.Error(), "/proc/nothing") {
		t.Errorf("a data directory that cannot be written: %v", err)
	}
}

// What a crash left of a stream that was never made is removed.
func TestLeftoversAreRemoved(t *testing.T) {
	disk := vfs.NewMemory()
	if err := vfs.MkdirAll(disk, streamsDir+"/leftover"); err != nil {
		t.Fatal(err)
	}
	h := open(t, Config{fs: disk})
	h.create("s", 1)
	dirs, err := disk.List(streamsDir)
	h.must(err)
	equal(t, "directories", len(dirs), 1)
}

// A directory is free again when opening it failed half way.
func TestAFailedOpenLeavesNothingLocked(t *testing.T) {
	disk := vfs.NewCrash()
	h := open(t, Config{fs: disk})
	h.create("s", 1)
	h.must(h.server.Close())
	flip := func(b []byte) []byte {
		b[len(b)/2] ^= 1
		return b
	}
	entries, err := disk.List(journalDir)
	h.must(err)
	h.must(disk.Damage(journalDir+"/"+entries[0].Name, flip))
	if _, err := Open(Config{fs: disk}); err == nil {
		t.Fatal("damaged metadata is accepted")
	}
	h.must(disk.Damage(journalDir+"/"+entries[0].Name, flip)) // as it was
	h = open(t, Config{fs: disk})
	equal(t, "status", h.describe("s").StreamStatus, "ACTIVE")
}

func TestConfigErrors(t *testing.T) {
	for want, cfg := range map[string]Config{
		"DataDir":     {},
		"Durability":  {Durability: 7},
		"AccountID":   {Durability: Memory, AccountID: "12"},
		"Region":      {Durability: Memory, Region: "us east"},
		"Limits":      {Durability: Memory, Limits: 9},
		"CreateDelay": {Durability: Memory, CreateDelay: -1},
	} {
		if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Whatever operation of the file system fails, and however: requests end, with
// an error or without; what was acknowledged is there when the server is opened
// again, the shards tile, and numbers rise.
func TestEveryDiskFailure(t *testing.T) {
	total := 0
	faulty := vfs.Fault(vfs.NewCrash(), vfs.Plan{})
	smallLife(t, faulty, map[string]string{})
	changes := faulty.Changes()
	for _, kind := range vfs.FaultKinds() {
		for at := 1; at <= changes; at++ {
			disk := vfs.NewCrash()
			faulty := vfs.Fault(disk, vfs.Plan{Kind: kind, At: at})
			acked := map[string]string{}
			smallLife(t, faulty, acked)
			if !faulty.Fired() {
				continue
			}
			total++
			h := open(t, Config{fs: disk.CrashClone(rand.New(rand.NewPCG(uint64(at), uint64(kind))))})
			if _, _, err := h.server.lookup(testKey("s")); err == nil {
				checkRecovered(t, h, acked, 1000, Sync)
				h.put("a", "000999")
			} else if len(acked) > 0 {
				t.Errorf("the stream is gone: %v", err)
			}
			h.must(h.server.Close())
			if t.Failed() {
				t.Fatalf("%v at operation %d (%s)", kind, at, faulty.Operation(at))
			}
		}
	}
	t.Logf("%d faults", total)
}

// smallLife opens a server, does a little of everything, and closes it. Any of
// it may fail. acked takes what was acknowledged.
func smallLife(t *testing.T, disk vfs.FS, acked map[string]string) {
	t.Helper()
	s, err := Open(Config{fs: disk, segmentBytes: 4 << 10})
	if err != nil {
		return
	}
	h := &harness{T: t, server: s, client: s.Client(noRetry)}
	call := func(operation, body string) { h.raw(operation, body) }
	next := 0
	put := func() {
		for range 3 {
			data := fmt.Sprintf("%06d", next) + strings.Repeat("x", 700)
			next++
			out, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String(fmt.Sprint(next)), Data: []byte(data)})
			if err == nil {
				acked[data] = *out.ShardId + *out.SequenceNumber
			}
		}
	}
	call("CreateStream", `{"StreamName":"s","ShardCount":1}`)
	put()
	call("CreateStream", `{"StreamName":"t","ShardCount":1}`)
	call("UpdateShardCount", `{"StreamName":"s","TargetShardCount":2,"ScalingType":"UNIFORM_SCALING"}`)
	put()
	call("DeleteStream", `{"StreamName":"t"}`)
	call("MergeShards", `{"StreamName":"s","ShardToMerge":"1","AdjacentShardToMerge":"2"}`)
	put()
	_ = s.Close() // fails if the disk does
}

// A failed write is final until the server is opened again; reads go on.
func TestAfterAFailedWrite(t *testing.T) {
	disk := vfs.NewCrash()
	h := open(t, Config{fs: disk})
	h.create("s", 1)
	h.put("a", "0")
	h.must(h.server.Close())

	h = open(t, Config{fs: &failing{FS: disk}})
	for range 2 {
		_, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("a"), Data: []byte("x")})
		h.wantError(err, typeInternal, "")
	}
	equal(t, "reads go on", h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon)), "[0]")
	_ = h.server.Close() // its disk fails

	h = open(t, Config{fs: disk})
	h.put("a", "1")
	records := h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon))
	equal(t, "after opening again", records[0]+" "+records[len(records)-1], "0 1")
}

// failing is a file system that opens, but does not write segments.
type failing struct{ vfs.FS }

func (f *failing) Create(name string) (vfs.File, error) { return f.wrap(f.FS.Create(name)) }

func (f *failing) Open(name string) (vfs.File, error) { return f.wrap(f.FS.Open(name)) }

func (f *failing) wrap(file vfs.File, err error) (vfs.File, error) {
	return failingFile{file}, err
}

type failingFile struct{ vfs.File }

var errDisk = errors.New("disk failed")

// Write fails for what carries a record.
func (f failingFile) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("x")) && !bytes.Contains(p, []byte("booted")) {
		return 0, errDisk
	}
	return f.File.Write(p)
}

// Damage among the records is noticed; the shards that it concerns refuse to
// serve, everything else goes on.
func TestDamagedRecords(t *testing.T) {
	disk := vfs.NewCrash()
	h := open(t, Config{fs: disk, segmentBytes: 4 << 10})
	h.create("s", 2)
	h.create("other", 1)
	const high = "340282366920938463463374607431768211455"
	for range 10 {
		h.putAt("0", strings.Repeat("low", 300))
		h.putAt(high, strings.Repeat("high", 300))
	}
	dir := streamsDir + "/" + mustView(h).ID
	h.must(h.server.Close())
	files, err := disk.List(dir)
	h.must(err)
	h.must(disk.Damage(dir+"/"+files[0].Name, func(b []byte) []byte {
		b[bytes.Index(b, []byte("lowlow"))] ^= 1
		return b
	}))
	h = open(t, Config{fs: disk})
	it := h.iterator("0", types.ShardIteratorTypeTrimHorizon)
	_, err = h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &it})
	h.wantError(err, typeInternal, "")
	_, err = h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("a"), ExplicitHashKey: aws.String("0"), Data: []byte("x")})
	h.wantError(err, typeInternal, "")
	_, err = h.client.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: aws.String("s"), ShardToSplit: aws.String("0"), NewStartingHashKey: aws.String("100")})
	h.wantError(err, typeInternal, "")
	equal(t, "the other shard", len(h.read(h.iterator("1", types.ShardIteratorTypeTrimHorizon))), 10)
	h.putAt(high, "still works")
	h.split("1", "339282366920938463463374607431768211455")
	equal(t, "other streams", h.describe("other").StreamStatus, "ACTIVE")
}

// The end of the log that a crash tore off does not keep the rest from being
// read, and the server goes on behind it.
func TestTornTail(t *testing.T) {
	disk := vfs.NewCrash()
	h := open(t, Config{fs: disk})
	h.create("s", 1)
	h.put("a", "0")
	h.put("a", "1")
	dir := streamsDir + "/" + mustView(h).ID
	killed := disk.CrashClone(rand.New(rand.NewPCG(1, 1)))
	h.must(h.server.Close())
	files, err := killed.List(dir)
	h.must(err)
	h.must(killed.Damage(dir+"/"+files[len(files)-1].Name, func(b []byte) []byte { return append(b, "a batch that was never finished"...) }))
	h = open(t, Config{fs: killed})
	h.put("a", "2")
	equal(t, "records", h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon)), "[0 1 2]")
}
