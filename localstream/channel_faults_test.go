package localstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
)

// A restart neither loses nor repeats a record, and no record gets older by it
// than it may.
func TestDeliveryOverRestarts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := vfs.NewMemory()
		var want []string
		h := open(t, Config{fs: disk})
		h.onDemand("s")
		h.channel(toS3())
		for i := range 12 {
			for k := range 5 {
				want = append(want, fmt.Sprintf("%02d-%d", i, k))
				h.put(want[len(want)-1], want[len(want)-1])
			}
			time.Sleep(50 * time.Second)
			if i%2 == 0 {
				h.must(h.server.Close())
				time.Sleep(10 * time.Second)
				h = open(t, Config{fs: disk})
			}
		}
		delivered := len(lines(t, disk))
		if delivered < 5*5 {
			t.Errorf("%d records are delivered: they got too old", delivered)
		}
		time.Sleep(301 * time.Second)
		equal(t, "lines", lines(t, disk), want)
		h.must(h.server.Close())
		time.Sleep(time.Hour)
		h = open(t, Config{fs: disk})
		h.put("last", "last")
		time.Sleep(301 * time.Second)
		equal(t, "lines", lines(t, disk), append(want, "last"))
		h.must(h.server.Close())
	})
}

// Power fails at any moment. Every record that was acknowledged is delivered
// once, in whole objects, and nothing that is not whole is left over.
func TestDeliveryOverPowerFailures(t *testing.T) {
	for seed := range uint64(60) {
		bubble(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			disk := &hooked{Crash: vfs.NewCrash()}
			h := open(t, Config{fs: disk, objectBytes: 200})
			h.onDemand("s")
			h.channel(toS3(func(in *kinesis.CreateChannelInput) {
				in.StreamConfigurationList[0].RecordConfiguration.RecordFormatType = types.RecordFormatTypeJson
			}))
			acked := []string{}
			next := 0
			for range 4 {
				for range 2 + rng.IntN(30) {
					next++
					data := fmt.Sprintf(`"%03d"`, next)
					if rng.IntN(4) == 0 {
						data = fmt.Sprintf("bad %d", next)
					}
					h.put(data, data)
					acked = append(acked, data)
				}
				// At one of the next changes of the disk the power fails.
				var left atomic.Pointer[vfs.Crash]
				var countdown atomic.Int64
				countdown.Store(int64(rng.IntN(60)))
				fail := func() {
					if countdown.Add(-1) == 0 {
						left.Store(disk.CrashClone(rng))
					}
				}
				disk.hook.Store(&fail)
				time.Sleep(400 * time.Second)
				synctest.Wait()
				disk.hook.Store(nil)
				if left.Load() == nil {
					left.Store(disk.CrashClone(rng))
				}
				_ = h.server.Close() // of a machine that is no more
				disk = &hooked{Crash: left.Load()}
				h = open(t, Config{fs: disk, objectBytes: 200})
			}
			time.Sleep(700 * time.Second)
			got := []string{}
			for _, o := range objectsIn(t, disk, folderDir) {
				if strings.Contains(o.path, "incomplete") {
					t.Errorf("%s is left", o.path)
				}
				for line := range strings.Lines(o.body) {
					if !strings.Contains(o.path, "errors") {
						got = append(got, strings.TrimSuffix(line, "\n"))
						continue
					}
					var l deadLetter
					h.must(json.Unmarshal([]byte(line), &l))
					got = append(got, dataAt(h, l.ShardID, l.SequenceNumber))
				}
			}
			slices.Sort(got)
			slices.Sort(acked)
			if !slices.Equal(got, acked) {
				t.Fatalf("seed %d: delivered\n%v\nput\n%v", seed, got, acked)
			}
			h.must(h.server.Close())
		})
	}
}

// dataAt is the data of a record of "s".
func dataAt(h *harness, shard, number string) string {
	h.Helper()
	return string(h.get(h.iterator(shard, types.ShardIteratorTypeAtSequenceNumber, from(number))).Records[0].Data)
}

// hooked is a file system that calls hook in front of each change of a file or
// a directory.
type hooked struct {
	*vfs.Crash
	hook atomic.Pointer[func()]
}

func (f *hooked) change() {
	if hook := f.hook.Load(); hook != nil {
		(*hook)()
	}
}

func (f *hooked) Create(name string) (vfs.File, error) {
	f.change()
	file, err := f.Crash.Create(name)
	return hookedFile{file, f}, err
}

func (f *hooked) Open(name string) (vfs.File, error) {
	file, err := f.Crash.Open(name)
	if err != nil {
		return nil, err
	}
	return hookedFile{file, f}, nil
}

func (f *hooked) Rename(from, to string) error {
	f.change()
	return f.Crash.Rename(from, to)
}

func (f *hooked) Remove(name string) error {
	f.change()
	return f.Crash.Remove(name)
}

