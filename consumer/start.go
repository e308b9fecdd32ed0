package consumer

import (
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// StartAt says where a group begins to read a stream that it has not read
// before, or what it does not remember of one. The zero value is [TrimHorizon].
type StartAt struct {
	latest bool
	halt   bool
	at     time.Time
}

// aheadAtMost is how far a time may be ahead of the clock: clocks differ. Kinesis
// refuses a time to come until it is there, and the stream would stand still.
const aheadAtMost = time.Minute

// TrimHorizon begins at the oldest records that the stream has.
func TrimHorizon() StartAt { return StartAt{} }

// Latest begins with the records that arrive from now on. "Now" is when the
// group's leases are made, by the service's clock, which tells it to the second:
// records of up to a second before are delivered too, and none after it is
// missed. It is saved with the leases, and stays the same however often workers
// restart before their first checkpoint. A stream that was deleted and made anew is
// read from its oldest records by a group that has read the one before: all that it
// has arrived since.
func Latest() StartAt { return StartAt{latest: true} }

// AtTimestamp begins with the records that arrived at t or later, to the
// millisecond.
func AtTimestamp(t time.Time) StartAt { return StartAt{at: t} }

// Halt begins nothing: it is only for Config.OnStateLoss.
func Halt() StartAt { return StartAt{halt: true} }

// String is the name that Kinesis has for it, with the time if there is one.
func (s StartAt) String() string {
	switch {
	case s.latest:
		return "LATEST"
	case s.halt:
		return "HALT"
	case !s.at.IsZero():
		return "AT_TIMESTAMP " + s.at.UTC().Format(time.RFC3339Nano)
	default:
		return "TRIM_HORIZON"
	}
}

// resolve is the position that every lease of a new group starts with, when the
// group begins at now.
func (s StartAt) resolve(now time.Time) checkpoint.Position {
	switch {
	case s.latest:
		return checkpoint.StartAt(now)
	case !s.at.IsZero():
		return checkpoint.StartAt(s.at)
	default:
		return checkpoint.Start()
	}
}
