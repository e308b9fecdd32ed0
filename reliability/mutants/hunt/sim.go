package main

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shardrun/shardrun/reliability/mutants"
)

const (
	// simMinutes is how long there are faults in a run. Short runs of many
	// seeds find more than long ones of few.
	simMinutes = 3
	// seedTime is how long a run may take. Without a mutant it is half a second;
	// one that makes everything be handled again and again is slower.
	seedTime = 20 * time.Second
	// hasty is what a run gets on average before a mutant that makes it hang is
	// taken to have done so.
	hasty = 2 * time.Second
)

// batches are how many seeds are run at a time: what the first do not find, more
// of them may.
var batches = []int{8, 24, 68, mutants.SimSeeds - 8 - 24 - 68}

// buildSimulation builds the simulation without a mutant, for replay.
func (h *hunter) buildSimulation(ctx context.Context) error {
	h.base = filepath.Join(h.dir, "base.test")
	if out, err := h.build(ctx, mutants.Simulation().Package, "", h.base); err != nil {
		return fmt.Errorf("build the simulation: %w\n%s", err, out)
	}
	return nil
}

// simulate runs seeds, batch by batch, until one fails with the mutant that does
// not fail without it.
func (h *hunter) simulate(ctx context.Context, program string, m mutants.Mutant) (seed uint64, how string) {
	if h.seed > 0 {
		caught, how := h.replay(ctx, program, h.seed, m.Hangs)
		if !caught {
			return 0, how
		}
		return h.seed, how
	}
	end, first, others := time.Now().Add(h.limit), uint64(1), 0
	for _, n := range batches {
		if first > 1 {
			h.tell("%s: not by %d of %d seeds so far", m.Name, first-1, mutants.SimSeeds)
		}
		limit := time.Duration(n) * seedTime
		if m.Hangs {
			limit = seedTime + time.Duration(n)*hasty
		}
		for _, seed := range h.suspects(ctx, program, first, n, min(limit, time.Until(end))) {
			if !time.Now().Before(end) || ctx.Err() != nil {
				break
			}
			if caught, how := h.replay(ctx, program, seed, m.Hangs); caught {
				return seed, how
			}
			others++
		}
		if !time.Now().Before(end) || ctx.Err() != nil {
			return 0, fmt.Sprintf("not by %d seeds, and more did not end within %v", first-1, h.limit)
		}
		first += uint64(n)
	}
	return 0, fmt.Sprintf("not by %d seeds; %d failed that did not fail again, or that fail without it", first-1, others)
}

// suspects runs n seeds, on all cores, and returns those that failed, in order: all
// when they did not end in time, for then nobody knows which.
func (h *hunter) suspects(ctx context.Context, program string, first uint64, n int, limit time.Duration) []uint64 {
	out, err := h.execute(ctx, program, mutants.Simulation(), max(limit, time.Second), "-test.v",
		fmt.Sprintf("-seeds=%d", n), fmt.Sprintf("-first=%d", first), fmt.Sprintf("-minutes=%d", simMinutes))
	switch {
	case err == nil:
		return nil
	case hung(out, err):
		all := make([]uint64, n)
		for i := range all {
			all[i] = first + uint64(i)
		}
		return all
	}
	return failedSeeds(out)
}

// replay runs a seed by itself with the mutant, and when that fails without it.
func (h *hunter) replay(ctx context.Context, program string, seed uint64, hangs bool) (caught bool, how string) {
	args := []string{fmt.Sprintf("-seed=%d", seed), fmt.Sprintf("-minutes=%d", simMinutes)}
	if h.verbose && h.seed > 0 {
		args = append(args, "-test.v") // prints the timeline
	}
	out, err := h.execute(ctx, program, mutants.Simulation(), seedTime, args...)
	if caught, how = judge(out, err, hangs); !caught {
		return false, how
	}
	if !hung(out, err) {
		how = wrong(out, seed, how)
	}
	if without, err := h.execute(ctx, h.base, mutants.Simulation(), seedTime, args[:2]...); err != nil {
		return false, "fails without it too: " + wrong(without, seed, err.Error())
	}
	if h.verbose {
		h.say(out)
	}
	return true, how
}

// hung reports that a test program did not end in its time.
func hung(out string, err error) bool {
	return strings.Contains(out, timedOut) || strings.Contains(err.Error(), "killed")
}

var replayLine = regexp.MustCompile(`(?m)^\s*replay: go test ./sim -run TestSim -seed=(\d+)`)

// failedSeeds are those that the simulation tells how to replay, in order.
func failedSeeds(out string) []uint64 {
	var seeds []uint64
	for _, m := range replayLine.FindAllStringSubmatch(out, -1) {
		if n, err := strconv.ParseUint(m[1], 10, 64); err == nil {
			seeds = append(seeds, n)
		}
	}
	slices.Sort(seeds)
	return slices.Compact(seeds)
}

var panicLine = regexp.MustCompile(`(?m)^(panic|fatal error): .*$`)

// longest is how much of a text goes into a cell of the table.
const longest = 200

// wrong is the first thing that was wrong with the run of a seed, or otherwise
// when it does not say.
func wrong(out string, seed uint64, otherwise string) string {
	sum := regexp.MustCompile(fmt.Sprintf(`(?m)^seed %d: sent .*\n(.+)$`, seed))
	what := otherwise
	if all := sum.FindAllStringSubmatch(out, -1); len(all) > 0 {
		what = all[len(all)-1][1]
	} else if line := panicLine.FindString(out); line != "" {
		what = line
	}
	if len(what) > longest {
		what = strings.ToValidUTF8(what[:longest], "") + "…"
	}
	return strings.TrimSpace(what)
}

// simCommand is what replays the hunt of a mutant; seed is 0 for all of it.
func simCommand(m mutants.Mutant, seed uint64) string {
	command := "go run ./reliability/mutants/hunt -sim -only " + m.Name
	if seed > 0 {
		command += fmt.Sprintf(" -seed %d -v", seed)
	}
	return command
}
