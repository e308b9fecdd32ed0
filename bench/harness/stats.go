package harness

import (
	"math"
	"slices"
)

// Median is the middle of the values, the mean of the two middle ones for an
// even count, and NaN for none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(values))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// Percentile is the nearest-rank percentile p (0 to 100) of the values, and
// NaN for none. It is always one of them.
func Percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p / 100 * float64(len(v))))
	return v[min(max(rank, 1), len(v))-1]
}

// Summary is what the runs of a contestant come to.
type Summary struct {
	// Value is the median of the runs, or the percentile of the observations.
	Value float64 `json:"value"`
	// Runs are the values of the runs, in order; without observations.
	Runs []float64 `json:"runs,omitempty"`
	// CPU is the median processor time per 100,000 records, in seconds; zero
	// when the records were not counted.
	CPU CPU `json:"cpu_per_100k"`
	// PeakRSS is the greatest of all runs, in bytes.
	PeakRSS int64 `json:"peak_rss,omitempty"`
	// Extra are the medians of the samples' further figures.
	Extra map[string]float64 `json:"extra,omitempty"`
	// Published says where the value comes from when it was not measured here.
	Published string `json:"published,omitempty"`
}

// summarise makes one figure of the samples; percentile is of the pooled
// observations.
func summarise(samples []Sample, percentile float64) Summary {
	var s Summary
	var pooled, client, server []float64
	extra := map[string][]float64{}
	for _, run := range samples {
		if run.Observations == nil {
			s.Runs = append(s.Runs, run.Value)
		}
		pooled = append(pooled, run.Observations...)
		if run.Records > 0 {
			client = append(client, run.CPU.Client*1e5/float64(run.Records))
			server = append(server, run.CPU.Server*1e5/float64(run.Records))
		}
		s.PeakRSS = max(s.PeakRSS, run.PeakRSS)
		for name, value := range run.Extra {
			extra[name] = append(extra[name], value)
		}
	}
	s.Value = Median(s.Runs)
	s.Extra = make(map[string]float64, len(extra))
	for name, values := range extra {
		s.Extra[name] = Median(values)
	}
	if len(pooled) > 0 {
		s.Value = Percentile(pooled, percentile)
		s.Extra["p50"], s.Extra["p99"] = Percentile(pooled, 50), Percentile(pooled, 99)
		s.Extra["max"], s.Extra["n"] = slices.Max(pooled), float64(len(pooled))
	}
	if len(client) > 0 {
		s.CPU = CPU{Client: Median(client), Server: Median(server)}
	}
	return s
}

// Result is what [Row.Met] decides on.
type Result struct {
	// Ours is the contestant of ours that the line is about.
	Ours Summary
	// Peers are all contestants by name, ours included.
	Peers map[string]Summary
}

// Ratio is our value divided by the named contestant's, NaN when it did not
// run. Comparisons with NaN are false, so a target is then not met.
func (r Result) Ratio(name string) float64 {
	peer, ok := r.Peers[name]
	if !ok || peer.Value == 0 {
		return math.NaN()
	}
	return r.Ours.Value / peer.Value
}

// Extra is a further figure of ours, NaN when there is none.
func (r Result) Extra(name string) float64 {
	if v, ok := r.Ours.Extra[name]; ok {
		return v
	}
	return math.NaN()
}

// AtLeast is met by values of at least v.
func AtLeast(v float64) func(Result) bool {
	return func(r Result) bool { return r.Ours.Value >= v }
}

// AtMost is met by values of at most v.
func AtMost(v float64) func(Result) bool {
	return func(r Result) bool { return r.Ours.Value <= v }
}

// RatioAtLeast is met by values of at least v times the named contestant's.
func RatioAtLeast(name string, v float64) func(Result) bool {
	return func(r Result) bool { return r.Ratio(name) >= v }
}
