package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Plan is what a run consists of. It follows from the seed alone.
type Plan struct {
	Seed    uint64
	For     time.Duration // how long there are puts and faults
	Faults  []Fault
	Shards  int
	Workers int
	TTL     time.Duration // of the leases
	Batch   int
	Start   Start
	Joins   time.Duration // workers start within this time while there are puts; 0 is before the first put
	// Options of workers and of the server; zero is the default.
	Window, Interval, Handoff, Timeout, Drain time.Duration
	Page, BatchBytes, MaxLeases               int
	Budget                                    int64
	Reads                                     float64 // a second
	Uneven                                    bool    // the workers differ in capacity
	Rates                                     bool    // the server enforces the rates of AWS
	Segment                                   int64   // of the server's log, in bytes
	FanOut                                    bool    // somebody reads by enhanced fan-out
	GiveUp                                    GiveUp
	Writers                                   []Writer
	Actions                                   []Action // in the order of their times
}

// Start says where the group begins to read.
type Start string

// The starts.
const (
	AtHorizon   Start = "horizon"
	AtLatest    Start = "latest"
	AtTimestamp Start = "timestamp" // some time after the first put
)

// GiveUp says what the handler is, and what becomes of records that it fails for.
type GiveUp struct {
	Each     bool // the handler takes one record at a time
	Attempts int  // 0 is the default
	Age      time.Duration
	To       To
	Poison   bool // some records cannot be handled by anybody
	Stop     bool // the handler says Stop at times, and an operator starts the worker anew
}

// To is where records go that are given up.
type To string

// The places.
const (
	ToNobody To = ""
	ToOthers To = "destination"
	ToNone   To = "drop"
)

// Writer is a source of records.
type Writer struct {
	Name      string
	Kind      WriterKind
	Ordered   bool          // each key's records are to be in order
	Aggregate bool          // KPL aggregates
	Pause     time.Duration // between records, on average
	Burst     int           // records at a time
	Keys      int
	HashKeys  bool          // records have explicit hash keys
	Large     int           // one of so many records is large
	Life      time.Duration // how long a record may wait to be written; 0 is the default
	Buffer    int           // records that a producer buffers; 0 is the default
}

// WriterKind says what writes.
type WriterKind string

// The kinds of writers.
const (
	ByProducer   WriterKind = "producer"   // package producer
	ByPutRecord  WriterKind = "PutRecord"  // the SDK client, one record after the other
	ByPutRecords WriterKind = "PutRecords" // the SDK client, several, failed ones again
	ByAggregate  WriterKind = "aggregates" // the SDK client, in KPL aggregates over all shards
)

// Action is a fault at a time.
type Action struct {
	At     time.Duration
	Fault  Fault
	Target int           // the number of a worker, a link, …
	For    time.Duration // how long it lasts
	Rate   float64       // how likely for each message, how many times as slow, …
}

// String describes an action.
func (a Action) String() string {
	return fmt.Sprintf("%s, target %d, for %v, %.2f", a.Fault, a.Target, a.For.Round(time.Millisecond), a.Rate)
}

// NewPlan makes the plan of a seed, with faults that it is to have whatever the
// seed says.
func NewPlan(seed uint64, length time.Duration, with ...Fault) Plan {
	dice := fixed(seed, "plan")
	p := Plan{
		Seed: seed, For: length,
		Shards:  1 + dice.IntN(4),
		Workers: []int{1, 2, 2, 3, 3, 4}[dice.IntN(6)],
		TTL:     []time.Duration{time.Second, 3 * time.Second, 3 * time.Second, 10 * time.Second}[dice.IntN(4)],
		Batch:   []int{1, 10, 100}[dice.IntN(3)],
	}
	p.draw(fixed(seed, "options"))
	p.GiveUp = newGiveUp(fixed(seed, "give up"))
	p.FanOut = fixed(seed, fanOutName).IntN(2) == 0
	for _, k := range Kinds() {
		on := dice.IntN(2) == 0 && k.Off == ""
		if on || slices.Contains(with, k.Fault) {
			p.Faults = append(p.Faults, k.Fault)
		}
	}
	for i := range 1 + dice.IntN(3) {
		p.Writers = append(p.Writers, newWriter(dice, i))
		// Shards are to have more than an event takes, where nobody has to wait for that.
		if w := &p.Writers[i]; p.FanOut && !p.Rates && w.Life == 0 && w.Buffer == 0 {
			w.Large = 8
		}
	}
	for _, f := range p.Faults {
		p.Actions = append(p.Actions, actions(fixed(seed, string(f)), f, length, p.TTL)...)
	}
	slices.SortStableFunc(p.Actions, func(a, b Action) int { return int(a.At - b.At) })
	return p
}

