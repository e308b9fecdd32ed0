package cbor

import (
	"encoding/binary"
	"fmt"
	"math"
)

// maxDepth bounds the nesting of maps, arrays and tags where nobody says
// otherwise. The deepest message of Kinesis has six levels.
const maxDepth = 8

// SyntaxError says that a buffer is not CBOR, or more of it than is taken.
type SyntaxError struct {
	Offset int // of the item
	Reason string
}

// Error gives place and reason.
func (e *SyntaxError) Error() string { return fmt.Sprintf("cbor: %s at byte %d", e.Reason, e.Offset) }

// Kind is what an item is.
type Kind uint8

// The kinds.
const (
	Invalid Kind = iota // no item of ours, or the end of the buffer
	Int                 // a number without a fraction
	Float               // a number of 16, 32 or 64 bits
	Bytes               // a blob
	Text                // a string
	Array
	Map
	Bool
	Null // or undefined
	Tag  // a tag in front of another item
	Break
)

// Reader walks over the items of a buffer. Its methods leave it behind the item
// that they read, or fail with a [*SyntaxError], after which it is of no use.
// Where a method wants a kind, an item of another one is a *SyntaxError too; who
// wants to say more about it looks at [Reader.Kind] first.
type Reader struct {
	// Chunks allows strings without a length, which come in pieces.
	Chunks bool
	// MaxDepth is how many maps, arrays and tags may be in one another. [NewReader]
	// sets it to 8.
	MaxDepth int

	buf   []byte
	pos   int
	depth int
}

// NewReader makes a reader that is in front of the first item of buf.
func NewReader(buf []byte) Reader { return Reader{MaxDepth: maxDepth, buf: buf} }

// Offset is how many bytes lie behind the reader.
func (r *Reader) Offset() int { return r.pos }

// End fails if there is anything left.
func (r *Reader) End() error {
	if r.pos != len(r.buf) {
		return r.bad("something follows the message")
	}
	return nil
}

func (r *Reader) bad(reason string) error { return &SyntaxError{Offset: r.pos, Reason: reason} }

// Kind is the kind of the next item.
func (r *Reader) Kind() Kind {
	if r.pos >= len(r.buf) {
		return Invalid
	}
	c := r.buf[r.pos]
	switch c &^ 0x1f {
	case majorUint, majorNegInt:
		return Int
	case majorBytes:
		return Bytes
	case majorText:
		return Text
	case majorArray:
		return Array
	case majorMap:
		return Map
	case majorTag:
		return Tag
	}
	switch c {
	case itemFalse, itemTrue:
		return Bool
	case itemNull, itemUndefined:
		return Null
	case itemFloat16, itemFloat32, itemFloat64:
		return Float
	case itemBreak:
		return Break
	}
	return Invalid
}

// head reads the first bytes of an item: its first byte and its argument. It
// does not move when it fails.
func (r *Reader) head() (first byte, n uint64, err error) {
	rest := r.buf[r.pos:]
	if len(rest) == 0 {
		return 0, 0, r.bad("unexpected end")
	}
	first = rest[0]
	info := first & 0x1f
	if info < info8Bits {
		r.pos++
		return first, uint64(info), nil
	}
	size := 1
	switch {
	case info <= info64Bits:
		size += 1 << (info - info8Bits)
	case info != infoOpen || !mayBeOpen(first):
		return 0, 0, r.bad("reserved length")
	}
	if len(rest) < size {
		return 0, 0, r.bad("unexpected end")
	}
	switch size {
	case 2:
		n = uint64(rest[1])
	case 3:
		n = uint64(binary.BigEndian.Uint16(rest[1:]))
	case 5:
		n = uint64(binary.BigEndian.Uint32(rest[1:]))
	case 9:
		n = binary.BigEndian.Uint64(rest[1:])
	}
	r.pos += size
	return first, n, nil
}

// mayBeOpen reports whether an item can be without a length.
func mayBeOpen(first byte) bool { return majorBytes <= first && first < majorTag }

// Null skips the next item if it is null, and reports whether it was.
func (r *Reader) Null() bool {
	if r.pos >= len(r.buf) || r.buf[r.pos] != itemNull && r.buf[r.pos] != itemUndefined {
		return false
	}
	r.pos++
	return true
}

// Bool reads true or false.
func (r *Reader) Bool() (bool, error) {
	if r.Kind() != Bool {
		return false, r.bad("want true or false")
	}
	v := r.buf[r.pos] == itemTrue
	r.pos++
	return v, nil
}

