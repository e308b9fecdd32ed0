package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	defaultRounds     = 3
	defaultFullRounds = 5
	// repeats is how many disturbed runs of a contestant are discarded in a row
	// of the table; those after count, and mark it noisy.
	repeats = 2
	// setupTime and runTime bound a contestant's Setup with Warm, and one Run.
	setupTime = 3 * time.Minute
	runTime   = 2 * time.Minute
)

// Options say how to run.
type Options struct {
	// Full runs more rounds, larger sizes, and the rows that are only in it.
	Full bool
	// Progress is told what is running. Defaults to nobody.
	Progress io.Writer
	// Cache is where programs are built and installed. Defaults to the folder
	// shardrun-bench in the user's cache directory.
	Cache string
}

// Run does the rows, one after the other, and returns a line or more for each.
// When ctx ends it returns early, with the lines of the rows that were finished.
func Run(ctx context.Context, rows []Row, o Options) ([]Outcome, error) {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.Cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("cache folder: %w", err)
		}
		o.Cache = filepath.Join(dir, "shardrun-bench")
	}
	if err := os.MkdirAll(o.Cache, 0o755); err != nil {
		return nil, fmt.Errorf("cache folder: %w", err)
	}
	scratch, err := os.MkdirTemp("", "shardrun-bench-")
	if err != nil {
		return nil, fmt.Errorf("scratch folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }() // what is left is in the temporary folder
	built := filepath.Join(scratch, "bin")
	if err := os.Mkdir(built, 0o755); err != nil {
		return nil, fmt.Errorf("scratch folder: %w", err)
	}
	r := runner{options: o, scratch: scratch, builds: &builds{dir: built, made: map[string]func() (string, error){}}}
	var outcomes []Outcome
	for i, row := range rows {
		if row.FullOnly && !o.Full && row.Missing == "" {
			continue
		}
		began := time.Now()
		fmt.Fprintf(o.Progress, "%s: %s (%d of %d)\n", row.Name, row.Work, i+1, len(rows))
		done := r.row(ctx, row)
		if ctx.Err() != nil { // the runs of this row are not all made
			break
		}
		fmt.Fprintf(o.Progress, "%s: done in %.0f s\n", row.Name, time.Since(began).Seconds())
		outcomes = append(outcomes, done...)
	}
	return outcomes, ctx.Err()
}

type runner struct {
	options Options
	scratch string
	builds  *builds
	envs    int // counts scratch directories
}

// entrant is a contestant while its row is done.
type entrant struct {
	Contestant
	env     *Env
	bench   Bench
	samples []Sample
	again   int   // runs discarded
	err     error // why it is out
}

// row sets up the contestants, has them run in turns, and judges.
func (r *runner) row(ctx context.Context, row Row) []Outcome {
	if row.Missing != "" {
		return judge(row, nil, false)
	}
	entrants := make([]*entrant, len(row.Contestants))
	for i, c := range row.Contestants {
		entrants[i] = r.enter(ctx, c)
		if entrants[i].err != nil {
			r.sayOut(ctx, row, entrants[i])
		}
	}
	defer func() {
		for _, e := range entrants {
			e.leave()
		}
	}()

	rounds := max(row.Rounds, 0)
	if rounds == 0 {
		rounds = defaultRounds
	}
	if r.options.Full {
		rounds = max(row.FullRounds, rounds)
		if row.FullRounds == 0 {
			rounds = max(rounds, defaultFullRounds)
		}
	}
	patience, noisy := quietWait, false
	for round := range rounds {
		for _, e := range entrants {
			if e.err != nil || e.Rounds > 0 && round >= e.Rounds || ctx.Err() != nil {
				continue
			}
			sample, disturbed, err := r.turn(ctx, row, e, &patience)
			if err != nil {
				e.err = fmt.Errorf("run %d: %w", round+1, err)
				r.sayOut(ctx, row, e)
				continue
			}
			noisy = noisy || disturbed
			e.samples = append(e.samples, sample)
			r.say(row, e.Name, "%s", describe(sample, row.Unit)+noise(disturbed))
		}
	}
	return judge(row, entrants, noisy)
}

func describe(s Sample, unit string) string {
	if s.Observations != nil {
		return fmt.Sprintf("p50 %s of %d", Format(Percentile(s.Observations, 50), unit), len(s.Observations))
	}
	return Format(s.Value, unit)
}

// noise marks what others disturbed.
func noise(disturbed bool) string {
	if disturbed {
		return " (noisy)"
	}
	return ""
}

func (r *runner) say(row Row, contestant, format string, args ...any) {
	fmt.Fprintf(r.options.Progress, "%s: %s %s\n", row.Name, contestant, fmt.Sprintf(format, args...))
}

// sayOut tells why a contestant is out. In a run that is interrupted none is.
func (r *runner) sayOut(ctx context.Context, row Row, e *entrant) {
	if ctx.Err() == nil {
		r.say(row, e.Name, "is out: %s", oneLine(e.err.Error()))
	}
}

// enter sets a contestant up and warms it.
func (r *runner) enter(ctx context.Context, c Contestant) *entrant {
	e := &entrant{Contestant: c}
	if c.Setup == nil {
		e.err = fmt.Errorf("%w: %s", ErrUnavailable, c.Source)
		return e
	}
	r.envs++
	dir := filepath.Join(r.scratch, fmt.Sprint("env-", r.envs))
	if e.err = os.Mkdir(dir, 0o755); e.err != nil {
		return e
	}
	e.env = &Env{Full: r.options.Full, Dir: dir, Cache: r.options.Cache, builds: r.builds}
	ctx, cancel := context.WithTimeout(ctx, setupTime)
	defer cancel()
	if e.bench, e.err = c.Setup(ctx, e.env); e.err != nil {
		return e
	}
	if e.bench.Warm != nil {
		if err := e.bench.Warm(ctx); err != nil {
			e.err = fmt.Errorf("warm up: %w", err)
		}
	}
	return e
}

// leave ends what enter began.
func (e *entrant) leave() {
	if e.bench.Close != nil {
		if err := e.bench.Close(); err != nil && e.err == nil {
			e.err = fmt.Errorf("close: %w", err)
		}
	}
	if e.env != nil {
		if err := e.env.close(); err != nil && e.err == nil {
			e.err = fmt.Errorf("close: %w", err)
		}
	}
}

// turn has a contestant run once, again while others disturb it, and reports
// whether they disturbed the run that it returns.
func (r *runner) turn(ctx context.Context, row Row, e *entrant, patience *time.Duration) (Sample, bool, error) {
	for {
		silent := !row.NeedsQuiet || quiet(ctx, patience)
		before, known := readLoad()
		sample, err := e.measure(ctx)
		if err != nil {
			return Sample{}, false, err
		}
		after, _ := readLoad()
		if !row.NeedsQuiet || !known || !after.disturbed(before) {
			return sample, !silent, nil
		}
		if e.again == repeats {
			return sample, true, nil
		}
		e.again++
		r.say(row, e.Name, "again: others used %.0f %% of the processors", after.since(before)*100)
	}
}

// measure does one run and fills in what the sample leaves to the harness.
func (e *entrant) measure(ctx context.Context) (Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, runTime)
	defer cancel()
	b := e.bench
	watched := b.Servers
	if len(watched) == 0 {
		watched = b.Clients
	}
	for _, p := range watched {
		p.ResetPeak()
	}
	runtime.GC() // what the one before left is not this one's to clear
	before := CPU{Client: ownCPU() + totalCPU(b.Clients), Server: totalCPU(b.Servers)}
	s, err := b.Run(ctx)
	if err != nil {
		return s, errors.Join(ended(watched), err)
	}
	if err := s.check(); err != nil {
		return s, err
	}
	if s.CPU.Zero() {
		s.CPU = CPU{
			Client: ownCPU() + totalCPU(b.Clients) - before.Client,
			Server: totalCPU(b.Servers) - before.Server,
		}
	}
	if s.PeakRSS == 0 {
		for _, p := range watched {
			s.PeakRSS += p.PeakRSS()
		}
	}
	return s, nil
}

