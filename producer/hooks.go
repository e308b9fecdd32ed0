package producer

import "time"

// Hooks are functions that a [Producer] calls when something happened, for
// metrics. A nil function is skipped. They are called in line by the goroutine
// that did the work, concurrently with one another, with no lock held; they
// must not block. New events are new fields.
type Hooks struct {
	// Call fires after each PutRecords call.
	Call func(CallEvent)
	// Settled fires after the Done functions of one Kinesis record's user
	// records were called: it was written, or given up.
	Settled func(SettledEvent)
	// ShardMap fires after each attempt to list the stream's shards.
	ShardMap func(ShardMapEvent)
}

// CallEvent is one PutRecords call.
type CallEvent struct {
	Entries   int           // Kinesis records in the call
	Records   int           // user records in them
	Bytes     int           // keys and data of the Kinesis records
	Throttled int           // entries refused for their shard's rate
	Limit     string        // what the service says of the first of those
	Failed    int           // entries refused for other reasons
	Misplaced int           // entries that landed in another shard than predicted
	Duration  time.Duration // from the request to the answer
	Err       error         // of the call as a whole; then every entry failed
}

// SettledEvent is the end of one Kinesis record.
type SettledEvent struct {
	Shard    string        // where it was written, or should have been
	Records  int           // user records in it
	Bytes    int           // its data; 0 if it never was sent
	Attempts int           // calls that carried it
	Age      time.Duration // since its oldest user record was put
	Err      error         // nil when it was written
}

// ShardMapEvent is one listing of the stream's shards.
type ShardMapEvent struct {
	Shards   int // open shards, 0 on error
	Duration time.Duration
	Err      error
}
