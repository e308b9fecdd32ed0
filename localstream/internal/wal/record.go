package wal

import (
	"errors"
	"fmt"
)

// Record is one record of a shard.
type Record struct {
	// Shard is the number of the shard.
	Shard uint32
	// Seq orders the records of a shard. It rises with every record, not
	// always by one. [Log.Append] sets it.
	Seq uint64
	// Arrival is when the record was appended, in milliseconds since 1970. It
	// never falls within a shard. [Log.Append] sets it.
	Arrival int64
	// Key is the partition key.
	Key string
	// HashKey is the explicit hash key, "" for none.
	HashKey string
	// Data is the payload.
	Data []byte
}

// size is what the record counts for in limits, in bytes.
func (r *Record) size() int { return len(r.Key) + len(r.HashKey) + len(r.Data) }

// recordOverhead is at least what a record takes in the log beside its size.
const recordOverhead = 32

// checkSize returns what recs take in a queue, or why they cannot be appended.
func checkSize(recs []Record) (int, error) {
	total := 0
	for i := range recs {
		total += recs[i].size() + recordOverhead
	}
	if total > maxAppendBytes {
		return 0, fmt.Errorf("append of %d bytes, at most %d are allowed", total, maxAppendBytes)
	}
	return total, nil
}

// Page is what one read returns.
type Page struct {
	// Records are in order of Seq. They belong to the caller until it calls
	// Free; their bytes and strings may share memory with one another.
	Records []Record
	// Next is where to go on reading.
	Next uint64
	// Behind is how far the end of the page is from the last record of the
	// shard, in milliseconds of arrival. It is 0 exactly when there is nothing
	// more to read, and otherwise at least 1.
	Behind int64
	// End means that the shard is sealed and that there is nothing more to
	// read, now or later.
	End bool

	memory pageMemory
}

// Free gives the memory of the page to others: nobody may read its records or
// their data any more. A page that is not freed is garbage like everything else.
func (p *Page) Free() {
	if p.memory.log == nil {
		return // it has none, or it was freed
	}
	p.memory.free()
	p.memory.log.freeRecords(p.Records)
	p.Records, p.memory.log = nil, nil
}

// Memory is how many bytes the data of the page takes.
func (p *Page) Memory() int { return p.memory.bytes() }

var errNoRoom = errors.New("maxRecords and maxBytes must be positive")
