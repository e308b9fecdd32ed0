package wal

import (
	"encoding/binary"
	"errors"
	"math"
	"path"
	"runtime"
	"testing"

	"github.com/shardrun/shardrun/internal/vfs"
)

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
