package consumer

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Causes of the end of a handler's context, beside lease.ErrLost.
var (
	// ErrDraining means that the worker gives the shard up, and that the time
	// for doing so in peace, Config.DrainTimeout, is over.
	ErrDraining = errors.New("worker is draining")
	// ErrDeadline means that the handler took longer than
	// Config.HandlerTimeout.
	ErrDeadline = errors.New("handler deadline exceeded")
)

// What ends a worker.
var (
	// ErrStreamNotFound means that the stream does not exist, or no longer.
	ErrStreamNotFound = errors.New("stream not found")
	// ErrRunning is returned by a second Run at the same time.
	ErrRunning = errors.New("consumer runs already")
)

// errExited stands for what user code did not return.
var errExited = errors.New("the handler, a hook or the destination ended its goroutine (runtime.Goexit)")

// Reasons why a shard stops, in [ShardStatus] and [Hooks], beside what a
// handler gave to [Stop].
var (
	// ErrAttempts means that Config.MaxAttempts are used up.
	ErrAttempts = errors.New("attempts exhausted")
	// ErrTooOld means that a record is older than Config.MaxRecordAge.
	ErrTooOld = errors.New("record too old")
)

// ShardError is what went wrong on one shard.
type ShardError struct {
	// Stream and Shard name the shard.
	Stream, Shard string
	// Op is what was being done, such as "get records" or "handle".
	Op string
	// Err is the cause.
	Err error
}

// Error implements error.
func (e *ShardError) Error() string {
	return fmt.Sprintf("%s %s of stream %s: %v", e.Op, e.Shard, e.Stream, e.Err)
}

// Unwrap returns the cause.
func (e *ShardError) Unwrap() error { return e.Err }

// PanicError is a panic of a handler, which counts as an error that it returned.
type PanicError struct {
	// Value is what was given to panic.
	Value any
	// Stack is the stack of the goroutine.
	Stack []byte
}

// Error implements error. It leaves out the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("handler panicked: %v", e.Value) }

// Unwrap returns the value given to panic if it was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// recoverTo, deferred, turns a panic into an error.
func recoverTo(err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{Value: v, Stack: debug.Stack()}
	}
}

// FailFrom says that the records before index i of the batch are done and that
// record i failed with err, which may be a verdict itself. Delivery goes on at
// record i; when its attempts are used up, record i alone goes to
// [Config.OnFailure]. An index outside the batch claims nothing: the whole
// batch failed, from record 0 on. It returns nil for a nil err.
//
// Of several in one error, joined or nested, the lowest index counts, whatever
// their order, and of the Poison and RetryAfter those around it or inside of it;
// those of a later record are for when it is delivered again. An error beside
// it, without a FailFrom, says nothing about other records.
func FailFrom(i int, err error) error {
	if err == nil {
		return nil
	}
	return &failFrom{index: i, err: err}
}

// Poison says that another attempt is of no use: the record of [FailFrom], or
// the whole batch without one, goes to [Config.OnFailure] at once. Without a
// destination the shard stops there. It returns nil for a nil err.
func Poison(err error) error {
	if err == nil {
		return nil
	}
	return &poison{err}
}

// RetryAfter says when to try again, in place of the policy's pause. It counts
// as an attempt. It returns nil for a nil err.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &retryAfter{max(d, 0), err}
}

// Stop says that the worker is to stop working on this shard and to keep its
// position; [Consumer.Status] shows it as unhealthy. It counts wherever it
// stands in an error. It returns nil for a nil err.
func Stop(err error) error {
	if err == nil {
		return nil
	}
	return &stop{err}
}

type (
	failFrom struct {
		index  int
		err    error
		unseen bool // the user's function was not called for the record
	}
	poison     struct{ err error }
	retryAfter struct {
		after time.Duration
		err   error
	}
	stop struct{ err error }
)

func (e *failFrom) Error() string   { return fmt.Sprintf("record %d: %v", e.index, e.err) }
func (e *poison) Error() string     { return "poison: " + e.err.Error() }
func (e *retryAfter) Error() string { return fmt.Sprintf("retry after %v: %v", e.after, e.err) }
func (e *stop) Error() string       { return "stop: " + e.err.Error() }

func (e *failFrom) Unwrap() error   { return e.err }
func (e *poison) Unwrap() error     { return e.err }
func (e *retryAfter) Unwrap() error { return e.err }
func (e *stop) Unwrap() error       { return e.err }
