package lease

import (
	"errors"
	"fmt"
	"strings"
)

// Why a manager ends or cancels; the errors of stores stand beside [Store].
var (
	// ErrDrainTimeout is the cause of a cancelled runner context when the
	// runner did not return within Config.DrainTimeout of the drain.
	ErrDrainTimeout = errors.New("lease not given back within the drain timeout")
	// ErrRunning is returned by a second Run at the same time.
	ErrRunning = errors.New("lease manager runs already")
)

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
const namedAtMost = 10

// UnrestoredError is what a manager's Run fails with when the group's state was
// lost, not all of it was remembered, and Config.HaltOnLoss is set.
type UnrestoredError struct {
	// Leases are those of which nobody remembers how far they were handled, in
	// order; one at least.
	Leases []string
}

// Error implements error. It names the first ten leases.
func (e *UnrestoredError) Error() string {
	names, more := e.Leases, ""
	if n := len(names) - namedAtMost; n > 0 {
		names, more = names[:namedAtMost], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("the group's state was lost, and nobody remembers how far these leases were handled: %s%s",
		strings.Join(names, ", "), more)
}
