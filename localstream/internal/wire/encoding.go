package wire

import (
	"encoding/json"

	"github.com/aws/smithy-go"

	"github.com/shardrun/shardrun/internal/cborshape"
)

// Encoding is how a request is written, and so is its answer.
type Encoding uint8

// The encodings of the protocol.
const (
	AsJSON Encoding = iota // application/x-amz-json-1.1
	AsCBOR                 // application/x-amz-cbor-1.1
)

// ContentType is the media type of the encoding.
func (e Encoding) ContentType() string {
	if e == AsCBOR {
		return "application/x-amz-cbor-1.1"
	}
	return "application/x-amz-json-1.1"
}

// EventContentType is the media type of an event of a stream.
func (e Encoding) EventContentType() string {
	if e == AsCBOR {
		return e.ContentType()
	}
	return "application/json"
}

// Valid reports whether a body is of the encoding, whatever it says.
func (e Encoding) Valid(body []byte) bool {
	if e == AsCBOR {
		s := newCBORSource(body)
		return s.skip() == nil && s.End() == nil
	}
	return json.Valid(body)
}

// Answer is an answer that writes itself in either encoding, without its
// schema.
type Answer interface {
	// AppendJSON appends the answer to dst.
	AppendJSON(dst []byte) []byte
	// AppendCBOR appends the answer to dst.
	AppendCBOR(dst []byte) []byte
}

// Append appends an answer to dst.
func (e Encoding) Append(dst []byte, a Answer) []byte {
	if e == AsCBOR {
		return a.AppendCBOR(dst)
	}
	return a.AppendJSON(dst)
}

// AppendShape appends a struct of the SDK to dst.
func (e Encoding) AppendShape(dst []byte, s smithy.Serializable) []byte {
	if e == AsCBOR {
		w := cborshape.NewWriter(dst, false)
		s.Serialize(w)
		return w.Bytes()
	}
	j := JSON{buf: dst}
	s.Serialize(&j)
	return j.buf
}
