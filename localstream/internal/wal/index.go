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

// extent is the part of a shard that is in one segment.
type extent struct {
	seg                       *segment
	first, last               uint64 // sequence numbers
	firstArrival, lastArrival int64
	records                   uint64

	// blocks is the index of the part, in order; nil when it is in the footer
	// of the segment, described by stored.
	blocks []block
	stored storedIndex
}

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
	sealed bool
	damage []*DamageError // where it was found

	// next and arrival are of the appends: the number of the next record, and
	// the arrival of the last.
	next    uint64
	arrival int64
	// tip and tipArrival are of the readers: the number after the last
	// committed record, and its arrival.
	tip        uint64
	tipArrival int64

	extents []extent      // oldest first
	changed chan struct{} // closed at the next change, nil while nobody waits

	batch []*Record // what the running commit writes to the shard
}

// add appends a committed frame.
func (s *shard) add(seg *segment, h frameHeader, offset int64) {
	n := len(s.extents)
	if n == 0 || s.extents[n-1].seg != seg {
		s.extents = append(s.extents, extent{seg: seg})
		n++
	}
	s.extents[n-1].add(h, offset)
	s.tip, s.tipArrival = h.last()+1, h.lastArrival()
}

// wake tells those who wait for a change of the shard.
func (s *shard) wake() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// find returns the index of the first extent with a record numbered from or
// higher that arrived at since or later.
func (s *shard) find(from uint64, since int64) int {
	after, _ := slices.BinarySearchFunc(s.extents, from, func(e extent, seq uint64) int { return cmp.Compare(e.last, seq) })
	later, _ := slices.BinarySearchFunc(s.extents, since, func(e extent, t int64) int {
		if e.lastArrival < t {
			return -1
		}
		return 1
	})
	return max(after, later)
}
