package state

import (
	"slices"
	"time"
)

// CommitmentTerm is how long a commitment lasts at least.
const CommitmentTerm = 24 * time.Hour

// Account is what was set for an account in a region.
type Account struct {
	Scope
	Commitment Commitment `json:"commitment"`
}

// Commitment is the minimum throughput billing commitment of an account, which
// on-demand streams need for warm throughput. All times are Unix milliseconds.
// The zero Commitment was never made.
type Commitment struct {
	Started int64 `json:"started,omitempty"`
	Ends    int64 `json:"ends,omitempty"` // it ends then, or has ended; 0 for never
}

// Made reports whether the commitment was ever made.
func (c Commitment) Made() bool { return c.Started != 0 }

// Enabled reports whether the commitment holds now.
func (c Commitment) Enabled(now time.Time) bool {
	return c.Made() && (c.Ends == 0 || now.UnixMilli() < c.Ends)
}

// EarliestEnd is when the commitment can end.
func (c Commitment) EarliestEnd() time.Time {
	return time.UnixMilli(c.Started).Add(CommitmentTerm).UTC()
}

// Enable is the commitment after a request to make it: the one that holds goes
// on, without an end.
func (c Commitment) Enable(now time.Time) Commitment {
	if c.Enabled(now) {
		return Commitment{Started: c.Started}
	}
	return Commitment{Started: now.UnixMilli()}
}

// Disable is the commitment after a request to end it, which happens now or at
// the end of its term.
func (c Commitment) Disable(now time.Time) Commitment {
	if c.Enabled(now) && c.Ends == 0 {
		c.Ends = max(now.UnixMilli(), c.EarliestEnd().UnixMilli())
	}
	return c
}

// CommitmentOf gives the commitment of an account in a region.
func (s *State) CommitmentOf(scope Scope) Commitment {
	for _, a := range s.Accounts {
		if a.Scope == scope {
			return a.Commitment
		}
	}
	return Commitment{}
}

// setAccount puts an account in place of the one of the same scope.
func (s *State) setAccount(a Account) {
	i := slices.IndexFunc(s.Accounts, func(old Account) bool { return old.Scope == a.Scope })
	if i < 0 {
		s.Accounts = append(s.Accounts, a)
		return
	}
	s.Accounts[i] = a
}
