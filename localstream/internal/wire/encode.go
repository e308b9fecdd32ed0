package wire

import (
	"math/big"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/document"
)

// JSON is the smithy.ShapeSerializer that structs of the SDK describe
// themselves to, to be written as JSON. The zero value is ready.
type JSON struct {
	buf     []byte
	parents []byte // the open brackets: 's' structure, 'l' list, 'm' map
	comma   bool   // the next element needs one in front
	keyed   bool   // the next element's name is written already
}

// Bytes is what was written.
func (j *JSON) Bytes() []byte { return j.buf }

// begin writes what stands in front of a value: a comma, and in a structure
// the member's name.
func (j *JSON) begin(s *smithy.Schema) {
	if j.keyed {
		j.keyed = false
		return
	}
	if j.comma {
		j.buf = append(j.buf, ',')
	}
	if n := len(j.parents); n > 0 && j.parents[n-1] == 's' {
		j.buf = appendString(j.buf, s.MemberName())
		j.buf = append(j.buf, ':')
	}
	j.comma = true
}

func (j *JSON) enter(s *smithy.Schema, kind, bracket byte) {
	j.begin(s)
	j.buf = append(j.buf, bracket)
	j.parents = append(j.parents, kind)
	j.comma = false
}

func (j *JSON) leave(bracket byte) {
	j.buf = append(j.buf, bracket)
	j.parents = j.parents[:len(j.parents)-1]
	j.comma = true
}

// WriteStruct opens an object.
func (j *JSON) WriteStruct(s *smithy.Schema) { j.enter(s, 's', '{') }

// CloseStruct closes an object.
func (j *JSON) CloseStruct() { j.leave('}') }

// WriteUnion opens an object with one member.
func (j *JSON) WriteUnion(s, _ *smithy.Schema) { j.enter(s, 's', '{') }

// CloseUnion closes an object.
func (j *JSON) CloseUnion() { j.leave('}') }

// WriteList opens a list.
func (j *JSON) WriteList(s *smithy.Schema) { j.enter(s, 'l', '[') }

// CloseList closes a list.
func (j *JSON) CloseList() { j.leave(']') }

// WriteMap opens an object whose keys are data.
func (j *JSON) WriteMap(s *smithy.Schema) { j.enter(s, 'm', '{') }

// WriteKey writes a key of a map.
func (j *JSON) WriteKey(_ *smithy.Schema, key string) {
	if j.comma {
		j.buf = append(j.buf, ',')
	}
	j.buf = append(appendString(j.buf, key), ':')
	j.comma, j.keyed = true, true
}

// CloseMap closes a map.
func (j *JSON) CloseMap() { j.leave('}') }

// WriteInt8 writes a number.
func (j *JSON) WriteInt8(s *smithy.Schema, v int8) { j.WriteInt64(s, int64(v)) }

// WriteInt16 writes a number.
func (j *JSON) WriteInt16(s *smithy.Schema, v int16) { j.WriteInt64(s, int64(v)) }

// WriteInt32 writes a number.
func (j *JSON) WriteInt32(s *smithy.Schema, v int32) { j.WriteInt64(s, int64(v)) }

// WriteInt64 writes a number.
func (j *JSON) WriteInt64(s *smithy.Schema, v int64) {
	j.begin(s)
	j.buf = strconv.AppendInt(j.buf, v, 10)
}

// WriteFloat32 writes a number.
func (j *JSON) WriteFloat32(s *smithy.Schema, v float32) {
	j.begin(s)
	j.buf = strconv.AppendFloat(j.buf, float64(v), 'g', -1, 32)
}

// WriteFloat64 writes a number.
func (j *JSON) WriteFloat64(s *smithy.Schema, v float64) {
	j.begin(s)
	j.buf = strconv.AppendFloat(j.buf, v, 'g', -1, 64)
}

// WriteBool writes true or false.
func (j *JSON) WriteBool(s *smithy.Schema, v bool) {
	j.begin(s)
	j.buf = strconv.AppendBool(j.buf, v)
}

// WriteString writes a string.
func (j *JSON) WriteString(s *smithy.Schema, v string) {
	j.begin(s)
	j.buf = appendString(j.buf, v)
}

// WriteBigInt writes a number. The API has none of its kind.
func (j *JSON) WriteBigInt(s *smithy.Schema, v *big.Int) {
	j.begin(s)
	j.buf = v.Append(j.buf, 10)
}

// WriteBigFloat writes a number. The API has none of its kind.
func (j *JSON) WriteBigFloat(s *smithy.Schema, v *big.Float) {
	j.begin(s)
	j.buf = v.Append(j.buf, 'g', -1)
}

// WriteBlob writes bytes as base64.
func (j *JSON) WriteBlob(s *smithy.Schema, v []byte) {
	j.begin(s)
	j.buf = appendBlob(j.buf, v)
}

// WriteTime writes a time as seconds, with milliseconds when there are any.
func (j *JSON) WriteTime(s *smithy.Schema, v time.Time) {
	j.begin(s)
	j.buf = appendMillis(j.buf, v.UnixMilli())
}

// WriteDocument writes null: the API has no documents.
func (j *JSON) WriteDocument(s *smithy.Schema, _ document.Value) { j.WriteNil(s) }

// WriteNil writes null.
func (j *JSON) WriteNil(s *smithy.Schema) {
	j.begin(s)
	j.buf = append(j.buf, "null"...)
}

// appendMillis writes milliseconds since 1970 as seconds.
func appendMillis(dst []byte, ms int64) []byte {
	if ms < 0 {
		dst = append(dst, '-')
		ms = -ms
	}
	dst = strconv.AppendInt(dst, ms/1000, 10)
	if ms %= 1000; ms != 0 {
		dst = append(dst, '.', '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10))
	}
	return dst
}

// appendBlob writes bytes as a base64 string.
func appendBlob(dst, v []byte) []byte {
	dst = append(dst, '"')
	dst = appendBase64(dst, v)
	return append(dst, '"')
}

// appendString writes a string with the escapes that JSON demands.
func appendString(dst []byte, v string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(v); {
		c := v[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(v[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, v[from:i]...), `\ufffd`...)
				from = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, v[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	dst = append(dst, v[from:]...)
	return append(dst, '"')
}