// ended says which of the processes have ended, and why.
func ended(processes []*Process) error {
	var errs []error
	for _, p := range processes {
		select {
		case <-p.ended:
			errs = append(errs, fmt.Errorf("%s ended: %w", p.name, p.failure()))
		default:
		}
	}
	return errors.Join(errs...)
}

// check refuses figures that are none: they could not be compared or kept.
func (s Sample) check() error {
	if s.Observations != nil && len(s.Observations) == 0 {
		return errors.New("nothing was observed")
	}
	for _, v := range slices.Concat([]float64{s.Value}, s.Observations, slices.Collect(maps.Values(s.Extra))) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("a figure is not a number")
		}
	}
	return nil
}

func totalCPU(processes []*Process) float64 {
	var sum float64
	for _, p := range processes {
		sum += p.CPU()
	}
	return sum
}

// Select returns the rows that pattern means, in their order: the one of which it
// is the name, or the name of a line; if there is none, those with a name that
// begins with it up to a slash or a dash, or that it matches as a glob. Several
// patterns are separated by commas.
func Select(rows []Row, pattern string) []Row {
	meant := make([]bool, len(rows))
	for one := range strings.SplitSeq(pattern, ",") {
		one = strings.TrimSpace(one)
		selects := func(name string) bool { return begins(name, one) }
		if slices.ContainsFunc(rows, func(r Row) bool { return slices.Contains(r.names(), one) }) {
			selects = func(name string) bool { return name == one }
		}
		for i, r := range rows {
			meant[i] = meant[i] || slices.ContainsFunc(r.names(), selects)
		}
	}
	var out []Row
	for i, r := range rows {
		if meant[i] {
			out = append(out, r)
		}
	}
	return out
}

// names are those of the row and of its lines.
func (row Row) names() []string {
	names := []string{row.Name}
	for _, line := range row.Also {
		names = append(names, line.Name)
	}
	return names
}

// begins reports whether a name begins with a pattern, up to a slash or a dash, or
// matches it as a glob.
func begins(name, pattern string) bool {
	glob, _ := filepath.Match(pattern, name)
	rest, prefix := strings.CutPrefix(name, pattern)
	return pattern != "" && (glob || prefix && (rest == "" || strings.HasSuffix(pattern, "/") || rest[0] == '/' || rest[0] == '-'))
}
