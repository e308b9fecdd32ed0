package wal

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shardrun/shardrun/internal/vfs"
)

func TestFramesAreCutWhereTheyMustBe(t *testing.T) {
	record := func(seq uint64, arrival int64, size int) *Record {
		return &Record{Seq: seq, Arrival: arrival, Key: "k", Data: make([]byte, size)}
	}
	for _, c := range []struct {
		name string
		recs []*Record
		want []uint32
	}{
		{"one", []*Record{record(1, 1, 5)}, []uint32{1}},
		{"numbers that follow", []*Record{record(1, 1, 5), record(2, 9, 5), record(3, 9, 5)}, []uint32{3}},
		{"a gap in the numbers", []*Record{record(1, 1, 5), record(5, 1, 5), record(6, 1, 5)}, []uint32{1, 2}},
		{"a clock that jumps far", []*Record{record(1, 1, 5), record(2, 2+math.MaxUint32, 5)}, []uint32{1, 1}},
		{"enough data", []*Record{record(1, 1, 30<<10), record(2, 1, 30<<10), record(3, 1, 30<<10)}, []uint32{2, 1}},
		{"a large record", []*Record{record(1, 1, 5), record(2, 1, 1<<20), record(3, 1, 5)}, []uint32{1, 1, 1}},
	} {
		var got []uint32
		for _, f := range appendFrames(nil, nil, c.recs) {
			got = append(got, f.count)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: frames of %v records, want %v", c.name, got, c.want)
		}
	}
}

func TestBlocksJoinWhatIsClose(t *testing.T) {
	var e extent
	h := frameHeader{count: 1, length: 1000 - frameHeaderSize}
	for i, offset := range []int64{0, 1000, 6000, 12_000, 70_000, 71_000} {
		h.seq, h.arrival = uint64(i), int64(10*i)
		e.add(h, offset)
	}
	want := []block{
		{seq: 0, arrival: 0, offset: 0, length: 7000}, // a gap of 4,000
		{seq: 3, arrival: 30, offset: 12_000, length: 1000},
		{seq: 4, arrival: 40, offset: 70_000, length: 2000},
	}
	if !slices.Equal(e.blocks, want) {
		t.Errorf("blocks %v, want %v", e.blocks, want)
	}
	for _, c := range []struct {
		from  uint64
		since int64
		want  int
	}{{0, 0, 0}, {2, 0, 0}, {3, 0, 1}, {5, 0, 2}, {9, 0, 2}, {0, 29, 0}, {0, 30, 0}, {0, 31, 1}, {0, 41, 2}, {3, 41, 2}, {4, 1, 2}} {
		if got := search(e.blocks, c.from, c.since); got != c.want {
			t.Errorf("from %d since %d: block %d, want %d", c.from, c.since, got, c.want)
		}
	}
}

func TestTheBlockCacheIsBounded(t *testing.T) {
	const each = cachedOverhead + 3*blockSize // what an index of three blocks takes
	c := newBlockCache(3*each + 1)
	segs := []*segment{{}, {}}
	for shard := range uint32(5) {
		c.put(segs[shard%2], shard, make([]block, 3))
		c.get(segs[0], 0) // stays in use
	}
	var kept []uint32
	for shard := range uint32(5) {
		if c.get(segs[shard%2], shard) != nil {
			kept = append(kept, shard)
		}
	}
	if !slices.Equal(kept, []uint32{0, 3, 4}) || c.bytes != 3*each {
		t.Errorf("kept %v in %d bytes", kept, c.bytes)
	}
	c.put(segs[0], 9, make([]block, 100)) // too large
	c.put(segs[0], 0, make([]block, 3))   // there already
	segs[0].gone.Store(true)
	c.drop(segs[0])
	c.put(segs[0], 0, make([]block, 3)) // by a reader that was slow
	if c.bytes != each || c.get(segs[0], 0) != nil || c.get(segs[1], 3) == nil {
		t.Errorf("after a segment was dropped there are %d bytes", c.bytes)
	}
}

// countedFS counts the files that are open.
type countedFS struct {
	vfs.FS
	open   int
	opened func(name string) // called after a file was opened, unless nil
}

type countedFile struct {
	vfs.File
	fs *countedFS
}

func (c *countedFS) Open(name string) (vfs.File, error) {
	f, err := c.FS.Open(name)
	return c.count(name, f, err)
}

func (c *countedFS) Create(name string) (vfs.File, error) {
	f, err := c.FS.Create(name)
	return c.count(name, f, err)
}

func (c *countedFS) count(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	c.open++
	if c.opened != nil {
		c.opened(name)
	}
	return countedFile{f, c}, nil
}

func (f countedFile) Close() error {
	f.fs.open--
	return f.File.Close()
}

