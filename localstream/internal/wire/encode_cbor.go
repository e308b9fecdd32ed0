package wire

import (
	"math/big"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/document"

	"github.com/shardrun/shardrun/internal/cbor"
)

// CBOR is the smithy.ShapeSerializer that structs of the SDK describe
// themselves to, to be written as CBOR. The zero value is ready.
//
// Maps and lists are open, as those of AWS are: a struct tells what it has
// while it is written, so their lengths are known only at their end.
type CBOR struct {
	buf     []byte
	parents []byte // what is open: 's' structure, 'l' list, 'm' map
}

// Bytes is what was written.
func (c *CBOR) Bytes() []byte { return c.buf }

// begin writes what stands in front of a value: in a structure, the member's
// name.
func (c *CBOR) begin(s *smithy.Schema) {
	if n := len(c.parents); n > 0 && c.parents[n-1] == 's' {
		c.buf = cbor.AppendText(c.buf, s.MemberName())
	}
}

func (c *CBOR) enter(s *smithy.Schema, kind byte) {
	c.begin(s)
	if kind == 'l' {
		c.buf = cbor.AppendOpenArray(c.buf)
	} else {
		c.buf = cbor.AppendOpenMap(c.buf)
	}
	c.parents = append(c.parents, kind)
}

func (c *CBOR) leave() {
	c.buf = cbor.AppendBreak(c.buf)
	c.parents = c.parents[:len(c.parents)-1]
}

// WriteStruct opens a map.
func (c *CBOR) WriteStruct(s *smithy.Schema) { c.enter(s, 's') }

// CloseStruct closes a map.
func (c *CBOR) CloseStruct() { c.leave() }

// WriteUnion opens a map with one member.
func (c *CBOR) WriteUnion(s, _ *smithy.Schema) { c.enter(s, 's') }

// CloseUnion closes a map.
func (c *CBOR) CloseUnion() { c.leave() }

// WriteList opens an array.
func (c *CBOR) WriteList(s *smithy.Schema) { c.enter(s, 'l') }

// CloseList closes an array.
func (c *CBOR) CloseList() { c.leave() }

// WriteMap opens a map whose keys are data.
func (c *CBOR) WriteMap(s *smithy.Schema) { c.enter(s, 'm') }

// WriteKey writes a key of a map.
func (c *CBOR) WriteKey(_ *smithy.Schema, key string) { c.buf = cbor.AppendText(c.buf, key) }

// CloseMap closes a map.
func (c *CBOR) CloseMap() { c.leave() }

// WriteInt8 writes a number.
func (c *CBOR) WriteInt8(s *smithy.Schema, v int8) { c.WriteInt64(s, int64(v)) }

// WriteInt16 writes a number.
func (c *CBOR) WriteInt16(s *smithy.Schema, v int16) { c.WriteInt64(s, int64(v)) }

// WriteInt32 writes a number.
func (c *CBOR) WriteInt32(s *smithy.Schema, v int32) { c.WriteInt64(s, int64(v)) }

// WriteInt64 writes a number.
func (c *CBOR) WriteInt64(s *smithy.Schema, v int64) {
	c.begin(s)
	c.buf = cbor.AppendInt(c.buf, v)
}

// WriteFloat32 writes a number.
func (c *CBOR) WriteFloat32(s *smithy.Schema, v float32) { c.WriteFloat64(s, float64(v)) }

// WriteFloat64 writes a number.
func (c *CBOR) WriteFloat64(s *smithy.Schema, v float64) {
	c.begin(s)
	c.buf = cbor.AppendFloat(c.buf, v)
}

// WriteBool writes true or false.
func (c *CBOR) WriteBool(s *smithy.Schema, v bool) {
	c.begin(s)
	c.buf = cbor.AppendBool(c.buf, v)
}

// WriteString writes a string.
func (c *CBOR) WriteString(s *smithy.Schema, v string) {
	c.begin(s)
	c.buf = appendText(c.buf, v)
}

// appendText appends a string as UTF-8, which clients insist on: what is not, as
// in a header that a message repeats, is replaced as in JSON.
func appendText(dst []byte, v string) []byte {
	return cbor.AppendText(dst, strings.ToValidUTF8(v, "\ufffd"))
}

// WriteBigInt writes a number as a float. The API has none of its kind.
func (c *CBOR) WriteBigInt(s *smithy.Schema, v *big.Int) {
	f, _ := v.Float64()
	c.WriteFloat64(s, f)
}

// WriteBigFloat writes a number as a float. The API has none of its kind.
func (c *CBOR) WriteBigFloat(s *smithy.Schema, v *big.Float) {
	f, _ := v.Float64()
	c.WriteFloat64(s, f)
}

// WriteBlob writes bytes as they are.
func (c *CBOR) WriteBlob(s *smithy.Schema, v []byte) {
	c.begin(s)
	c.buf = cbor.AppendBytes(c.buf, v)
}

// WriteTime writes a time as a bare integer of milliseconds: the SDK for Java
// fails on anything else.
func (c *CBOR) WriteTime(s *smithy.Schema, v time.Time) {
	c.begin(s)
	c.buf = cbor.AppendTime(c.buf, v)
}

// WriteDocument writes null: the API has no documents.
func (c *CBOR) WriteDocument(s *smithy.Schema, _ document.Value) { c.WriteNil(s) }

// WriteNil writes null.
func (c *CBOR) WriteNil(s *smithy.Schema) {
	c.begin(s)
	c.buf = cbor.AppendNull(c.buf)
}
