package producer

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrClosed: the producer was closed before the record could be sent.
	ErrClosed = errors.New("producer is closed")
	// ErrBufferFull: TryPut found no room (Config.BufferRecords, BufferBytes).
	ErrBufferFull = errors.New("producer's buffer is full")
	// ErrTooLarge: the record's data and key, or what has to be made of them,
	// are longer than Config.MaxRecordBytes.
	ErrTooLarge = errors.New("record is too large")
	// ErrExpired: the record was not written within Config.RecordTTL.
	ErrExpired = errors.New("record expired")
	// ErrMaybeSent: the record failed, and yet may be in the stream, because
	// the answer to a call that carried it was lost or unclear. Putting it
	// again may write it twice.
	ErrMaybeSent = errors.New("record may have been written")
)

// RecordError is why an accepted record was not written. errors.Is finds
// [ErrMaybeSent] in it when MaybeSent is true, and whatever Err wraps:
// [ErrExpired], [ErrClosed], the error of the last call.
type RecordError struct {
	// Shard is where the record was to go, "" when that never was known.
	Shard string
	// Attempts is the number of PutRecords calls that carried the record.
	Attempts int
	// Code is the last error code that Kinesis gave for it, "" if none.
	Code string
	// MaybeSent is true when the record may be in the stream nevertheless.
	MaybeSent bool
	// Err is the reason.
	Err error
}

// Error says what failed, where and how often.
func (e *RecordError) Error() string {
	var b strings.Builder
	b.WriteString("put record: ")
	if e.Shard != "" {
		fmt.Fprintf(&b, "%s: ", e.Shard)
	}
	if e.Attempts > 0 {
		fmt.Fprintf(&b, "%d attempts: ", e.Attempts)
	}
	b.WriteString(e.Err.Error())
	if e.MaybeSent {
		b.WriteString(" (the record may have been written)")
	}
	return b.String()
}

// Unwrap gives the reason.
func (e *RecordError) Unwrap() error { return e.Err }

// Is makes errors.Is(e, ErrMaybeSent) tell MaybeSent.
func (e *RecordError) Is(target error) bool { return target == ErrMaybeSent && e.MaybeSent }

// entryError is the failure of one Kinesis record within a call that succeeded.
type entryError struct{ code, message string }

func (e *entryError) Error() string { return "put records: " + e.code + ": " + e.message }
