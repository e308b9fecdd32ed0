package localstream

import (
	"sync"
	"time"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// The rates of a shard, and of a stream, in AWS. Those of accounts stand in the
// table of operations.
const (
	shardWriteRecords = 1000    // a second
	shardWriteBytes   = 1 << 20 // a second
	shardReadCalls    = 5       // a second
	shardReadBytes    = 2 << 20 // a second
	shardIterators    = 5       // a second
	streamLists       = 1000    // calls of ListShards for a stream, a second

	streamConsumerDescribes   = 20 // calls of DescribeStreamConsumer for a stream, a second
	streamConsumerDeregisters = 5  // of DeregisterStreamConsumer
	streamConsumerLists       = 5  // of ListStreamConsumers
)

// bucket holds what may still be spent. It fills at a rate, up to what one
// second brings, and may go below zero.
type bucket struct {
	left float64
	at   time.Time // when left was so; zero for a full bucket
}

// fill brings the bucket to now.
func (b *bucket) fill(rate float64, now time.Time) {
	if b.at.IsZero() {
		b.left = rate
	} else {
		b.left = min(rate, b.left+rate*now.Sub(b.at).Seconds())
	}
	b.at = now
}

// shardRates is what a shard has left of its rates.
type shardRates struct{ records, written, calls, read, iterators bucket }

// rates is what the shards of a stream have left of their rates. The zero
// value is ready.
type rates struct {
	// mu guards shards and what is in it.
	mu     sync.Mutex
	shards map[uint32]*shardRates
}

// of needs r.mu.
func (r *rates) of(shard uint32) *shardRates {
	if r.shards == nil {
		r.shards = map[uint32]*shardRates{}
	}
	s := r.shards[shard]
	if s == nil {
		s = &shardRates{}
		r.shards[shard] = s
	}
	return s
}

// write spends a record, and reports whether the shard may take it.
func (r *rates) write(shard uint32, bytes int, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.of(shard)
	s.records.fill(shardWriteRecords, now)
	s.written.fill(shardWriteBytes, now)
	// A record larger than what one second brings needs a full bucket.
	need := min(float64(bytes), shardWriteBytes)
	if s.records.left < 1 || s.written.left < need {
		return false
	}
	s.records.left--
	s.written.left -= float64(bytes)
	return true
}

// mayRead spends a call, and reports whether the shard may be read.
func (r *rates) mayRead(shard uint32, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.of(shard)
	s.calls.fill(shardReadCalls, now)
	s.read.fill(shardReadBytes, now)
	if s.calls.left < 1 || s.read.left <= 0 {
		return false
	}
	s.calls.left--
	return true
}

// iterator spends a call of GetShardIterator, and reports whether it may be.
func (r *rates) iterator(shard uint32, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := &r.of(shard).iterators
	b.fill(shardIterators, now)
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// read spends what was read. An answer that is larger than what was left is
// paid for in full, so after 10 MiB a shard rests for five seconds, as the
// documentation of AWS has it.
func (r *rates) read(shard uint32, bytes int, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.of(shard)
	s.read.fill(shardReadBytes, now)
	if float64(bytes) > s.read.left {
		s.read.left = 0
	}
	s.read.left -= float64(bytes)
}

// rateExceeded is the error of a shard at its limit.
func rateExceeded(key state.Key, shardID string) *apiError {
	return throttled("Rate exceeded for shard %s in stream %s under account %s.", shardID, key.Name, key.Account)
}
