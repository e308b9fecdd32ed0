// Package cborshape writes the structs of the AWS SDK as CBOR: inputs on the
// client's side, outputs on the server's. It is internal/cbor for what describes
// itself by a schema.
package cborshape

import (
	"math/big"
	"time"
	"unicode/utf8"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/document"

	"github.com/shardrun/shardrun/internal/cbor"
)

// Writer is the smithy.ShapeSerializer that structs of the SDK describe
// themselves to. They do not say how many members they have, so maps and lists
// end with a break, as those of AWS and of the AWS SDK for Java do. One
// goroutine at a time.
type Writer struct {
	buf     []byte
	tagged  bool
	members []bool // of the open brackets: it is a structure, whose members have names
	keyed   bool   // the next value's name is written already
}

var _ smithy.ShapeSerializer = (*Writer)(nil)

// NewWriter makes a writer that appends to buf. Tagged puts tag 1 in front of
// times, as in requests; the AWS SDK for Java fails on an answer that has it.
func NewWriter(buf []byte, tagged bool) *Writer { return &Writer{buf: buf, tagged: tagged} }

// Bytes is what was written.
func (w *Writer) Bytes() []byte { return w.buf }

// begin writes the name of the next value if it has one.
func (w *Writer) begin(s *smithy.Schema) {
	if n := len(w.members); n > 0 && w.members[n-1] && !w.keyed {
		w.buf = cbor.AppendText(w.buf, s.MemberName())
	}
	w.keyed = false
}

func (w *Writer) enter(structure bool) { w.members = append(w.members, structure) }

func (w *Writer) leave() {
	w.buf = cbor.AppendBreak(w.buf)
	w.members = w.members[:len(w.members)-1]
}

// WriteStruct opens a structure.
func (w *Writer) WriteStruct(s *smithy.Schema) {
	w.begin(s)
	w.buf = cbor.AppendOpenMap(w.buf)
	w.enter(true)
}

// CloseStruct closes a structure.
func (w *Writer) CloseStruct() { w.leave() }

// WriteUnion opens a structure of one member, which does not bring its name.
func (w *Writer) WriteUnion(s, variant *smithy.Schema) {
	w.WriteStruct(s)
	w.buf = cbor.AppendText(w.buf, variant.MemberName())
	w.keyed = true
}

// CloseUnion closes a structure.
func (w *Writer) CloseUnion() { w.leave() }

// WriteList opens a list.
func (w *Writer) WriteList(s *smithy.Schema) {
	w.begin(s)
	w.buf = cbor.AppendOpenArray(w.buf)
	w.enter(false)
}

// CloseList closes a list.
func (w *Writer) CloseList() { w.leave() }

// WriteMap opens a map whose keys are data.
func (w *Writer) WriteMap(s *smithy.Schema) {
	w.begin(s)
	w.buf = cbor.AppendOpenMap(w.buf)
	w.enter(false)
}

// WriteKey writes a key of a map.
func (w *Writer) WriteKey(_ *smithy.Schema, key string) { w.buf = AppendText(w.buf, key) }

// CloseMap closes a map.
func (w *Writer) CloseMap() { w.leave() }

// WriteInt8 writes a number.
func (w *Writer) WriteInt8(s *smithy.Schema, v int8) { w.WriteInt64(s, int64(v)) }

// WriteInt16 writes a number.
func (w *Writer) WriteInt16(s *smithy.Schema, v int16) { w.WriteInt64(s, int64(v)) }

// WriteInt32 writes a number.
func (w *Writer) WriteInt32(s *smithy.Schema, v int32) { w.WriteInt64(s, int64(v)) }

// WriteInt64 writes a number.
func (w *Writer) WriteInt64(s *smithy.Schema, v int64) {
	w.begin(s)
	w.buf = cbor.AppendInt(w.buf, v)
}

// WriteFloat32 writes a number.
func (w *Writer) WriteFloat32(s *smithy.Schema, v float32) { w.WriteFloat64(s, float64(v)) }

// WriteFloat64 writes a number.
func (w *Writer) WriteFloat64(s *smithy.Schema, v float64) {
	w.begin(s)
	w.buf = cbor.AppendFloat(w.buf, v)
}

// WriteBool writes true or false.
func (w *Writer) WriteBool(s *smithy.Schema, v bool) {
	w.begin(s)
	w.buf = cbor.AppendBool(w.buf, v)
}

// WriteString writes a string.
func (w *Writer) WriteString(s *smithy.Schema, v string) {
	w.begin(s)
	w.buf = AppendText(w.buf, v)
}

// WriteBlob writes bytes as they are.
func (w *Writer) WriteBlob(s *smithy.Schema, v []byte) {
	w.begin(s)
	w.buf = cbor.AppendBytes(w.buf, v)
}

// WriteTime writes a time, to the millisecond.
func (w *Writer) WriteTime(s *smithy.Schema, v time.Time) {
	w.begin(s)
	if w.tagged {
		w.buf = cbor.AppendTaggedTime(w.buf, v)
	} else {
		w.buf = cbor.AppendTime(w.buf, v)
	}
}

// WriteNil writes null.
func (w *Writer) WriteNil(s *smithy.Schema) {
	w.begin(s)
	w.buf = cbor.AppendNull(w.buf)
}

// WriteBigInt writes null: the API has no such numbers.
func (w *Writer) WriteBigInt(s *smithy.Schema, _ *big.Int) { w.WriteNil(s) }

// WriteBigFloat writes null: the API has no such numbers.
func (w *Writer) WriteBigFloat(s *smithy.Schema, _ *big.Float) { w.WriteNil(s) }

// WriteDocument writes null: the API has no documents.
func (w *Writer) WriteDocument(s *smithy.Schema, _ document.Value) { w.WriteNil(s) }

// AppendText writes a string as UTF-8, which readers insist on. What is not is
// replaced as in JSON, byte by byte: a partition key goes to the same shard
// either way.
func AppendText(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	return cbor.AppendText(dst, s)
}
