package awscbor

import (
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// Answers that carry records become few pieces of memory: the structs, what they
// point to, the strings. Data stays where it is, in the message. The strings are
// copied: who keeps a sequence number for a checkpoint does not keep the page.

const (
	// leastRecord and leastResult are less than any record takes in a message,
	// with the members that it must have.
	leastRecord = 16
	leastResult = 12

	costRecord = costGrow * (64 + 56) // its structs
	costResult = costGrow * (32 + 64)
)

var (
	errNoNumber = errors.New("a record has no SequenceNumber")
	errNoResult = errors.New("the result of a record has neither a SequenceNumber nor an ErrorCode")
)

// held is what a record points to.
type held struct {
	key, number string
	arrival     time.Time
}

// texts keeps copies of strings, many in one piece of memory.
type texts struct{ piece strings.Builder }

// keep copies a string. When there is no room for it, there will be for as many
// more bytes as are expected, but not for more than rest, which is all that can
// come: one long string must not make room for many.
func (t *texts) keep(s []byte, more, rest int) string {
	at := t.piece.Len()
	if t.piece.Cap()-at < len(s) {
		t.piece.Reset()
		t.piece.Grow(len(s) + min(more, rest))
		at = 0
	}
	t.piece.Write(s)
	return t.piece.String()[at:]
}

// room is how many more elements of a list to make room for: as many as the
// list says, or as the rest of the message has place for if they take what those
// before took. least is what an element takes in any case.
func (d *decoder) room(took, says, least int) int {
	left := d.rest()
	if says > 0 {
		return min(says, 1+left/least)
	}
	return 1 + left/max(took, least)
}

// rest is how much of the message is still to come.
func (d *decoder) rest() int { return d.size - d.r.Offset() }

// getRecordsOutput reads the answer of GetRecords.
func (d *decoder) getRecordsOutput(o *kinesis.GetRecordsOutput) error {
	return d.members(func(name []byte) (err error) {
		switch string(name) {
		case "Records":
			o.Records, err = d.records()
		case "NextShardIterator":
			o.NextShardIterator = new(string)
			err = d.ReadString(nil, o.NextShardIterator)
		case "MillisBehindLatest":
			o.MillisBehindLatest = new(int64)
			err = d.ReadInt64(nil, o.MillisBehindLatest)
		case "ChildShards":
			o.ChildShards, err = d.childShards()
		default:
			err = d.r.Skip()
		}
		return err
	})
}

// subscribeToShardEvent reads an event of SubscribeToShard.
func (d *decoder) subscribeToShardEvent(o *types.SubscribeToShardEvent) error {
	return d.members(func(name []byte) (err error) {
		switch string(name) {
		case "Records":
			o.Records, err = d.records()
		case "ContinuationSequenceNumber":
			o.ContinuationSequenceNumber = new(string)
			err = d.ReadString(nil, o.ContinuationSequenceNumber)
		case "MillisBehindLatest":
			o.MillisBehindLatest = new(int64)
			err = d.ReadInt64(nil, o.MillisBehindLatest)
		case "ChildShards":
			o.ChildShards, err = d.childShards()
		default:
			err = d.r.Skip()
		}
		return err
	})
}

// childShards reads the shards that a shard ended in.
func (d *decoder) childShards() ([]types.ChildShard, error) {
	shards := []types.ChildShard{}
	err := d.items(func() error {
		if err := d.charge(costGrow * 72); err != nil {
			return err
		}
		var shard types.ChildShard
		err := shard.Deserialize(d)
		shards = append(shards, shard)
		return err
	})
	return shards, err
}

// items calls item for each element of a list.
func (d *decoder) items(item func() error) error {
	items, err := d.r.Array()
	if err != nil {
		return err
	}
	for {
		more, err := d.r.More(&items)
		if !more || err != nil {
			return err
		}
		if err := item(); err != nil {
			return err
		}
	}
}

// records reads the records of a page.
func (d *decoder) records() ([]types.Record, error) {
	items, err := d.r.Array()
	if err != nil {
		return nil, err
	}
	var (
		records = []types.Record{}
		holds   []held
		strs    texts
		says    = items.Len()
		from    = d.r.Offset()
	)
	for n := 0; ; n++ {
		more, err := d.r.More(&items)
		if !more || err != nil {
			return records, err
		}
		if err := d.charge(costRecord); err != nil {
			return nil, err
		}
		if n == cap(records) {
			room := 1 // until it is known what a record takes
			if n > 0 {
				room = d.room((d.r.Offset()-from)/n, says-n, leastRecord)
			}
			records = append(make([]types.Record, 0, n+room), records...)
			holds = make([]held, 0, room) // those before stay where they are
		}
		records, holds = records[:n+1], holds[:len(holds)+1]
		r, h := &records[n], &holds[len(holds)-1]
		key, number, err := d.record(r, h)
		if err != nil {
			return nil, err
		}
		alike, rest := (len(key)+len(number)+8)*(cap(records)-n), len(key)+d.rest()
		h.number = strs.keep(number, alike, rest)
		r.SequenceNumber = &h.number
		if key != nil { // streams that distribute records by themselves have some without
			h.key = strs.keep(key, alike, rest)
			r.PartitionKey = &h.key
		}
		if !h.arrival.IsZero() {
			r.ApproximateArrivalTimestamp = &h.arrival
		}
	}
}

// record reads a record: its data and encryption into r, the time into h.
func (d *decoder) record(r *types.Record, h *held) (key, number []byte, err error) {
	items, err := d.r.Map()
	if err != nil {
		return nil, nil, err
	}
	for {
		more, err := d.r.More(&items)
		if err != nil {
			return nil, nil, err
		}
		if !more {
			break
		}
		name, err := d.r.Text()
		if err != nil {
			return nil, nil, err
		}
		if d.r.Null() {
			continue
		}
		switch string(name) {
		case "Data":
			r.Data, err = d.r.Bytes()
		case "PartitionKey":
			key, err = d.r.Text()
		case "SequenceNumber":
			number, err = d.r.Text()
		case "ApproximateArrivalTimestamp":
			err = d.ReadTime(nil, &h.arrival)
		case "EncryptionType":
			r.EncryptionType, err = d.encryptionType()
		default:
			err = d.r.Skip()
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if number == nil {
		return nil, nil, errNoNumber
	}
	return key, number, nil
}

// encryptionType reads an encryption type. The known ones are constants.
func (d *decoder) encryptionType() (types.EncryptionType, error) {
	text, err := d.r.Text()
	switch string(text) {
	case string(types.EncryptionTypeNone):
		return types.EncryptionTypeNone, err
	case string(types.EncryptionTypeKms):
		return types.EncryptionTypeKms, err
	}
	return types.EncryptionType(text), err
}

// putRecordsOutput reads the answer of PutRecords.
func (d *decoder) putRecordsOutput(o *kinesis.PutRecordsOutput) error {
	return d.members(func(name []byte) (err error) {
		switch string(name) {
		case "EncryptionType":
			o.EncryptionType, err = d.encryptionType()
		case "FailedRecordCount":
			o.FailedRecordCount = new(int32)
			err = d.ReadInt32(nil, o.FailedRecordCount)
		case "Records":
			o.Records, err = d.results()
		default:
			err = d.r.Skip()
		}
		return err
	})
}

// results reads the results of the records of a request.
func (d *decoder) results() ([]types.PutRecordsResultEntry, error) {
	items, err := d.r.Array()
	if err != nil {
		return nil, err
	}
	var (
		entries = []types.PutRecordsResultEntry{}
		heads   []string
		strs    texts
		says    = items.Len()
		from    = d.r.Offset()
	)
	for {
		more, err := d.r.More(&items)
		if !more || err != nil {
			return entries, err
		}
		if err := d.charge(costResult); err != nil {
			return nil, err
		}
		found, err := d.result()
		if err != nil {
			return nil, err
		}
		if heads == nil {
			n := d.room(d.r.Offset()-from, says, leastResult)
			entries, heads = make([]types.PutRecordsResultEntry, 0, n), make([]string, 0, 2*n)
		}
		var e types.PutRecordsResultEntry
		rest := d.rest()
		for _, text := range found {
			rest += len(text)
		}
		for i, to := range [...]**string{&e.ErrorCode, &e.ErrorMessage, &e.SequenceNumber, &e.ShardId} {
			if found[i] == nil {
				continue
			}
			if len(heads) == cap(heads) { // those before stay where they are
				heads = make([]string, 0, 2*(cap(entries)-len(entries))+2)
			}
			heads = append(heads, strs.keep(found[i], 2*len(found[i])*(cap(entries)-len(entries)), rest))
			*to = &heads[len(heads)-1]
		}
		entries = append(entries, e)
	}
}

// result reads the result of a record: its ErrorCode, ErrorMessage,
// SequenceNumber and ShardId, as far as it has them.
func (d *decoder) result() (found [4][]byte, err error) {
	err = d.members(func(name []byte) (err error) {
		switch string(name) {
		case "ErrorCode":
			found[0], err = d.r.Text()
		case "ErrorMessage":
			found[1], err = d.r.Text()
		case "SequenceNumber":
			found[2], err = d.r.Text()
		case "ShardId":
			found[3], err = d.r.Text()
		default:
			err = d.r.Skip()
		}
		return err
	})
	if err == nil && found[0] == nil && found[2] == nil {
		err = errNoResult
	}
	return found, err
}
