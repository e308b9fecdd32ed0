package consumer

import (
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// Batch is what a handler is given: consecutive user records of one shard.
type Batch struct {
	// Stream is the stream's name, Shard the shard's id.
	Stream, Shard string
	// Lease is the lease's name, account:region:stream:creationEpochMs/shardId,
	// unique over accounts, regions and streams made anew under an old name.
	Lease string
	// Epoch rises each time the shard changes hands. A sink that keeps the
	// greatest epoch it saw for a lease can refuse a former owner's late writes.
	Epoch uint64
	// Records are in the order of their sequence and sub-sequence numbers,
	// never empty. The handler may keep and change the slice, and may keep the
	// Data of its records, but must not change Data in place: another attempt
	// is given the same bytes, and so is OnFailure.
	Records []Record
	// Attempt counts the deliveries of the first record under this lease in a
	// row, from 1.
	Attempt int
	// Behind is how far the shard's reader was from the tip of the stream when
	// it read the batch's last record (MillisBehindLatest of GetRecords).
	Behind time.Duration
}

// Record is one user record: a Kinesis record, or one out of a KPL aggregate.
type Record struct {
	// Key is the partition key.
	Key string
	// HashKey is the explicit hash key in decimal of a record out of an
	// aggregate. It is empty when there is none, and always for other records:
	// Kinesis does not give it back.
	HashKey string
	// Data is the payload. It must not be changed in place.
	Data []byte
	// Sequence is the number of the Kinesis record, Subsequence the index in
	// its aggregate, 0 for a record that was not aggregated. Both together are
	// unique in a stream.
	Sequence    checkpoint.SequenceNumber
	Subsequence uint64
	// Arrival is when the stream received the Kinesis record
	// (ApproximateArrivalTimestamp), to the millisecond.
	Arrival time.Time
	// Aggregated says that the record came in an aggregate.
	Aggregated bool
}

// Position is the record's place in its shard.
func (r *Record) Position() checkpoint.Position {
	return checkpoint.At(r.Sequence, r.Subsequence)
}

// recordOverhead is what a record costs in memory beside its texts and data.
const recordOverhead = 128

// size is what the record counts in the memory budget.
func (r *Record) size() int {
	return len(r.Key) + len(r.HashKey) + len(r.Data) + recordOverhead
}
