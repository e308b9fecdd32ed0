package sim

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/reliability/ledger"
)

// options are the flags of these tests.
type options struct {
	flags   *flag.FlagSet
	seed    uint64
	seeds   int
	first   uint64
	step    uint64
	minutes float64
	procs   int
	lines   bool
	shake   bool
	ledger  string
	with    string
	links   string
	only    string
}

// opt are the options of this process.
var opt = define(flag.CommandLine)

func define(f *flag.FlagSet) *options {
	o := &options{flags: f}
	f.Uint64Var(&o.seed, "seed", 0, "replay the run of this seed")
	f.IntVar(&o.seeds, "seeds", 0, "how many runs; defaults to 50, or 5 under the race detector")
	f.Uint64Var(&o.first, "first", 1, "with -seeds: the seed of the first run")
	f.Uint64Var(&o.step, "step", 1, "with -seeds: from one seed to the next")
	f.Float64Var(&o.minutes, "minutes", 0, "simulated minutes of a run; defaults to 10 with -seed or -seeds, else to 3")
	f.IntVar(&o.procs, "procs", runtime.NumCPU(), "processes to run seeds in")
	f.BoolVar(&o.lines, "outcomes", false, "with -seeds: run them in this process, and print what each came to in a line of JSON")
	f.BoolVar(&o.shake, "shake", false, "disturb the order in which goroutines run, as a loaded machine does")
	f.StringVar(&o.ledger, "ledger", "", "add the runs to the totals in this file")
	f.StringVar(&o.with, "with", "", "with -seed: faults that the run is to have in any case, separated by commas; also those that are off")
	f.StringVar(&o.links, "links", "", "with -seed: write what crosses the links to this file")
	f.StringVar(&o.only, "only", "", "with -seed and -v: the lines of the timeline that this regular expression matches")
	return o
}

// shortest and longest bound -minutes: in shorter runs there is too little to judge,
// and in longer ones tokens and records of the server expire.
const shortest, longest = 0.5, 24 * 60

// check says what is wrong with the flags: values that make no sense, and flags
// that would do nothing.
func (o *options) check(verbose bool) error {
	given := map[string]bool{}
	o.flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, f := range []struct {
		name string
		ok   bool
		want string
	}{
		{"seed", o.seed > 0, "at least 1"},
		{"seeds", o.seeds > 0, "at least 1"},
		{"first", o.first > 0, "at least 1"},
		{"step", o.step > 0, "at least 1"},
		{"procs", o.procs > 0, "at least 1"},
		{"minutes", o.minutes >= shortest && o.minutes <= longest, fmt.Sprintf("from %v to %v", shortest, longest)},
		{"ledger", o.ledger != "", "the name of a file"},
		{"links", o.links != "", "the name of a file"},
	} {
		if given[f.name] && !f.ok {
			return fmt.Errorf("-%s=%s: it must be %s", f.name, o.flags.Lookup(f.name).Value, f.want)
		}
	}
	for _, name := range []string{"seeds", "first", "step", "procs", "outcomes", "ledger"} {
		if given["seed"] && given[name] {
			return fmt.Errorf("-seed replays one run, and -%s is for many: give one of them", name)
		}
	}
	for _, name := range []string{"with", "links", "only"} {
		if given[name] && !given["seed"] {
			return fmt.Errorf("-%s is of one run: give its -seed too", name)
		}
	}
	for _, name := range []string{"first", "step", "outcomes"} {
		if given[name] && !given["seeds"] {
			return fmt.Errorf("-%s is of many runs: say with -seeds how many", name)
		}
	}
	switch {
	case given["only"] && !verbose:
		return errors.New("-only selects from the timeline: give -v too")
	case o.lines && (given["procs"] || given["ledger"]):
		return errors.New("-outcomes runs in this process and prints: -procs and -ledger do nothing then")
	case o.seeds > 1 && o.step > (math.MaxUint64-o.first)/uint64(o.seeds-1):
		return fmt.Errorf("-first=%d -step=%d -seeds=%d: the last seed would be above %d", o.first, o.step, o.seeds, uint64(math.MaxUint64))
	}
	if _, err := regexp.Compile(o.only); err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if _, err := o.wanted(); err != nil {
		return err
	}
	if len(o.flags.Args()) > 0 {
		return fmt.Errorf("%q is not a flag", o.flags.Arg(0))
	}
	return nil
}

