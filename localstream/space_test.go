package localstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/shardrun/shardrun/internal/vfs"
)

// smallDisk is a file system with room for some bytes. What does not fit is
// written in part, and fails with ENOSPC.
type smallDisk struct {
	vfs.FS

	// mu guards everything below.
	mu    sync.Mutex
	room  int64
	sizes map[string]int64
	full  int // how often it was
	asked int // how often somebody wanted to know what is free
}

func newSmallDisk(room int64) *smallDisk {
	return &smallDisk{FS: vfs.NewCrash(), room: room, sizes: map[string]int64{}}
}

func (d *smallDisk) Free() (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	return d.free(), nil
}

// free needs d.mu.
func (d *smallDisk) free() int64 {
	free := d.room
	for _, n := range d.sizes {
		free -= n
	}
	return free
}

func (d *smallDisk) Create(name string) (vfs.File, error) { return d.wrap(d.FS.Create(name))(name) }

func (d *smallDisk) Open(name string) (vfs.File, error) { return d.wrap(d.FS.Open(name))(name) }

func (d *smallDisk) wrap(f vfs.File, err error) func(string) (vfs.File, error) {
	return func(name string) (vfs.File, error) { return &smallFile{f, d, name}, err }
}

func (d *smallDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.FS.Rename(from, to)
	if err == nil {
		d.sizes[to] = d.sizes[from]
		delete(d.sizes, from)
	}
	return err
}

func (d *smallDisk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sizes, name)
	return d.FS.Remove(name)
}

func (d *smallDisk) timesFull() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.full
}

type smallFile struct {
	vfs.File
	disk *smallDisk
	name string
}

func (f *smallFile) Write(p []byte) (int, error) {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	name := strings.TrimSuffix(f.name, ".new") // it may have been renamed
	if _, ok := d.sizes[f.name]; ok {
		name = f.name
	}
	part := p[:max(0, min(int64(len(p)), d.free()))]
	d.sizes[name] += int64(len(part))
	n, err := f.File.Write(part)
	if err == nil && n < len(p) {
		d.full++
		err = syscall.ENOSPC
	}
	return n, err
}

func (f *smallFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.sizes[strings.TrimSuffix(f.name, ".new")] = size
	return f.File.Truncate(size)
}

// fill puts records into a stream until one is refused, and gives that error
// and what was acknowledged.
func (h *harness) fill(stream string) (acked []string, err error) {
	h.Helper()
	for i := range 10_000 {
		data := fmt.Sprintf("%06d", i) + strings.Repeat("x", 1000)
		_, err := h.client.PutRecord(h.Context(), &kinesis.PutRecordInput{StreamName: &stream, PartitionKey: aws.String("a"), Data: []byte(data)})
		if err != nil {
			return acked, err
		}
		acked = append(acked, data)
	}
	h.Fatal("there is always room")
	return nil, nil
}

// healthDisk is what the health page says of the disk.
func (h *harness) healthDisk() map[string]any {
	h.Helper()
	disk, _ := h.health()["disk"].(map[string]any)
	return disk
}

// health is the health page.
func (h *harness) health() map[string]any {
	h.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "http://localhost"+HealthPath, nil)
	h.server.Handler().ServeHTTP(w, r)
	var health map[string]any
	h.must(json.Unmarshal(w.Body.Bytes(), &health))
	return health
}

