package wal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A segment is a header and batches; a sealed one ends in a footer (footer.go).
// All numbers are little-endian.
//
//	segment header  magic 8 · version 4 · crc 4 · salt 8 · first batch 8
//	batch header    magic 4 · salt 8 · crc 4 · number 8 · synced 8 · length 4 · frames 4
//	frame header    magic 4 · crc 4 · payload length 4 · payload crc 4 · shard 4 · count 4
//	                · first seq 8 · first arrival 8 · meta length 4 · text length 4 · arrival span 4
//
// A batch is what one commit wrote, and is recovered whole or not at all. Its
// header says up to which offset the segment was synced before it was written:
// that tells a torn tail from damage. The salt is random for each segment and
// goes into every checksum, so that no record can be made to look like a header
// by those who write records.
const (
	segmentMagic      = "shardlog"
	formatVersion     = 1
	segmentHeaderSize = 32
	batchMagic        = 0x42726873 // "shrB"
	batchHeaderSize   = 40
	batchPrefixSize   = 12         // magic and salt, the same in all batches of a segment
	frameMagic        = 0x46726873 // "shrF"
	frameHeaderSize   = 52
)

var le = binary.LittleEndian

// checksum adds b to a CRC32C.
func checksum(crc uint32, b []byte) uint32 {
	return crc32.Update(crc, crc32.MakeTable(crc32.Castagnoli), b)
}

// seedOf is what the checksums of a segment start from.
func seedOf(salt uint64) uint32 { return checksum(0, le.AppendUint64(nil, salt)) }

type segmentHeader struct {
	salt  uint64
	first uint64 // number of the first batch
}

func (h segmentHeader) append(b []byte) []byte {
	at := len(b)
	b = append(b, segmentMagic...)
	b = le.AppendUint32(b, formatVersion)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, h.salt)
	b = le.AppendUint64(b, h.first)
	le.PutUint32(b[at+12:], segmentChecksum(b[at:]))
	return b
}

func segmentChecksum(b []byte) uint32 {
	return checksum(checksum(0, b[:12]), b[16:segmentHeaderSize])
}

func parseSegmentHeader(b []byte) (segmentHeader, error) {
	switch {
	case len(b) < segmentHeaderSize || string(b[:8]) != segmentMagic:
		return segmentHeader{}, errors.New("not a segment of a log")
	case le.Uint32(b[12:]) != segmentChecksum(b):
		return segmentHeader{}, errors.New("segment header fails its checksum")
	case le.Uint32(b[8:]) != formatVersion:
		return segmentHeader{}, &VersionError{Version: le.Uint32(b[8:])}
	}
	return segmentHeader{salt: le.Uint64(b[16:]), first: le.Uint64(b[24:])}, nil
}

type batchHeader struct {
	number uint64
	synced uint64 // offset in the segment up to which all was synced before
	length uint32 // of the frames
	frames uint32
}

func appendBatchPrefix(b []byte, salt uint64) []byte {
	return le.AppendUint64(le.AppendUint32(b, batchMagic), salt)
}

func (h batchHeader) append(b []byte, salt uint64) []byte {
	at := len(b)
	b = appendBatchPrefix(b, salt)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, h.number)
	b = le.AppendUint64(b, h.synced)
	b = le.AppendUint32(b, h.length)
	b = le.AppendUint32(b, h.frames)
	le.PutUint32(b[at+12:], batchChecksum(b[at:]))
	return b
}

func batchChecksum(b []byte) uint32 {
	return checksum(checksum(0, b[:12]), b[16:batchHeaderSize])
}

// parseBatchHeader reports whether b begins with a batch header of the segment
// with this salt.
func parseBatchHeader(b []byte, salt uint64) (batchHeader, bool) {
	if len(b) < batchHeaderSize || le.Uint32(b) != batchMagic || le.Uint64(b[4:]) != salt ||
		le.Uint32(b[12:]) != batchChecksum(b) {
		return batchHeader{}, false
	}
	return batchHeader{
		number: le.Uint64(b[16:]),
		synced: le.Uint64(b[24:]),
		length: le.Uint32(b[32:]),
		frames: le.Uint32(b[36:]),
	}, true
}

// frameHeader describes records of one shard with consecutive numbers.
type frameHeader struct {
	length     uint32 // of the payload
	payloadCRC uint32
	shard      uint32
	count      uint32
	seq        uint64 // of the first record
	arrival    int64  // of the first record
	metaLen    uint32
	textLen    uint32
	span       uint32 // from the first record's arrival to the last one's
}

// last is the number of the frame's last record.
func (h frameHeader) last() uint64 { return h.seq + uint64(h.count) - 1 }

func (h frameHeader) lastArrival() int64 { return h.arrival + int64(h.span) }

// put writes the header to b, which is frameHeaderSize long.
func (h frameHeader) put(b []byte, seed uint32) {
	le.PutUint32(b, frameMagic)
	le.PutUint32(b[8:], h.length)
	le.PutUint32(b[12:], h.payloadCRC)
	le.PutUint32(b[16:], h.shard)
	le.PutUint32(b[20:], h.count)
	le.PutUint64(b[24:], h.seq)
	le.PutUint64(b[32:], uint64(h.arrival))
	le.PutUint32(b[40:], h.metaLen)
	le.PutUint32(b[44:], h.textLen)
	le.PutUint32(b[48:], h.span)
	le.PutUint32(b[4:], checksum(seed, b[8:frameHeaderSize]))
}

// parseFrameHeader reports whether b begins with a frame header of the segment
// with this seed.
func parseFrameHeader(b []byte, seed uint32) (frameHeader, bool) {
	if len(b) < frameHeaderSize || le.Uint32(b) != frameMagic || le.Uint32(b[4:]) != checksum(seed, b[8:frameHeaderSize]) {
		return frameHeader{}, false
	}
	h := frameHeader{
		length:     le.Uint32(b[8:]),
		payloadCRC: le.Uint32(b[12:]),
		shard:      le.Uint32(b[16:]),
		count:      le.Uint32(b[20:]),
		seq:        le.Uint64(b[24:]),
		arrival:    int64(le.Uint64(b[32:])),
		metaLen:    le.Uint32(b[40:]),
		textLen:    le.Uint32(b[44:]),
		span:       le.Uint32(b[48:]),
	}
	whole := uint64(h.metaLen)+uint64(h.textLen) <= uint64(h.length)
	return h, whole && h.count > 0 && h.count <= h.metaLen
}
