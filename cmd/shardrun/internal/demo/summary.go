package demo

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"

	"github.com/shardrun/shardrun/internal/flights"
	"github.com/shardrun/shardrun/internal/history"
)

// Summary is the audit of a run.
type Summary struct {
	Sent            int     `json:"sent"`
	Handled         int     `json:"handled_unique"`
	Lost            int     `json:"lost"`
	Duplicates      int     `json:"duplicates"`
	OrderViolations int     `json:"order_violations"`
	Splits          int     `json:"splits"`
	Merges          int     `json:"merges"`
	Joined          int     `json:"workers_joined"`
	Killed          int     `json:"workers_killed"`
	Drained         int     `json:"workers_drained"`
	MatchesFile     bool    `json:"matches_file"`
	Seconds         float64 `json:"seconds"`

	sound    bool     // the history broke no rule
	examples []string // of those that it broke
}

// OK reports that nothing was lost or out of order, that the workers kept to the
// rules of leases and checkpoints, and that the result is right.
func (s Summary) OK() bool {
	return s.Lost == 0 && s.OrderViolations == 0 && s.sound && s.MatchesFile
}

// rules are what the history of a demo is judged by. What a stream elsewhere has
// is not read again.
func (r *run) rules() []history.Rule {
	rules := []history.Rule{history.H1, history.H2, history.H3, history.H4, history.H5, history.H6, history.H10, history.H11}
	if r.embedded {
		rules = append(rules, history.H8)
	}
	return rules
}

// audit judges the run. matches says whether the statistics are the file's.
func (r *run) audit(matches bool, took time.Duration) {
	v := r.history.Check(history.Options{Partial: history.Without(r.rules()...)})
	s := &r.summary
	s.Sent, s.Handled, s.Lost = v.Sent, v.Handled, v.Lost
	s.Duplicates, s.OrderViolations = v.Duplicates, v.OrderViolations
	s.Seconds = math.Round(took.Seconds()*1000) / 1000
	s.sound, s.examples = v.OK(), v.Examples
	s.MatchesFile = matches && v.Altered == 0
}

// print shows the result of the job and the audit.
func (s Summary) print(w io.Writer, top []flights.Airport) {
	fmt.Fprintln(w, "\nThe ten airports of most flights:")
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "  airport\tflights\tmean delay\t")
	for _, a := range top {
		fmt.Fprintf(tw, "  %s\t%d\t%+.1f min\t\n", a.Code, a.Flights, a.MeanDelay())
	}
	_ = tw.Flush() // to w, like the lines around it

	fmt.Fprintf(w, "\nAudit, after %d splits, %d merge, %d worker joined, %d killed, %d drained:\n", s.Splits, s.Merges, s.Joined, s.Killed, s.Drained)
	tw = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(what string, value any, remark string) { fmt.Fprintf(tw, "  %s\t%v\t%s\n", what, value, remark) }
	row("sent", s.Sent, "acknowledged by the stream")
	row("handled", s.Handled, "each counted once")
	row("lost", s.Lost, "")
	row("duplicates", s.Duplicates, "delivered again, mostly after the kill: at least once, not exactly once")
	row("order violations", s.OrderViolations, "first deliveries of an airport out of put order")
	row("matches the file", map[bool]string{true: "yes", false: "NO"}[s.MatchesFile], "statistics equal those computed straight from it")
	row("seconds", fmt.Sprintf("%.2f", s.Seconds), fmt.Sprintf("%.0f records/s", float64(s.Sent)/s.Seconds))
	_ = tw.Flush() // to w, like the lines around it
	for _, e := range s.examples {
		fmt.Fprintln(w, "  "+e)
	}
}
