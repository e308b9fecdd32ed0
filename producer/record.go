package producer

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// MaxKeyLength is the greatest length of a partition key in Unicode code
// points, an AWS limit.
const MaxKeyLength = 256

// Record is a user record to write.
type Record struct {
	// Key is the partition key, 1 to 256 characters of UTF-8. Records of one
	// key go to one shard. Required.
	Key string
	// HashKey is the explicit hash key, a decimal number below 2^128 that takes
	// the place of the key's MD5 in choosing the shard. Defaults to none.
	HashKey string
	// Data is the content; it may be empty. Put copies it.
	Data []byte
	// Done is called once for each record that Put accepted, when its fate is
	// known: with its place in the stream, or with a [*RecordError]. While it
	// runs, it holds up its shard and those that shared its PutRecords call, so
	// it must be quick and must not wait for the producer: no Put, Flush or
	// Close in it (TryPut is fine). In which order Dones are called is said
	// under Order in the package's comment. Defaults to nothing.
	Done func(Result, error)
}

// Result is where a record was written.
type Result struct {
	// Shard is the id of the shard.
	Shard string
	// Sequence is the sequence number of the Kinesis record that holds it.
	Sequence string
	// Subsequence is its index among the user records of that Kinesis record.
	Subsequence uint64
	// Attempts is the number of PutRecords calls that carried it, at least 1.
	Attempts int
}

// size is what the record takes of the buffer, in bytes.
func (r *Record) size() int { return len(r.Key) + len(r.HashKey) + len(r.Data) }

// looksPacked reports whether the data begins as an aggregate does. Consumers
// would unpack it, but for inside an aggregate.
func (r *Record) looksPacked() bool { return bytes.HasPrefix(r.Data, []byte(aggregate.Magic)) }

// check gives the record's hash key, or what is wrong with the record and what
// is accepted.
func (r *Record) check(cfg *Config, hashes *hashkey.Cache) (hashkey.Key, error) {
	if r.Key == "" {
		return hashkey.Key{}, fmt.Errorf("put record: partition key is empty, 1 to %d characters are accepted", MaxKeyLength)
	}
	if len(r.Key) > MaxKeyLength {
		if n := utf8.RuneCountInString(r.Key); n > MaxKeyLength {
			return hashkey.Key{}, fmt.Errorf("put record: partition key has %d characters, 1 to %d are accepted", n, MaxKeyLength)
		}
	}
	if !utf8.ValidString(r.Key) {
		return hashkey.Key{}, fmt.Errorf("put record: partition key %q is not UTF-8", r.Key)
	}
	if n := len(r.Key) + len(r.Data); n > cfg.MaxRecordBytes {
		return hashkey.Key{}, fmt.Errorf("put record: %w: %d bytes of key and data, at most %d are accepted (MaxRecordBytes)",
			ErrTooLarge, n, cfg.MaxRecordBytes)
	}
	if r.looksPacked() && cfg.aggregateLimit() > 0 {
		n := len(outerKey(r.Key, cfg.FirstKey)) + new(aggregate.Builder).SizeWith(r.Key, r.HashKey, r.Data)
		if n > cfg.MaxRecordBytes {
			return hashkey.Key{}, fmt.Errorf("put record: %w: its data begins as an aggregate does, and takes %d bytes inside of one; at most %d are accepted (MaxRecordBytes)",
				ErrTooLarge, n, cfg.MaxRecordBytes)
		}
	}
	if r.HashKey == "" {
		return hashes.Of(r.Key), nil
	}
	k, err := hashkey.Parse(r.HashKey)
	if err != nil {
		return hashkey.Key{}, fmt.Errorf("put record: explicit %w, a decimal number from 0 to 2^128-1 is accepted", err)
	}
	return k, nil
}
