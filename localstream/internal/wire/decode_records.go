package wire

import (
	"math"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// put reads the members of a record into what the fields point to, and reports
// whether it knew the name.
func put(s source, name []byte, data *[]byte, key, hashKey **string) (known bool, err error) {
	switch string(name) {
	case "Data":
		*data, err = s.blob()
	case "PartitionKey":
		err = optional(s, key)
	case "ExplicitHashKey":
		err = optional(s, hashKey)
	default:
		return false, nil
	}
	return true, err
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
	if known, err := put(s, name, &in.Data, &in.PartitionKey, &in.ExplicitHashKey); known {
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

func putRecords(s source, in *kinesis.PutRecordsInput) error {
	ok, err := s.object(toStructure)
	for ok && err == nil {
		var name []byte
		if name, ok, err = s.member(); ok {
			err = putRecordsMember(s, name, in)
		}
	}
	return err
}

func putRecordsMember(s source, name []byte, in *kinesis.PutRecordsInput) error {
	switch string(name) {
	case "Records":
		return entries(s, in)
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

func entries(s source, in *kinesis.PutRecordsInput) error {
	if err := s.list(); err != nil {
		return err
	}
	if in.Records = in.Records[:0]; in.Records == nil {
		in.Records = []types.PutRecordsRequestEntry{}
	}
	for {
		ok, err := s.element()
		if !ok || err != nil {
			return err
		}
		if len(in.Records) > maxElements {
			if err := s.skip(); err != nil {
				return err
			}
			continue
		}
		in.Records = append(in.Records, types.PutRecordsRequestEntry{})
		if err := entry(s, &in.Records[len(in.Records)-1]); err != nil {
			return err
		}
	}
}

func entry(s source, e *types.PutRecordsRequestEntry) error {
	ok, err := s.object(toStructure)
	for ok && err == nil {
		var name []byte
		if name, ok, err = s.member(); !ok {
			break
		}
		var known bool
		if known, err = put(s, name, &e.Data, &e.PartitionKey, &e.ExplicitHashKey); !known {
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