// Whatever it is that is used up, puts are throttled before the disk is full,
// per entry in PutRecords; reads and deletions go on, and make room.
func TestPutsAreThrottledBeforeTheDiskIsFull(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  Config
		says string
		own  bool // other streams have room
	}{
		"the disk":     {Config{MinFreeBytes: 300 << 10}, "less than 307200 bytes left", false},
		"all streams":  {Config{MaxBytes: 200 << 10, leastQuota: 1, MinFreeBytes: -1}, "all streams together have reached their quota of 204800 bytes", false},
		"their stream": {Config{MaxStreamBytes: 100 << 10, leastQuota: 1, MinFreeBytes: -1}, "the stream has reached its quota of 102400 bytes", true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				disk := newSmallDisk(600 << 10)
				core, logs := observer.New(zap.InfoLevel)
				cfg := c.cfg
				cfg.fs, cfg.segmentBytes, cfg.Logger = disk, 8<<10, zap.New(core)
				h := open(t, cfg)
				h.create("s", 1)
				h.create("other", 1)
				acked, err := h.fill("s")
				h.wantError(err, typeThroughput, "")
				if api, _ := errors.AsType[smithy.APIError](err); !strings.Contains(api.ErrorMessage(), c.says) || !strings.Contains(api.ErrorMessage(), "shardId-000000000000") {
					t.Errorf("error: %v", err)
				}
				many, err := h.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("s"), Records: []types.PutRecordsRequestEntry{
					{PartitionKey: aws.String("a"), Data: make([]byte, 5000)}, {PartitionKey: aws.String("b"), Data: make([]byte, 5000)}}})
				h.must(err)
				equal(t, "entries refused", fmt.Sprint(*many.FailedRecordCount, *many.Records[1].ErrorCode), "2"+typeThroughput)
				equal(t, "records", len(h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon))), len(acked))
				_, err = h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("other"), PartitionKey: aws.String("a"), Data: make([]byte, 5000)})
				equal(t, "other streams have room", err == nil, c.own)
				health := h.healthDisk()
				equal(t, "health", fmt.Sprint(health["throttled"], health["throttled_streams"]), map[bool]string{false: "true <nil>", true: "false 1"}[c.own])
				throttled := func() int {
					return logs.Filter(func(e observer.LoggedEntry) bool { return strings.HasPrefix(e.Message, "puts are throttled") }).Len()
				}
				equal(t, "warnings", throttled(), 1)

				_, err = h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
				h.must(err)
				time.Sleep(measureEvery)
				synctest.Wait()
				h.create("s", 1)
				h.put("a", "there is room again")
				equal(t, "health", h.healthDisk()["throttled"], false)
				equal(t, "warnings", throttled(), 1)
				equal(t, "times the disk was full", disk.timesFull(), 0)
				h.must(h.server.Close())
			})
		})
	}
}

// A server that is opened on a disk that is nearly full says so at once, once,
// also when it has no streams, and when there is room.
func TestAnOpenedServerSaysThatTheDiskIsNearlyFull(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := newSmallDisk(300 << 10)
		core, logs := observer.New(zap.InfoLevel)
		h := open(t, Config{fs: disk, MinFreeBytes: 300<<10 + 1, Logger: zap.New(core)})
		equal(t, "warnings at the start", logs.FilterMessage("puts are throttled: the disk is nearly full").FilterLevelExact(zap.WarnLevel).Len(), 1)
		equal(t, "health", h.healthDisk()["throttled"], true)
		h.create("s", 1)
		_, err := h.fill("s")
		h.wantError(err, typeThroughput, "")
		equal(t, "warnings", logs.FilterLevelExact(zap.WarnLevel).Len(), 1)
		_, err = h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
		h.must(err)
		disk.mu.Lock()
		disk.room = 600 << 10
		disk.mu.Unlock()
		time.Sleep(measureEvery)
		equal(t, "health without streams, with room", h.healthDisk()["throttled"], false)
		h.must(h.server.Close())
	})
}

// Retention makes room too, also while puts are throttled, and the log says so.
func TestRetentionMakesRoom(t *testing.T) {
	for says, cfg := range map[string]Config{
		"the disk has room again":                          {MinFreeBytes: 300 << 10},
		"all streams together are below their quota again": {MaxBytes: 200 << 10, leastQuota: 1, MinFreeBytes: -1},
		"stream s is below its quota again":                {MaxStreamBytes: 100 << 10, leastQuota: 1, MinFreeBytes: -1},
	} {
		bubble(t, func(t *testing.T) {
			disk := newSmallDisk(600 << 10)
			core, logs := observer.New(zap.InfoLevel)
			cfg.fs, cfg.segmentBytes, cfg.Logger = disk, 8<<10, zap.New(core)
			h := open(t, cfg)
			h.create("s", 1)
			_, err := h.fill("s")
			h.wantError(err, typeThroughput, "")
			time.Sleep(24*time.Hour + 2*upkeepEvery)
			synctest.Wait()
			h.put("a", "there is room again")
			equal(t, "lines: puts go on: "+says, logs.FilterMessage("puts go on: "+says).Len(), 1)
			equal(t, "times the disk was full", disk.timesFull(), 0)
			h.must(h.server.Close())
		})
	}
}