// wanted are the faults that were asked for by name.
func (o *options) wanted() ([]Fault, error) {
	if o.with == "" {
		return nil, nil
	}
	var out []Fault
	for name := range strings.SplitSeq(o.with, ",") {
		name = strings.TrimSpace(name)
		if _, known := kindOf(Fault(name)); !known {
			var all []string
			for _, k := range Kinds() {
				all = append(all, string(k.Fault))
			}
			return nil, fmt.Errorf("-with: there is no fault %q; there are: %s", name, strings.Join(all, ", "))
		}
		out = append(out, Fault(name))
	}
	return out, nil
}

// length is how long there are faults in a run.
func (o *options) length() time.Duration {
	m := o.minutes
	if m == 0 {
		m = 3
		if o.seed > 0 || o.seeds > 0 {
			m = 10
		}
	}
	return time.Duration(m * float64(time.Minute))
}

func (o *options) amount() int {
	switch {
	case o.seeds > 0:
		return o.seeds
	case raceEnabled:
		return 5
	}
	return 50
}

// ready reports whether the ledger can take what the runs will come to.
func (o *options) ready() error {
	if o.ledger == "" {
		return nil
	}
	return ledger.Check(o.ledger)
}

// Flags that make no sense, or would do nothing, are refused, and the refusal says
// what is accepted.
func TestOptions(t *testing.T) {
	for _, c := range []struct {
		args string // separated by blanks
		want string // in the refusal; "" for none
	}{
		{"", ""},
		{"-seed=7", ""},
		{"-seed=7 -minutes=0.5 -links=x -with=redis~clock,server~bit~rot", ""},
		{"-seeds=3 -first=9 -step=2 -procs=2 -ledger=x", ""},
		{"-seeds=3 -outcomes", ""},
		{"-seeds=3 -shake", ""},
		{"-seed=0", "-seed=0: it must be at least 1"},
		{"-seeds=0", "-seeds=0: it must be at least 1"},
		{"-seeds=-3", "-seeds=-3: it must be at least 1"},
		{"-seeds=3 -first=0", "-first=0: it must be at least 1"},
		{"-seeds=3 -step=0", "-step=0: it must be at least 1"},
		{"-procs=0", "-procs=0: it must be at least 1"},
		{"-minutes=0", "-minutes=0: it must be from 0.5 to 1440"},
		{"-minutes=-1", "-minutes=-1: it must be from 0.5"},
		{"-minutes=NaN", "-minutes=NaN: it must be from 0.5"},
		{"-minutes=1441", "to 1440"},
		{"-ledger=", "-ledger=: it must be the name of a file"},
		{"-seed=7 -links=", "-links=: it must be the name of a file"},
		{"-seed=7 -seeds=3", "-seed replays one run, and -seeds is for many"},
		{"-seed=7 -procs=3", "-procs is for many"},
		{"-seed=7 -ledger=x", "-ledger is for many"},
		{"-links=x", "-links is of one run: give its -seed too"},
		{"-seeds=3 -with=redis~clock", "-with is of one run: give its -seed too"},
		{"-only=x", "-only is of one run"},
		{"-seed=7 -only=x", "give -v too"},
		{"-v -seed=7 -only=x", ""},
		{"-v -seed=7 -only=[", "-only: error parsing regexp"},
		{"-first=3", "-first is of many runs: say with -seeds how many"},
		{"-outcomes", "-outcomes is of many runs"},
		{"-seeds=3 -outcomes -ledger=x", "-procs and -ledger do nothing then"},
		{"-seeds=3 -first=18446744073709551615", "the last seed would be above"},
		{"-seeds=3 -step=9223372036854775808", "the last seed would be above"},
		{"-seed=7 -with=frogs", `there is no fault "frogs"; there are: link delay, link drop`},
		{"-seed=7 -with=redis~clock,", `there is no fault ""`},
		{"-seed=7 3", `"3" is not a flag`},
	} {
		f := flag.NewFlagSet("sim", flag.ContinueOnError)
		o := define(f)
		args := strings.Fields(c.args)
		verbose := len(args) > 0 && args[0] == "-v"
		if verbose {
			args = args[1:]
		}
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "~", " ")
		}
		if err := f.Parse(args); err != nil {
			t.Fatal(err)
		}
		err := o.check(verbose)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.args, err, c.want)
		}
	}
	o := define(flag.NewFlagSet("sim", flag.ContinueOnError))
	o.with = "redis clock, link cut"
	if got, err := o.wanted(); err != nil || !slices.Equal(got, []Fault{RedisClock, LinkCut}) {
		t.Errorf("wanted %v, %v", got, err)
	}
	if o.ledger = t.TempDir() + "/none/totals.json"; o.ready() == nil {
		t.Error("a ledger in a directory that is not there is said to be ready")
	}
}
