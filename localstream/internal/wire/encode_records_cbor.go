package wire

import (
	"slices"

	"github.com/shardrun/shardrun/internal/cbor"
	"github.com/shardrun/shardrun/internal/cborshape"
)

// What is written here is written with its lengths, where AWS leaves maps and
// lists open. All clients read both; a client that knows how many records are
// to come makes room for them once, and nobody has to look for the ends.

// The lengths that an answer is made room for, in bytes: of a result of a put,
// and more than a record takes without its data and its key.
const (
	cborResultBytes = 128
	cborRecordBytes = 160
)

// appendEncryptedMap begins a map of so many members and one more for what is
// encrypted.
func appendEncryptedMap(dst []byte, members int, encrypted bool) []byte {
	if !encrypted {
		return cbor.AppendMap(dst, members)
	}
	return cbor.AppendText(cbor.AppendText(cbor.AppendMap(dst, members+1), "EncryptionType"), "KMS")
}

// appendMembersCBOR appends the two members of a result.
func (r *PutResult) appendMembersCBOR(dst []byte) []byte {
	if r.Code != "" {
		dst = cbor.AppendText(cbor.AppendText(dst, "ErrorCode"), r.Code)
		return cborshape.AppendText(cbor.AppendText(dst, "ErrorMessage"), r.Message)
	}
	dst = cbor.AppendText(cbor.AppendText(dst, "SequenceNumber"), r.Sequence)
	return cbor.AppendText(cbor.AppendText(dst, "ShardId"), r.ShardID)
}

// AppendCBOR appends the answer to dst.
func (a *PutRecordAnswer) AppendCBOR(dst []byte) []byte {
	return a.Result.appendMembersCBOR(appendEncryptedMap(dst, 2, a.Encrypted))
}

// AppendCBOR appends the answer to dst.
func (a *PutRecordsAnswer) AppendCBOR(dst []byte) []byte {
	dst = slices.Grow(dst, 64+cborResultBytes*len(a.Results))
	dst = appendEncryptedMap(dst, 2, a.Encrypted)
	dst = cbor.AppendInt(cbor.AppendText(dst, "FailedRecordCount"), int64(a.Failed))
	dst = cbor.AppendArray(cbor.AppendText(dst, "Records"), len(a.Results))
	for i := range a.Results {
		dst = a.Results[i].appendMembersCBOR(cbor.AppendMap(dst, 2))
	}
	return dst
}

// appendHeadCBOR appends all that comes before the records.
func (a *GetRecordsAnswer) appendHeadCBOR(dst []byte) []byte {
	members := 2
	if len(a.Children) > 0 {
		members++
	}
	if a.Next != "" {
		members++
	}
	dst = cbor.AppendMap(dst, members)
	if len(a.Children) > 0 {
		dst = appendChildrenCBOR(dst, a.Children)
	}
	dst = cbor.AppendInt(cbor.AppendText(dst, "MillisBehindLatest"), a.Behind)
	if a.Next != "" {
		dst = cbor.AppendText(cbor.AppendText(dst, "NextShardIterator"), a.Next)
	}
	return cbor.AppendArray(cbor.AppendText(dst, "Records"), len(a.Records))
}

// appendRecordsCBOR writes records.
func appendRecordsCBOR(dst []byte, records []Record) []byte {
	for i := range records {
		r := &records[i]
		dst = r.appendTailCBOR(append(r.appendHeadCBOR(dst), r.Data...))
	}
	return dst
}

// appendChildrenCBOR writes the member that holds the child shards.
func appendChildrenCBOR(dst []byte, children []ChildShard) []byte {
	dst = cbor.AppendArray(cbor.AppendText(dst, "ChildShards"), len(children))
	for i := range children {
		dst = children[i].appendCBOR(dst)
	}
	return dst
}

// appendHeadCBOR appends what comes before the data.
func (r *Record) appendHeadCBOR(dst []byte) []byte {
	members := 3
	if r.Key != "" {
		members++
	}
	dst = appendEncryptedMap(dst, members, r.Encrypted)
	dst = cbor.AppendInt(cbor.AppendText(dst, "ApproximateArrivalTimestamp"), r.Arrival)
	return cbor.AppendBytesHead(cbor.AppendText(dst, "Data"), len(r.Data))
}

// appendTailCBOR appends what comes after the data.
func (r *Record) appendTailCBOR(dst []byte) []byte {
	if r.Key != "" {
		dst = cbor.AppendText(cbor.AppendText(dst, "PartitionKey"), r.Key)
	}
	return cbor.AppendText(cbor.AppendText(dst, "SequenceNumber"), r.Sequence)
}

func (c *ChildShard) appendCBOR(dst []byte) []byte {
	dst = cbor.AppendMap(dst, 3)
	dst = cbor.AppendMap(cbor.AppendText(dst, "HashKeyRange"), 2)
	dst = cbor.AppendText(cbor.AppendText(dst, "EndingHashKey"), c.EndKey)
	dst = cbor.AppendText(cbor.AppendText(dst, "StartingHashKey"), c.FirstKey)
	dst = cbor.AppendArray(cbor.AppendText(dst, "ParentShards"), len(c.Parents))
	for _, p := range c.Parents {
		dst = cbor.AppendText(dst, p)
	}
	return cbor.AppendText(cbor.AppendText(dst, "ShardId"), c.ShardID)
}
