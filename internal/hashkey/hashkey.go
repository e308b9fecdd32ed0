package hashkey

import (
	"cmp"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// Key is a hash key, an unsigned number below 2^128. Keys are comparable with
// == and may be map keys.
type Key struct{ Hi, Lo uint64 }

// Max is the greatest hash key, 2^128−1.
var Max = Key{^uint64(0), ^uint64(0)}

// Of is the hash key of a partition key: the MD5 of its UTF-8 bytes, big-endian.
func Of(partitionKey string) Key {
	sum := md5.Sum([]byte(partitionKey))
	return Key{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])}
}

// Parse reads a decimal hash key. Leading zeros are refused, as by Kinesis.
func Parse(s string) (Key, error) {
	if s == "" {
		return Key{}, errors.New("hash key is empty")
	}
	if len(s) > 1 && s[0] == '0' {
		return Key{}, fmt.Errorf("hash key %q starts with a zero", s)
	}
	var k Key
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return Key{}, fmt.Errorf("hash key %q has a character that is not a digit", s)
		}
		over, lo := bits.Mul64(k.Lo, 10)
		high, hi := bits.Mul64(k.Hi, 10)
		lo, carry := bits.Add64(lo, uint64(d), 0)
		hi, carry2 := bits.Add64(hi, over, carry)
		if high != 0 || carry2 != 0 {
			return Key{}, fmt.Errorf("hash key %q is above 2^128-1", s)
		}
		k = Key{hi, lo}
	}
	return k, nil
}

// Compare orders two keys by value.
func (k Key) Compare(o Key) int { return cmp.Or(cmp.Compare(k.Hi, o.Hi), cmp.Compare(k.Lo, o.Lo)) }

// Next is k+1; the greatest key wraps to 0.
func (k Key) Next() Key {
	lo, carry := bits.Add64(k.Lo, 1, 0)
	return Key{k.Hi + carry, lo}
}

// Prev is k−1; 0 wraps to the greatest key.
func (k Key) Prev() Key {
	lo, borrow := bits.Sub64(k.Lo, 1, 0)
	return Key{k.Hi - borrow, lo}
}

// String is the key in decimal, without leading zeros.
func (k Key) String() string { return string(k.Append(nil)) }

// Append appends the key in decimal to b.
func (k Key) Append(b []byte) []byte {
	const chunk = 1e19 // the greatest power of ten below 2^64
	var digits [39]byte
	i := len(digits)
	for range 3 {
		hi, r := k.Hi/chunk, k.Hi%chunk
		lo, rest := bits.Div64(r, k.Lo, chunk)
		k = Key{hi, lo}
		for range 19 {
			if i == 0 {
				break
			}
			i--
			digits[i] = '0' + byte(rest%10)
			rest /= 10
		}
	}
	for i < len(digits)-1 && digits[i] == '0' {
		i++
	}
	return append(b, digits[i:]...)
}

// Range is the keys from Start to End, both included.
type Range struct{ Start, End Key }

// Full is the range of all keys.
var Full = Range{Key{}, Max}

// ParseRange reads two decimal keys.
func ParseRange(start, end string) (Range, error) {
	s, err := Parse(start)
	if err != nil {
		return Range{}, err
	}
	e, err := Parse(end)
	if err != nil {
		return Range{}, err
	}
	if s.Compare(e) > 0 {
		return Range{}, fmt.Errorf("hash key range starts at %s and ends before it, at %s", start, end)
	}
	return Range{s, e}, nil
}

// Contains reports whether k is in the range.
func (r Range) Contains(k Key) bool { return r.Start.Compare(k) <= 0 && k.Compare(r.End) <= 0 }

// Adjacent reports whether o starts right after r ends.
func (r Range) Adjacent(o Range) bool { return r.End != Max && r.End.Next() == o.Start }

// Split cuts the whole key space into n ranges as CreateStream does: steps of
// floor(2^128 / n), the last range taking the rest. n must be at least 1.
func Split(n int) []Range {
	if n == 1 {
		return []Range{Full}
	}
	step := divPow128(uint64(n))
	out := make([]Range, n)
	start := Key{}
	for i := range out {
		next := add(start, step)
		out[i] = Range{start, next.Prev()}
		start = next
	}
	out[n-1].End = Max
	return out
}

// Middle is the key that halves the range: the first key of the upper half.
func (r Range) Middle() Key {
	lo, carry := bits.Add64(r.Start.Lo, r.End.Lo, 0)
	hi, carry := bits.Add64(r.Start.Hi, r.End.Hi, carry)
	lo, hi = lo>>1|hi<<63, hi>>1|carry<<63
	return Key{hi, lo}.Next()
}

func add(a, b Key) Key {
	lo, carry := bits.Add64(a.Lo, b.Lo, 0)
	hi, _ := bits.Add64(a.Hi, b.Hi, carry)
	return Key{hi, lo}
}

// divPow128 is floor(2^128 / n) for n of at least 2.
func divPow128(n uint64) Key {
	hi, rem := bits.Div64(1, 0, n)
	lo, _ := bits.Div64(rem, 0, n)
	return Key{hi, lo}
}