// On a disk that is really full puts fail with InternalFailure, and nothing else
// does. What was acknowledged stays, and nothing else is there.
func TestAFullDisk(t *testing.T) {
	disk := newSmallDisk(100 << 10)
	h := open(t, Config{fs: disk, segmentBytes: 8 << 10, MinFreeBytes: -1})
	h.create("s", 1)
	h.create("t", 1)
	_, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("t"), PartitionKey: aws.String("a"), Data: make([]byte, 20<<10)})
	h.must(err)
	acked, err := h.fill("s")
	h.wantError(err, typeInternal, "")
	if !strings.Contains(err.Error(), syscall.ENOSPC.Error()) || disk.timesFull() == 0 {
		t.Errorf("error: %v", err)
	}
	read := func() []string { return h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon)) }
	if got := read(); !slices.Equal(got, acked) {
		t.Errorf("%d records are there, %d were acknowledged", len(got), len(acked))
	}
	_, err = h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("t")})
	if err != nil { // its event may not fit; whoever runs the server has to make room
		h.wantError(err, typeInternal, "")
		disk.mu.Lock()
		disk.room += 20 << 10
		disk.mu.Unlock()
	}
	h.put("a", "there is room again")
	acked = append(acked, "there is room again")
	_ = h.server.Close() // the journal may have failed
	h = open(t, Config{fs: disk.FS, segmentBytes: 8 << 10})
	if got := read(); !slices.Equal(got, acked) {
		t.Errorf("after a restart %d records are there, %d were acknowledged", len(got), len(acked))
	}
}

// A gate that closed opens only when there is some room, not at once.
func TestAGateDoesNotFlutter(t *testing.T) {
	g := newGate(6400)
	for i, step := range []struct {
		used, n   int64
		ok, moved bool
	}{
		{6000, 400, true, false}, {6000, 401, false, true}, {6000, 400, false, false}, {6300, 0, true, true}, {6400, 0, true, false}, {6400, 1, false, true}, {6301, 0, false, false},
	} {
		if ok, moved := g.admit(step.used, step.n); ok != step.ok || moved != step.moved {
			t.Errorf("step %d: %t, moved %t", i, ok, moved)
		}
	}
	if ok, _ := (&gate{}).admit(1<<60, 1<<60); !ok {
		t.Error("a gate without a limit is closed")
	}
}

// What is let in and not written yet counts: many puts at once do not pass the
// quota together.
func TestPutsAtOnceDoNotPassTheQuota(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1, Config{MaxBytes: 100 << 10, leastQuota: 1})
		d, st := h.server.space, (*h.server.catalog.Load())[testKey("s")]
		let := 0
		for range 20 {
			if d.admit(st, "0", 10<<10) == nil {
				let++
			}
		}
		equal(t, "let in", let, 9)
		d.release(st, 90<<10) // as if they were on the disk, of which nobody knows but who measures
		equal(t, "before the next measurement", d.admit(st, "0", 20<<10) == nil, false)
		time.Sleep(measureEvery)
		equal(t, "after it", d.admit(st, "0", 20<<10) == nil, true)
		d.release(st, 20<<10)
	})
}