// draw decides about options. No two of the times that may begin at one instant in
// a worker are equal, for they would end at one instant too.
func (p *Plan) draw(dice *rand.Rand) {
	p.Window = []time.Duration{0, 0, 0, 509 * time.Millisecond}[dice.IntN(4)]
	p.Interval = []time.Duration{0, 0, 53 * time.Millisecond, p.TTL * 10 / 29}[dice.IntN(4)]
	p.Handoff = []time.Duration{0, 0, 311 * time.Millisecond}[dice.IntN(3)]
	p.Page = []int{0, 0, 20}[dice.IntN(3)]
	p.Budget = []int64{0, 0, 1 << 20}[dice.IntN(3)]
	p.Rates = dice.IntN(4) == 0
	p.Start = []Start{AtHorizon, AtHorizon, AtLatest, AtLatest, AtTimestamp}[dice.IntN(5)]
	if p.Start == AtTimestamp || dice.IntN(2) == 0 {
		p.Joins = draw(dice, time.Second, 30*time.Second)
	}
	p.Timeout = []time.Duration{0, 0, 1013 * time.Millisecond}[dice.IntN(3)]
	p.Drain = []time.Duration{0, 211 * time.Millisecond}[dice.IntN(2)]
	p.BatchBytes = []int{0, 0, 2 << 10}[dice.IntN(3)]
	p.MaxLeases = []int{0, 0, 1 + (mostShards+p.Workers-1)/p.Workers}[dice.IntN(3)]
	p.Reads = []float64{0, 0, -1, 2}[dice.IntN(4)]
	p.Uneven = dice.IntN(3) == 0
	p.Segment = []int64{0, 4 << 10, 32 << 10}[dice.IntN(3)]
}

// newGiveUp decides about the handler and its failures. Records can be too old, or
// of no use to anybody, only where somebody takes them: else their shard waits for
// ever.
func newGiveUp(dice *rand.Rand) GiveUp {
	g := GiveUp{
		Each: dice.IntN(3) == 0, Attempts: []int{0, 2, 2, 3}[dice.IntN(4)], Stop: dice.IntN(3) == 0,
		To: []To{ToNobody, ToOthers, ToOthers, ToNone}[dice.IntN(4)],
	}
	if g.To != ToNobody {
		g.Age = []time.Duration{0, 0, 10 * time.Second}[dice.IntN(3)]
		g.Poison = dice.IntN(2) == 0
	}
	return g
}

func newWriter(dice *rand.Rand, i int) Writer {
	w := Writer{
		Name: fmt.Sprintf("writer-%d", i), Kind: ByProducer,
		Keys: 1 + dice.IntN(20), HashKeys: dice.IntN(4) == 0, Large: 50,
		Pause: time.Duration(200+dice.IntN(2800)) * time.Millisecond, Burst: 1 + dice.IntN(8),
	}
	switch dice.IntN(7) {
	case 0:
		w.Kind = ByPutRecord
	case 1:
		w.Kind = ByPutRecords
	case 2:
		w.Kind, w.Burst = ByAggregate, 2+w.Burst
	default:
		w.Ordered, w.Aggregate = dice.IntN(3) > 0, dice.IntN(3) > 0
		w.Life = []time.Duration{0, 0, 2 * time.Second}[dice.IntN(3)]
		w.Buffer = []int{0, 0, 3}[dice.IntN(3)]
	}
	return w
}

