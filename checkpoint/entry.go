package checkpoint

import (
	"bytes"
	"fmt"
)

// MaxState is the longest [Update.State], in bytes.
const MaxState = 1 << 20

// Apply decides whether u may be written over e, and returns the entry after
// it. It is the rule that every store keeps, in the step that writes:
//
//   - a position before the stored one is ErrRegress;
//   - at an equal position a lower counter is ErrRegress, but with a release,
//     which then changes nothing else;
//   - equal starts keep the stored one, with its time.
//
// Apply does not look at tokens. With an error it returns e.
func (e Entry) Apply(u Update) (Entry, error) {
	order := u.Position.Compare(e.Position)
	switch {
	case order < 0:
		return e, ErrRegress
	case order == 0 && u.Counter < e.Counter:
		if u.Release {
			return e, nil
		}
		return e, ErrRegress
	}
	if order > 0 {
		e.Position = u.Position
	}
	e.Counter = u.Counter
	if u.State != nil {
		e.State, e.Inherited = bytes.Clone(u.State), nil
	}
	return e, nil
}

// Clone returns a copy that shares no memory with e.
func (e Entry) Clone() Entry {
	e.State = bytes.Clone(e.State)
	if len(e.Inherited) == 0 {
		e.Inherited = nil
		return e
	}
	inherited := make(map[string][]byte, len(e.Inherited))
	for name, state := range e.Inherited {
		inherited[name] = bytes.Clone(state)
	}
	e.Inherited = inherited
	return e
}

// Validate reports what is wrong with an update before it is sent anywhere.
func (u Update) Validate() error {
	switch {
	case u.Lease == "":
		return fmt.Errorf("update without a lease name")
	case u.Token == "":
		return fmt.Errorf("update of %s without a token", u.Lease)
	case len(u.State) > MaxState:
		return fmt.Errorf("update of %s with %d bytes of state, at most %d are allowed", u.Lease, len(u.State), MaxState)
	}
	if err := u.Position.Validate(); err != nil {
		return fmt.Errorf("update of %s: %w", u.Lease, err)
	}
	return nil
}
