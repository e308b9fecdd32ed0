package wire

import (
	"github.com/shardrun/shardrun/internal/cbor"
	"github.com/shardrun/shardrun/internal/cborshape"
)

// ErrorAnswer is an error of the API as its answer has it.
type ErrorAnswer struct {
	Type    string // "ResourceNotFoundException"
	Member  string // the name of the message's member: "message", mostly
	Message string // left out if it is empty
}

// AppendJSON appends the answer to dst.
func (a *ErrorAnswer) AppendJSON(dst []byte) []byte {
	dst = appendString(append(dst, `{"__type":`...), a.Type)
	if a.Message != "" {
		dst = appendString(append(dst, ','), a.Member)
		dst = appendString(append(dst, ':'), a.Message)
	}
	return append(dst, '}')
}

// AppendCBOR appends the answer to dst. It is, to the byte, what AWS was
// recorded to answer: an open map.
func (a *ErrorAnswer) AppendCBOR(dst []byte) []byte {
	dst = cbor.AppendText(cbor.AppendText(cbor.AppendOpenMap(dst), "__type"), a.Type)
	if a.Message != "" {
		dst = cborshape.AppendText(cbor.AppendText(dst, a.Member), a.Message)
	}
	return cbor.AppendBreak(dst)
}
