package producer

import (
	"context"

	"github.com/shardrun/shardrun/bench/harness"
)

const group = "producer"

// Roles are what these rows run in processes of their own.
func Roles() map[string]func(ctx context.Context, args []string) error {
	return map[string]func(ctx context.Context, args []string) error{workRole: work}
}

// Rows are the rows of the producer.
func Rows() []harness.Row {
	return []harness.Row{
		{
			Name: "producer/encode-100B", Group: group, Unit: "ns/record", Better: harness.Lower, NeedsQuiet: true,
			Work:   "pack records of 100 B under one key into KPL aggregates of 50 KiB, on one core",
			Target: "≤ 190 ns/record, 0 allocs", Met: lean(190),
			Contestants: encoders(100, nanoseconds, 343), Note: encodeNote,
			Also: []harness.Line{keyedLine("producer/encode-100B-keys")},
		},
		{
			Name: "producer/encode-1KiB", Group: group, Unit: "MB/s", NeedsQuiet: true,
			Work:   "the same with records of 1 KiB",
			Target: "≥ 600 MB/s", Met: harness.AtLeast(600),
			Contestants: encoders(1024, megabytes, 499), Note: encodeNote,
			Also: []harness.Line{keyedLine("producer/encode-1KiB-keys")},
		},
		lanes("producer/encode-100B-lanes", "ns/record", harness.Lower, "≤ 60 ns/record"),
		lanes("producer/encode-1KiB-lanes", "MB/s", harness.Higher, "≥ 2,000 MB/s"),
		{
			Name: "producer/decode-100B", Group: group, Unit: "ns/record", Better: harness.Lower, NeedsQuiet: true,
			Work:   "unpack a KPL aggregate of 50 KiB with records of 100 B under one key, its MD5 checked, on one core",
			Target: "≤ 180 ns/record, 0 allocs", Met: lean(180),
			Contestants: decoders(100, nanoseconds, 587), Note: allocsNote,
			Also: []harness.Line{keyedLine("producer/decode-100B-keys")},
		},
		{
			Name: "producer/decode-1KiB", Group: group, Unit: "MB/s", NeedsQuiet: true,
			Work:   "the same with records of 1 KiB",
			Target: "≥ 640 MB/s", Met: harness.AtLeast(640),
			Contestants: decoders(1024, megabytes, 456),
			Also:        []harness.Line{keyedLine("producer/decode-1KiB-keys")},
		},
		lanes("producer/decode-1KiB-lanes", "MB/s", harness.Higher, "≥ 2,000 MB/s"),
		{
			Name: "producer/put-100B", Group: group, Unit: "records/s", NeedsQuiet: true,
			Work:   "the whole producer: records of 100 B with 1,000 keys from one goroutine to an HTTP echo with 4 shards, until all are acknowledged; no rate limit",
			Target: "≥ 3,000,000 records/s", Met: harness.AtLeast(3e6),
			Contestants: producers(100, perSecond, 1.59e6), Note: putNote,
			Also: []harness.Line{orderedLine("producer/ordered-100B")},
		},
		{
			Name: "producer/put-1KiB", Group: group, Unit: "MB/s", NeedsQuiet: true,
			Work:   "the same with records of 1 KiB",
			Target: "≥ 500 MB/s", Met: harness.AtLeast(500),
			Contestants: producers(1024, megabytes, 222), Note: putNote,
			Also: []harness.Line{orderedLine("producer/ordered-1KiB")},
		},
	}
}

const (
	allocsNote = "allocations count per record and are rounded as Go's benchmarks do: below one for an aggregate counts as 0"
	encodeNote = allocsNote + "; a8m knows only one key an aggregate"
	putNote    = "a8m has no shard prediction, no pace and no result for a record, and answers for whole calls only; franz-go speaks Kafka's protocol, to kfake in another process"
)

// keyedLine is ours with a key for each record, up to 1,000, which takes more
// bytes and tables.
func keyedLine(name string) harness.Line {
	return harness.Line{Name: name, Ours: keyed, Work: "the same with records of 1,000 keys, the others with one"}
}

// orderedLine compares our producer in order with itself.
func orderedLine(name string) harness.Line {
	return harness.Line{
		Name: name, Ours: ordered, Work: "the same with Ordered, beside ours without",
		Target: "≥ 0.8 × " + ours, Met: harness.RatioAtLeast(ours, 0.8), Against: ours,
	}
}

// lanes is a row for hashing several aggregates at once.
func lanes(name, unit string, better harness.Direction, target string) harness.Row {
	return harness.Row{
		Name: name, Group: group, Unit: unit, Better: better, Target: target,
		Work:    "the same with at least 8 aggregates waiting, hashed at once",
		Missing: "aggregates are hashed one at a time yet",
	}
}

// lean is met by at most so many nanoseconds a record, and no allocations.
func lean(ns float64) func(harness.Result) bool {
	return func(r harness.Result) bool { return r.Ours.Value <= ns && r.Extra(allocs) < 0.5 }
}
