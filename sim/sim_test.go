package sim

import (
	"context"
	"flag"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

var (
	seed    = flag.Uint64("seed", 0, "replay the run of this seed")
	seeds   = flag.Int("seeds", 0, "how many runs; defaults to 50, or 5 under the race detector")
	first   = flag.Uint64("first", 1, "the seed of the first run")
	step    = flag.Uint64("step", 1, "from one seed to the next")
	minutes = flag.Float64("minutes", 0, "simulated minutes of a run; defaults to 10 with -seed or -seeds, else to 3")
	procs   = flag.Int("procs", runtime.NumCPU(), "processes to run seeds in")
	total   = flag.String("ledger", "", "add the runs to the totals in this file")
	with    = flag.String("with", "", "with -seed: faults that the run is to have in any case, separated by commas; also those that are off")
	trace   = flag.String("links", "", "with -seed: write what crosses the links to this file")
)

// silent is a log of go-redis: dials that fail are what these runs are about.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	flag.Parse()
	goredis.SetLogger(silent{})
	// With one processor goroutines that become ready at one instant run in the
	// order in which they became so, and a seed gives the same run again. Seeds
	// run side by side in processes.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// length is how long there are faults in a run.
func length() time.Duration {
	m := *minutes
	if m == 0 {
		m = 3
		if *seed > 0 || *seeds > 0 {
			m = 10
		}
	}
	return time.Duration(m * float64(time.Minute))
}

// wanted are the faults that were asked for by name.
func wanted(t *testing.T) []Fault {
	var out []Fault
	for name := range strings.SplitSeq(*with, ",") {
		if name == "" {
			continue
		}
		if _, known := kindOf(Fault(name)); !known {
			var all []string
			for _, k := range Kinds() {
				all = append(all, string(k.Fault))
			}
			t.Fatalf("-with: there is no fault %q; there are: %s", name, strings.Join(all, ", "))
		}
		out = append(out, Fault(name))
	}
	return out
}

// run is the run of a seed, in a bubble of its own.
func run(t *testing.T, n uint64, length time.Duration, verbose bool, trace io.Writer) *Result {
	t.Helper()
	seedEverything(t, n)
	var result *Result
	synctest.Test(t, func(*testing.T) { result = Run(NewPlan(n, length, wanted(t)...), verbose, trace) })
	return result
}

// TestSim runs seeds. See the package's comment.
func TestSim(t *testing.T) {
	switch {
	case *seed > 0:
		replay(t, *seed)
	case *procs > 1:
		spread(t)
	default:
		series(t)
	}
}

// replay is one run, to be looked at.
func replay(t *testing.T, n uint64) {
	var w io.Writer
	if *trace != "" {
		f, err := os.Create(*trace)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		w = f
	}
	began := time.Now()
	r := run(t, n, length(), testing.Verbose(), w)
	r.Plan.Describe(os.Stdout)
	if testing.Verbose() {
		if err := r.History.Timeline(os.Stdout); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%v; %d ties, digest %s, %v simulated in %v", r, r.Ties, r.Digest, r.Simulated.Round(time.Second), time.Since(began).Round(time.Millisecond))
	if !r.OK() {
		t.Errorf("%v", r)
	}
}

// TestReplay runs seeds twice: the same must happen at the same nanoseconds.
func TestReplay(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector shuffles goroutines")
	}
	for n := uint64(1); n <= 4; n++ {
		a, b := run(t, n, 2*time.Minute, false, nil), run(t, n, 2*time.Minute, false, nil)
		if a.Ties == 0 && a.Digest != b.Digest {
			t.Errorf("seed %d: digests %s and %s", n, a.Digest, b.Digest)
		}
		if a.Verdict.Sent == 0 {
			t.Errorf("seed %d: nothing was sent", n)
		}
	}
}
