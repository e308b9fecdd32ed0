package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// What a save can be refused for. They stand in [Outcome.Err].
var (
	// ErrFenced means that the token is not the lease's: another worker holds
	// it, or nobody. The caller has lost the lease and must stop.
	ErrFenced = errors.New("checkpoint fenced: the lease is held under another token")
	// ErrNotFound means that the store has no row for the lease, or none that
	// can be read.
	ErrNotFound = errors.New("checkpoint not found: no such lease")
	// ErrRegress means that the position is before the stored one, which
	// stands in [Outcome.Position].
	ErrRegress = errors.New("checkpoint refused: it is before the stored position")
)

// Scope names the state that a call is about.
type Scope struct {
	// Group is the name of the group of workers, consumer.Config.Group.
	Group string
	// Incarnation is the identity of the group's state that the caller has
	// joined. State that was lost and made anew has another one, and refuses
	// the calls of those who knew the old. Empty skips the check.
	Incarnation string
}

// Token is the proof of one acquisition of a lease. It is given by acquire,
// never issued twice, and opaque to everyone but the store.
type Token string

// Update is one save.
type Update struct {
	// Lease is the lease's name: account:region:stream:epoch/shardId.
	Lease string
	// Token is what the lease was acquired under.
	Token Token
	// Position is the low-watermark: it and everything before it was handled.
	Position Position
	// Counter orders saves at an equal position; a lower one than stored is
	// refused with ErrRegress.
	Counter uint64
	// Weight is the shard's load as log2 of bytes per second; 0 leaves the
	// stored one.
	Weight uint8
	// State is saved in the same step as the position and given back by
	// acquire; nil leaves the stored one. At most 1 MiB. When the shard ends the
	// state is left to its children; see [Entry.Inherited].
	State []byte
	// Release gives the lease up in the same step. It is given up too when the
	// position equals the stored one.
	Release bool
}

// Fenced is an [ErrFenced] that says what became of the lease: the token that holds it
// now, empty when it is free, the one that freed it last, and its epoch. A reset by hand
// frees it under a mark that begins with reset#.
func Fenced(token, last Token, epoch uint64) error {
	switch {
	case token != "":
		return fmt.Errorf("%w: %s, at epoch %d", ErrFenced, token, epoch)
	case strings.HasPrefix(string(last), "reset#"):
		return fmt.Errorf("%w: it was reset by hand, to epoch %d", ErrFenced, epoch)
	default:
		return fmt.Errorf("%w: it is free, at epoch %d", ErrFenced, epoch)
	}
}

// Outcome is what became of one [Update].
type Outcome struct {
	// Err is nil when the update was written, or ErrFenced, ErrNotFound or
	// ErrRegress.
	Err error
	// Position is the stored position after the call; for ErrRegress the one
	// that stood in the way. It is not set with the other errors.
	Position Position
}

// Entry is a stored position.
type Entry struct {
	Position Position
	Counter  uint64
	State    []byte
	// Inherited are the states of other leases, by their names, that the lease
	// was left when they ended: those of the parents of its shard. A state of
	// its own replaces them with the first save that has one. Acquire fills it,
	// Load leaves it nil.
	Inherited map[string][]byte
}

// Store keeps positions. All methods may be called concurrently, and all are
// safe to repeat: an update that was written and whose answer was lost is
// accepted again. Errors returned beside the outcomes mean that the store was
// not reached, or that the scope is wrong; the caller retries or pauses.
type Store interface {
	// Load returns the entries of the given leases; a lease without a row is
	// absent from the map.
	Load(ctx context.Context, group string, leases ...string) (map[string]Entry, error)
	// Save writes each update whose token holds, each in one atomic step, and
	// returns one outcome an update, in their order. With an error it returns
	// the outcomes of those updates, from the first, that were answered before.
	Save(ctx context.Context, scope Scope, updates ...Update) ([]Outcome, error)
}
