package worker

import "time"

// Kind says what an event is about.
type Kind string

// The kinds of events. Other libraries' workers tell of batches alone.
const (
	// Ready: the worker has joined its group.
	Ready Kind = "ready"
	// Started and Ended: the worker begins and ends to work on a shard.
	Started Kind = "started"
	Ended   Kind = "ended"
	// Batch: records were handled.
	Batch Kind = "batch"
	// Granted: the worker got the lease of a shard, under Token.
	Granted Kind = "granted"
	// Saved: the store accepted a position under Token.
	Saved Kind = "saved"
)

// Event is something that a worker did.
type Event struct {
	Worker string `json:"worker"`
	Kind   Kind   `json:"kind"`
	Shard  string `json:"shard,omitempty"`
	// At is when it began (the handler got the batch, the call of the store
	// was sent), Done when it was over, in nanoseconds since 1970.
	At   int64 `json:"at"`
	Done int64 `json:"done,omitempty"`
	// Records are the numbers in the data of the records.
	Records []uint64 `json:"records,omitempty"`
	Token   string   `json:"token,omitempty"`
}

// Now is the present time as events have it.
func Now() int64 { return time.Now().UnixNano() }
