package sim

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hung is how long a run may take by the clock on the wall.
const hung = 3 * time.Minute

// seeds are runs that are made one after the other in a process of their own.
type seeds struct {
	first, step uint64
	amount      int
	length      time.Duration
	shake       bool
}

// run makes the runs, and calls take with what each came to. A seed that ends its
// process came to that, and another process goes on behind it.
func (s seeds) run(ctx context.Context, env []string, take func(outcome)) {
	for s.amount > 0 {
		done, why := s.process(ctx, env, take)
		s.first, s.amount = s.first+uint64(done)*s.step, s.amount-done
		if s.amount > 0 {
			take(outcome{Seed: s.first, Wrong: fmt.Sprintf("seed %d ended its process: %s", s.first, why)})
			s.first, s.amount = s.first+s.step, s.amount-1
		}
	}
}

// process makes runs until all are done or one ends the process. It returns how
// many were done, and what the process said at its end.
func (s seeds) process(ctx context.Context, env []string, take func(outcome)) (done int, why string) {
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestSim$", "-test.timeout=0", "-outcomes",
		"-first="+strconv.FormatUint(s.first, 10), "-seeds="+strconv.Itoa(s.amount), "-step="+strconv.FormatUint(s.step, 10),
		"-minutes="+strconv.FormatFloat(s.length.Minutes(), 'g', -1, 64))
	if s.shake {
		cmd.Args = append(cmd.Args, "-shake")
	}
	cmd.Env = append(os.Environ(), env...)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err.Error()
	}
	var rest bytes.Buffer // what it says beside outcomes
	cmd.Stderr = &rest
	if err := cmd.Start(); err != nil {
		return 0, err.Error()
	}
	// A run that does not end, at one instant for ever, ends its process.
	dog := time.AfterFunc(hung, func() { _ = cmd.Process.Kill() }) // Wait tells what became of it
	defer dog.Stop()
	var said []string
	lines := bufio.NewScanner(pipe)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		dog.Reset(hung)
		text, ok := strings.CutPrefix(lines.Text(), mark)
		var o outcome
		if !ok || json.Unmarshal([]byte(text), &o) != nil {
			said = append(said, lines.Text())
			continue
		}
		done++
		take(o)
	}
	err = errors.Join(lines.Err(), cmd.Wait())
	tail := strings.Join(said, "\n") + rest.String()
	return done, fmt.Sprintf("%v\n%s", err, tail[max(0, len(tail)-4000):])
}

// One seed gives one history: in every process, alone or behind others, on a quiet
// machine and on one that interrupts it all the time.
func TestReplay(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector shuffles goroutines")
	}
	const amount = 4
	var first [amount]outcome
	for play, env := range [][]string{
		{"GOGC=400", "GOMAXPROCS=1"}, {"GOGC=10", "GOMAXPROCS=2"}, {"GOGC=off", "GOMAXPROCS=4"},
	} {
		each := seeds{first: 1, step: 1, amount: amount, length: time.Minute, shake: play > 0}
		if play == 2 { // in processes of their own
			each.amount = 1
		}
		for ; each.first <= amount; each.first += uint64(each.amount) {
			each.run(t.Context(), env, func(o outcome) {
				n := o.Seed - 1
				switch {
				case o.Wrong != "":
					t.Error(o.Wrong)
				case o.Sent == 0:
					t.Errorf("seed %d: nothing was sent", o.Seed)
				case play == 0:
					first[n] = o
				case o.Ties == 0 && first[n].Ties == 0 && o.Digest != first[n].Digest:
					t.Errorf("seed %d: digest %s, and with %v %s", o.Seed, first[n].Digest, env, o.Digest)
				}
			})
		}
	}
}
