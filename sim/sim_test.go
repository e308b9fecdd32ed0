package sim

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/internal/history"
)

// silent is a log of go-redis: dials that fail are what these runs are about.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	flag.Parse()
	if err := opt.check(testing.Verbose()); err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		os.Exit(2)
	}
	goredis.SetLogger(silent{})
	// With one processor goroutines that become ready at one instant run in the
	// order in which they became so, and a seed gives the same run again. Seeds
	// run side by side in processes.
	runtime.GOMAXPROCS(1)
	if os.Getenv("GOGC") == "" { // TestReplay has its own
		debug.SetGCPercent(400)
	}
	if opt.shake {
		go shake()
	}
	os.Exit(m.Run())
}

// shake interrupts whoever runs, every now and then by the clock on the wall, until
// the process ends. What was about to run next then waits for its turn.
func shake() {
	var stats runtime.MemStats
	for i := 0; ; i++ {
		time.Sleep(time.Duration(20+i*37%200) * time.Microsecond)
		if i%10 == 0 {
			runtime.ReadMemStats(&stats) // stops everything
		}
	}
}

// run is the run of a seed, in a bubble of its own.
func run(t *testing.T, n uint64, length time.Duration, verbose bool, trace io.Writer) *Result {
	t.Helper()
	with, err := opt.wanted()
	if err != nil {
		t.Fatal(err)
	}
	seedEverything(t, n)
	var result *Result
	synctest.Test(t, func(*testing.T) { result = Run(NewPlan(n, length, with...), verbose, trace) })
	return result
}

// TestSim runs seeds. See the package's comment.
func TestSim(t *testing.T) {
	switch {
	case opt.seed > 0:
		replay(t, opt.seed)
	case opt.lines:
		series(t)
	default:
		spread(t)
	}
}

// replay is one run, to be looked at.
func replay(t *testing.T, n uint64) {
	var w io.Writer
	if opt.links != "" {
		f, err := os.Create(opt.links)
		if err != nil {
			t.Fatal(err)
		}
		buffer := bufio.NewWriterSize(f, 1<<20)
		defer func() {
			if err := errors.Join(buffer.Flush(), f.Close()); err != nil {
				t.Error(err)
			}
		}()
		w = buffer
	}
	began := time.Now()
	r := run(t, n, opt.length(), testing.Verbose(), w)
	r.Plan.Describe(os.Stdout)
	if testing.Verbose() {
		view := history.View{Verdict: r.Verdict}
		if opt.only != "" {
			view.Only = regexp.MustCompile(opt.only) // checked by TestMain
		}
		if err := r.History.Show(os.Stdout, view); err != nil {
			t.Error(err)
		}
	}
	fmt.Printf("%v simulated in %v, %d ties, digest %s\n%v\n", r.Simulated.Round(time.Second), time.Since(began).Round(time.Millisecond), r.Ties, r.Digest, r)
	if !r.OK() {
		fmt.Println(again(n))
		t.Fail() // what is wrong was printed
	}
}
