package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path"
	"runtime"
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

// FuzzOpen opens a log with one segment of hostile bytes and reads all there
// is. To get past the checksums, they are made right where headers may be.
func FuzzOpen(f *testing.F) {
	const salt = 0x1122334455667788
	seed := seedOf(salt)
	whole := fuzzSegment(salt)
	f.Add(whole, false)
	f.Add(whole, true)
	f.Add(whole[:len(whole)-trailerSize-directorySize], true)
	f.Add(whole[:60], true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, body []byte, repair bool) {
		file := append(segmentHeader{salt: salt, first: 1}.append(nil), body...)
		if repair {
			repairChecksums(file, salt, seed)
		}
		disk := vfs.NewMemory()
		put(t, disk, "d", segmentName(1), file)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		readHostile(t, disk)
		runtime.ReadMemStats(&after)
		if n, most := after.TotalAlloc-before.TotalAlloc, uint64(16*len(file)+1<<20); n > most {
			t.Errorf("%d bytes allocated for an input of %d, at most %d are allowed", n, len(file), most)
		}
	})
}

// fuzzSegment is the part after the header of a segment with two batches and a
// footer.
func fuzzSegment(salt uint64) []byte {
	seed := seedOf(salt)
	var b []byte
	offset := int64(segmentHeaderSize)
	seg := &segment{}
	parts := []part{{shard: 0, extent: extent{seg: seg}}, {shard: 1, extent: extent{seg: seg}}}
	for n := range uint64(2) {
		var frames []frame
		var length int64
		for shard := range uint32(2) {
			recs := []*Record{
				{Shard: shard, Seq: 2 * n, Arrival: int64(n), Key: "key", HashKey: "5", Data: []byte("data")},
				{Shard: shard, Seq: 2*n + 1, Arrival: int64(n + 3), Key: "k2"},
			}
			frames = appendFrames(frames, nil, recs)
			length += frames[shard].size()
		}
		at := offset + batchHeaderSize
		b = batchHeader{number: n + 1, synced: uint64(offset), length: uint32(length), frames: 2}.append(b, salt)
		for i := range frames {
			b = frames[i].appendHead(b, seed)
			for _, r := range frames[i].recs {
				b = append(b, r.Data...)
			}
			parts[i].add(frames[i].frameHeader, at)
			at += frames[i].size()
		}
		offset = at
	}
	return appendFooter(b, offset, salt, parts, 2)
}

// repairChecksums makes the checksums of batches, frames and the trailer right,
// as far as their magic numbers are where they should be.
func repairChecksums(file []byte, salt uint64, seed uint32) {
	for at := segmentHeaderSize; at+batchHeaderSize <= len(file); {
		switch b := file[at:]; {
		case le.Uint32(b) == batchMagic:
			le.PutUint64(b[4:], salt)
			le.PutUint32(b[12:], batchChecksum(b))
			at += batchHeaderSize
		case le.Uint32(b) == frameMagic && len(b) >= frameHeaderSize:
			length := int(min(uint64(le.Uint32(b[8:])), uint64(len(b)-frameHeaderSize)))
			le.PutUint32(b[12:], checksum(seed, b[frameHeaderSize:][:length]))
			le.PutUint32(b[4:], checksum(seed, b[8:frameHeaderSize]))
			at += frameHeaderSize + length
		default:
			at++
		}
	}
	if n := len(file) - trailerSize; n >= segmentHeaderSize && string(file[n:n+8]) == footerMagic {
		if from, shards := int64(le.Uint32(file[n+8:])), int64(le.Uint32(file[n+12:])); from+shards*directorySize == int64(n) {
			le.PutUint32(file[n+16:], checksum(seed, file[from:n]))
		}
		le.PutUint32(file[n+20:], trailerChecksum(file[n:], seed))
	}
}

// put makes a file.
func put(t *testing.T, fsys vfs.FS, dir, name string, content []byte) {
	t.Helper()
	if err := vfs.MkdirAll(fsys, dir); err != nil {
		t.Fatal(err)
	}
	f, err := fsys.Create(path.Join(dir, name))
	if err == nil {
		_, err = f.Write(content)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// readHostile opens the log in directory "d" and reads all of it. The only
// errors there may be are of damage.
func readHostile(t *testing.T, fsys vfs.FS) {
	l, err := Open(Config{FS: fsys, Dir: "d", Durability: Memory})
	if err != nil {
		t.Fatal(err)
	}
	for id := range uint32(3) {
		l.OpenShard(id, 0)
		for next := uint64(0); ; {
			p, err := l.Read(id, next, 0, 100, 1000)
			if _, ok := errors.AsType[*DamageError](err); err != nil && !ok {
				t.Fatal(err)
			}
			if err != nil || p.Behind == 0 {
				break
			}
			if p.Next <= next {
				t.Fatalf("reading shard %d from %d goes on at %d", id, next, p.Next)
			}
			next = p.Next
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// FuzzFrame decodes hostile payloads.
func FuzzFrame(f *testing.F) {
	f.Add([]byte{0, 1, 0, 2, 'k', 'd', 'd'}, uint32(1), uint32(4), uint32(1))
	f.Add(binary.AppendUvarint(nil, math.MaxUint64), uint32(3), uint32(10), uint32(0))
	f.Fuzz(func(t *testing.T, payload []byte, count, metaLen, textLen uint32) {
		h := frameHeader{length: uint32(len(payload)), count: count, metaLen: metaLen, textLen: textLen}
		var raw [frameHeaderSize]byte
		h.put(raw[:], 1)
		h, ok := parseFrameHeader(raw[:], 1)
		if !ok {
			return
		}
		for r := newFrameReader(h, payload); r.more(); {
			if _, err := r.next(); err != nil {
				return
			}
		}
	})
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
