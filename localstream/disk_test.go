package localstream

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/shardrun/shardrun/internal/vfs"
)

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
	h := &harness{T: t, server: s, client: s.plainClient(noRetry)}
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

// While the disk takes no writes puts are refused and reads go on.
func TestAfterAFailedWrite(t *testing.T) {
	disk := vfs.NewCrash()
	h := open(t, Config{fs: disk})
	h.create("s", 1)
	h.put("a", "0")
	h.must(h.server.Close())

	h = open(t, Config{fs: &failing{FS: disk}})
	for range 2 {
		_, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("a"), Data: []byte(failingData)})
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

// failingData is the data of a record that cannot be written. It is long enough
// never to be found in a checksum.
const failingData = "the disk fails at this"

// Write fails for what carries that record.
func (f failingFile) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(failingData)) {
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

// A reshard that was to come when the server was closed, and cannot be done
// because a parent is damaged, is given up: the server opens, the stream is
// ACTIVE, and what is undamaged works.
func TestAPendingReshardOfADamagedShardIsGivenUp(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Second} {
		t.Run(delay.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				disk := vfs.NewCrash()
				h := open(t, Config{fs: disk, UpdateDelay: time.Hour})
				h.create("s", 2)
				h.create("other", 1)
				h.putAt("0", strings.Repeat("x", 5000))
				h.split("0", "100")
				dir := streamsDir + "/" + mustView(h).ID
				h.must(h.server.Close())
				files, err := disk.List(dir)
				h.must(err)
				h.must(disk.Damage(dir+"/"+files[0].Name, func(b []byte) []byte {
					b[bytes.Index(b, []byte("xxxx"))+50] ^= 1
					return b
				}))
				core, logs := observer.New(zap.ErrorLevel)
				h = open(t, Config{fs: disk, UpdateDelay: delay, Logger: zap.New(core)})
				time.Sleep(delay)
				synctest.Wait()
				equal(t, "status", h.describe("s").StreamStatus, "ACTIVE")
				equal(t, "shards", len(h.shards()), 2)
				equal(t, "errors logged", logs.FilterMessage("reshard was given up, the stream stays as it was").Len(), 1)
				h.split("1", "339282366920938463463374607431768211455")
				equal(t, "other streams", h.describe("other").StreamStatus, "ACTIVE")
				h.must(h.server.Close())
			})
		})
	}
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