func (f *hooked) Mkdir(name string) error {
	f.change()
	return f.Crash.Mkdir(name)
}

func (f *hooked) SyncDir(name string) error {
	f.change()
	return f.Crash.SyncDir(name)
}

type hookedFile struct {
	vfs.File
	fs *hooked
}

func (f hookedFile) Write(p []byte) (int, error) {
	f.fs.change()
	return f.File.Write(p)
}

func (f hookedFile) Sync() error {
	f.fs.change()
	return f.File.Sync()
}

// Whatever of the folder fails, and when, the channel tries again, and delivers
// each record once.
func TestDeliveryOverFailuresOfTheFolder(t *testing.T) {
	for nth := range 24 {
		bubble(t, func(t *testing.T) {
			disk := &failingFolder{FS: vfs.NewMemory()}
			h := open(t, Config{fs: disk})
			h.onDemand("s")
			ch := h.channel(toS3(func(in *kinesis.CreateChannelInput) {
				in.StreamConfigurationList[0].RecordConfiguration.RecordFormatType = types.RecordFormatTypeJson
			}))
			h.put("a", `"good"`)
			h.put("a", "bad")
			disk.left.Store(int64(nth + 1))
			time.Sleep(301 * time.Second)
			h.put("a", `"more"`)
			time.Sleep(301 * time.Second)
			equal(t, "status", h.describeChannel(*ch.ChannelARN).ChannelStatus, "ACTIVE")
			count := map[string]int{}
			for _, o := range objectsIn(t, disk, folderDir) {
				count["incomplete"] += strings.Count(o.path, "incomplete")
				for _, what := range []string{`"good"`, `"more"`, "InvalidRecordFormat"} {
					count[what] += strings.Count(o.body, what)
				}
			}
			if fmt.Sprint(count) != `map["good":1 "more":1 InvalidRecordFormat:1 incomplete:0]` {
				t.Errorf("failure %d: %v", nth, count)
			}
			if disk.left.Load() > 0 && nth < 15 {
				t.Errorf("failure %d did not happen", nth)
			}
			h.must(h.server.Close())
		})
	}
}

// failingFolder is a file system whose left-th change of the folder fails, once.
type failingFolder struct {
	vfs.FS
	left atomic.Int64
}

func (f *failingFolder) fail(name string) error {
	if strings.HasPrefix(name, folderDir) && f.left.Add(-1) == 0 {
		return errDisk
	}
	return nil
}

func (f *failingFolder) Create(name string) (vfs.File, error) {
	if err := f.fail(name); err != nil {
		return nil, err
	}
	file, err := f.FS.Create(name)
	if err != nil {
		return nil, err
	}
	return failingObject{file, f, name}, nil
}

func (f *failingFolder) Mkdir(name string) error {
	if err := f.fail(name); err != nil {
		return err
	}
	return f.FS.Mkdir(name)
}

func (f *failingFolder) Rename(from, to string) error {
	if err := f.fail(from); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *failingFolder) Remove(name string) error {
	if err := f.fail(name); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

func (f *failingFolder) SyncDir(name string) error {
	if err := f.fail(name); err != nil {
		return err
	}
	return f.FS.SyncDir(name)
}

type failingObject struct {
	vfs.File
	fs   *failingFolder
	name string
}

func (f failingObject) Write(p []byte) (int, error) {
	if err := f.fs.fail(f.name); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f failingObject) Sync() error {
	if err := f.fs.fail(f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f failingObject) Close() error {
	return errors.Join(f.fs.fail(f.name), f.File.Close())
}

// A channel that is deleted, or a server that is closed, while objects are
// being written leaves nothing half done.
func TestDeletingWhileDelivering(t *testing.T) {
	for name, end := range map[string]func(h *harness, arn string){
		"delete": func(h *harness, arn string) { h.deleteChannel(&arn) },
		"close":  func(h *harness, _ string) { h.must(h.server.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				disk := &holding{FS: vfs.NewMemory(), hold: make(chan struct{}), held: make(chan struct{}, 1)}
				h := open(t, Config{fs: disk})
				h.onDemand("s")
				arn := h.channel(toS3()).ChannelARN
				h.put("a", "x")
				go func() {
					<-disk.held
					go end(h, *arn)
					synctest.Wait()
					close(disk.hold)
				}()
				time.Sleep(302 * time.Second)
				if name == "delete" {
					h.must(h.server.Close())
				}
				h = open(t, Config{fs: disk})
				time.Sleep(302 * time.Second)
				got := objectsIn(t, disk, folderDir)
				want := 1 // the next opening delivers it
				if name == "delete" {
					want = 0
				}
				equal(t, "objects", len(got), want)
				if want == 1 && len(got) == 1 {
					equal(t, "body", got[0].body, "x\n")
				}
				h.must(h.server.Close())
			})
		})
	}
}

