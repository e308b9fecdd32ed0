package sim

import (
	"fmt"
	"maps"
	"slices"
)

// features are the choices of a plan, in words.
func (p *Plan) features() []string {
	out := []string{
		"starts at " + string(p.Start), fmt.Sprintf("batches of %d", p.Batch), fmt.Sprintf("%d workers", p.Workers), fmt.Sprintf("lease time %v", p.TTL),
	}
	for _, o := range []struct {
		name string
		on   bool
	}{
		{"joins among puts", p.Joins > 0}, {"option window", p.Window > 0}, {"option interval", p.Interval > 0}, {"option handoff", p.Handoff > 0},
		{"option timeout", p.Timeout > 0}, {"option drain", p.Drain > 0}, {"option page", p.Page > 0}, {"option batch bytes", p.BatchBytes > 0},
		{"option leases", p.MaxLeases > 0}, {"option budget", p.Budget > 0}, {"option reads", p.Reads > 0}, {"option reads without limit", p.Reads < 0},
		{"option capacity", p.Uneven}, {"option rates", p.Rates}, {"option segment", p.Segment > 0}, {"option attempts", p.GiveUp.Attempts > 0},
		{"option age", p.GiveUp.Age > 0}, {"option destination", p.GiveUp.To == ToOthers}, {"option drop", p.GiveUp.To == ToNone},
		{"nobody takes what is given up", p.GiveUp.To == ToNobody}, {"handler of one record at a time", p.GiveUp.Each},
		{"handler of batches", !p.GiveUp.Each},
		{"latest, and all is lost", p.Start == AtLatest && slices.Contains(p.Faults, RedisAll)},
	} {
		if o.on {
			out = append(out, o.name)
		}
	}
	for _, w := range p.Writers {
		for _, o := range []struct {
			name string
			on   bool
		}{
			{"ordered", w.Ordered}, {"aggregates", w.Aggregate}, {"hash keys", w.HashKeys}, {"short life", w.Life > 0}, {"small buffer", w.Buffer > 0},
		} {
			if o.on {
				out = append(out, "writer: "+o.name)
			}
		}
	}
	return out
}

// total is everything that a run reached, faults among it.
func (r *Result) total() map[string]int {
	out := maps.Clone(r.Reached)
	for f, n := range r.Effects {
		out[string(f)] += n
	}
	return out
}

// floor is what the seeds of the suite must reach between them, each at least so
// often: a change of the plan that leaves something out does not go unseen. It is
// about a third of what they reach. Each fault has to have an effect five times.
func floor() map[string]int {
	out := map[string]int{
		"starts at horizon": 5, "starts at latest": 5, "starts at timestamp": 2, "joins among puts": 8,
		"records before the group and since": 5, "latest, and all is lost": 5,
		"batches of 1": 5, "batches of 10": 5, "batches of 100": 5,
		"1 workers": 3, "2 workers": 5, "3 workers": 5, "4 workers": 3,
		"lease time 1s": 2, "lease time 3s": 10, "lease time 10s": 4,

		"option window": 5, "option interval": 8, "option handoff": 5, "option timeout": 5, "option drain": 5, "option page": 4,
		"option batch bytes": 5, "option leases": 5, "option budget": 5, "option reads": 4, "option reads without limit": 4,
		"option capacity": 4, "option rates": 5, "option segment": 8, "log of several segments": 8, "option attempts": 8,
		"option age": 4, "option destination": 8, "option drop": 2, "nobody takes what is given up": 4,

		"writer by producer": 20, "writer by PutRecord": 5, "writer by PutRecords": 5, "writer by aggregates": 5,
		"writer: ordered": 10, "writer: aggregates": 10, "writer: hash keys": 5, "writer: short life": 5, "writer: small buffer": 5,

		"handler of batches": 10, "handler of one record at a time": 5, "handler of each": 1000,
		"handler fails": 100, "handler fails from": 30, "handler fails from, wrapped": 30, "handler fails from two": 30,
		"handler fails from outside": 30, "handler retries after": 50, "handler panics": 40, "handler says stop": 4, "handler says poison": 40,
		"handler cannot decode": 10, "handler slow and deaf": 5, "handler past its deadline": 4, "handler lost its lease": 3,
		"shard stopped": 8, "worker superseded": 3, "destination fails": 15, "shard read to its tip": 100,
		"given up: RetryAttemptsExhausted": 8, "given up: RecordAgeExceeded": 50, "given up: Poison": 50, "given up: dropped": 20,
	}
	for _, k := range Kinds() {
		if k.Off == "" {
			out[string(k.Fault)] = 5
		}
	}
	return out
}

// missing is what runs reached less often than they should, in order.
func missing(reached map[string]int) []string {
	var out []string
	for what, least := range floor() {
		if n := reached[what]; n < least {
			out = append(out, fmt.Sprintf("%s: %d times, want %d", what, n, least))
		}
	}
	slices.Sort(out)
	return out
}
