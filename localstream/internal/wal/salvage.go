package wal

import (
	"fmt"
	"sort"

	"github.com/shardrun/shardrun/internal/vfs"
)

// salvage is what can be kept of a damaged segment, and what is lost with it.
type salvage struct {
	header  segmentHeader
	last    uint64 // number of the last batch that it held, as far as is known
	batches []salvagedBatch
	seen    []sighting // in the order of the file
	torn    int64      // bytes at the end that were never finished
}

// salvagedBatch is a batch of which some frames are right.
type salvagedBatch struct {
	number uint64
	frames []frame // with their places in the damaged file
}

// sighting is a place of the log with records: frames that are right, a frame
// that is lost and says which records it held, or bytes that say nothing.
type sighting struct {
	shard       uint32
	first, last Mark
	records     uint64
	lost        bool
	unknown     bool // nothing of the above is known
}

// salvager walks through a damaged segment.
type salvager struct {
	window
	seg   *segment
	seed  uint32
	last  uint64 // number of the last batch of a sealed segment, 0 if not known
	proof int64  // all before this offset was synced
	heads []batchHead
	ends  map[uint32]frameHeader // the last frame kept of each shard
	out   salvage
}

// batchHead is a batch header that is right, and where it is.
type batchHead struct {
	batchHeader
	offset int64
}

func (h *batchHead) end() int64 { return h.offset + batchHeaderSize + int64(h.length) }

// salvageSegment finds all frames of a segment of size bytes that are right,
// whatever is wrong between them. With the number of the last batch given the
// segment is sealed. Otherwise it ends, as for [scanSegment], with the first
// batch that is not right and of which no later one proves that it was synced.
func salvageSegment(f vfs.File, seg *segment, size int64, last uint64) (*salvage, error) {
	s := salvager{
		window: window{file: f, size: size}, seg: seg, seed: seedOf(seg.header.salt), last: last,
		proof: segmentHeaderSize, ends: map[uint32]frameHeader{},
		out: salvage{header: seg.header, last: max(last, seg.header.first)},
	}
	if seg.header.salt == 0 {
		s.out.header.salt = newSalt()
		s.lose()
		return &s.out, nil
	}
	err := s.findHeads()
	if err == nil {
		err = s.walk()
	}
	if err != nil {
		return nil, fmt.Errorf("salvage %s: %w", seg.name, err)
	}
	return &s.out, nil
}

// findHeads finds all batch headers that are right.
func (s *salvager) findHeads() error {
	salt := s.seg.header.salt
	next := s.seg.header.first
	return s.find(appendBatchPrefix(nil, salt), segmentHeaderSize, batchHeaderSize, func(pos int64, raw []byte) (stop bool) {
		h, ok := parseBatchHeader(raw, salt)
		if ok && h.number >= next && h.synced <= uint64(pos) && (s.last == 0 || h.number <= s.last) {
			s.heads = append(s.heads, batchHead{h, pos})
			s.proof = max(s.proof, int64(h.synced))
			next = h.number + 1
		}
		return false
	})
}

// walk goes from batch header to batch header.
func (s *salvager) walk() error {
	pos, number := int64(segmentHeaderSize), s.seg.header.first
	for i := range s.heads {
		h := &s.heads[i]
		switch {
		case h.number > number: // what comes first lost its header, or is missing altogether
			if s.isTorn(pos) {
				s.tear(pos)
				return nil
			}
			if err := s.headless(pos, h.offset, number); err != nil {
				return err
			}
		case h.offset > pos:
			s.lose()
		}
		whole, err := s.batch(h)
		if err != nil {
			return err
		}
		if !whole && s.isTorn(h.offset) {
			s.tear(h.offset)
			return nil
		}
		pos, number = h.end(), h.number+1
	}
	switch {
	case s.last != 0 && number <= s.last:
		return s.headless(pos, s.size, number)
	case s.last != 0 || pos == s.size:
		return nil
	case s.isTorn(pos):
		s.tear(pos)
		return nil
	}
	return s.headless(pos, s.size, number)
}

// isTorn reports whether what begins at an offset and is not right is the torn
// end of the log.
func (s *salvager) isTorn(pos int64) bool { return s.last == 0 && pos >= s.proof }

