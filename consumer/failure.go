package consumer

import (
	"context"
	"time"
)

// Destination takes the records that could not be handled.
type Destination interface {
	// Send keeps f for good before it returns nil. On an error it is called
	// again, with pauses, for as long as the worker has the shard: nothing
	// goes on before it succeeded. It may be called concurrently for
	// different shards, and again for records that it has taken already.
	Send(ctx context.Context, f *Failure) error
}

// FailureFunc is a [Destination] made of a function.
type FailureFunc func(ctx context.Context, f *Failure) error

// Send calls fn.
func (fn FailureFunc) Send(ctx context.Context, f *Failure) error { return fn(ctx, f) }

// Drop is the [Destination] that forgets what it is given. What is dropped is
// counted in [Status] and logged.
const Drop drop = 0

type drop int

// Send implements [Destination].
func (drop) Send(context.Context, *Failure) error { return nil }

// Reason says why records are given up.
type Reason string

// The reasons. The first two have the names of Lambda's event source mapping.
const (
	ReasonAttempts Reason = "RetryAttemptsExhausted"
	ReasonAge      Reason = "RecordAgeExceeded"
	ReasonPoison   Reason = "Poison"
)

// Failure is a run of records that are given up.
type Failure struct {
	// Group, Worker, Stream and Shard say where.
	Group, Worker, Stream, Shard string
	// Reason and Err say why. Err is nil for ReasonAge when the handler was
	// never called.
	Reason Reason
	Err    error
	// Attempts is how often the handler was called for the first record, 0 for
	// none.
	Attempts int
	// Records are the records, in order, never empty.
	Records []Record
	// Time is when they were given up.
	Time time.Time
}