// After an fsync that failed nothing is acknowledged until the server is opened
// anew, whatever the disk says by then; the error names the file, and the health
// page the stream.
func TestAFailedSyncIsFinal(t *testing.T) {
	disk := &noSync{FS: vfs.NewCrash()}
	h := open(t, Config{fs: disk})
	h.create("s", 1)
	h.create("other", 1)
	h.put("a", "0")
	disk.fails.Store(true)
	for range 2 {
		_, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("a"), Data: []byte("1")})
		h.wantError(err, typeInternal, "")
		if !strings.Contains(err.Error(), "sync streams/") || !strings.Contains(err.Error(), syscall.EIO.Error()) {
			t.Errorf("error: %v", err)
		}
		disk.fails.Store(false) // it seems to work again
	}
	equal(t, "reads go on", h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon)), "[0]")
	equal(t, "health", fmt.Sprintf("%v %v", h.health()["status"], h.health()["failed_streams"]), "degraded [arn:aws:kinesis:us-east-1:000000000000:stream/s]")
	_, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("other"), PartitionKey: aws.String("a"), Data: []byte("1")})
	h.must(err)
	_ = h.server.Close() // tells of the failure once more
	h = open(t, Config{fs: disk})
	h.put("a", "2")
	equal(t, "after opening again", h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon)), "[0 2]")
	equal(t, "health", h.health()["status"], "ok")
}

// noSync is a file system whose files cannot be synced while fails is set.
type noSync struct {
	vfs.FS
	fails atomic.Bool
}

func (d *noSync) Create(name string) (vfs.File, error) {
	f, err := d.FS.Create(name)
	return noSyncFile{f, d}, err
}

func (d *noSync) Open(name string) (vfs.File, error) {
	f, err := d.FS.Open(name)
	return noSyncFile{f, d}, err
}

type noSyncFile struct {
	vfs.File
	disk *noSync
}

func (f noSyncFile) Sync() error {
	if f.disk.fails.Load() {
		return syscall.EIO
	}
	return f.File.Sync()
}

// The first puts after an opening find out whether there is room, however many
// come at once: none goes on with what is not known yet.
func TestTheFirstPutsKnowTheDisk(t *testing.T) {
	disk := newSmallDisk(600 << 10)
	h := open(t, Config{fs: disk, MinFreeBytes: 1 << 20})
	h.create("s", 1)
	h.server.space.measure <- struct{}{} // another one is at it
	_, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("a"), Data: []byte("x")})
	h.wantError(err, typeThroughput, "")
	<-h.server.space.measure
}

// Who reads the health page again and again does not make the server look at the
// disk each time, and still learns what is free now.
func TestTheHealthPageDoesNotKeepTheDiskBusy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := newSmallDisk(4 << 20)
		h := open(t, Config{fs: disk, MinFreeBytes: 1 << 20})
		h.healthDisk() // the first that asks after the opening
		disk.mu.Lock()
		disk.asked, disk.room = 0, disk.room-2<<20
		disk.mu.Unlock()
		for range 100 {
			h.healthDisk()
		}
		equal(t, "looks within a second", disk.asked, 0)
		time.Sleep(measureEvery)
		free := disk.free()
		for range 100 {
			equal(t, "free", int64(h.healthDisk()["free_bytes"].(float64)), free)
		}
		equal(t, "looks after it", disk.asked, 1)
		h.must(h.server.Close())
	})
}

// Room that was granted to a put is not taken by those of its records that are
// refused for another reason.
func TestRefusedRecordsTakeNoRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1, Config{MaxBytes: 1 << 30})
		entries := make([]types.PutRecordsRequestEntry, 4)
		for i := range entries {
			entries[i] = types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), Data: make([]byte, 100_000)}
		}
		h.server.Inject(Fault{Operation: "PutRecords", Shard: EveryShard, Count: 3})
		out, err := h.client.PutRecords(h.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("s"), Records: entries})
		h.must(err)
		equal(t, "refused", *out.FailedRecordCount, 3)
		equal(t, "counted as written", h.server.space.written, 100_000+1+recordOverhead)
		equal(t, "let in", h.server.space.pending, 0)
	})
}

// Puts that fail take no room from others, however many they are.
func TestPutsThatFailTakeNoRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := open(t, Config{fs: &failing{vfs.NewCrash()}, MaxBytes: 100 << 10, leastQuota: 1})
		h.create("broken", 1)
		h.create("s", 1)
		for range 10 {
			_, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{
				StreamName: aws.String("broken"), PartitionKey: aws.String("k"), Data: []byte(failingData + strings.Repeat("x", 30<<10))})
			h.wantError(err, typeInternal, "")
		}
		h.put("k", "x")
		h.must(h.server.Close())
	})
}
