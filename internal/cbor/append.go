package cbor

import (
	"encoding/binary"
	"math"
	"time"
)

// The major types of CBOR, in the upper three bits of an item's first byte.
const (
	majorUint   = 0 << 5
	majorNegInt = 1 << 5
	majorBytes  = 2 << 5
	majorText   = 3 << 5
	majorArray  = 4 << 5
	majorMap    = 5 << 5
	majorTag    = 6 << 5
	majorSimple = 7 << 5
)

// What the lower five bits of a first byte say.
const (
	info8Bits  = 24 // the argument is in the next byte
	info16Bits = 25
	info32Bits = 26
	info64Bits = 27
	infoOpen   = 31 // there is no length: a break ends the item
)

// Items of one byte.
const (
	itemFalse     = majorSimple | 20
	itemTrue      = majorSimple | 21
	itemNull      = majorSimple | 22
	itemUndefined = majorSimple | 23
	itemFloat16   = majorSimple | info16Bits
	itemFloat32   = majorSimple | info32Bits
	itemFloat64   = majorSimple | info64Bits
	itemBreak     = majorSimple | infoOpen
)

// tagEpoch marks a time since 1970.
const tagEpoch = 1

// appendHead appends the first bytes of an item, in the shortest form.
func appendHead(dst []byte, major byte, n uint64) []byte {
	switch {
	case n < info8Bits:
		return append(dst, major|byte(n))
	case n <= math.MaxUint8:
		return append(dst, major|info8Bits, byte(n))
	case n <= math.MaxUint16:
		return append(dst, major|info16Bits, byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, major|info32Bits), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|info64Bits), n)
}

// AppendInt appends a number.
func AppendInt(dst []byte, n int64) []byte {
	if n < 0 {
		return appendHead(dst, majorNegInt, uint64(^n))
	}
	return appendHead(dst, majorUint, uint64(n))
}

// AppendText appends a string.
func AppendText[T string | []byte](dst []byte, s T) []byte {
	return append(appendHead(dst, majorText, uint64(len(s))), s...)
}

// AppendBytes appends a blob.
func AppendBytes(dst, v []byte) []byte { return append(AppendBytesHead(dst, len(v)), v...) }

// AppendBytesHead begins a blob of n bytes, which follow.
func AppendBytesHead(dst []byte, n int) []byte { return appendHead(dst, majorBytes, uint64(n)) }

// TextSize is the length of a string, or a blob, of n bytes once it is written.
func TextSize(n int) int { return headSize(uint64(n)) + n }

// IntSize is the length of a number once it is written.
func IntSize(n int64) int {
	if n < 0 {
		n = ^n
	}
	return headSize(uint64(n))
}

// headSize is the length of the first bytes of an item.
func headSize(n uint64) int {
	switch {
	case n < info8Bits:
		return 1
	case n <= math.MaxUint8:
		return 2
	case n <= math.MaxUint16:
		return 3
	case n <= math.MaxUint32:
		return 5
	}
	return 9
}

// AppendArray begins an array of n items, which follow.
func AppendArray(dst []byte, n int) []byte { return appendHead(dst, majorArray, uint64(n)) }

// AppendMap begins a map of n pairs, which follow, the key first.
func AppendMap(dst []byte, n int) []byte { return appendHead(dst, majorMap, uint64(n)) }

// AppendOpenArray begins an array that [AppendBreak] ends.
func AppendOpenArray(dst []byte) []byte { return append(dst, majorArray|infoOpen) }

// AppendOpenMap begins a map that [AppendBreak] ends.
func AppendOpenMap(dst []byte) []byte { return append(dst, majorMap|infoOpen) }

// AppendBreak ends an open array or map.
func AppendBreak(dst []byte) []byte { return append(dst, itemBreak) }

// AppendBool appends true or false.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, itemTrue)
	}
	return append(dst, itemFalse)
}

// AppendNull appends null.
func AppendNull(dst []byte) []byte { return append(dst, itemNull) }

// AppendFloat appends a number of 64 bits.
func AppendFloat(dst []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, itemFloat64), math.Float64bits(v))
}

// AppendTime appends a time the way Kinesis answers: milliseconds since 1970 as
// a bare integer. The AWS SDK for Java fails on a float.
func AppendTime(dst []byte, t time.Time) []byte { return AppendInt(dst, t.UnixMilli()) }

// AppendTaggedTime appends a time the way Kinesis is asked: milliseconds since
// 1970 under tag 1. (RFC 8949 has seconds there.)
func AppendTaggedTime(dst []byte, t time.Time) []byte {
	return AppendInt(append(dst, majorTag|tagEpoch), t.UnixMilli())
}
