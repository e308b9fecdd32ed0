package consumer

import (
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// Hooks are called on what happens to a worker, for metrics. Nil functions are
// skipped. They are called in line, never with a lock held, from several
// goroutines, and must not block.
type Hooks struct {
	// Lease is called on each transition of the worker in its group and of its
	// leases: joined, acquired, handed over, lost, fenced and so on.
	Lease func(lease.Event)
	// Started is called when the worker begins to work on a shard, at the
	// position that it starts from.
	Started func(shard string, from checkpoint.Position)
	// Ended is called when it stopped working on a shard, with the cause: nil
	// for a shard that was finished or given up in peace.
	Ended func(shard string, cause error)
	// Read is called after each read of a shard.
	Read func(ReadEvent)
	// Batch is called after each call of the handler.
	Batch func(BatchEvent)
	// Failed is called when records were given to OnFailure, after it took them
	// and before the position behind them can be saved.
	Failed func(*Failure)
	// Stopped is called when a shard stops for want of somewhere to put a
	// record that cannot be handled, or because the handler said Stop.
	Stopped func(shard string, at checkpoint.Position, cause error)
	// RecordsExpired is called when records between a saved position and the
	// oldest that the stream still has may have been lost to its retention.
	RecordsExpired func(shard string, saved, oldest checkpoint.Position)
}

// ReadEvent is one read of a shard.
type ReadEvent struct {
	Shard string
	// Took is the time of the call.
	Took time.Duration
	// Raw and Records count the Kinesis records and the user records in them
	// that are to be delivered, Bytes their keys and data.
	Raw, Records, Bytes int
	// OutOfRange counts the user records left out because their hash key
	// belongs to another shard, where their producer sends them again;
	// Malformed the aggregates that were delivered as they are.
	OutOfRange, Malformed int
	// Behind is how far the reader is from the tip of the stream.
	Behind time.Duration
	// Err is why the read failed, nil if it did not.
	Err error
}

// BatchEvent is one call of the handler.
type BatchEvent struct {
	Shard string
	// Took is the time of the call, Records the number of records given, Done
	// how many of them are done, Attempt the number of the attempt.
	Took                   time.Duration
	Records, Done, Attempt int
	// Behind is Batch.Behind.
	Behind time.Duration
	// Err is what the handler returned, or its panic.
	Err error
}

func call[T any](f func(T), v T) {
	if f != nil {
		f(v)
	}
}
