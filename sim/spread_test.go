package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shardrun/shardrun/reliability/ledger"
)

// sum is what many runs come to.
type sum struct {
	runs, failed     int
	simulated        time.Duration
	records, repeats int
	tied             []uint64 // seeds of runs that may not repeat
	reached          map[string]int
}

func (s *sum) add(o outcome) {
	s.runs++
	s.simulated += o.Simulated
	s.records += o.Sent
	s.repeats += o.Repeats
	for what, n := range o.Reached {
		if s.reached == nil {
			s.reached = map[string]int{}
		}
		s.reached[what] += n
	}
	if o.Ties > 0 {
		s.tied = append(s.tied, o.Seed)
	}
	if o.Wrong != "" {
		s.failed++
	}
}

// result is a line of the ledger.
func (s *sum) result() ledger.Result {
	return ledger.Result{Suite: "simulation", Runs: uint64(s.runs), Failures: uint64(s.failed), Counts: map[string]uint64{
		"simulated seconds": uint64(s.simulated.Seconds()), "records": uint64(s.records), "records handled again": uint64(s.repeats),
		"runs that may not repeat": uint64(len(s.tied)),
	}}
}

// outcome is what a run came to, in a line of output.
type outcome struct {
	Seed          uint64
	Wrong         string
	Sent, Repeats int
	Ties          int
	Simulated     time.Duration
	Digest        string
	Reached       map[string]int // how often what happened
}

// mark begins a line with an outcome.
const mark = "outcome "

// again is the command that replays the run of a seed.
func again(n uint64) string {
	with := ""
	if opt.with != "" {
		with = fmt.Sprintf(" -with='%s'", opt.with)
	}
	return fmt.Sprintf("replay: go test ./sim -run TestSim -seed=%d -minutes=%v%s -v", n, opt.length().Minutes(), with)
}

// series runs seeds one after the other.
func series(t *testing.T) {
	for i := range uint64(opt.amount()) {
		n := opt.first + i*opt.step
		r := run(t, n, opt.length(), false, nil)
		o := outcome{Seed: n, Sent: r.Verdict.Sent, Repeats: r.Verdict.Duplicates, Ties: r.Ties, Simulated: r.Simulated, Digest: r.Digest, Reached: r.total()}
		if !r.OK() {
			o.Wrong = r.String()
			t.Fail()
		}
		line, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(mark + string(line))
	}
}

// spread runs seeds in processes side by side. A seed that ends its process is a
// failure, and another process goes on behind it.
func spread(t *testing.T) {
	if err := opt.ready(); err != nil {
		t.Fatal(err)
	}
	began, amount := time.Now(), opt.amount()
	n := min(opt.procs, amount)
	outcomes := make(chan outcome)
	var all sync.WaitGroup
	for i := range n {
		share := seeds{
			first: opt.first + uint64(i)*opt.step, step: uint64(n) * opt.step,
			amount: (amount - i + n - 1) / n, length: opt.length(), shake: opt.shake,
		}
		all.Go(func() { share.run(t.Context(), nil, func(o outcome) { outcomes <- o }) })
	}
	var s sum
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for s.runs < amount {
		select {
		case o := <-outcomes:
			s.add(o)
			if o.Wrong != "" {
				fmt.Printf("%s\n%s\n", o.Wrong, again(o.Seed)) // at once: a series may be interrupted
				t.Fail()
			}
		case <-tick.C:
			fmt.Println(s.progress(amount, time.Since(began)))
		}
	}
	all.Wait()
	fmt.Println(s.summary(time.Since(began)))
	if opt.seeds == 0 && opt.minutes == 0 && !raceEnabled {
		for _, what := range missing(s.reached) {
			t.Errorf("the runs do not reach enough: %s", what)
		}
	}
	if opt.ledger != "" {
		if err := ledger.Add(opt.ledger, s.result()); err != nil {
			t.Error(err)
		}
	}
}

// progress says how far runs have come.
func (s *sum) progress(amount int, took time.Duration) string {
	line := fmt.Sprintf("%d of %d runs, %d failed", s.runs, amount, s.failed)
	if s.runs == 0 || took <= 0 {
		return line
	}
	left := time.Duration(float64(took) / float64(s.runs) * float64(amount-s.runs))
	return fmt.Sprintf("%s, %.1f a second, %v left", line, float64(s.runs)/took.Seconds(), left.Round(time.Second))
}

// summary says what runs came to.
func (s *sum) summary(took time.Duration) string {
	ties := "none with ties"
	if len(s.tied) > 0 {
		slices.Sort(s.tied)
		ties = fmt.Sprintf("%d with ties, which may not replay: %d", len(s.tied), s.tied)
	}
	return fmt.Sprintf("%d runs, %d failed; %.1f hours simulated in %v; %d records, %d handled again; %s",
		s.runs, s.failed, s.simulated.Hours(), took.Round(time.Second), s.records, s.repeats, ties)
}

func TestSummary(t *testing.T) {
	var s sum
	if got, want := s.progress(200, 5*time.Second), "0 of 200 runs, 0 failed"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, o := range []outcome{
		{Seed: 9, Sent: 10, Simulated: time.Hour, Ties: 2}, {Seed: 4, Sent: 10, Repeats: 1, Simulated: time.Hour, Ties: 1}, {Seed: 3, Wrong: "H1", Simulated: time.Hour},
	} {
		s.add(o)
	}
	if got, want := s.progress(200, 6*time.Second), "3 of 200 runs, 1 failed, 0.5 a second, 6m34s left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	want := "3 runs, 1 failed; 3.0 hours simulated in 7s; 20 records, 1 handled again; 2 with ties, which may not replay: [4 9]"
	if got := s.summary(7 * time.Second); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := (&sum{runs: 1}).summary(0); !strings.HasSuffix(got, "; none with ties") {
		t.Errorf("%q", got)
	}
}