// holding is a file system that holds the first object that is synced.
type holding struct {
	vfs.FS
	hold chan struct{}
	held chan struct{} // gets an element when it holds
}

func (f *holding) Create(name string) (vfs.File, error) {
	file, err := f.FS.Create(name)
	if err != nil || !strings.HasPrefix(name, folderDir) {
		return file, err
	}
	return heldFile{file, f}, nil
}

type heldFile struct {
	vfs.File
	fs *holding
}

func (f heldFile) Sync() error {
	select {
	case f.fs.held <- struct{}{}:
		<-f.fs.hold
	default:
	}
	return f.File.Sync()
}

// Damage of a shard does not keep the others from being delivered.
func TestDeliveryBesideADamagedShard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := vfs.NewCrash()
		h := open(t, Config{fs: disk, segmentBytes: 4 << 10})
		h.onDemand("s")
		h.channel(toS3())
		h.putAt("0", "lost "+strings.Repeat("x", 3000))
		last := "340282366920938463463374607431768211455"
		h.putAt(last, "kept "+strings.Repeat("x", 3000))
		h.putAt(last, "kept too")
		dirs, err := disk.List(streamsDir)
		h.must(err)
		files, err := disk.List(streamsDir + "/" + dirs[0].Name)
		h.must(err)
		h.must(disk.Damage(streamsDir+"/"+dirs[0].Name+"/"+files[0].Name, func(data []byte) []byte {
			i := bytes.Index(data, []byte("lost"))
			data[i]++
			return data
		}))
		time.Sleep(301 * time.Second)
		got := lines(t, disk)
		equal(t, "lines", len(got), 2)
		for _, line := range got {
			if !strings.HasPrefix(line, "kept") {
				t.Errorf("delivered %.20s", line)
			}
		}
		_ = h.server.Close()
	})
}

// The journal fails at one of its writes while a channel delivers, so that it is
// not known what it has. The next opening finds out: no record is lost.
func TestDeliveryOverAFailureOfTheJournal(t *testing.T) {
	for nth := range 4 {
		bubble(t, func(t *testing.T) {
			disk := &failingJournal{FS: vfs.NewMemory()}
			h := open(t, Config{fs: disk})
			h.onDemand("s")
			h.channel(toS3())
			h.put("a", "one")
			disk.left.Store(int64(nth + 1))
			time.Sleep(400 * time.Second)
			equal(t, "writes before the failure", disk.left.Load(), 0)
			if err := h.server.Close(); err == nil {
				t.Error("the failure of the journal is forgotten")
			}
			h = open(t, Config{fs: disk})
			h.put("a", "two")
			time.Sleep(301 * time.Second)
			equal(t, fmt.Sprint("lines after failure ", nth), lines(t, disk), "[one two]")
			h.must(h.server.Close())
		})
	}
}

// failingJournal is a file system on which the left-th write to the journal
// fails, once.
type failingJournal struct {
	vfs.FS
	left atomic.Int64
}

func (f *failingJournal) Create(name string) (vfs.File, error) {
	return f.wrap(f.FS.Create(name))(name)
}

func (f *failingJournal) Open(name string) (vfs.File, error) { return f.wrap(f.FS.Open(name))(name) }

func (f *failingJournal) wrap(file vfs.File, err error) func(string) (vfs.File, error) {
	return func(name string) (vfs.File, error) {
		if err != nil || !strings.HasPrefix(name, journalDir) {
			return file, err
		}
		return failingWrites{file, f}, nil
	}
}

type failingWrites struct {
	vfs.File
	fs *failingJournal
}

func (f failingWrites) Write(p []byte) (int, error) {
	if f.fs.left.Load() > 0 && f.fs.left.Add(-1) == 0 {
		return 0, errDisk
	}
	return f.File.Write(p)
}

// What channels deliver does not fill the disk up: it waits, and goes on when
// there is room again.
func TestDeliveryLeavesRoomOnTheDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := newSmallDisk(6 << 20)
		h := open(t, Config{fs: disk, MinFreeBytes: 1 << 20})
		h.onDemand("s")
		h.channel(toS3())
		want, err := h.fill("s")
		h.wantError(err, typeThroughput, "")
		time.Sleep(400*time.Second + deliverAgain/2) // in between two deliveries
		equal(t, "delivered", len(lines(t, disk)), 0)
		disk.mu.Lock()
		disk.room += 3 << 20
		disk.mu.Unlock()
		time.Sleep(deliverAgain)
		if n := len(lines(t, disk)); n == 0 || n == len(want) {
			t.Errorf("%d of %d are delivered where some have room", n, len(want))
		}
		equal(t, "times the disk was full", disk.timesFull(), 0)
		disk.mu.Lock()
		disk.room += 6 << 20
		disk.mu.Unlock()
		time.Sleep(deliverAgain)
		equal(t, "lines", lines(t, disk), want)
		h.must(h.server.Close())
	})
}
