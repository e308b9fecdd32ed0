package state

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// MaxIndex is the greatest index of a sequence number. The number that closes
// a shard has it, so no record ever does.
const MaxIndex = 1<<63 - 1

// Sequence is a sequence number in its parts. Kinesis makes a number of 186
// bits of them, written in 47 hexadecimal digits before it becomes decimal
// text:
//
//	2 · shard creation, seconds (9) · shard & 15 (1) · index (16) ·
//	00 · record time, seconds (9) · shard (8) · version 2 (1)
//
// So within a shard the index alone orders records, and a child shard, created
// at a later second than its parents, has greater numbers than they have. The
// layout was observed on AWS by the authors of kinesalite.
type Sequence struct {
	CreateSecs int64  // when the shard was created, Unix seconds
	Index      uint64 // rises with every record of the shard, at most MaxIndex
	Secs       int64  // when the record arrived, Unix seconds
	Shard      uint32 // the shard's number, below 2^31
	Version    uint8  // 2; parsed numbers may also be of versions 0 and 1
}

// bits192 is an unsigned number, least significant word first.
type bits192 [3]uint64

// Append appends the number in decimal to dst. It writes version 2.
func (s Sequence) Append(dst []byte) []byte {
	return bits192{
		uint64(s.Secs)<<36 | uint64(s.Shard)<<4 | 2,
		s.Index<<16 | uint64(s.Secs)>>28,
		2<<56 | uint64(s.CreateSecs)<<20 | uint64(s.Shard&15)<<16 | s.Index>>48,
	}.appendDecimal(dst)
}

// String is the number in decimal, as version 2.
func (s Sequence) String() string { return string(s.Append(make([]byte, 0, 57))) }

// The reasons why a text is not a sequence number that Kinesis made.
var (
	errDigits   = errors.New("sequence number is not a decimal number")
	errRange    = errors.New("sequence number is out of range")
	errVersion  = errors.New("sequence number is of an unknown version")
	errTooHigh  = errors.New("sequence number has an index or a shard that is too high")
	errTooLarge = errors.New("sequence number has a date that is too large")
)

// maxCreateSecsV0 is the first creation second that AWS refuses in a number
// of version 0.
const maxCreateSecsV0 = 16025175000

// ParseSequence reads a sequence number of any version that Kinesis accepts:
// 2, which is what this package writes, 1, and 0, to which small numbers such
// as "0" belong as well.
func ParseSequence(text string) (Sequence, error) {
	n, err := parseDecimal(text)
	if err != nil {
		return Sequence{}, err
	}
	switch {
	case n[2] == 0 && n[1]>>60 == 0: // below 2^124: the leading digit was left out
		n[1] |= 1 << 60
		return parseV0(n)
	case n[2] == 0:
		return parseV0(n)
	case n[2]>>56 != 2:
		return Sequence{}, errRange
	}
	s := Sequence{
		CreateSecs: int64(n[2] >> 20 & (1<<36 - 1)),
		Shard:      uint32(n[0] >> 4),
		Version:    uint8(n[0] & 15),
	}
	switch s.Version {
	case 1:
		// 2 · creation (9) · shard & 15 · 00 · time (9) · random (14) · index (2) · shard (8) · 1
		s.Secs = int64(n[2]&0xff)<<28 | int64(n[1]>>36)
		s.Index = n[0] >> 36 & 0xff
	case 2:
		s.Index = n[2]<<48 | n[1]>>16
		s.Secs = int64(n[1]&0xff)<<28 | int64(n[0]>>36)
	default:
		return Sequence{}, errVersion
	}
	if s.Index > MaxIndex || s.Shard > maxShard {
		return Sequence{}, errTooHigh
	}
	return s, nil
}

// parseV0 reads 1 · creation (9) · 00 · random (16) · shard (4).
func parseV0(n bits192) (Sequence, error) {
	s := Sequence{CreateSecs: int64(n[1] >> 24 & (1<<36 - 1)), Shard: uint32(n[0] & 0xffff)}
	if s.CreateSecs >= maxCreateSecsV0 {
		return Sequence{}, errTooLarge
	}
	return s, nil
}

// CanonicalV0 is a number of version 0 with the leading digit that short
// forms leave out, the way AWS repeats it in error messages.
func CanonicalV0(text string) string {
	n, err := parseDecimal(text)
	if err != nil {
		return text
	}
	n[1] = n[1]&(1<<60-1) | 1<<60
	return string(n.appendDecimal(nil))
}

func parseDecimal(text string) (bits192, error) {
	var n bits192
	if text == "" {
		return n, errDigits
	}
	for i := range len(text) {
		d := uint64(text[i] - '0')
		if d > 9 {
			return n, errDigits
		}
		for w := range n {
			hi, lo := bits.Mul64(n[w], 10)
			var carry uint64
			n[w], carry = bits.Add64(lo, d, 0)
			d = hi + carry
		}
		if d != 0 {
			return n, errRange
		}
	}
	return n, nil
}

// appendDecimal appends n in decimal, without leading zeros.
func (n bits192) appendDecimal(dst []byte) []byte {
	const chunk, chunkDigits = 1e16, 16
	var digits [4 * chunkDigits]byte // 2^192 has 58
	for i := len(digits); i > 0; i -= chunkDigits {
		var rest uint64
		for w := 2; w >= 0; w-- {
			if rest == 0 { // a division by a constant is much cheaper
				n[w], rest = n[w]/chunk, n[w]%chunk
			} else {
				n[w], rest = bits.Div64(rest, n[w], chunk)
			}
		}
		binary.LittleEndian.PutUint64(digits[i-16:], eightDigits(uint32(rest/1e8)))
		binary.LittleEndian.PutUint64(digits[i-8:], eightDigits(uint32(rest%1e8)))
	}
	i := 0
	for i < len(digits)-1 && digits[i] == '0' {
		i++
	}
	return append(dst, digits[i:]...)
}

// eightDigits gives the decimal digits of n, which is below 10^8, the first of
// them in the lowest byte. It halves all the parts of a number at once: into
// two of four digits, four of two, and eight of one.
func eightDigits(n uint32) uint64 {
	const (
		eachTwo = 0x0000007f_0000007f
		eachOne = 0x000f_000f_000f_000f
	)
	fours := uint64(n/10000) | uint64(n%10000)<<32
	hundreds := fours * 10486 >> 20 & eachTwo // 10486 / 2^20 is 1/100 for numbers below 10^4
	twos := hundreds | (fours-100*hundreds)<<16
	tens := twos * 103 >> 10 & eachOne // 103 / 2^10 is 1/10 for numbers below 100
	return (tens | (twos-10*tens)<<8) + 0x3030303030303030
}
