package lease

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Why a manager ends or cancels; the errors of stores stand beside [Store].
var (
	// ErrDrainTimeout is the cause of a cancelled runner context when the
	// runner did not return within Config.DrainTimeout of the drain.
	ErrDrainTimeout = errors.New("lease not given back within the drain timeout")
	// ErrRunning is returned by a second Run at the same time.
	ErrRunning = errors.New("lease manager runs already")
)

// Why leases are lost, beside what stores say.
var (
	errUnconfirmed = errors.New("the store has confirmed no beat for almost the lease time")
	errUnsaved     = errors.New("the last position could not be saved in time")
)

// lostTo says why a lease is not the one that a worker has, by the row that the table
// shows, nil for none.
func lostTo(row *Lease, was Lease) error {
	switch {
	case row == nil:
		return errors.New("its row was removed: by hand, or as the shard has expired")
	case row.Finished():
		return errors.New("the shard was ended")
	case !row.Free():
		return fmt.Errorf("another has it, %s, at epoch %d after %d", row.Token, row.Epoch, was.Epoch)
	case row.Epoch > was.Epoch:
		return fmt.Errorf("it was reset by hand, or another had it: it is free at epoch %d after %d", row.Epoch, was.Epoch)
	default:
		return fmt.Errorf("it was freed at epoch %d, as the session lapsed", row.Epoch)
	}
}

// RegressedError is how a store reports ErrRegressed: the session's own beats
// are missing from it, so it lost its latest writes.
type RegressedError struct {
	// Number is of the session's last beat that the store knows, 0 when it does
	// not know the session.
	Number uint64
}

// Error implements error.
func (e *RegressedError) Error() string {
	return fmt.Sprintf("%s: its last beat of the session is %d", ErrRegressed, e.Number)
}

// Unwrap returns ErrRegressed.
func (e *RegressedError) Unwrap() error { return ErrRegressed }

// namedAtMost is how many leases an error names.
const namedAtMost = 4

// UnrestoredError is what a manager's Run fails with when the group's state was
// lost, not all of it was remembered, and Config.HaltOnLoss is set.
type UnrestoredError struct {
	// Stream is the one that they are of, as lease names begin.
	Stream string
	// Leases are those of which nobody remembers how far they were handled, in
	// order; one at least.
	Leases []string
	// Kept is how many leases of the stream were given back.
	Kept int
	// Seen is a time by which the loss had been seen, by the store's clock: the latest
	// that is certain.
	Seen time.Time
}

// Error implements error. It names the first four leases, by their shards.
func (e *UnrestoredError) Error() string {
	var shards []string
	for _, name := range e.Leases[:min(len(e.Leases), namedAtMost)] {
		shards = append(shards, ShardOf(name))
	}
	more := ""
	if n := len(e.Leases) - namedAtMost; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("the group's state was lost, and nobody remembers how far these shards of stream %s were handled: %s%s",
		e.Stream, strings.Join(shards, ", "), more)
}
