package wal

import (
	"cmp"
	"slices"
)

// block is where records of a shard are: one frame, or several that stand so
// close together that they are read at once. What is between them belongs to
// other shards.
type block struct {
	seq     uint64 // of its first record
	arrival int64  // of its first record
	offset  uint32
	length  uint32
}

// Frames are joined into a block while it stays below maxBlockBytes and the
// next frame follows within maxBlockGap.
const (
	maxBlockBytes = 64 << 10
	maxBlockGap   = 4 << 10
)

func (b block) end() uint32 { return b.offset + b.length }

// extent is the part of a shard that is in one segment, with its index.
type extent struct {
	seg                       *segment
	first, last               uint64 // sequence numbers
	firstArrival, lastArrival int64
	records                   uint64

	// blocks is the index of the part, in order, unless it is in the footer of
	// the segment, described by stored.
	blocks []block
	stored storedIndex
}

// sealedExtent is what is remembered of the part of a shard that is in a sealed
// segment. A log has very many of them: one for each shard in each segment.
type sealedExtent struct {
	seg         *segment
	last        uint64 // sequence number
	lastArrival int64
	stored      storedIndex
}

func (e *extent) sealed() sealedExtent { return sealedExtent{e.seg, e.last, e.lastArrival, e.stored} }

// storedIndex says where in a footer the blocks of a shard are.
type storedIndex struct {
	offset uint32
	blocks uint32
	crc    uint32
}

// add appends a frame at an offset of the extent's segment.
func (e *extent) add(h frameHeader, offset int64) {
	if e.records == 0 {
		e.first, e.firstArrival = h.seq, h.arrival
	}
	e.last, e.lastArrival = h.last(), h.lastArrival()
	e.records += uint64(h.count)

	at, length := uint32(offset), frameHeaderSize+h.length
	if n := len(e.blocks); n > 0 {
		b := &e.blocks[n-1]
		if at-b.end() <= maxBlockGap && uint64(at-b.offset)+uint64(length) <= maxBlockBytes {
			b.length = at + length - b.offset
			return
		}
	}
	e.blocks = append(e.blocks, block{seq: h.seq, arrival: h.arrival, offset: at, length: length})
}

// search returns the index of the first block that can hold a record numbered
// from or higher that arrived at since or later; len(blocks) when the extent
// has no such record.
func search(blocks []block, from uint64, since int64) int {
	after, _ := slices.BinarySearchFunc(blocks, from, func(b block, seq uint64) int {
		if b.seq <= seq {
			return -1
		}
		return 1
	})
	later, _ := slices.BinarySearchFunc(blocks, since, func(b block, t int64) int { return cmp.Or(cmp.Compare(b.arrival, t), 1) })
	return max(after-1, later-1, 0)
}

// shard is what the log knows of one shard. It is guarded by Log.mu, except
// for id, and batch, which belongs to the leader.
type shard struct {
	id     uint32
	open   bool
	closed bool           // sealed: it takes no more records
	damage []*DamageError // where it was found

	// next and arrival are of the appends: the number of the next record, and
	// the arrival of the last.
	next    uint64
	arrival int64
	// tip and tipArrival are of the readers: the number after the last
	// committed record, and its arrival.
	tip        uint64
	tipArrival int64

	sealed  []sealedExtent       // oldest first
	rebuilt map[*segment][]block // the indexes of those whose segment has no good footer
	active  extent               // in the active segment; its seg is nil when there is nothing
	changed chan struct{}        // closed at the next change, nil while nobody waits

	batch []*Record // what the running commit writes to the shard
}

// add appends a committed frame.
func (s *shard) add(seg *segment, h frameHeader, offset int64) {
	s.active.seg = seg
	s.active.add(h, offset)
	s.tip, s.tipArrival = h.last()+1, h.lastArrival()
}

// seal moves what is in the active segment to the sealed ones.
func (s *shard) seal(stored storedIndex) {
	s.active.stored = stored
	s.sealed = append(s.sealed, s.active.sealed())
	s.active = extent{}
}

// wake tells those who wait for a change of the shard.
func (s *shard) wake() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// find returns the index of the first sealed extent with a record numbered from
// or higher that arrived at since or later.
func (s *shard) find(from uint64, since int64) int {
	after, _ := slices.BinarySearchFunc(s.sealed, from, func(e sealedExtent, seq uint64) int { return cmp.Compare(e.last, seq) })
	later, _ := slices.BinarySearchFunc(s.sealed, since, func(e sealedExtent, t int64) int {
		if e.lastArrival < t {
			return -1
		}
		return 1
	})
	return max(after, later)
}
