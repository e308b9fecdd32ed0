package awscbor

import (
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/internal/cbor"
	"github.com/shardrun/shardrun/internal/cborshape"
)

const (
	// sizeMember is more than a name, a head and a flag take.
	sizeMember = 48
	// sizeEntry is more than an entry takes beside its data and keys.
	sizeEntry = 64
)

func textLen(s *string) int {
	if s == nil {
		return 0
	}
	// Bytes that are no UTF-8 become three each: the buffer grows then.
	return len(*s)
}

// sizePutRecords is the room that a request takes, or a little more.
func sizePutRecords(in *kinesis.PutRecordsInput) int {
	n := 8*sizeMember + textLen(in.StreamARN) + textLen(in.StreamId) + textLen(in.StreamName)
	for i := range in.Records {
		r := &in.Records[i]
		n += sizeEntry + len(r.Data) + textLen(r.PartitionKey) + textLen(r.ExplicitHashKey)
	}
	return n
}

// appendPutRecords writes a request. Members stand in the order of the SDK.
func appendPutRecords(b []byte, in *kinesis.PutRecordsInput) []byte {
	b = cbor.AppendMap(b, count(in.DryRun != nil, in.Records != nil, in.StreamARN != nil, in.StreamId != nil, in.StreamName != nil))
	b = appendFlag(b, "DryRun", in.DryRun)
	if in.Records != nil {
		b = cbor.AppendText(b, "Records")
		b = cbor.AppendArray(b, len(in.Records))
		for i := range in.Records {
			r := &in.Records[i]
			b = cbor.AppendMap(b, count(r.Data != nil, r.ExplicitHashKey != nil, r.PartitionKey != nil))
			b = appendBlob(b, r.Data)
			b = appendMember(b, "ExplicitHashKey", r.ExplicitHashKey)
			b = appendMember(b, "PartitionKey", r.PartitionKey)
		}
	}
	b = appendMember(b, "StreamARN", in.StreamARN)
	b = appendMember(b, "StreamId", in.StreamId)
	return appendMember(b, "StreamName", in.StreamName)
}

// sizePutRecord is the room that a request takes, or a little more.
func sizePutRecord(in *kinesis.PutRecordInput) int {
	return 8*sizeMember + len(in.Data) + textLen(in.ExplicitHashKey) + textLen(in.PartitionKey) +
		textLen(in.SequenceNumberForOrdering) + textLen(in.StreamARN) + textLen(in.StreamId) + textLen(in.StreamName)
}

// appendPutRecord writes a request. Members stand in the order of the SDK.
func appendPutRecord(b []byte, in *kinesis.PutRecordInput) []byte {
	b = cbor.AppendMap(b, count(in.Data != nil, in.DryRun != nil, in.ExplicitHashKey != nil, in.PartitionKey != nil,
		in.SequenceNumberForOrdering != nil, in.StreamARN != nil, in.StreamId != nil, in.StreamName != nil))
	b = appendBlob(b, in.Data)
	b = appendFlag(b, "DryRun", in.DryRun)
	b = appendMember(b, "ExplicitHashKey", in.ExplicitHashKey)
	b = appendMember(b, "PartitionKey", in.PartitionKey)
	b = appendMember(b, "SequenceNumberForOrdering", in.SequenceNumberForOrdering)
	b = appendMember(b, "StreamARN", in.StreamARN)
	b = appendMember(b, "StreamId", in.StreamId)
	return appendMember(b, "StreamName", in.StreamName)
}

// count is how many of the members of a structure are there.
func count(present ...bool) (n int) {
	for _, p := range present {
		if p {
			n++
		}
	}
	return n
}

func appendMember(b []byte, name string, v *string) []byte {
	if v == nil {
		return b
	}
	return cborshape.AppendText(cbor.AppendText(b, name), *v)
}

func appendFlag(b []byte, name string, v *bool) []byte {
	if v == nil {
		return b
	}
	return cbor.AppendBool(cbor.AppendText(b, name), *v)
}

func appendBlob(b, data []byte) []byte {
	if data == nil {
		return b
	}
	return cbor.AppendBytes(cbor.AppendText(b, "Data"), data)
}
