package awscbor

import (
	"math/big"
	"time"
	"unicode/utf8"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/document"

	"github.com/shardrun/shardrun/internal/cbor"
)

// encoder is what inputs of the SDK describe themselves to. They do not say how
// many members they have, so structures end with a break, as those of the AWS
// SDK for Java do. The zero value is ready.
type encoder struct {
	buf     []byte
	members []bool // of the open brackets: it is a structure, whose members have names
	keyed   bool   // the next value's name is written already
}

var _ smithy.ShapeSerializer = (*encoder)(nil)

// Bytes is what was written.
func (e *encoder) Bytes() []byte { return e.buf }

// begin writes the name of the next value if it has one.
func (e *encoder) begin(s *smithy.Schema) {
	if n := len(e.members); n > 0 && e.members[n-1] && !e.keyed {
		e.buf = cbor.AppendText(e.buf, s.MemberName())
	}
	e.keyed = false
}

func (e *encoder) enter(structure bool) { e.members = append(e.members, structure) }

func (e *encoder) leave() {
	e.buf = cbor.AppendBreak(e.buf)
	e.members = e.members[:len(e.members)-1]
}

// WriteStruct opens a structure.
func (e *encoder) WriteStruct(s *smithy.Schema) {
	e.begin(s)
	e.buf = cbor.AppendOpenMap(e.buf)
	e.enter(true)
}

// CloseStruct closes a structure.
func (e *encoder) CloseStruct() { e.leave() }

// WriteUnion opens a structure of one member, which does not bring its name.
func (e *encoder) WriteUnion(s, variant *smithy.Schema) {
	e.WriteStruct(s)
	e.buf = cbor.AppendText(e.buf, variant.MemberName())
	e.keyed = true
}

// CloseUnion closes a structure.
func (e *encoder) CloseUnion() { e.leave() }

// WriteList opens a list.
func (e *encoder) WriteList(s *smithy.Schema) {
	e.begin(s)
	e.buf = cbor.AppendOpenArray(e.buf)
	e.enter(false)
}

// CloseList closes a list.
func (e *encoder) CloseList() { e.leave() }

// WriteMap opens a map whose keys are data.
func (e *encoder) WriteMap(s *smithy.Schema) {
	e.begin(s)
	e.buf = cbor.AppendOpenMap(e.buf)
	e.enter(false)
}

// WriteKey writes a key of a map.
func (e *encoder) WriteKey(_ *smithy.Schema, key string) { e.buf = appendText(e.buf, key) }

// CloseMap closes a map.
func (e *encoder) CloseMap() { e.leave() }

// WriteInt8 writes a number.
func (e *encoder) WriteInt8(s *smithy.Schema, v int8) { e.WriteInt64(s, int64(v)) }

// WriteInt16 writes a number.
func (e *encoder) WriteInt16(s *smithy.Schema, v int16) { e.WriteInt64(s, int64(v)) }

// WriteInt32 writes a number.
func (e *encoder) WriteInt32(s *smithy.Schema, v int32) { e.WriteInt64(s, int64(v)) }

// WriteInt64 writes a number.
func (e *encoder) WriteInt64(s *smithy.Schema, v int64) {
	e.begin(s)
	e.buf = cbor.AppendInt(e.buf, v)
}

// WriteFloat32 writes a number.
func (e *encoder) WriteFloat32(s *smithy.Schema, v float32) { e.WriteFloat64(s, float64(v)) }

// WriteFloat64 writes a number.
func (e *encoder) WriteFloat64(s *smithy.Schema, v float64) {
	e.begin(s)
	e.buf = cbor.AppendFloat(e.buf, v)
}

// WriteBool writes true or false.
func (e *encoder) WriteBool(s *smithy.Schema, v bool) {
	e.begin(s)
	e.buf = cbor.AppendBool(e.buf, v)
}

// WriteString writes a string.
func (e *encoder) WriteString(s *smithy.Schema, v string) {
	e.begin(s)
	e.buf = appendText(e.buf, v)
}

// WriteBlob writes bytes as they are.
func (e *encoder) WriteBlob(s *smithy.Schema, v []byte) {
	e.begin(s)
	e.buf = cbor.AppendBytes(e.buf, v)
}

// WriteTime writes a time, to the millisecond.
func (e *encoder) WriteTime(s *smithy.Schema, v time.Time) {
	e.begin(s)
	e.buf = cbor.AppendTaggedTime(e.buf, v)
}

// WriteNil writes null.
func (e *encoder) WriteNil(s *smithy.Schema) {
	e.begin(s)
	e.buf = cbor.AppendNull(e.buf)
}

// WriteBigInt writes null: the API has no such numbers.
func (e *encoder) WriteBigInt(s *smithy.Schema, _ *big.Int) { e.WriteNil(s) }

// WriteBigFloat writes null: the API has no such numbers.
func (e *encoder) WriteBigFloat(s *smithy.Schema, _ *big.Float) { e.WriteNil(s) }

// WriteDocument writes null: the API has no documents.
func (e *encoder) WriteDocument(s *smithy.Schema, _ document.Value) { e.WriteNil(s) }

// appendText writes a string. What is no UTF-8 in it is replaced as in JSON,
// byte by byte: a partition key goes to the same shard either way.
func appendText(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	return cbor.AppendText(dst, s)
}
