package harness

import (
	"math"
	"testing"
)

func TestMedianAndPercentile(t *testing.T) {
	for _, test := range []struct {
		values           []float64
		median, p50, p99 float64
	}{
		{[]float64{3}, 3, 3, 3},
		{[]float64{5, 1, 3}, 3, 3, 5},
		{[]float64{4, 1, 3, 2}, 2.5, 2, 4},
		{nil, math.NaN(), math.NaN(), math.NaN()},
	} {
		for name, got := range map[string][2]float64{
			"median": {Median(test.values), test.median},
			"p50":    {Percentile(test.values, 50), test.p50},
			"p99":    {Percentile(test.values, 99), test.p99},
		} {
			if got[0] != got[1] && !(math.IsNaN(got[0]) && math.IsNaN(got[1])) {
				t.Errorf("%s of %v is %v, want %v", name, test.values, got[0], got[1])
			}
		}
	}
	many := make([]float64, 200)
	for i := range many {
		many[i] = float64(200 - i)
	}
	if got := Percentile(many, 99); got != 198 {
		t.Errorf("p99 of 1 to 200 is %v, want 198", got)
	}
	if many[0] != 200 {
		t.Error("the values were sorted in place")
	}
}

func TestSummariseTakesMediansOfRuns(t *testing.T) {
	s := summarise([]Sample{
		{Value: 10, Records: 100_000, CPU: CPU{Client: 1, Server: 2}, PeakRSS: 5, Extra: map[string]float64{"x": 1}},
		{Value: 90, Records: 200_000, CPU: CPU{Client: 4, Server: 2}, PeakRSS: 9, Extra: map[string]float64{"x": 3}},
		{Value: 20, Records: 50_000, CPU: CPU{Client: 2, Server: 2}, PeakRSS: 7, Extra: map[string]float64{"x": 2}},
	}, 50)
	if s.Value != 20 || s.PeakRSS != 9 || s.Extra["x"] != 2 || s.CPU != (CPU{Client: 2, Server: 2}) {
		t.Errorf("summary is %+v", s)
	}
}

func TestSummarisePoolsObservations(t *testing.T) {
	s := summarise([]Sample{
		{Observations: []float64{1, 2, 3}},
		{Observations: []float64{4, 100}},
	}, 99)
	if s.Value != 100 || s.Extra["p50"] != 3 || s.Extra["max"] != 100 || s.Extra["n"] != 5 || len(s.Runs) != 0 {
		t.Errorf("summary is %+v", s)
	}
}

func TestRatioOfOneThatDidNotRunMeetsNoTarget(t *testing.T) {
	r := Result{Ours: Summary{Value: 9}, Peers: map[string]Summary{"echo": {Value: 10}}}
	if !RatioAtLeast("echo", 0.9)(r) || RatioAtLeast("echo", 0.91)(r) {
		t.Error("9 is 0.9 times 10")
	}
	if RatioAtLeast("nobody", 0)(r) || AtLeast(0)(Result{Ours: Summary{Value: math.NaN()}}) {
		t.Error("what is not a number met a target")
	}
}

func TestLoadLeavesOutWhatIsOurs(t *testing.T) {
	earlier := load{total: 1000, busy: 500, exempt: 100}
	later := load{total: 1200, busy: 600, exempt: 150}
	if got := later.since(earlier); got != 0.25 {
		t.Errorf("others used %v, want 0.25", got)
	}
	if !later.disturbed(earlier) {
		t.Error("a quarter is no disturbance")
	}
	short := load{total: 1050, busy: 550, exempt: 100}
	if short.disturbed(earlier) {
		t.Error("a look of half a second of one processor tells a disturbance")
	}
	if got := (load{total: 1200, busy: 520, exempt: 150}).since(earlier); got != 0 {
		t.Errorf("others used %v, want 0", got)
	}
}
