package history

import (
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// ID is where a user record is in its stream. Sequence numbers are unique in a
// stream, so no shard is needed.
type ID struct {
	Sequence    string `json:"seq"`
	Subsequence uint64 `json:"sub,omitempty"`
}

// Put is a record that is about to be given to a producer.
type Put struct {
	// Producer names the producer.
	Producer string
	// Key is the partition key, HashKey the explicit hash key in decimal, ""
	// for none.
	Key, HashKey string
	Data         []byte
	// Ordered says that the producer promises order by key. The puts of one key
	// must then be made one after the other.
	Ordered bool
}

// Delivery is a record that a worker's handler was given.
type Delivery struct {
	// Worker, Lease and Epoch are the tenure: one ownership of one lease.
	Worker, Lease string
	Epoch         uint64
	ID            ID
	// Key and HashKey are the record's; HashKey is "" unless the record came in
	// an aggregate and has one.
	Key, HashKey string
	Data         []byte
	// Arrival is when the handler is told that the record arrived. The zero time
	// says nothing.
	Arrival time.Time
}

// Op is an operation of a lease store.
type Op string

// The operations that a history has.
const (
	OpAcquire  Op = "acquire"
	OpSave     Op = "save"
	OpComplete Op = "complete"
	OpCreate   Op = "create"
	OpSeed     Op = "seed"
	OpBye      Op = "bye"
)

// StoreCall is a call of a lease store, as its caller made it.
type StoreCall struct {
	// Actor is the worker.
	Actor string `json:"actor"`
	Op    Op     `json:"op"`
	// Items are what the call is about, a lease each; a call of OpComplete has
	// one, one of OpBye none.
	Items []Item `json:"items,omitempty"`
}

// Item is one lease in a [StoreCall].
type Item struct {
	Lease string `json:"lease"`
	// Token is what the lease is held under; for OpAcquire what it will be held
	// under if the call is granted. OpCreate and OpSeed have none.
	Token string `json:"token,omitempty"`
	// Position is what is saved (OpSave), where the shard starts (OpCreate), or what
	// a worker remembers of a lease that the store lost (OpSeed).
	Position checkpoint.Position `json:"at,omitzero"`
	// Release gives the lease up in the same step (OpSave).
	Release bool `json:"release,omitempty"`
	// Children are the leases that follow the shard (OpComplete).
	Children []string `json:"children,omitempty"`
}

// Result is the answer about one [Item]. An item without a result has an
// unknown outcome.
type Result struct {
	// Err is why the store refused, "" when it did not.
	Err string `json:"err,omitempty"`
	// Token and Epoch are what was granted (OpAcquire).
	Token string `json:"token,omitempty"`
	Epoch uint64 `json:"epoch,omitempty"`
	// Position is the stored position after the step: of OpAcquire when it was
	// granted, of OpSave when it was accepted or refused for the position.
	Position checkpoint.Position `json:"at,omitzero"`
	// Stored says that Position is set.
	Stored bool `json:"stored,omitempty"`
}

// Owner is one row of the lease table at an instant.
type Owner struct {
	Lease string `json:"lease"`
	// Worker is the name of the worker whose living session holds the lease,
	// "" for none.
	Worker   string              `json:"worker,omitempty"`
	Position checkpoint.Position `json:"at,omitzero"`
	// Parents are the names of leases that must be finished before this one may
	// be acquired.
	Parents []string `json:"parents,omitempty"`
	// StartHashKey and EndHashKey are the shard's range, in decimal.
	StartHashKey string `json:"start"`
	EndHashKey   string `json:"end"`
}

// Stream is the truth: what the server's log has in the end.
type Stream struct {
	Name   string
	Shards []Shard
}

// Shard is one shard of a [Stream], open or closed.
type Shard struct {
	ID      string
	Parents []string // ids
	// StartHashKey and EndHashKey are its range, in decimal.
	StartHashKey, EndHashKey string
	// StartSequence and EndSequence bound its sequence numbers; EndSequence is
	// "" while the shard is open.
	StartSequence, EndSequence string
	// Records are all Kinesis records of the shard, in its order.
	Records []Raw
}

// Raw is a Kinesis record as it is stored, an aggregate still packed.
type Raw struct {
	Sequence string
	Key      string
	// Arrival is the approximate arrival time, to the millisecond.
	Arrival time.Time
	Data    []byte
}

// Read is what an auditor got of one shard iterator.
type Read struct {
	Shard string `json:"shard"`
	// Type is one of Kinesis' names: AT_SEQUENCE_NUMBER, AFTER_SEQUENCE_NUMBER,
	// TRIM_HORIZON, LATEST, AT_TIMESTAMP.
	Type string `json:"type"`
	// Sequence and Timestamp are where the first two and the last type begin.
	Sequence  string    `json:"seq,omitempty"`
	Timestamp time.Time `json:"time,omitzero"`
	// Began and Answered are when GetShardIterator was called and returned.
	Began    time.Time `json:"began"`
	Answered time.Time `json:"answered"`
	// Got are the sequence numbers that all calls of GetRecords from this
	// iterator on returned, in order.
	Got []string `json:"got,omitempty"`
	// Last is when the last of these calls began, zero when there was none.
	// Behind is its MillisBehindLatest, and Closed says that it gave no next
	// iterator.
	Last   time.Time     `json:"last,omitzero"`
	Behind time.Duration `json:"behind,omitempty"`
	Closed bool          `json:"closed,omitempty"`
}
