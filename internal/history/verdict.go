package history

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Rule is one of the things that must hold; the package's comment says each.
type Rule string

// The rules.
const (
	H1  Rule = "H1"  // nothing acknowledged is lost, and nothing is saved that was not handled
	H2  Rule = "H2"  // nothing is invented or altered
	H3  Rule = "H3"  // order by key; a tenure's deliveries are contiguous
	H4  Rule = "H4"  // stored positions never go back
	H5  Rule = "H5"  // one owner: only the token acquired last can save, and only its tenure delivers
	H6  Rule = "H6"  // no record of a child before its parents ended
	H7  Rule = "H7"  // leases and open shards cover every hash key, once
	H8  Rule = "H8"  // sequence numbers rise
	H9  Rule = "H9"  // iterators read exactly what they should
	H10 Rule = "H10" // every put ends once, and an error hides no success
	H11 Rule = "H11" // a tenure goes on behind the latest saved position
	H12 Rule = "H12" // after the faults, all is owned and handled in time
)

// Rules are all rules, in order.
func Rules() []Rule { return []Rule{H1, H2, H3, H4, H5, H6, H7, H8, H9, H10, H11, H12} }

// Options say what a history can be judged by.
type Options struct {
	// TTL is the lease time and Beat the time between two beats, for H12.
	// Default to 10 s and a third of TTL.
	TTL, Beat time.Duration
	// Lag is how long after its acknowledgement, or after the run was healed
	// if that was later, a record may wait until it is handled (H12). Defaults
	// to no bound.
	Lag time.Duration
	// SaveLag is how long after a record was handled its tenure begins to save a
	// position that covers it, at the latest, if it saves at all (H11). Defaults
	// to no bound.
	SaveLag time.Duration
	// Tips says that somebody read each shard to its tip when the faults were
	// over (H9). Defaults to false: nobody needs to.
	Tips bool
	// Partial are the rules that cannot be judged, because what they are judged
	// by was not recorded. A rule that is not here, and for which nothing at all
	// was recorded, is broken: else a witness that was forgotten would look like
	// a good run. Defaults to none.
	Partial []Rule
}

// Without gives the rules but these, for [Options].Partial of a history in
// which only these can be judged.
func Without(judged ...Rule) []Rule {
	return slices.DeleteFunc(Rules(), func(r Rule) bool { return slices.Contains(judged, r) })
}

func (o Options) withDefaults() Options {
	if o.TTL == 0 {
		o.TTL = 10 * time.Second
	}
	if o.Beat == 0 {
		o.Beat = o.TTL / 3
	}
	return o
}

// Violation is one breach of a rule.
type Violation struct {
	Rule Rule
	Text string
	// Event is the number of the event at which it came to light, counted from
	// 1, for the timeline; 0 when it is about none.
	Event int
}

// mostExamples bounds the violations of each rule that are described.
const mostExamples = 10

// Verdict is the judgement of a history.
type Verdict struct {
	// Sent counts the acknowledged puts.
	Sent int
	// Unsure counts the puts that failed and may have been written, as their
	// producer said. Written counts those of them that the stream has, as far as
	// their key and bytes are no other's. A producer that says so of what it never
	// sent has few that were written.
	Unsure, Written int
	// Handled counts the acknowledged puts that a handler finished.
	Handled int
	// Lost counts the acknowledged puts that no handler finished, but for those
	// that arrived before the group began, which are Skipped.
	Lost, Skipped int
	// Duplicates counts the deliveries after a record's first, and those of
	// Repeated. At-least-once allows them.
	Duplicates int
	// Repeated counts records delivered under an id that was not acknowledged,
	// while the same record was put under another: its producer sent it twice,
	// as it must when a shard is split under an aggregate, or was told of an
	// error although the record was written.
	Repeated int
	// OrderViolations counts first deliveries of a key that come after one they
	// should come before: by their place in the stream or, of an ordered
	// producer, by the order of the puts.
	OrderViolations int
	// Altered counts deliveries whose key, hash key or bytes are not those put,
	// or not those of an earlier delivery, or whose time of arrival is not the
	// stream's.
	Altered int
	// Unknown counts records delivered that nobody put.
	Unknown int
	// Broken counts the violations of each rule that was broken.
	Broken map[Rule]int
	// Violations describes the first few of each rule, by rule.
	Violations []Violation
	// Examples are the first few violations as texts.
	Examples []string
}

// OK reports that no rule was broken.
func (v Verdict) OK() bool { return len(v.Broken) == 0 }

// String is the verdict in one line, and a line for each violation described.
func (v Verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d sent, %d handled, %d lost, %d duplicates, %d repeated, %d out of order, %d altered, %d unknown",
		v.Sent, v.Handled, v.Lost, v.Duplicates, v.Repeated, v.OrderViolations, v.Altered, v.Unknown)
	for _, r := range Rules() {
		if n := v.Broken[r]; n > 0 {
			fmt.Fprintf(&b, "\n%s broken %d times", r, n)
			for _, x := range v.Violations {
				if x.Rule == r {
					fmt.Fprintf(&b, "\n  %s", x.Text)
				}
			}
		}
	}
	return b.String()
}

// Check judges the history. It may be called again when more has happened.
func (h *History) Check(o Options) Verdict {
	return check(h.snapshot(), o.withDefaults())
}

// check is a pure function of the trace.
func check(t *trace, o Options) Verdict {
	j := newJudge(t, o)
	for _, judge := range []func(){
		j.beginning,                             // check_begin.go
		j.loss, j.unsure, j.content, j.promises, // check_records.go
		j.order,            // check_order.go
		j.store,            // check_store.go
		j.owners,           // check_owners.go
		j.handlerCalls,     // check_calls.go
		j.saves,            // check_saves.go
		j.deliveries,       // check_tenures.go
		j.cover, j.numbers, // check_stream.go
		j.reads,    // check_reads.go
		j.liveness, // check_liveness.go
	} {
		judge()
	}
	return j.verdict()
}

// judges reports whether a rule is to be judged.
func (j *judge) judges(r Rule) bool { return !slices.Contains(j.o.Partial, r) }

// broken notes a violation.
func (j *judge) broken(r Rule, format string, args ...any) {
	if !j.judges(r) {
		return
	}
	if j.v.Broken == nil {
		j.v.Broken = map[Rule]int{}
	}
	j.v.Broken[r]++
	if j.v.Broken[r] <= mostExamples {
		j.v.Violations = append(j.v.Violations, Violation{r, fmt.Sprintf(format, args...), j.eventOf(args) + 1})
	}
}

// verdict is what was found, in the order of the rules.
func (j *judge) verdict() Verdict {
	number := map[Rule]int{}
	for i, r := range Rules() {
		number[r] = i
	}
	v := j.v
	v.Broken = maps.Clone(v.Broken)
	slices.SortStableFunc(v.Violations, func(a, b Violation) int { return number[a.Rule] - number[b.Rule] })
	for _, x := range v.Violations[:min(len(v.Violations), mostExamples)] {
		v.Examples = append(v.Examples, string(x.Rule)+" "+x.Text)
	}
	return v
}
