package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/shardrun/shardrun/internal/history"
)

// Result is what a run came to.
type Result struct {
	Plan    Plan
	Verdict history.Verdict
	// Failures are what went wrong beside the verdict: a server that did not
	// come back, a fleet that did not catch up.
	Failures []string
	// Ties is how often two things happened at the same nanosecond. With none,
	// the seed gives the same run again.
	Ties int
	// Effects is how often each fault had one.
	Effects map[Fault]int
	// Reached is how often other things happened that runs are to reach: what
	// handlers said, what was given up.
	Reached map[string]int
	// Digest is the same for runs in which the same happened at the same times.
	Digest string
	// Simulated is the time that passed in the run.
	Simulated time.Duration
	History   *history.History
}

// OK reports that nothing was wrong.
func (r *Result) OK() bool { return r.Verdict.OK() && len(r.Failures) == 0 }

// String says in a line what the run came to, and in a line each what was wrong.
func (r *Result) String() string {
	v := r.Verdict
	parts := []string{fmt.Sprintf("seed %d: sent %d, handled %d, repeats %d", r.Plan.Seed, v.Sent, v.Handled, v.Duplicates)}
	parts = append(parts, r.Failures...)
	for _, x := range v.Violations {
		parts = append(parts, fmt.Sprintf("%s: %s", x.Rule, x.Text))
	}
	return strings.Join(parts, "\n  ")
}