// Int reads a number. One that does not fit is clamped.
func (r *Reader) Int() (int64, error) {
	if r.Kind() != Int {
		return 0, r.bad("want an integer")
	}
	first, n, err := r.head()
	if err != nil {
		return 0, err
	}
	n = min(n, math.MaxInt64)
	if first&^0x1f == majorNegInt {
		return ^int64(n), nil
	}
	return int64(n), nil
}

// Float reads a number of any form.
func (r *Reader) Float() (float64, error) {
	switch r.Kind() {
	case Int:
		n, err := r.Int()
		return float64(n), err
	case Float:
	default:
		return 0, r.bad("want a number")
	}
	first, n, err := r.head()
	if err != nil {
		return 0, err
	}
	switch first {
	case itemFloat16:
		return float16(uint16(n)), nil
	case itemFloat32:
		return float64(math.Float32frombits(uint32(n))), nil
	}
	return math.Float64frombits(n), nil
}

// float16 is the value of a number of 16 bits.
func float16(bits uint16) float64 {
	exponent, fraction := int(bits>>10&0x1f), float64(bits&0x3ff)
	var v float64
	switch exponent {
	case 0:
		v = math.Ldexp(fraction, -24)
	case 31:
		if v = math.Inf(1); fraction != 0 {
			v = math.NaN()
		}
	default:
		v = math.Ldexp(1024+fraction, exponent-25)
	}
	if bits&0x8000 != 0 {
		return -v
	}
	return v
}

// Millis reads a time: milliseconds since 1970, as an integer or a float, with
// tag 1 in front or without. A fraction is cut off, what does not fit clamped.
func (r *Reader) Millis() (int64, error) {
	if r.Kind() == Tag {
		at := r.pos
		_, tag, err := r.head()
		if err != nil {
			return 0, err
		}
		if tag != tagEpoch {
			r.pos = at
			return 0, r.bad("want tag 1 or none in front of a time")
		}
	}
	if r.Kind() == Int {
		return r.Int()
	}
	v, err := r.Float()
	switch {
	case err != nil:
		return 0, err
	case math.IsNaN(v):
		return 0, nil
	case v >= math.MaxInt64:
		return math.MaxInt64, nil
	case v <= math.MinInt64:
		return math.MinInt64, nil
	}
	return int64(v), nil
}

// Text reads a string. It is a part of the buffer, and may not be UTF-8.
func (r *Reader) Text() ([]byte, error) {
	if n := r.short(); n >= 0 && n <= len(r.buf)-r.pos-1 { // as names mostly are
		from := r.pos + 1
		r.pos = from + n
		return r.buf[from:r.pos:r.pos], nil
	}
	if r.Kind() != Text {
		return nil, r.bad("want a string")
	}
	return r.str()
}

// short is the length of the next item if that is a string of less than 24
// bytes, or else -1.
func (r *Reader) short() int {
	if r.pos < len(r.buf) {
		if c := r.buf[r.pos]; majorText <= c && c < majorText+info8Bits {
			return int(c - majorText)
		}
	}
	return -1
}

// Bytes reads a blob. It is a part of the buffer, with no room to grow.
func (r *Reader) Bytes() ([]byte, error) {
	if r.Kind() != Bytes {
		return nil, r.bad("want a blob")
	}
	return r.str()
}

// str reads a string or a blob.
func (r *Reader) str() ([]byte, error) {
	at := r.pos
	first, n, err := r.head()
	if err != nil {
		return nil, err
	}
	if first&0x1f == infoOpen {
		if !r.Chunks {
			r.pos = at
			return nil, r.bad("string without a length")
		}
		return r.chunks(first &^ 0x1f)
	}
	if n > uint64(len(r.buf)-r.pos) {
		r.pos = at
		return nil, r.bad("string longer than the message")
	}
	end := r.pos + int(n)
	v := r.buf[r.pos:end:end]
	r.pos = end
	return v, nil
}

// chunks reads the pieces of a string, of a major type, to the break: first how
// long they are together, then what they say.
func (r *Reader) chunks(major byte) ([]byte, error) {
	from, size := r.pos, 0
	for r.Kind() != Break {
		piece, err := r.piece(major)
		if err != nil {
			return nil, err
		}
		size += len(piece)
	}
	all := make([]byte, 0, size)
	for r.pos = from; r.Kind() != Break; {
		piece, err := r.piece(major)
		if err != nil {
			return nil, err
		}
		all = append(all, piece...)
	}
	r.pos++
	return all, nil
}

// piece reads a piece of a string of a major type.
func (r *Reader) piece(major byte) ([]byte, error) {
	if r.pos >= len(r.buf) || r.buf[r.pos]&^0x1f != major || r.buf[r.pos]&0x1f == infoOpen {
		return nil, r.bad("want a piece of a string, or its end")
	}
	return r.str()
}
