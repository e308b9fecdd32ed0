package wal

import (
	"encoding/binary"
	"errors"
	"math"
)

// The payload of a frame is in three parts, so that a reader finds all records
// by one walk over a few bytes and makes one string of all their keys:
//
//	meta  for each record: arrival after the one before, length of key,
//	      explicit hash key and data, as varints
//	text  the keys and explicit hash keys
//	data  the payloads of the records
//
// targetFrameBytes is when a frame takes no further records. It is what a read
// of a single record reads and checks at most, unless the record is larger.
const targetFrameBytes = 64 << 10

// frame is a frame that is to be written: its header but for the checksum, and
// its records, whose numbers follow one another.
type frame struct {
	frameHeader
	owner  *shard
	recs   []*Record
	offset int64 // in the segment, once placed
	intact bool  // scanned: the header is in order, whatever the payload is
}

func (f *frame) size() int64 { return frameHeaderSize + int64(f.length) }

// appendFrames cuts the records of one shard, in order, into frames.
func appendFrames(frames []frame, owner *shard, recs []*Record) []frame {
	for len(recs) > 0 {
		f, n := nextFrame(recs)
		f.owner = owner
		frames, recs = append(frames, f), recs[n:]
	}
	return frames
}

// nextFrame makes a frame of the first n records.
func nextFrame(recs []*Record) (f frame, n int) {
	first := recs[0]
	f.shard, f.seq, f.arrival = first.Shard, first.Seq, first.Arrival
	var meta, text, data int
	prev := first.Arrival
	for _, r := range recs {
		fits := n == 0 || meta+text+data+r.size() <= targetFrameBytes
		follows := r.Seq == f.seq+uint64(n) && r.Arrival-f.arrival <= math.MaxUint32
		if !fits || !follows {
			break
		}
		meta += varintLen(uint64(r.Arrival-prev)) + varintLen(uint64(len(r.Key))) +
			varintLen(uint64(len(r.HashKey))) + varintLen(uint64(len(r.Data)))
		text += len(r.Key) + len(r.HashKey)
		data += len(r.Data)
		prev = r.Arrival
		n++
	}
	f.recs = recs[:n]
	f.count = uint32(n)
	f.span = uint32(prev - f.arrival)
	f.metaLen, f.textLen, f.length = uint32(meta), uint32(text), uint32(meta+text+data)
	return f, n
}

func varintLen(x uint64) int {
	n := 1
	for ; x >= 0x80; x >>= 7 {
		n++
	}
	return n
}

// appendHead adds the frame up to its data: header, meta and text. The data
// follows as it is in the records.
func (f *frame) appendHead(b []byte, seed uint32) []byte {
	at := len(b)
	b = append(b, make([]byte, frameHeaderSize)...)
	prev := f.arrival
	for _, r := range f.recs {
		b = binary.AppendUvarint(b, uint64(r.Arrival-prev))
		b = binary.AppendUvarint(b, uint64(len(r.Key)))
		b = binary.AppendUvarint(b, uint64(len(r.HashKey)))
		b = binary.AppendUvarint(b, uint64(len(r.Data)))
		prev = r.Arrival
	}
	for _, r := range f.recs {
		b = append(b, r.Key...)
		b = append(b, r.HashKey...)
	}
	crc := checksum(seed, b[at+frameHeaderSize:])
	for _, r := range f.recs {
		crc = checksum(crc, r.Data)
	}
	f.payloadCRC = crc
	f.put(b[at:at+frameHeaderSize], seed)
	return b
}

var errBadPayload = errors.New("frame does not hold the records that its header says")

// frameReader yields the records of one frame in order.
type frameReader struct {
	header frameHeader
	meta   []byte
	text   string
	data   []byte

	read    uint32
	arrival int64
}

// newFrameReader reads a payload whose checksum was found right. The records
// share its memory.
func newFrameReader(h frameHeader, payload []byte) frameReader {
	text := h.metaLen + h.textLen
	return frameReader{
		header:  h,
		meta:    payload[:h.metaLen],
		text:    string(payload[h.metaLen:text]),
		data:    payload[text:],
		arrival: h.arrival,
	}
}

// more reports whether the frame has a further record.
func (r *frameReader) more() bool { return r.read < r.header.count }

// next returns the next record.
func (r *frameReader) next() (Record, error) {
	delta, key, hashKey, data := r.length(), r.length(), r.length(), r.length()
	if key > uint64(len(r.text)) || hashKey > uint64(len(r.text))-key || data > uint64(len(r.data)) {
		return Record{}, errBadPayload
	}
	r.arrival += int64(delta)
	rec := Record{
		Shard:   r.header.shard,
		Seq:     r.header.seq + uint64(r.read),
		Arrival: r.arrival,
		Key:     r.text[:key],
		HashKey: r.text[key : key+hashKey],
		Data:    r.data[:data:data],
	}
	r.text, r.data = r.text[key+hashKey:], r.data[data:]
	r.read++
	return rec, nil
}

// length reads one varint of the meta part. What cannot be read is longer than
// anything, and so refused by next.
func (r *frameReader) length() uint64 {
	x, n := binary.Uvarint(r.meta)
	if n <= 0 {
		r.meta = nil
		return math.MaxUint64
	}
	r.meta = r.meta[n:]
	return x
}
