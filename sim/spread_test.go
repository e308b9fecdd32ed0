package sim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
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
}

func (s *sum) add(o outcome) {
	s.runs++
	s.simulated += o.Simulated
	s.records += o.Sent
	s.repeats += o.Repeats
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
}

// hung is how long a run may take by the clock on the wall.
const hung = 3 * time.Minute

// mark begins a line with an outcome.
const mark = "outcome "

func amount() int {
	switch {
	case *seeds > 0:
		return *seeds
	case raceEnabled:
		return 5
	}
	return 50
}

// series runs seeds one after the other.
func series(t *testing.T) {
	for i := range uint64(amount()) {
		n := *first + i**step
		r := run(t, n, length(), false, nil)
		o := outcome{Seed: n, Sent: r.Verdict.Sent, Repeats: r.Verdict.Duplicates, Ties: r.Ties, Simulated: r.Simulated}
		if !r.OK() {
			o.Wrong = r.String()
			t.Errorf("%v\nreplay: go test ./sim -run TestSim -seed=%d -minutes=%v -v", r, n, length().Minutes())
		}
		line, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(mark + string(line))
	}
}

// spread runs seeds in processes side by side. A process that dies takes its
// later seeds with it, and is a failure.
func spread(t *testing.T) {
	began := time.Now()
	n := min(*procs, amount())
	var all sync.WaitGroup
	outcomes := make([][]outcome, n)
	faults := make([]string, n)
	for i := range n {
		share := (amount() - i + n - 1) / n
		all.Go(func() { outcomes[i], faults[i] = child(t, *first+uint64(i), share, n) })
	}
	all.Wait()
	var s sum
	for i := range n {
		for _, o := range outcomes[i] {
			s.add(o)
			if o.Wrong != "" {
				t.Errorf("%s\nreplay: go test ./sim -run TestSim -seed=%d -minutes=%v -v", o.Wrong, o.Seed, length().Minutes())
			}
		}
		if faults[i] != "" {
			t.Error(faults[i])
			s.runs++ // the one that it died of
			s.failed++
		}
	}
	t.Logf("%d runs, %d failed, %.1f hours simulated in %v, %d records, %d handled again, %d runs with ties %v",
		s.runs, s.failed, s.simulated.Hours(), time.Since(began).Round(time.Second), s.records, s.repeats, len(s.tied), s.tied)
	if *total != "" {
		if err := ledger.Add(*total, s.result()); err != nil {
			t.Error(err)
		}
	}
}

// child runs a share of the seeds in a process of its own.
func child(t *testing.T, from uint64, share, step int) ([]outcome, string) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSim$", "-test.timeout=0", "-procs=1",
		"-first="+strconv.FormatUint(from, 10), "-seeds="+strconv.Itoa(share), "-step="+strconv.Itoa(step),
		"-minutes="+strconv.FormatFloat(length().Minutes(), 'g', -1, 64))
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err.Error()
	}
	var rest bytes.Buffer // what it says beside outcomes
	cmd.Stderr = &rest
	if err := cmd.Start(); err != nil {
		return nil, err.Error()
	}
	// A run that does not end, at one instant for ever, ends its process.
	dog := time.AfterFunc(hung, func() { _ = cmd.Process.Kill() }) // Wait tells what became of it
	defer dog.Stop()
	var out []outcome
	var said []string
	lines := bufio.NewScanner(pipe)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		dog.Reset(hung)
		text, ok := strings.CutPrefix(lines.Text(), mark)
		if !ok {
			said = append(said, lines.Text())
			continue
		}
		var o outcome
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			return out, fmt.Sprintf("%v: %s", err, text)
		}
		out = append(out, o)
	}
	err = errors.Join(lines.Err(), cmd.Wait())
	if len(out) == share {
		return out, "" // what failed is in the outcomes
	}
	at := from + uint64(len(out)*step)
	tail := strings.Join(said, "\n") + rest.String()
	tail = tail[max(0, len(tail)-4000):]
	return out, fmt.Sprintf("seed %d ended its process: %v\n%s\nreplay: go test ./sim -run TestSim -seed=%d -minutes=%v -v", at, err, tail, at, length().Minutes())
}
