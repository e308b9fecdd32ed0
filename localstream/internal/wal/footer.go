package wal

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/shardrun/shardrun/internal/vfs"
)

// A sealed segment ends in a footer, from which the log is opened without
// reading the batches:
//
//	blocks     for each shard, for each of its blocks: seq 8 · arrival 8 · offset 4 · length 4
//	directory  for each shard: shard 4 · blocks 4 · offset of its blocks 4 · their crc 4
//	           · records 8 · first seq 8 · last seq 8 · first arrival 8 · last arrival 8
//	trailer    magic 8 · directory offset 4 · shards 4 · directory crc 4 · crc 4 · last batch 8
const (
	footerMagic   = "shardidx"
	blockSize     = 24
	directorySize = 56
	trailerSize   = 32
)

// part is what one segment holds of one shard.
type part struct {
	shard uint32
	extent
}

// appendFooter adds the footer of a segment to b, which is written at the given
// offset, and sets where in it the blocks of each part are. Parts are in order
// of their shards.
func appendFooter(b []byte, offset int64, salt uint64, parts []part, last uint64) []byte {
	start := len(b)
	seed := seedOf(salt)
	for i := range parts {
		p, at := &parts[i], len(b)
		for _, bl := range p.blocks {
			b = le.AppendUint64(b, bl.seq)
			b = le.AppendUint64(b, uint64(bl.arrival))
			b = le.AppendUint32(b, bl.offset)
			b = le.AppendUint32(b, bl.length)
		}
		p.stored = storedIndex{offset: uint32(offset) + uint32(at-start), blocks: uint32(len(p.blocks)), crc: checksum(seed, b[at:])}
	}
	at := len(b)
	for i := range parts {
		p := &parts[i]
		b = le.AppendUint32(b, p.shard)
		b = le.AppendUint32(b, p.stored.blocks)
		b = le.AppendUint32(b, p.stored.offset)
		b = le.AppendUint32(b, p.stored.crc)
		b = le.AppendUint64(b, p.records)
		b = le.AppendUint64(b, p.first)
		b = le.AppendUint64(b, p.last)
		b = le.AppendUint64(b, uint64(p.firstArrival))
		b = le.AppendUint64(b, uint64(p.lastArrival))
	}
	directoryCRC := checksum(seed, b[at:])
	trailer := len(b)
	b = append(b, footerMagic...)
	b = le.AppendUint32(b, uint32(offset)+uint32(at-start))
	b = le.AppendUint32(b, uint32(len(parts)))
	b = le.AppendUint32(b, directoryCRC)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, last)
	le.PutUint32(b[trailer+20:], trailerChecksum(b[trailer:], seed))
	return b
}

func trailerChecksum(b []byte, seed uint32) uint32 {
	return checksum(checksum(seed, b[:20]), b[24:trailerSize])
}

// trailer is the end of a footer.
type trailer struct {
	directory int64 // offset
	shards    int
	crc       uint32 // of the directory
	last      uint64 // number of the segment's last batch
}

// readTrailer reads the end of a segment of size bytes. ok is false when no
// footer ends there, which for the last segment of a log is usual.
func readTrailer(f vfs.File, size int64, salt uint64) (t trailer, ok bool, err error) {
	if size < segmentHeaderSize+trailerSize {
		return trailer{}, false, nil
	}
	b := make([]byte, trailerSize)
	if err := readFull(f, b, size-trailerSize); err != nil {
		return trailer{}, false, err
	}
	if string(b[:8]) != footerMagic || le.Uint32(b[20:]) != trailerChecksum(b, seedOf(salt)) {
		return trailer{}, false, nil
	}
	t = trailer{directory: int64(le.Uint32(b[8:])), shards: int(le.Uint32(b[12:])), crc: le.Uint32(b[16:]), last: le.Uint64(b[24:])}
	return t, t.directory+int64(t.shards)*directorySize == size-trailerSize, nil
}

var errBadFooter = errors.New("footer fails its checksum")

// readDirectory calls visit with what a footer says of each shard. It uses the
// memory of buf, and gives it back to be used again.
func readDirectory(f vfs.File, seg *segment, t trailer, buf []byte, visit func(part)) ([]byte, error) {
	buf = slices.Grow(buf[:0], t.shards*directorySize)[:t.shards*directorySize]
	if err := readFull(f, buf, t.directory); err != nil {
		return buf, err
	}
	if checksum(seedOf(seg.header.salt), buf) != t.crc {
		return buf, errBadFooter
	}
	for b := buf; len(b) > 0; b = b[directorySize:] {
		visit(part{le.Uint32(b), extent{
			seg:          seg,
			stored:       storedIndex{blocks: le.Uint32(b[4:]), offset: le.Uint32(b[8:]), crc: le.Uint32(b[12:])},
			records:      le.Uint64(b[16:]),
			first:        le.Uint64(b[24:]),
			last:         le.Uint64(b[32:]),
			firstArrival: int64(le.Uint64(b[40:])),
			lastArrival:  int64(le.Uint64(b[48:])),
		}})
	}
	return buf, nil
}

// readBlocks reads the index of one shard from a footer.
func readBlocks(f vfs.File, seg *segment, st storedIndex) ([]block, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if int64(st.offset)+int64(st.blocks)*blockSize > size {
		return nil, errBadFooter
	}
	b := make([]byte, int(st.blocks)*blockSize)
	if err := readFull(f, b, int64(st.offset)); err != nil {
		return nil, err
	}
	if checksum(seedOf(seg.header.salt), b) != st.crc {
		return nil, errBadFooter
	}
	blocks := make([]block, 0, st.blocks)
	for ; len(b) > 0; b = b[blockSize:] {
		blocks = append(blocks, block{seq: le.Uint64(b), arrival: int64(le.Uint64(b[8:])), offset: le.Uint32(b[16:]), length: le.Uint32(b[20:])})
	}
	return blocks, nil
}

// errShort means that a file ends before what was committed to it.
var errShort = errors.New("file is shorter than what was committed")

// readFull fills b from an offset.
func readFull(f vfs.File, b []byte, off int64) error {
	n, err := f.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("read %d bytes at %d: %w", len(b), off, errShort)
	}
	return fmt.Errorf("read %d bytes at %d: %w", len(b), off, err)
}