// actions are those of one fault in a run.
func actions(dice *rand.Rand, f Fault, length, ttl time.Duration) []Action {
	kind, _ := kindOf(f)
	var out []Action
	for at := draw(dice, 0, 2*kind.Every); at < length; at += draw(dice, kind.Every/4, 2*kind.Every) {
		a := Action{At: at, Fault: f, Target: dice.IntN(1 << 16), For: draw(dice, 100*time.Millisecond, 15*time.Second), Rate: 0.5 * dice.Float64()}
		switch f {
		case WorkerPause:
			a.For = draw(dice, ttl/4, 3*ttl)
		case WorkerTwin:
			a.For = draw(dice, ttl, 4*ttl)
		case WorkerCrash, WorkerDrain, WriterCrash, RedisGone:
			a.For = draw(dice, 100*time.Millisecond, 3*ttl)
		case HandlerError, HandlerSlow:
			a.Rate = 0.2 + 0.7*dice.Float64()
		case WorkerSlow:
			a.Rate = 2 + 50*dice.Float64()
		case LinkCut:
			a.For = draw(dice, 100*time.Millisecond, 2*ttl+5*time.Second)
		case RedisClock:
			a.Rate = 2*dice.Float64() - 1 // hours
		case ServerCrash, ServerRot, RedisDown, RedisAll:
			a.For = draw(dice, 10*time.Millisecond, 8*time.Second)
		case RedisSuffix: // how much is lost
			a.For = draw(dice, time.Millisecond, 2*ttl)
		}
		out = append(out, a)
	}
	return out
}

// draw is a time from least up to most.
func draw(dice *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(dice.Int64N(int64(max(1, most-least))))
}

// speaksCBOR decides in which encoding a node talks to Kinesis: CBOR, as most do
// that have their client from package shardrun, or the SDK's own JSON. Each process
// of a fleet that is being updated has one of them. It is drawn from nothing else's
// randomness.
func (p *Plan) speaksCBOR(node string) bool { return fixed(p.Seed, "encoding of "+node).IntN(3) > 0 }

// Describe writes the plan for a reader.
func (p *Plan) Describe(w io.Writer) {
	faults := make([]string, len(p.Faults))
	for i, f := range p.Faults {
		faults[i] = string(f)
	}
	fmt.Fprintf(w, "seed %d: %v, %d shards, %d workers, TTL %v, batches of %d, from %s, joining within %v, rates %v, fan-out %v\n",
		p.Seed, p.For, p.Shards, p.Workers, p.TTL, p.Batch, p.Start, p.Joins.Round(time.Millisecond), p.Rates, p.FanOut)
	fmt.Fprintf(w, "options (0 is the default): window %v, interval %v, handoff %v, timeout %v, drain %v, page %d, batch bytes %d, leases %d, budget %d, reads %v, uneven %v, segment %d\n",
		p.Window, p.Interval, p.Handoff, p.Timeout, p.Drain, p.Page, p.BatchBytes, p.MaxLeases, p.Budget, p.Reads, p.Uneven, p.Segment)
	g := p.GiveUp
	fmt.Fprintf(w, "failures: each %v, attempts %d, age %v, to %q, poison %v, stop %v\n", g.Each, g.Attempts, g.Age, g.To, g.Poison, g.Stop)
	fmt.Fprintf(w, "faults: %s\n", strings.Join(faults, ", "))
	for _, writer := range p.Writers {
		fmt.Fprintf(w, "%s: %s, ordered %v, aggregates %v, up to %d records each %v, %d keys, one of %d large, life %v, buffer %d\n",
			writer.Name, writer.Kind, writer.Ordered, writer.Aggregate, writer.Burst, writer.Pause, writer.Keys, writer.Large, writer.Life, writer.Buffer)
	}
}
