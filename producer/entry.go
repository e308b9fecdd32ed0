package producer

import (
	"time"

	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// aggregateKey is the partition key of aggregates, which a reader of the raw
// stream sees, as the KPL writes it. The explicit hash key chooses the shard.
const aggregateKey = "a"

// pending is what is kept of an accepted user record beside its content.
type pending struct {
	done  func(Result, error)
	at    time.Time // when it was accepted
	size  int       // bytes of the buffer that it takes
	batch uint64    // see flushes
}

// entry is one Kinesis record to be: an aggregate being filled, or sealed to be
// sent. One entry is touched by one goroutine at a time: under the producer's
// lock, or, while in flight, by the goroutine of the call.
type entry struct {
	records []pending
	low     hashkey.Key // the least and the greatest hash key of the records
	high    hashkey.Key

	build   aggregate.Builder // the records' content
	wrapped bool              // an aggregate although it holds one record
	sealed  bool
	key     string // partition key of the Kinesis record
	hashKey string // its explicit hash key, "" for none
	data    []byte // its content: buf, or a slice of build
	buf     []byte

	opened  time.Time // when the first record came
	lastAdd time.Time // when the last one came
	oldest  time.Time // when the oldest was accepted: mostly the first
	due     bool      // to be sent without lingering

	attempts  int   // calls that carried it, or its records before
	maybeSent bool  // one of them may have written it
	err       error // the last one's
	alone     bool  // not to be joined with others in a call
	landed    place // where it was written, while that is not known to be right
	ended     bool  // its records' fate is known
}

// place is a position in the stream.
type place struct{ shard, sequence string }

// tryAdd adds a record unless that takes the entry over a limit in bytes. The
// first record is always added.
func (e *entry) tryAdd(r *Record, hash hashkey.Key, p pending, limit int) bool {
	if len(e.records) == 0 {
		e.build.Add(r.Key, r.HashKey, r.Data)
		e.low, e.high, e.opened, e.oldest = hash, hash, p.at, p.at
		e.wrapped = limit > 0 && r.looksPacked()
	} else {
		if !e.build.TryAdd(r.Key, r.HashKey, r.Data, limit) {
			return false
		}
		if hash.Compare(e.low) < 0 {
			e.low = hash
		}
		if hash.Compare(e.high) > 0 {
			e.high = hash
		}
		if p.at.Before(e.oldest) {
			e.oldest = p.at
		}
	}
	e.lastAdd = p.at
	e.records = append(e.records, p)
	return true
}

// seal makes the Kinesis record. A lone user record is sent as it is, under its
// own key. Sealing again changes nothing, so a retry sends the same bytes.
func (e *entry) seal(firstKey bool) {
	if e.sealed {
		return
	}
	e.sealed = true
	first := e.build.First()
	if !e.isAggregate() {
		e.key, e.hashKey, e.data = first.Key, first.HashKey, first.Data
		return
	}
	e.key, e.hashKey = outerKey(first.Key, firstKey), first.Hash().String()
	if firstKey {
		e.hashKey = first.HashKey
	}
	e.buf = e.build.Append(e.buf[:0])
	e.data = e.buf
}

// isAggregate reports whether the Kinesis record is an aggregate, rather than
// one user record as it is.
func (e *entry) isAggregate() bool { return e.wrapped || e.build.Len() > 1 }

// size is the length of the Kinesis record's key and data.
func (e *entry) size(firstKey bool) int {
	first := e.build.First()
	if !e.isAggregate() {
		return len(first.Key) + len(first.Data)
	}
	return len(outerKey(first.Key, firstKey)) + e.build.Size()
}

// outerKey is the partition key of an aggregate whose first record has the key.
func outerKey(first string, firstKey bool) string {
	if firstKey {
		return first
	}
	return aggregateKey
}

// contents are the user records, in order. Their data aliases the entry.
func (e *entry) contents() []aggregate.Record { return e.build.Records(nil) }

// fits reports whether every record's hash key lies in the range.
func (e *entry) fits(keys hashkey.Range) bool {
	return keys.Contains(e.low) && keys.Contains(e.high)
}

// isExpired reports whether the oldest record has lived for ttl or longer.
func (e *entry) isExpired(now time.Time, ttl time.Duration) bool { return now.Sub(e.oldest) >= ttl }

// Bytes of an entry and of a pending without what they point to, about.
const (
	entryMemory   = 512
	pendingMemory = 48
)

// memory is about what the entry keeps over reset, in bytes.
func (e *entry) memory() int {
	return entryMemory + cap(e.records)*pendingMemory + e.build.Memory() + cap(e.buf)
}

// reset empties the entry and keeps its memory.
func (e *entry) reset() {
	clear(e.records)
	e.build.Reset()
	*e = entry{records: e.records[:0], build: e.build, buf: e.buf[:0]}
}

// repack makes entries for records of old in the order given, at most limit
// bytes of data each; split puts each record into one of its own. The new
// entries go on where old has got to: its attempts, and what came of them.
type repack struct {
	fresh func() *entry
	limit int // of an aggregate's bytes
	count int // of an aggregate's records, 0 for no limit
	split bool
	out   []*entry
}

func (r *repack) add(old *entry, rec aggregate.Record, p pending) {
	user := Record{Key: rec.Key, HashKey: rec.HashKey, Data: rec.Data}
	hash := rec.Hash()
	if n := len(r.out); n > 0 && !r.split {
		last := r.out[n-1]
		// Records that have been sent before stay with those they were sent
		// with, so that attempts are counted right.
		same := last.attempts == old.attempts && last.maybeSent == old.maybeSent
		full := r.count > 0 && len(last.records) >= r.count
		if same && !full && last.tryAdd(&user, hash, p, r.limit) {
			return
		}
	}
	e := r.fresh()
	e.attempts, e.maybeSent, e.err = old.attempts, old.maybeSent, old.err
	e.tryAdd(&user, hash, p, r.limit)
	r.out = append(r.out, e)
}
