package localstream

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/state"
)

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

// A large state makes large events, and they alone make the journal be
// rewritten; a failure of that is not repeated with each event.
func TestTheJournalIsCompactedBySize(t *testing.T) {
	h := open(t, Config{Durability: Memory, ShardLimit: -1})
	h.create("s", 500)
	journal := h.server.metadata.journal
	greatest := int64(0)
	for i := range 8 {
		_, err := h.client.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{
			StreamName: aws.String("s"), TargetShardCount: aws.Int32(int32(1000 - 500*(i%2))), ScalingType: types.ScalingTypeUniformScaling})
		h.must(err)
		greatest = max(greatest, journal.Size())
	}
	b, err := state.Event{Snapshot: h.server.metadata.state}.Encode()
	h.must(err)
	if snapshot := int64(len(b)); greatest > compactFactor*snapshot+compactBytes || h.server.metadata.base == 0 {
		t.Errorf("the journal had up to %d bytes, a snapshot has %d", greatest, snapshot)
	}
}

// Records whose journal was lost are not thrown away: nothing is opened, and
// nothing removed, until somebody decides.
func TestAMissingJournalKeepsTheServerFromOpening(t *testing.T) {
	cfg := Config{DataDir: filepath.Join(t.TempDir(), "data")}
	h := open(t, cfg)
	h.create("s", 1)
	h.put("a", "precious")
	h.must(h.server.Close())
	journals, err := filepath.Glob(filepath.Join(cfg.DataDir, journalDir, "*"))
	h.must(err)
	kept := map[string][]byte{}
	for _, name := range journals {
		kept[name], err = os.ReadFile(name)
		h.must(err)
		h.must(os.Remove(name))
	}
	for range 2 { // the first attempt must not make the second succeed
		_, err := Open(cfg)
		d, ok := errors.AsType[*DamagedError](err)
		if !ok || d.DataDir != cfg.DataDir || d.Damage.File != "meta/journal" ||
			!strings.Contains(err.Error(), "meta/journal: it is missing or empty, and there are records of streams in streams; shardrun verify "+cfg.DataDir) {
			t.Fatalf("opened without the journal: %v", err)
		}
	}
	for name, b := range kept {
		h.must(os.WriteFile(name, b, 0o600))
	}
	h = open(t, cfg)
	equal(t, "records", h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon)), "[precious]")
}

// What a crash or a failure left of a removed stream goes with the next
// opening. A directory that was never a stream's is nobody's to remove.
func TestOnlyRemovedStreamsLeaveTheDisk(t *testing.T) {
	disk := &stubborn{FS: vfs.NewMemory()}
	h := open(t, Config{fs: disk})
	for _, name := range []string{"s", "t", "u"} {
		h.create(name, 1)
	}
	disk.on.Store(true)
	for _, name := range []string{"s", "t"} {
		_, err := h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: &name})
		h.must(err)
	}
	list := func() (names []string) {
		dirs, err := disk.List(streamsDir)
		h.must(err)
		for _, d := range dirs {
			names = append(names, d.Name)
		}
		return names
	}
	equal(t, "directories that could not be removed", len(list()), 3)
	h.must(vfs.MkdirAll(disk, streamsDir+"/stranger"))
	h.must(h.server.Close())
	h = open(t, Config{fs: disk}) // still cannot
	equal(t, "directories after the first opening", len(list()), 4)
	equal(t, "removed streams to be cleared", len(h.server.metadata.state.Removed), 2)
	h.must(h.server.Close())
	disk.on.Store(false)
	h = open(t, Config{fs: disk})
	equal(t, "directories after the second opening", len(list()), 2)
	equal(t, "the stranger", list()[1], "stranger")
	equal(t, "removed streams to be cleared", len(h.server.metadata.state.Removed), 0)
	equal(t, "the stream that is left", h.describe("u").StreamStatus, "ACTIVE")
}

// stubborn is a file system that does not remove files while on is set.
type stubborn struct {
	vfs.FS
	on atomic.Bool
}

func (f *stubborn) Remove(name string) error {
	if f.on.Load() {
		return errDisk
	}
	return f.FS.Remove(name)
}

// A stream whose directory cannot be made is not there, now or later.
func TestAStreamThatCannotBeMadeIsForgotten(t *testing.T) {
	disk := &crowded{FS: vfs.NewMemory()}
	h := open(t, Config{fs: disk})
	disk.on.Store(true)
	_, err := h.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(1)})
	h.wantError(err, typeInternal, "")
	disk.on.Store(false)
	h.create("s", 2)
	h.put("a", "x")
	h.must(h.server.Close())
	h = open(t, Config{fs: disk})
	equal(t, "shards", len(h.shards()), 2)
}

// crowded is a file system that makes no directories while on is set.
type crowded struct {
	vfs.FS
	on atomic.Bool
}

func (f *crowded) Mkdir(name string) error {
	if f.on.Load() {
		return errDisk
	}
	return f.FS.Mkdir(name)
}

// A change that does not fit the state is refused, and neither ends the
// changes nor gets into the journal, where it would keep the server from
// opening.
func TestAChangeThatDoesNotFitIsNotJournaled(t *testing.T) {
	disk := vfs.NewMemory()
	h := open(t, Config{fs: disk})
	h.create("s", 1)
	id := mustView(h).ID
	for name, e := range map[string]state.Event{
		"remove a stream that is not there": {Removed: &state.Removed{ID: "none"}},
		"create one twice":                  {Created: mustView(h).Stream},
		"close a shard that is not there":   {Resharded: &state.Resharded{ID: id, Closed: []state.Closed{{Number: 7, At: 1}}}},
		"nothing":                           {},
	} {
		if err := h.server.change(t.Context(), func(m *metadata) error { return m.save(e) }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	h.split("0", "100") // changes go on
	h.must(h.server.Close())
	h = open(t, Config{fs: disk})
	equal(t, "shards", len(h.shards()), 3)
}
