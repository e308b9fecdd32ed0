package harness

import "context"

// Direction says which values are better.
type Direction uint8

const (
	// Higher values are better: rates.
	Higher Direction = iota
	// Lower values are better: times, memory, calls.
	Lower
)

// Row is one line of the table: a piece of work, and who does it.
type Row struct {
	// Name is unique, lower case, and begins with the group: "server/drain".
	Name string
	// Group is the part of the framework that the row measures.
	Group string
	// Work says in a sentence what is done.
	Work string
	// Unit is of the values: "records/s", "MB/s" (10^6 bytes), "ms", "MiB".
	Unit string
	// Better says which values are better. Defaults to Higher.
	Better Direction
	// Target is what the row should reach, in words; empty for none.
	Target string
	// Met decides whether it did. Nil for a row without a target.
	Met func(Result) bool
	// Against names the contestant that the ratio is taken to. Defaults to the
	// best of the others.
	Against string
	// Note is shown below the table.
	Note string

	// NeedsQuiet discards and repeats runs during which other processes used
	// the processors, as for every row that measures time. Memory doesn't.
	NeedsQuiet bool
	// Rounds is how often each contestant runs. Defaults to 3.
	Rounds int
	// FullRounds is the same in a full run. Defaults to 5, at least Rounds.
	FullRounds int
	// Percentile is which percentile of Sample.Observations becomes the value.
	// Defaults to 50.
	Percentile float64
	// FullOnly rows are left out of the short run.
	FullOnly bool
	// Missing says which capability does not exist yet. Such a row is shown as
	// not met, and not run.
	Missing string

	// Contestants take part; the first is ours.
	Contestants []Contestant
	// Also are further lines that the same runs are judged for.
	Also []Line
}

// Line is a line of the table from runs that another row makes: another of our
// contestants against the same others, or another figure of the same sample.
type Line struct {
	// Name is unique among rows and lines.
	Name string
	// Work replaces the row's. Defaults to the row's.
	Work string
	// Ours names the contestant that the line is about. Defaults to the row's
	// first.
	Ours string
	// Extra names the figure of Sample.Extra to show instead of the value.
	// Defaults to the value itself.
	Extra string
	// Unit and Better are those of Extra. The unit defaults to the row's.
	Unit   string
	Better Direction
	// Target, Met and Against are as in Row.
	Target  string
	Met     func(Result) bool
	Against string
}

// Contestant is one way of doing a row's work.
type Contestant struct {
	// Name is shown in the table.
	Name string
	// Ours marks further contestants of ours, which no line takes for a peer.
	// The first contestant is always ours.
	Ours bool
	// Setup starts what the contestant needs; the harness stops the processes
	// that it started through env. An error shows the contestant as "–" with
	// its reason, and fails the row when it is the first one.
	Setup func(ctx context.Context, env *Env) (Bench, error)
	// Rounds bounds its runs, for one that is too slow to run often. Defaults
	// to the row's.
	Rounds int
	// Published is a figure from elsewhere that is shown when Setup is nil or
	// fails. 0 for none.
	Published float64
	// Source says where the published figure comes from.
	Source string
}

// Bench is a contestant that is ready.
type Bench struct {
	// Warm is called once, before the first run. Nil for nothing to warm up.
	Warm func(context.Context) error
	// Run does the work once, in about 2 to 3 s and at most 10 s.
	Run func(context.Context) (Sample, error)
	// Close releases what the harness does not: everything but processes and
	// the scratch directory. Nil for nothing.
	Close func() error
	// Servers are processes whose processor time and memory are the server's.
	Servers []*Process
	// Clients are processes that count as the client, beside this one.
	Clients []*Process
}

// Sample is the outcome of one run.
type Sample struct {
	// Value is in the row's unit.
	Value float64
	// Records is how many records the run handled, for processor time per
	// record. 0 leaves that out.
	Records int64
	// CPU is processor time. The harness fills it from the processes of the
	// bench and this one when it is zero.
	CPU CPU
	// PeakRSS is the greatest resident memory of the servers (of the clients
	// when there are none) in bytes. The harness fills it when it is zero.
	PeakRSS int64
	// Extra are further figures, as "p99"; their medians are kept.
	Extra map[string]float64
	// Observations are single values in the row's unit. They are pooled over
	// the runs; their percentile becomes the value, and Extra gets p50, p99,
	// max and n.
	Observations []float64
}

// CPU is processor time in seconds.
type CPU struct {
	Client float64 `json:"client"`
	Server float64 `json:"server"`
}

// Zero reports whether nothing was measured.
func (c CPU) Zero() bool { return c == CPU{} }
