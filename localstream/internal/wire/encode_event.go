package wire

import (
	"slices"
	"strconv"

	"github.com/shardrun/shardrun/internal/cbor"
	"github.com/shardrun/shardrun/internal/cborshape"
)

// ShardEvent is an event of SubscribeToShard.
type ShardEvent struct {
	Records      []Record
	Continuation []byte // decimal digits; empty at the end of a closed shard
	Behind       int64  // milliseconds behind the latest record
	Children     []ChildShard
}

// eventBytes is about what an event takes beside its records.
const eventBytes = 512

// AppendJSON appends the event to dst.
func (a *ShardEvent) AppendJSON(dst []byte) []byte {
	dst = slices.Grow(dst, eventBytes+jsonSize(a.Records))
	dst = append(dst, '{')
	if len(a.Children) > 0 {
		dst = append(appendChildren(dst, a.Children), ',')
	}
	if len(a.Continuation) > 0 {
		dst = append(dst, `"ContinuationSequenceNumber":"`...)
		dst = append(dst, a.Continuation...)
		dst = append(dst, `",`...)
	}
	dst = strconv.AppendInt(append(dst, `"MillisBehindLatest":`...), a.Behind, 10)
	return append(appendRecords(append(dst, `,"Records":[`...), a.Records), jsonPageEnd...)
}

// AppendCBOR appends the event to dst.
func (a *ShardEvent) AppendCBOR(dst []byte) []byte {
	dst = slices.Grow(dst, eventBytes+cborSize(a.Records))
	members := 2
	if len(a.Children) > 0 {
		members++
	}
	if len(a.Continuation) > 0 {
		members++
	}
	dst = cbor.AppendMap(dst, members)
	if len(a.Children) > 0 {
		dst = appendChildrenCBOR(dst, a.Children)
	}
	if len(a.Continuation) > 0 {
		dst = cbor.AppendText(cbor.AppendText(dst, "ContinuationSequenceNumber"), a.Continuation)
	}
	dst = cbor.AppendInt(cbor.AppendText(dst, "MillisBehindLatest"), a.Behind)
	return appendRecordsCBOR(cbor.AppendArray(cbor.AppendText(dst, "Records"), len(a.Records)), a.Records)
}

// Empty is an answer without members.
type Empty struct{}

// AppendJSON appends the answer to dst.
func (Empty) AppendJSON(dst []byte) []byte { return append(dst, "{}"...) }

// AppendCBOR appends the answer to dst.
func (Empty) AppendCBOR(dst []byte) []byte { return cbor.AppendMap(dst, 0) }

// Message is the payload of an error in an event stream, whose type is in a
// header.
type Message string

// AppendJSON appends the payload to dst.
func (m Message) AppendJSON(dst []byte) []byte {
	return append(appendString(append(dst, `{"message":`...), string(m)), '}')
}

// AppendCBOR appends the payload to dst.
func (m Message) AppendCBOR(dst []byte) []byte {
	return cborshape.AppendText(cbor.AppendText(cbor.AppendMap(dst, 1), "message"), string(m))
}
