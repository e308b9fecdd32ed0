package wal

import (
	"fmt"

	"github.com/shardrun/shardrun/internal/vfs"
)

// scanned is what the batches of a segment hold.
type scanned struct {
	parts   map[uint32]*extent
	bytes   map[uint32]int64 // of the frames of each shard; nil when nobody asks
	end     int64            // of the last good batch
	next    uint64           // number of the batch after it
	synced  int64            // the batches say that all before this offset was synced
	proven  bool             // the last batch is an empty one: all was synced
	batches int
	damage  []*DamageError
}

// segmentScanner reads the batches of a segment from its header on.
type segmentScanner struct {
	window
	seg  *segment
	seed uint32
	last uint64 // number of the last batch of a sealed segment, 0 if not known
	out  scanned

	proof int64   // some batch says that all before this offset was synced
	spare []frame // the memory of the frames of one batch, used again for the next
}

// scanSegment reads and checks all batches of a segment of size bytes. With the
// number of the last batch given the segment is sealed, and all of it must be
// right. Otherwise it is the tail of the log: a batch that is not right is torn,
// and ends the segment, unless a later batch proves that it had been synced.
//
// The error is the file system's; damage is part of the result.
func scanSegment(f vfs.File, seg *segment, size int64, last uint64) (scanned, error) {
	s := newSegmentScanner(f, seg, size, last)
	return s.scan()
}

func newSegmentScanner(f vfs.File, seg *segment, size int64, last uint64) *segmentScanner {
	return &segmentScanner{
		window: window{file: f, size: size},
		seg:    seg,
		seed:   seedOf(seg.header.salt),
		last:   last,
		out:    scanned{parts: map[uint32]*extent{}, end: segmentHeaderSize, next: seg.header.first},
	}
}

// scan reads all batches.
func (s *segmentScanner) scan() (scanned, error) {
	for s.out.end < s.size && (s.last == 0 || s.out.next <= s.last) {
		ok, err := s.step()
		if err != nil {
			return scanned{}, fmt.Errorf("scan %s: %w", s.seg.name, err)
		}
		if !ok {
			break
		}
	}
	if s.last != 0 && s.out.next <= s.last {
		s.damageAll(s.out.end, fmt.Sprintf("batches %d to %d are missing", s.out.next, s.last))
	}
	s.out.synced = max(s.proof, segmentHeaderSize)
	return s.out, nil
}

// step takes in the batch at the end of what was scanned, and reports whether
// to go on after it.
func (s *segmentScanner) step() (bool, error) {
	pos := s.out.end
	b, err := s.batch(pos)
	if err != nil {
		return false, err
	}
	if b.good() {
		s.take(b)
		return true, nil
	}
	resume, err := s.later(pos)
	if err != nil {
		return false, err
	}
	if s.last == 0 && s.proof <= pos {
		return false, nil // torn
	}
	switch {
	case b.whole: // its frames are to blame, and what follows is where it should be
		s.out.damage = append(s.out.damage, b.damage...)
		s.take(b)
		return true, nil
	case resume.offset > 0:
		s.damageAll(pos, "batch header fails its checksum")
		s.out.end, s.out.next = resume.offset, resume.number
		return true, nil
	default:
		s.damageAll(pos, "batch header fails its checksum")
		return false, nil
	}
}

func (s *segmentScanner) damageAll(offset int64, reason string) {
	s.out.damage = append(s.out.damage, &DamageError{Segment: s.seg.name, Offset: offset, AllShards: true, Reason: reason})
}

// take adds the frames of a batch to the result.
func (s *segmentScanner) take(b scannedBatch) {
	for _, f := range b.frames {
		e := s.out.parts[f.shard]
		if e == nil {
			e = &extent{seg: s.seg}
			s.out.parts[f.shard] = e
		}
		e.add(f.frameHeader, f.offset)
		if s.out.bytes != nil {
			s.out.bytes[f.shard] += f.size()
		}
	}
	s.out.end = b.end
	s.out.next = b.number + 1
	s.out.batches++
	s.out.proven = b.batchHeader.frames == 0
	s.proof = max(s.proof, int64(b.synced))
}

