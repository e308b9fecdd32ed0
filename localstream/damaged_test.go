package localstream

import (
	"bytes"
	"errors"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/state"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// recordsToDamage makes a directory with a stream of several segments, and gives
// these.
func recordsToDamage(t *testing.T) (dir string, segments []string) {
	t.Helper()
	dir = t.TempDir()
	h := open(t, Config{DataDir: dir, segmentBytes: 4 << 10})
	h.create("s", 1)
	for range 10 {
		h.put("k", strings.Repeat("data", 300))
	}
	log := streamsDir + "/" + mustView(h).ID
	h.must(h.server.Close())
	segments, err := filepath.Glob(filepath.Join(dir, log, "*.log"))
	h.must(err)
	for i, name := range segments {
		segments[i], err = filepath.Rel(dir, name)
		h.must(err)
	}
	return dir, segments
}

func TestDamageThatIsReadIsToldOf(t *testing.T) {
	dir, segments := recordsToDamage(t)
	change(t, filepath.Join(dir, segments[1]), func(b []byte) []byte {
		b[bytes.Index(b, []byte("datadata"))] ^= 1
		return b
	})
	var told []*DamagedError
	h := open(t, Config{DataDir: dir, Damaged: func(e *DamagedError) { told = append(told, e) }})
	it := h.iterator("0", types.ShardIteratorTypeTrimHorizon)
	equal(t, "before it is read", len(told), 0)
	for range 2 {
		_, err := h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &it})
		h.wantError(err, typeInternal, "")
	}
	if len(told) != 1 {
		t.Fatalf("told %d times: %v", len(told), told)
	}
	e := told[0]
	if e.DataDir != dir || e.Stream != testARN || e.Damage.File != filepath.ToSlash(segments[1]) || e.Damage.Offset == 0 ||
		e.Damage.ShardID != "shardId-000000000000" || e.Damage.Reason == "" {
		t.Errorf("told of %+v", e)
	}
	for _, part := range []string{e.Damage.File, e.Damage.ShardID, e.Stream, "shardrun verify " + dir, "shardrun repair " + dir} {
		if !strings.Contains(e.Error(), part) {
			t.Errorf("%q says nothing of %s", e, part)
		}
	}
	_, err := h.server.Records("s")
	if got, ok := errors.AsType[*DamagedError](err); !ok || *got != *e {
		t.Errorf("Records: %v, want %v", err, e)
	}
}

func TestDamageThatIsFoundWhileOpeningIsToldOf(t *testing.T) {
	dir, segments := recordsToDamage(t)
	change(t, filepath.Join(dir, segments[2]), func(b []byte) []byte { return b[:0] })
	var told []*DamagedError
	s, err := Open(Config{DataDir: dir, Damaged: func(e *DamagedError) { told = append(told, e) }})
	if err != nil {
		t.Fatal(err)
	}
	if len(told) == 0 || told[0].Stream != testARN || told[0].Damage.ShardID != "" || !strings.Contains(told[0].Error(), "all shards of "+testARN) {
		t.Errorf("told of %v", told)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Damaged metadata is told apart from all else that keeps a server from opening.
func TestDamagedMetadataIsAnErrorOfItsOwn(t *testing.T) {
	for what, c := range map[string]struct {
		spoil  func(h *harness, disk *vfs.Crash)
		want   string // of the reason, or of another error
		damage bool
	}{
		"a changed byte": {func(h *harness, disk *vfs.Crash) {
			h.must(disk.Damage(wal.JournalFile(journalDir), func(b []byte) []byte { b[100] ^= 1; return b }))
		}, "checksum", true},
		"an entry that cannot follow": {func(h *harness, disk *vfs.Crash) {
			j, err := wal.OpenJournal(disk, journalDir, func([]byte) error { return nil })
			h.must(err)
			b, err := state.Event{Removed: &state.Removed{ID: "never-there"}}.Encode()
			h.must(err)
			h.must(errors.Join(j.Append(b), j.Close()))
		}, "does not fit", true},
		"no journal": {func(h *harness, disk *vfs.Crash) { h.must(disk.Remove(wal.JournalFile(journalDir))) }, "missing or empty", true},
		"another server": {func(h *harness, disk *vfs.Crash) {
			lock, err := disk.Lock(lockName)
			h.must(err)
			t.Cleanup(func() { h.must(lock.Close()) })
		}, "lock", false},
	} {
		disk := vfs.NewCrash()
		h := open(t, Config{fs: disk, DataDir: "data"})
		h.create("s", 1)
		h.must(h.server.Close())
		c.spoil(h, disk)
		_, err := Open(Config{fs: disk, DataDir: "data"})
		d, ok := errors.AsType[*DamagedError](err)
		if ok != c.damage || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		} else if ok && (d.DataDir != "data" || d.Stream != "" || d.Damage.File != path.Join(journalDir, "journal")) {
			t.Errorf("%s: %+v", what, d)
		}
	}
}
