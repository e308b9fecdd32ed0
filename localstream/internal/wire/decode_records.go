package wire

import (
	"math"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// room makes the blob buffer large enough for every blob that the body can
// hold, so that it never moves while blobs point into it.
func (b *Buffers) room() []byte {
	b.blobs = slices.Grow(b.blobs[:0], len(b.Body)/4*3)
	return b.blobs
}

// put reads the members of a record into what the fields point to, and reports
// whether it knew the name.
func (s *scanner) put(b *Buffers, name []byte, data *[]byte, key, hashKey **string) (known bool, err error) {
	switch string(name) {
	case "Data":
		b.blobs, *data, err = s.blob(b.blobs)
	case "PartitionKey":
		err = s.optional(key)
	case "ExplicitHashKey":
		err = s.optional(hashKey)
	default:
		return false, nil
	}
	return true, err
}

// optional reads a string into a new variable.
func (s *scanner) optional(to **string) error {
	text, err := s.text()
	*to = &text
	return err
}

// flag reads a boolean into a new variable.
func (s *scanner) flag(to **bool) error {
	v, err := s.boolean()
	*to = &v
	return err
}

func (s *scanner) putRecord(b *Buffers, in *kinesis.PutRecordInput) error {
	b.blobs = b.room()
	return s.members(func(name []byte) error {
		if known, err := s.put(b, name, &in.Data, &in.PartitionKey, &in.ExplicitHashKey); known {
			return err
		}
		switch string(name) {
		case "SequenceNumberForOrdering":
			return s.optional(&in.SequenceNumberForOrdering)
		case "StreamName":
			return s.optional(&in.StreamName)
		case "StreamARN":
			return s.optional(&in.StreamARN)
		case "StreamId":
			return s.optional(&in.StreamId)
		case "DryRun":
			return s.flag(&in.DryRun)
		}
		return s.skip()
	})
}

func (s *scanner) putRecords(b *Buffers, in *kinesis.PutRecordsInput) error {
	b.blobs = b.room()
	return s.members(func(name []byte) error {
		switch string(name) {
		case "Records":
			return s.entries(b, in)
		case "StreamName":
			return s.optional(&in.StreamName)
		case "StreamARN":
			return s.optional(&in.StreamARN)
		case "StreamId":
			return s.optional(&in.StreamId)
		case "DryRun":
			return s.flag(&in.DryRun)
		}
		return s.skip()
	})
}

func (s *scanner) entries(b *Buffers, in *kinesis.PutRecordsInput) error {
	if c := s.peek(); c != '[' {
		return mismatch(c, toList)
	}
	if err := s.open('['); err != nil {
		return err
	}
	if in.Records = in.Records[:0]; in.Records == nil {
		in.Records = []types.PutRecordsRequestEntry{}
	}
	for first := true; ; first = false {
		ok, err := s.more(']', first)
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
		e := &in.Records[len(in.Records)-1]
		err = s.members(func(name []byte) error {
			if known, err := s.put(b, name, &e.Data, &e.PartitionKey, &e.ExplicitHashKey); known {
				return err
			}
			return s.skip()
		})
		if err != nil {
			return err
		}
	}
}

func (s *scanner) getRecords(in *kinesis.GetRecordsInput) error {
	return s.members(func(name []byte) error {
		switch string(name) {
		case "ShardIterator":
			return s.optional(&in.ShardIterator)
		case "Limit":
			n, err := s.integer(toInteger, math.MinInt32, math.MaxInt32)
			limit := int32(n)
			in.Limit = &limit
			return err
		case "StreamARN":
			return s.optional(&in.StreamARN)
		case "StreamId":
			return s.optional(&in.StreamId)
		case "DryRun":
			return s.flag(&in.DryRun)
		}
		return s.skip()
	})
}