// scannedBatch is one batch as found in the file.
type scannedBatch struct {
	batchHeader
	whole  bool  // the header is right, and the file long enough
	end    int64 // where the next batch begins
	frames []frame
	damage []*DamageError
}

func (b *scannedBatch) good() bool { return b.whole && len(b.damage) == 0 }

// batch reads the batch at pos.
func (s *segmentScanner) batch(pos int64) (scannedBatch, error) {
	var b scannedBatch
	if pos+batchHeaderSize > s.size {
		return b, nil
	}
	raw, err := s.at(pos, batchHeaderSize)
	if err != nil {
		return b, err
	}
	h, ok := parseBatchHeader(raw, s.seg.header.salt)
	b.batchHeader, b.end = h, pos+batchHeaderSize+int64(h.length)
	if !ok || h.number != s.out.next || h.synced > uint64(pos) || b.end > s.size {
		return b, nil
	}
	b.whole = true
	return b, s.frames(&b, pos+batchHeaderSize)
}

// frames reads the frames of a batch, which begin at pos.
func (s *segmentScanner) frames(b *scannedBatch, pos int64) error {
	n := 0
	b.frames = s.spare[:0]
	defer func() { s.spare = b.frames }()
	for pos < b.end {
		f, d, err := s.frame(pos, b.end)
		if err != nil {
			return err
		}
		if d != nil {
			b.damage = append(b.damage, d)
		}
		if !f.intact {
			return nil // where the next frame begins is not known
		}
		b.frames = append(b.frames, f)
		n++
		pos += f.size()
	}
	if n != int(b.batchHeader.frames) {
		b.damage = append(b.damage, &DamageError{Segment: s.seg.name, Offset: pos, AllShards: true,
			Reason: fmt.Sprintf("batch has %d frames and should have %d", n, b.batchHeader.frames)})
	}
	return nil
}

// frame reads the frame at pos of a batch that ends at end, and says what is
// wrong with it. One whose payload alone is bad comes back intact: the index has
// to name it, so that every reader meets it, and none takes what follows for the
// next record.
func (s *segmentScanner) frame(pos, end int64) (frame, *DamageError, error) {
	d := &DamageError{Segment: s.seg.name, Offset: pos, AllShards: true, Reason: "frame header fails its checksum"}
	if pos+frameHeaderSize > end {
		return frame{}, d, nil
	}
	raw, err := s.at(pos, frameHeaderSize)
	if err != nil {
		return frame{}, nil, err
	}
	h, ok := parseFrameHeader(raw, s.seed)
	f := frame{frameHeader: h, offset: pos}
	if !ok || pos+f.size() > end {
		return frame{}, d, nil
	}
	payload, err := s.at(pos+frameHeaderSize, int(h.length))
	if err != nil {
		return frame{}, nil, err
	}
	e := s.out.parts[h.shard]
	switch {
	case e != nil && (h.seq <= e.last || h.arrival < e.lastArrival) || h.last() < h.seq:
		d.Reason = "frame is out of order"
		return f, d, nil
	case checksum(s.seed, payload) != h.payloadCRC:
		d.Shard, d.AllShards, d.Reason = h.shard, false, "frame fails its checksum"
	default:
		d = nil
	}
	f.intact = true
	return f, d, nil
}

// resumePoint is a batch header found by searching.
type resumePoint struct {
	offset int64 // 0 if there is none
	number uint64
}

// later searches the segment after a bad place for batch headers, until the
// first, and until one proves that the place had been synced, or to the end.
func (s *segmentScanner) later(bad int64) (first resumePoint, err error) {
	salt := s.seg.header.salt
	err = s.find(appendBatchPrefix(nil, salt), bad+1, batchHeaderSize, func(pos int64, raw []byte) (stop bool) {
		h, ok := parseBatchHeader(raw, salt)
		if !ok || h.number <= s.out.next || h.synced > uint64(pos) {
			return false
		}
		if first.offset == 0 {
			first = resumePoint{pos, h.number}
		}
		s.proof = max(s.proof, int64(h.synced))
		return s.proof > bad || s.last != 0
	})
	return first, err
}
