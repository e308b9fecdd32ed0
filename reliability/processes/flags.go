//go:build unix

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/shardrun/shardrun/reliability/cmdline"
)

// options are what a person chose.
type options struct {
	config
	check   string // a directory to judge again, instead of a run
	verbose bool
	lines   *regexp.Regexp // of the timeline; nil for all
	ledger  string
}

const about = `processes: shardrun out of real processes, killed, held and ended at random under
load; then everything is mended, and what happened is judged.

  go run ./reliability/processes -for 5m -seed 7         a run
  go run ./reliability/processes -only "kill server" -pause 200ms
                                                         one of the faults, often
  go run ./reliability/processes -check DIR -v           judge the kept files of a run again

A line tells every ten seconds how far it is, and one at the end sums it up; -v
adds the timeline, in which violations are marked. Exits with 1 when something was
violated, and keeps the files.`

// parse reads the command line. Its errors say what is accepted instead.
func parse(args []string) (options, error) {
	o := options{config: config{redisServer: redisServer()}}
	f := cmdline.New("processes", about)
	f.DurationVar(&o.duration, "for", time.Minute, "how long processes are killed and held")
	f.Uint64Var(&o.seed, "seed", 0, "the plan is drawn from it (default: another one each time)")
	f.IntVar(&o.workers, "workers", 4, "workers")
	f.IntVar(&o.producers, "producers", 2, "producers; the first, third, … keep the order of their keys")
	f.IntVar(&o.shards, "shards", 3, "shards at the start")
	f.IntVar(&o.rate, "rate", 200, "records a second of each producer")
	f.DurationVar(&o.ttl, "lease-ttl", time.Second, "lease time")
	f.DurationVar(&o.pause, "pause", 0, "time between two faults, about (default: the lease time)")
	f.Func("only", "`faults` to inflict, with commas: "+strings.Join(faultNames(), ", ")+" (default: all)", func(s string) error {
		for name := range strings.SplitSeq(s, ",") {
			o.only = append(o.only, strings.TrimSpace(name))
		}
		return nil
	})
	f.BoolVar(&o.sentinels, "sentinels", false, "Redis is a Sentinel set: a primary that fails over, instead of a server that restarts (default: when -only needs it)")
	f.DurationVar(&o.settle, "settle", 0, "how long everything may take to be handled in the end (default: a minute more than -for)")
	f.StringVar(&o.dir, "dir", "", "`directory` for the files of the run, new or empty (default: a temporary one)")
	f.StringVar(&o.programs, "programs", "", "`directory` with the programs shardrun and node, with the race detector in them, say (default: built for the run)")
	f.BoolVar(&o.keep, "keep", false, "keep the files of a run without violations too")
	f.StringVar(&o.check, "check", "", "judge the kept files in this `directory` again, and run nothing")
	f.BoolVar(&o.verbose, "v", false, "print the timeline")
	f.Func("lines", "with -v: the lines of the timeline that this `pattern` matches; violations are shown in any case (default: all)", func(s string) (err error) {
		o.lines, err = regexp.Compile(s)
		return err
	})
	f.StringVar(&o.ledger, "ledger", "", "`file` with the totals to add this run to (default none)")
	if err := f.Read(args); err != nil {
		return o, err
	}
	given := f.Given()
	if slices.Contains(given, "check") {
		return o, errors.Join(f.Only("-check", "v", "lines"), f.Without("v", "lines"))
	}
	if err := f.Without("v", "lines"); err != nil {
		return o, err
	}
	for _, name := range []string{"seed", "pause", "settle", "lease-ttl"} { // whose zero is a default
		if v := f.Lookup(name).Value.String(); slices.Contains(given, name) && (v == "0" || v == "0s") {
			return o, cmdline.Wrong("-%s %s: want more than 0, or leave it out", name, v)
		}
	}
	o.config = o.withDefaults()
	if o.seed == 0 {
		o.seed = rand.Uint64()>>32 + 1 // short enough to type
	}
	return o, o.validate()
}

// redisServer is the program, empty when there is none.
func redisServer() string {
	path, _ := exec.LookPath("redis-server") // that it is missing is told by validate
	return path
}

// command is the command line that makes a run with the same plan again.
func (c config) command() string {
	var b strings.Builder
	fmt.Fprintf(&b, "go run ./reliability/processes -for %v -seed %d -workers %d -producers %d -shards %d -rate %d -lease-ttl %v -pause %v",
		c.duration, c.seed, c.workers, c.producers, c.shards, c.rate, c.ttl, c.pause)
	if len(c.only) > 0 {
		fmt.Fprintf(&b, " -only %q", strings.Join(c.only, ","))
	}
	if c.sentinels && !needs(c.only, setRedis) {
		b.WriteString(" -sentinels")
	}
	if c.programs != "" {
		fmt.Fprintf(&b, " -programs %q", c.programs)
	}
	return b.String()
}