func TestFewSealedSegmentsStayOpen(t *testing.T) {
	fsys := &countedFS{FS: vfs.NewMemory()}
	l, err := Open(Config{FS: fsys, Dir: "d", SegmentBytes: minSegmentBytes})
	if err != nil {
		t.Fatal(err)
	}
	l.OpenShard(0, 0)
	for range 40 {
		if err := l.Append([]Record{{Key: "k", Data: make([]byte, minSegmentBytes)}}); err != nil {
			t.Fatal(err)
		}
	}
	for seq := range uint64(40) {
		if p, err := l.Read(0, seq, 0, 1, 1); err != nil || len(p.Records) != 1 {
			t.Fatal(p, err)
		}
		if fsys.open > maxIdleFiles+1 {
			t.Fatalf("%d files are open", fsys.open)
		}
	}
	if fsys.open == 0 {
		t.Error("no file is kept open")
	}
	if err := l.Close(); err != nil || fsys.open != 0 {
		t.Errorf("after close %d files are open: %v", fsys.open, err)
	}
}

// TestNoFileStaysOpen after a log was closed, or could not be opened, whatever
// change to the file system failed.
func TestNoFileStaysOpen(t *testing.T) {
	disk := vfs.NewCrash()
	work := func(kind vfs.FaultKind, at int) (changes int, err error) {
		faulty := vfs.Fault(disk.CrashClone(rand.New(rand.NewPCG(1, 1))), vfs.Plan{Kind: kind, At: at})
		fsys := &countedFS{FS: faulty}
		l, err := Open(Config{FS: fsys, Dir: "d", SegmentBytes: minSegmentBytes})
		if err == nil {
			l.OpenShard(0, 0)
			for range 3 {
				err = errors.Join(err, l.Append([]Record{{Key: "k", Data: make([]byte, 3000)}}))
			}
			_, e := l.Read(0, 0, 0, 10, 1<<20)
			err = errors.Join(err, e, l.Close())
		}
		if fsys.open != 0 {
			t.Errorf("%s at operation %d (%s): %d files stay open", kind, at, faulty.Operation(at), fsys.open)
		}
		return faulty.Changes(), err
	}
	for range 2 { // a new log, and one with an end that was not closed well
		changes, err := work(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for at := 1; at <= changes; at++ {
			if _, err := work(vfs.FailEIO, at); err == nil {
				t.Errorf("operation %d fails, and nobody says so", at)
			}
		}
		l, err := Open(Config{FS: disk, Dir: "d"})
		if err != nil {
			t.Fatal(err)
		}
		l.OpenShard(0, 0)
		if err := l.Append([]Record{{Key: "k"}}); err != nil {
			t.Fatal(err)
		}
		if err := disk.Damage("d/"+segmentName(1), func(b []byte) []byte { return append(b, "torn"...) }); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAFileThatIsTrimmedWhileItIsOpenedIsClosed holds a reader between opening
// the file and sharing it.
func TestAFileThatIsTrimmedWhileItIsOpenedIsClosed(t *testing.T) {
	fsys := &countedFS{FS: vfs.NewMemory()}
	l, err := Open(Config{FS: fsys, Dir: "d", SegmentBytes: minSegmentBytes})
	if err != nil {
		t.Fatal(err)
	}
	l.OpenShard(0, 0)
	for range 5 { // of the sealed segments two stay open, and the first is not one of them
		if err := l.Append([]Record{{Key: "k", Data: make([]byte, minSegmentBytes)}}); err != nil {
			t.Fatal(err)
		}
	}
	fsys.opened = func(string) {
		fsys.opened = nil
		if err := l.Trim(math.MaxInt64); err != nil {
			t.Error(err)
		}
	}
	if _, err := l.Read(0, 0, 0, 1, 1); err != nil {
		t.Fatal(err)
	}
	if fsys.opened != nil || fsys.open != 1 {
		t.Errorf("%d files are open, want only that of the active segment", fsys.open)
	}
	if err := l.Close(); err != nil || fsys.open != 0 {
		t.Errorf("after close %d files are open: %v", fsys.open, err)
	}
}

// TestATrimThatComesAfterCloseSealsNothing: the log was closed between the look
// at the active segment and the call that seals it.
func TestATrimThatComesAfterCloseSealsNothing(t *testing.T) {
	fsys := &countedFS{FS: vfs.NewMemory()}
	l, err := Open(Config{FS: fsys, Dir: "d"})
	if err != nil {
		t.Fatal(err)
	}
	l.OpenShard(0, 0)
	if err := errors.Join(l.Append([]Record{{Key: "k"}}), l.Close()); err != nil {
		t.Fatal(err)
	}
	if err := l.rollWhenDue(); !errors.Is(err, ErrClosed) {
		t.Errorf("sealing the active segment of a closed log: %v", err)
	}
	if entries, err := fsys.List("d"); err != nil || len(entries) != 1 || fsys.open != 0 {
		t.Errorf("%d files are open, on the disk are %v, %v", fsys.open, entries, err)
	}
}

// TestAPageDoesNotKeepTheRecordsOfOthersAlive reads a few small records that lie
// among large ones of another shard.
func TestAPageDoesNotKeepTheRecordsOfOthersAlive(t *testing.T) {
	l, err := Open(Config{FS: vfs.NewMemory(), Dir: "d"})
	if err != nil {
		t.Fatal(err)
	}
	l.OpenShard(0, 0)
	l.OpenShard(1, 0)
	for i := range 100 {
		err := l.Append([]Record{{Key: "k", Data: bytes.Repeat([]byte{byte(i)}, 10)}, {Shard: 1, Key: "k", Data: make([]byte, 3900)}})
		if err != nil {
			t.Fatal(err)
		}
	}
	l.mu.Lock()
	blocks := slices.Clone(l.shards[0].active.blocks)
	l.mu.Unlock()
	if len(blocks) > 10 {
		t.Fatalf("%d blocks: the records are not read together with others", len(blocks))
	}
	page, err := l.Read(0, 0, 0, 1000, 1<<20)
	if err != nil || len(page.Records) != 100 {
		t.Fatalf("%d records, %v", len(page.Records), err)
	}
	for i, r := range page.Records {
		if !bytes.Equal(r.Data, bytes.Repeat([]byte{byte(i)}, 10)) {
			t.Errorf("record %d holds %v", i, r.Data)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAFileInUseIsClosedByItsLastUser(t *testing.T) {
	fsys := &countedFS{FS: vfs.NewMemory()}
	put(t, fsys.FS, "d", "s", nil)
	c, seg := newFiles(fsys), &segment{name: "d/s"}
	var users []*handle
	for range 2 {
		h, err := c.get(seg)
		if err != nil {
			t.Fatal(err)
		}
		users = append(users, h)
	}
	if err := c.drop(seg); err != nil || fsys.open != 1 {
		t.Errorf("dropped in use: %d files are open, %v", fsys.open, err)
	}
	for left, h := range users {
		if err := c.put(h); err != nil || fsys.open != 1-left {
			t.Errorf("after user %d left, %d files are open, %v", left, fsys.open, err)
		}
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.get(seg); !errors.Is(err, ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

// TestAppendAllocatesLittle keeps the path of a put free of garbage.
func TestAppendAllocatesLittle(t *testing.T) {
	l, err := Open(Config{FS: vfs.NewMemory(), Dir: "d"})
	if err != nil {
		t.Fatal(err)
	}
	recs := make([]Record, 100)
	for i := range recs {
		l.OpenShard(uint32(i%4), 0)
		recs[i] = Record{Shard: uint32(i % 4), Key: "key", Data: make([]byte, 100)}
	}
	n := testing.AllocsPerRun(100, func() {
		if err := l.Append(recs); err != nil {
			t.Fatal(err)
		}
	})
	if n > 10 {
		t.Errorf("%v allocations for an append of 100 records, want at most 10", n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAFrameHoldsItsRecords(t *testing.T) {
	recs := []*Record{
		{Shard: 7, Seq: 1 << 60, Arrival: -5, Key: "", HashKey: "", Data: nil},
		{Shard: 7, Seq: 1<<60 + 1, Arrival: 1 << 20, Key: "schlüssel", HashKey: "340282366920938463463374607431768211455", Data: []byte{0}},
		{Shard: 7, Seq: 1<<60 + 2, Arrival: 1 << 20, Key: "k", Data: make([]byte, 1000)},
	}
	frames := appendFrames(nil, nil, recs)
	b := frames[0].appendHead(nil, 42)
	for _, r := range recs {
		b = append(b, r.Data...)
	}
	h, ok := parseFrameHeader(b, 42)
	if !ok || int64(len(b)) != frames[0].size() || checksum(42, b[frameHeaderSize:]) != h.payloadCRC {
		t.Fatalf("header %+v of %d bytes", h, len(b))
	}
	r := newFrameReader(h, b[frameHeaderSize:])
	for _, want := range recs {
		got, err := r.next()
		if err != nil || fmt.Sprint(got) != fmt.Sprint(*want) {
			t.Errorf("record %+v, %v; want %+v", got, err, want)
		}
	}
	if r.more() {
		t.Error("there is a further record")
	}
	if _, ok := parseFrameHeader(b, 43); ok {
		t.Error("a frame of another segment is taken")
	}
}
