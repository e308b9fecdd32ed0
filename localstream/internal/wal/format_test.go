package wal

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/shardrun/shardrun/localstream/internal/vfs"
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
	c := newBlockCache(10)
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
	if !slices.Equal(kept, []uint32{0, 3, 4}) || c.blocks != 9 {
		t.Errorf("kept %v in %d blocks", kept, c.blocks)
	}
	c.put(segs[0], 9, make([]block, 11)) // too large
	c.put(segs[0], 0, make([]block, 3))  // there already
	c.drop(segs[0])
	if c.blocks != 3 || c.get(segs[0], 0) != nil || c.get(segs[1], 3) == nil {
		t.Errorf("after a segment was dropped there are %d blocks", c.blocks)
	}
}

// countedFS counts the files that are open.
type countedFS struct {
	vfs.FS
	open int
}

type countedFile struct {
	vfs.File
	fs *countedFS
}

func (c *countedFS) Open(name string) (vfs.File, error) {
	f, err := c.FS.Open(name)
	c.open++
	return countedFile{f, c}, err
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
