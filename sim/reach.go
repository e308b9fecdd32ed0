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
		{"option capacity", p.Uneven}, {"option rates", p.Rates}, {"option segment", p.Segment > 0}, {"fan-out", p.FanOut}, {"option attempts", p.GiveUp.Attempts > 0},
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
// often: a change of the plan that leaves something out does not go unseen. Each
// fault has to have an effect five times.
func floor() map[string]int {
	out := map[string]int{
		// Of the plans. It is about half of what they have, which follows from the seeds alone.
		"starts at horizon": 10, "starts at latest": 12, "starts at timestamp": 3, "joins among puts": 13, "latest, and all is lost": 8,
		"batches of 1": 8, "batches of 10": 8, "batches of 100": 9,
		"1 workers": 4, "2 workers": 8, "3 workers": 8, "4 workers": 4,
		"lease time 1s": 3, "lease time 3s": 15, "lease time 10s": 6,

		"option window": 8, "option interval": 13, "option handoff": 8, "option timeout": 10, "option drain": 10, "option page": 5,
		"option batch bytes": 9, "option leases": 8, "option budget": 7, "option reads": 5, "option reads without limit": 8,
		"option capacity": 6, "option rates": 8, "option segment": 15, "fan-out": 12, "option attempts": 17, "option age": 7,
		"option destination": 15, "option drop": 3, "nobody takes what is given up": 7,
		"handler of batches": 15, "handler of one record at a time": 9,
		"writer: ordered": 21, "writer: aggregates": 21, "writer: hash keys": 10, "writer: short life": 11, "writer: small buffer": 12,

		// Of the runs. It is less than half, because any change of the code makes other
		// runs of the same seeds; least where one run may have most of it.
		"records before the group and since": 6, "log of several segments": 12, "shard read to its tip": 200,
		"writer by producer": 30, "resharded in a rush": 10, "writer by PutRecord": 8, "writer by PutRecords": 8, "writer by aggregates": 8,
		"client talks CBOR": 200, "client talks JSON": 100,
		"subscription": 150, "subscription: event": 4000, "subscription: broken": 40, "subscription: silent": 10, "subscription: end of the shard": 20,
		"handler of each": 1000, "handler fails": 100, "handler fails from": 30, "handler fails from, wrapped": 30, "handler fails from two": 30,
		"handler fails from outside": 30, "handler retries after": 75, "handler panics": 35, "handler says stop": 4, "handler says poison": 50,
		"handler cannot decode": 10, "handler slow and deaf": 10, "handler past its deadline": 10, "handler lost its lease": 5, "handler drained": 1,
		"shard stopped": 12, "worker superseded": 2, "destination fails": 20,
		"given up: RetryAttemptsExhausted": 8, "given up: RecordAgeExceeded": 50, "given up: Poison": 50, "given up: dropped": 20,

		// What is judged only where there was no fault for a while.
		"arrival judged": 10_000, "put in peace": 250, "shared evenly": 25, "lease of the dead taken": 50,
		"shard read by fan-out": 60, "record pushed in peace": 50,
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
