package aggregate

import "crypto/md5"

// Magic is how every aggregate begins.
const Magic = "\xf3\x89\x9a\xc2"

// Overhead is the size in bytes of an aggregate around its protobuf message.
const Overhead = len(Magic) + md5.Size

// MaxRecords is how many user records one aggregate may hold, and how many
// entries each of its tables may have. It bounds what a few megabytes of hostile
// input can make the decoder allocate; the smallest user record takes 6 bytes,
// so no aggregate of less than 6 MiB can reach it.
const MaxRecords = 1 << 20

// Protobuf wire types.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// Tags of the fields: field number << 3 | wire type. All fit in one byte.
const (
	tagPartitionKey = 1<<3 | wireBytes // in AggregatedRecord
	tagHashKey      = 2<<3 | wireBytes
	tagRecord       = 3<<3 | wireBytes

	tagPartitionKeyIndex = 1<<3 | wireVarint // in Record
	tagHashKeyIndex      = 2<<3 | wireVarint
	tagData              = 3<<3 | wireBytes
	tagTag               = 4<<3 | wireBytes

	tagTagKey   = 1<<3 | wireBytes // in Tag
	tagTagValue = 2<<3 | wireBytes
)

// reader reads protobuf fields from the front of what is left of a message.
type reader struct{ b []byte }

// varint reads a number of up to ten bytes. Bits above the 64th are dropped, as
// by the protobuf libraries for Java and C++.
func (r *reader) varint() (uint64, bool) {
	var v uint64
	for i, c := range r.b {
		if i == 10 {
			break
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			r.b = r.b[i+1:]
			return v, true
		}
	}
	return 0, false
}

// bytes reads a length and that many bytes, which are a slice of the input.
func (r *reader) bytes() ([]byte, bool) {
	var n uint64
	if len(r.b) > 0 && r.b[0] < 0x80 {
		n, r.b = uint64(r.b[0]), r.b[1:]
	} else {
		var ok bool
		if n, ok = r.varint(); !ok {
			return nil, false
		}
	}
	if n > uint64(len(r.b)) {
		return nil, false
	}
	body := r.b[:n:n]
	r.b = r.b[n:]
	return body, true
}

// tag reads a field's tag and refuses what no protobuf message contains.
func (r *reader) tag() (uint64, bool) {
	if len(r.b) > 0 && r.b[0] < 0x80 {
		t := uint64(r.b[0])
		r.b = r.b[1:]
		return t, t >= 1<<3
	}
	t, ok := r.varint()
	return t, ok && t>>3 != 0 && t>>3 < 1<<29
}

// skip passes over the value of a field that is not known. Groups, which no
// writer of this format has ever used, are refused.
func (r *reader) skip(tag uint64) bool {
	var n int
	switch tag & 7 {
	case wireVarint:
		_, ok := r.varint()
		return ok
	case wireBytes:
		_, ok := r.bytes()
		return ok
	case wireFixed64:
		n = 8
	case wireFixed32:
		n = 4
	default:
		return false
	}
	if len(r.b) < n {
		return false
	}
	r.b = r.b[n:]
	return true
}

// uvarintLen is the number of bytes that v takes as a varint.
func uvarintLen(v uint64) int {
	n := 1
	for v >= 0x80 {
		v >>= 7
		n++
	}
	return n
}