// tear ends the segment at an offset.
func (s *salvager) tear(pos int64) { s.out.torn = s.size - pos }

// lose notes that something is gone, and that nothing tells what.
func (s *salvager) lose() {
	if n := len(s.out.seen); n == 0 || !s.out.seen[n-1].unknown {
		s.out.seen = append(s.out.seen, sighting{unknown: true})
	}
}

// headless takes in the frames between two offsets that no batch header leads
// to, as a batch of this number.
func (s *salvager) headless(from, to int64, number uint64) error {
	s.lose()
	frames, _, err := s.frames(from, to)
	s.keep(number, frames)
	return err
}

// batch takes in the frames of a batch, and reports whether all are right. Of
// one that is not, and is torn, nothing is kept.
func (s *salvager) batch(h *batchHead) (whole bool, err error) {
	seen := len(s.out.seen)
	end := min(h.end(), s.size)
	if i := sort.Search(len(s.heads), func(i int) bool { return s.heads[i].offset > h.offset }); i < len(s.heads) {
		end = min(end, s.heads[i].offset)
	}
	frames, whole, err := s.frames(h.offset+batchHeaderSize, end)
	if err != nil {
		return false, err
	}
	if end < h.end() || whole && len(frames) != int(h.frames) {
		whole = false
		s.lose()
	}
	if !whole && s.isTorn(h.offset) {
		s.out.seen = s.out.seen[:seen]
		return false, nil
	}
	s.keep(h.number, frames)
	return whole, nil
}

func (s *salvager) keep(number uint64, frames []frame) {
	s.out.batches = append(s.out.batches, salvagedBatch{number, frames})
	s.out.last = max(s.out.last, number)
}

// frames reads all frames between two offsets. whole is false if there is
// anything else between them.
func (s *salvager) frames(from, to int64) (frames []frame, whole bool, err error) {
	whole = true
	for from < to {
		f, right, err := s.frame(from, to)
		switch {
		case err != nil:
			return nil, false, err
		case f.intact && right:
			frames = append(frames, f)
			s.see(f, false)
			from += f.size()
			continue
		case f.intact:
			s.see(f, true)
			from += f.size()
		default:
			s.lose()
			if from, err = s.nextFrame(from+1, to); err != nil {
				return nil, false, err
			}
		}
		whole = false
	}
	return frames, whole, nil
}

// frame reads the frame at pos, which ends at end at the latest. It is intact if
// the header is right, which then says which records there were.
func (s *salvager) frame(pos, end int64) (f frame, right bool, err error) {
	if pos+frameHeaderSize > end {
		return f, false, nil
	}
	raw, err := s.at(pos, frameHeaderSize)
	if err != nil {
		return f, false, err
	}
	h, ok := parseFrameHeader(raw, s.seed)
	before, known := s.ends[h.shard]
	if !ok || h.last() < h.seq || known && (h.seq <= before.last() || h.arrival < before.lastArrival()) {
		return f, false, nil
	}
	f = frame{frameHeader: h, offset: pos, intact: true}
	s.ends[h.shard] = h
	if pos+f.size() > end {
		return f, false, nil
	}
	payload, err := s.at(pos+frameHeaderSize, int(h.length))
	if err != nil {
		return f, false, err
	}
	return f, checksum(s.seed, payload) == h.payloadCRC, nil
}

func (s *salvager) see(f frame, lost bool) {
	s.out.seen = append(s.out.seen, sighting{shard: f.shard, records: uint64(f.count), lost: lost,
		first: Mark{f.seq, f.arrival}, last: Mark{f.last(), f.lastArrival()}})
}

// nextFrame returns the offset of the first frame header between two offsets
// that is right, or the second of them.
func (s *salvager) nextFrame(from, to int64) (int64, error) {
	next := to
	err := s.find(le.AppendUint32(nil, frameMagic), from, frameHeaderSize, func(pos int64, raw []byte) (stop bool) {
		if pos+frameHeaderSize > to {
			return true
		}
		if _, ok := parseFrameHeader(raw, s.seed); !ok {
			return false
		}
		next = pos
		return true
	})
	return next, err
}
