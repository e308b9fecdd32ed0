package main

import (
	"regexp"
	"slices"
	"time"

	"github.com/shardrun/shardrun/reliability/cmdline"
)

// options are what a person chose.
type options struct {
	only, run string
	list      bool
	jobs      int
	sim       bool
	seed      uint64
	verbose   bool
	limit     time.Duration
	out       string
	ledger    string
}

// whole reports that all of the gallery is hunted, as the table of it says.
func (o options) whole() bool { return o.only == "" && o.run == "" && o.seed == 0 }

const about = `hunt: plants the bugs of the gallery, one at a time, and runs the test that has to
find each.

  go run ./reliability/mutants/hunt                       all; writes reliability/mutants.md
  go run ./reliability/mutants/hunt -list                 name them, hunt none
  go run ./reliability/mutants/hunt -only NAME            one
  go run ./reliability/mutants/hunt -only NAME -run . -v  which tests of its package find it
  go run ./reliability/mutants/hunt -sim                  those that a simulation should find, there
  go run ./reliability/mutants/hunt -sim -only NAME -seed N -v
                                                          see one found there, with the timeline

Exits with 1 when a mutant survives.`

// parse reads the command line. Its errors say what is accepted instead.
func parse(args []string) (options, error) {
	var o options
	f := cmdline.New("hunt", about)
	f.StringVar(&o.only, "only", "", "hunt the mutant of this `name`, or those whose names contain this")
	f.StringVar(&o.run, "run", "", "with -only: run the tests of the package that match this `pattern` instead of the one in the gallery")
	f.BoolVar(&o.list, "list", false, "name the mutants, and hunt none")
	f.IntVar(&o.jobs, "jobs", 1, "mutants hunted at a time")
	f.BoolVar(&o.sim, "sim", false, "hunt in the simulation, those that it should find")
	f.Uint64Var(&o.seed, "seed", 0, "with -sim: run this seed only, with -v to see its timeline")
	f.BoolVar(&o.verbose, "v", false, "print every test that found a mutant, and what survivors printed")
	f.DurationVar(&o.limit, "limit", 0, "how long a hunt may take (default 2m, in the simulation 20m for all its seeds)")
	f.StringVar(&o.out, "o", "", "`file` for the table, when all are hunted (default reliability/mutants.md, in the simulation none)")
	f.StringVar(&o.ledger, "ledger", "", "`file` with the totals to add this hunt to (default none)")
	if err := f.Read(args); err != nil {
		return o, err
	}
	if err := check(f, o); err != nil {
		return o, err
	}
	if o.limit == 0 {
		o.limit = 2 * time.Minute
		if o.sim {
			o.limit = 20 * time.Minute
		}
	}
	return o, nil
}

// check refuses what makes no sense, or would be ignored.
func check(f *cmdline.Flags, o options) error {
	given := func(name string) bool { return slices.Contains(f.Given(), name) }
	if o.list {
		return f.Only("-list", "only", "sim")
	}
	if err := f.Without("sim", "seed"); err != nil {
		return err
	}
	switch _, err := regexp.Compile(o.run); {
	case given("run") && o.sim:
		return cmdline.Wrong("-run does nothing with -sim, which runs the simulation; -seed chooses a run of it")
	case given("run") && (err != nil || o.run == ""):
		return cmdline.Wrong("-run %q: want a pattern of tests, as go test takes", o.run)
	case given("run") && !given("only"):
		return cmdline.Wrong("-run is of one mutant; name it with -only")
	case given("only") && o.only == "":
		return cmdline.Wrong("-only is empty: want a name; -list names the mutants")
	case given("seed") && o.seed == 0:
		return cmdline.Wrong("-seed 0: want a seed from 1 on")
	case given("seed") && o.only == "":
		return cmdline.Wrong("-seed is of one mutant; name it with -only")
	case o.jobs < 1:
		return cmdline.Wrong("-jobs %d: want at least 1", o.jobs)
	case given("limit") && o.limit < time.Second:
		return cmdline.Wrong("-limit %v: want at least 1s", o.limit)
	case given("o") && !o.whole():
		return cmdline.Wrong("-o does nothing with -only, -run or -seed: the table is of all mutants")
	case given("ledger") && (o.run != "" || o.seed > 0):
		return cmdline.Wrong("-ledger does nothing with -run or -seed: a total is of whole hunts of a mutant")
	}
	return nil
}
