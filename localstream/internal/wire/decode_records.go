package wire

import (
	"math"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// put reads the members of a record into what the fields point to, and reports
// whether it knew the name.
func put(s source, name []byte, texts *slab, data *[]byte, key, hashKey **string) (known bool, err error) {
	switch string(name) {
	case "Data":
		*data, err = s.blob()
	case "PartitionKey":
		*key, err = texts.text(s)
	case "ExplicitHashKey":
		*hashKey, err = texts.text(s)
	default:
		return false, nil
	}
	return true, err
}

// slab holds the strings of many records, so that not each of them needs a place
// of its own.
type slab struct {
	free []string
	next int // the size of the next piece
}

// maxSlab is how many strings keep one another alive at most.
const maxSlab = 64

// text reads a string into a new variable.
func (t *slab) text(s source) (*string, error) {
	text, err := s.text()
	if len(t.free) == 0 {
		t.next = min(max(1, 2*t.next), maxSlab)
		t.free = make([]string, t.next)
	}
	to := &t.free[0]
	*to, t.free = text, t.free[1:]
	return to, err
}

// optional reads a string into a new variable.
func optional(s source, to **string) error {
	text, err := s.text()
	*to = &text
	return err
}

// flag reads a boolean into a new variable.
func flag(s source, to **bool) error {
	v, err := s.boolean()
	*to = &v
	return err
}

func putRecord(s source, in *kinesis.PutRecordInput) error {
	ok, err := s.object(toStructure)
	for ok && err == nil {
		var name []byte
		if name, ok, err = s.member(); ok {
			err = putRecordMember(s, name, in)
		}
	}
	return err
}

func putRecordMember(s source, name []byte, in *kinesis.PutRecordInput) error {
	if known, err := put(s, name, new(slab), &in.Data, &in.PartitionKey, &in.ExplicitHashKey); known {
		return err
	}
	switch string(name) {
	case "SequenceNumberForOrdering":
		return optional(s, &in.SequenceNumberForOrdering)
	case "StreamName":
		return optional(s, &in.StreamName)
	case "StreamARN":
		return optional(s, &in.StreamARN)
	case "StreamId":
		return optional(s, &in.StreamId)
	case "DryRun":
		return flag(s, &in.DryRun)
	}
	return s.skip()
}

func putRecords(s source, b *Buffers, in *kinesis.PutRecordsInput) error {
	ok, err := s.object(toStructure)
	for ok && err == nil {
		var name []byte
		if name, ok, err = s.member(); ok {
			err = putRecordsMember(s, name, b, in)
		}
	}
	return err
}

func putRecordsMember(s source, name []byte, b *Buffers, in *kinesis.PutRecordsInput) error {
	switch string(name) {
	case "Records":
		if b.entries == nil {
			b.entries = []types.PutRecordsRequestEntry{}
		}
		err := entries(s, &b.entries)
		in.Records = b.entries
		return err
	case "StreamName":
		return optional(s, &in.StreamName)
	case "StreamARN":
		return optional(s, &in.StreamARN)
	case "StreamId":
		return optional(s, &in.StreamId)
	case "DryRun":
		return flag(s, &in.DryRun)
	}
	return s.skip()
}

// entries reads the list of records.
func entries(s source, to *[]types.PutRecordsRequestEntry) error {
	if err := s.list(); err != nil {
		return err
	}
	var texts slab
	clear(*to) // of the same name before: nothing of it is to stay in the memory
	list := (*to)[:0]
	defer func() { *to = list }()
	for {
		ok, err := s.element()
		if !ok || err != nil {
			return err
		}
		if len(list) > maxElements {
			if err := s.skip(); err != nil {
				return err
			}
			continue
		}
		list = append(list, types.PutRecordsRequestEntry{})
		if err := entry(s, &texts, &list[len(list)-1]); err != nil {
			return err
		}
	}
}

func entry(s source, texts *slab, e *types.PutRecordsRequestEntry) error {
	ok, err := s.object(toStructure)
	for ok && err == nil {
		var name []byte
		if name, ok, err = s.member(); !ok {
			break
		}
		var known bool
		if known, err = put(s, name, texts, &e.Data, &e.PartitionKey, &e.ExplicitHashKey); !known {
			err = s.skip()
		}
	}
	return err
}

func getRecords(s source, in *kinesis.GetRecordsInput) error {
	ok, err := s.object(toStructure)
	for ok && err == nil {
		var name []byte
		if name, ok, err = s.member(); ok {
			err = getRecordsMember(s, name, in)
		}
	}
	return err
}

func getRecordsMember(s source, name []byte, in *kinesis.GetRecordsInput) error {
	switch string(name) {
	case "ShardIterator":
		return optional(s, &in.ShardIterator)
	case "Limit":
		n, err := s.integer(toInteger, math.MinInt32, math.MaxInt32)
		limit := int32(n)
		in.Limit = &limit
		return err
	case "StreamARN":
		return optional(s, &in.StreamARN)
	case "StreamId":
		return optional(s, &in.StreamId)
	case "DryRun":
		return flag(s, &in.DryRun)
	}
	return s.skip()
}
