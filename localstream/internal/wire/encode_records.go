package wire

import (
	"slices"
	"strconv"
)

// PutResult is what became of one record that was put: a place, or an error.
type PutResult struct {
	ShardID  string
	Sequence []byte // decimal digits; empty for an error
	Code     string // ProvisionedThroughputExceededException or InternalFailure
	Message  string
}

func (r *PutResult) appendMembers(dst []byte) []byte {
	if r.Code != "" {
		dst = appendString(append(dst, `"ErrorCode":`...), r.Code)
		return appendString(append(dst, `,"ErrorMessage":`...), r.Message)
	}
	dst = append(dst, `"SequenceNumber":"`...)
	dst = append(dst, r.Sequence...)
	dst = append(dst, `","ShardId":"`...)
	dst = append(dst, r.ShardID...)
	return append(dst, '"')
}

// PutRecordAnswer is the output of PutRecord.
type PutRecordAnswer struct {
	Result    PutResult
	Encrypted bool // says so; there is no word for a record that is not
}

// encryptionType is the member of what is encrypted.
const encryptionType = `"EncryptionType":"KMS",`

// AppendJSON appends the answer to dst.
func (a *PutRecordAnswer) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	if a.Encrypted {
		dst = append(dst, encryptionType...)
	}
	return append(a.Result.appendMembers(dst), '}')
}

// PutRecordsAnswer is the output of PutRecords: a result for each record, in
// the order of the request.
type PutRecordsAnswer struct {
	Failed    int
	Results   []PutResult
	Encrypted bool
}

// AppendJSON appends the answer to dst.
func (a *PutRecordsAnswer) AppendJSON(dst []byte) []byte {
	const each = len(`{"SequenceNumber":"","ShardId":"shardId-000000000000"},`) + 56
	dst = slices.Grow(dst, 64+each*len(a.Results))
	dst = append(dst, '{')
	if a.Encrypted {
		dst = append(dst, encryptionType...)
	}
	dst = strconv.AppendInt(append(dst, `"FailedRecordCount":`...), int64(a.Failed), 10)
	dst = append(dst, `,"Records":[`...)
	for i := range a.Results {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(a.Results[i].appendMembers(append(dst, '{')), '}')
	}
	return append(dst, "]}"...)
}

// Record is a record that was read.
type Record struct {
	Sequence  []byte // decimal digits
	Arrival   int64  // Unix milliseconds
	Key       string // the partition key; empty for a record without one
	Data      []byte
	Encrypted bool
}

// ChildShard is a shard that goes on where a closed one ended.
type ChildShard struct {
	ShardID          string
	Parents          []string // the ids of its parents
	FirstKey, EndKey string   // its hash key range, decimal
}

// GetRecordsAnswer is the output of GetRecords, which is sent in [Pieces].
type GetRecordsAnswer struct {
	Records  []Record
	Next     string // the next iterator; empty at the end of a closed shard
	Behind   int64  // milliseconds behind the latest record
	Children []ChildShard
}

// appendHeadJSON appends all that comes before the records.
func (a *GetRecordsAnswer) appendHeadJSON(dst []byte) []byte {
	dst = append(dst, '{')
	if len(a.Children) > 0 {
		dst = append(appendChildren(dst, a.Children), ',')
	}
	dst = strconv.AppendInt(append(dst, `"MillisBehindLatest":`...), a.Behind, 10)
	if a.Next != "" {
		dst = appendString(append(dst, `,"NextShardIterator":`...), a.Next)
	}
	return append(dst, `,"Records":[`...)
}

// jsonPageEnd is what follows the records of an answer.
const jsonPageEnd = `]}`

// appendRecords writes records and the commas between them.
func appendRecords(dst []byte, records []Record) []byte {
	for i := range records {
		if i > 0 {
			dst = append(dst, ',')
		}
		r := &records[i]
		dst = r.appendTailJSON(appendBase64(r.appendHeadJSON(dst), r.Data))
	}
	return dst
}

// appendChildren writes the member that holds the child shards.
func appendChildren(dst []byte, children []ChildShard) []byte {
	dst = append(dst, `"ChildShards":[`...)
	for i := range children {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = children[i].appendJSON(dst)
	}
	return append(dst, ']')
}

// The parts of a record in JSON, around its values.
const (
	jsonArrival   = `{"ApproximateArrivalTimestamp":`
	jsonData      = `,"Data":"`
	jsonDataEnd   = `"`
	jsonEncrypted = `,"EncryptionType":"KMS"`
	jsonKey       = `,"PartitionKey":`
	jsonSequence  = `,"SequenceNumber":"`
	jsonRecordEnd = `"}`

	// jsonRecordBytes is more than all of them take, and the numbers.
	jsonRecordBytes = 256
)

// appendHeadJSON appends what comes before the text of the data.
func (r *Record) appendHeadJSON(dst []byte) []byte {
	return append(appendMillis(append(dst, jsonArrival...), r.Arrival), jsonData...)
}

// appendTailJSON appends what comes after the text of the data.
func (r *Record) appendTailJSON(dst []byte) []byte {
	dst = append(dst, jsonDataEnd...)
	if r.Encrypted {
		dst = append(dst, jsonEncrypted...)
	}
	if r.Key != "" {
		dst = appendString(append(dst, jsonKey...), r.Key)
	}
	return append(append(append(dst, jsonSequence...), r.Sequence...), jsonRecordEnd...)
}

func (c *ChildShard) appendJSON(dst []byte) []byte {
	dst = appendString(append(dst, `{"HashKeyRange":{"EndingHashKey":`...), c.EndKey)
	dst = appendString(append(dst, `,"StartingHashKey":`...), c.FirstKey)
	dst = append(dst, `},"ParentShards":[`...)
	for i, p := range c.Parents {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, p)
	}
	dst = appendString(append(dst, `],"ShardId":`...), c.ShardID)
	return append(dst, '}')
}
