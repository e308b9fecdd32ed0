package leases

import (
	"time"

	"github.com/shardrun/shardrun/bench/harness"
)

// Rows are the rows of the lease store. Targets beside those of beats and of
// passing on are the figures of a prototype.
func Rows(full bool) []harness.Row {
	few, lots := 100, 2000
	if full {
		few, lots = 200, 10_000
	}
	rows := []harness.Row{
		{
			Name: "lease/beat", Work: "a beat with 1,000 unchanged leases", Unit: "µs",
			Target: "≤ 200 µs p50", Met: harness.AtMost(200), Contestants: timed(lots, time.Microsecond, beatUnchanged),
		},
		{
			Name: "lease/pass-on", Work: "a lease released, announced, and acquired by another worker", Unit: "ms",
			Target: "≤ 2 ms p50, ≤ 10 ms p99", Contestants: timed(lots, time.Millisecond, passOn),
			Met: func(r harness.Result) bool { return r.Ours.Value <= 2 && r.Extra("p99") <= 10 },
		},
		{
			Name: "lease/acquire", Work: "acquire 1,000 leases", Unit: "ms",
			Target: "≤ 20 ms p50", Met: harness.AtMost(20), Contestants: timed(few, time.Millisecond, acquireMany),
		},
		{
			Name: "lease/save", Work: "save one position", Unit: "µs",
			Target: "≤ 114 µs p50", Met: harness.AtMost(114), Contestants: timed(lots, time.Microsecond, saveSome(1)),
		},
		{
			Name: "lease/save-1000", Work: "save 1,000 positions", Unit: "ms",
			Target: "≤ 11 ms p50", Met: harness.AtMost(11), Contestants: timed(few, time.Millisecond, saveSome(many)),
		},
		{
			Name: "lease/view", Work: "read the table of 1,000 leases", Unit: "ms",
			Target: "≤ 1.7 ms p50", Met: harness.AtMost(1.7), Contestants: timed(few, time.Millisecond, viewMany),
		},
		{
			Name: "lease/create", Work: "make the first 10,000 leases of a stream", Unit: "ms",
			Target: "≤ 105 ms p50", Met: harness.AtMost(105), Contestants: timed(5, time.Millisecond, createMany(10_000)),
		},
		{
			Name: "lease/memory", Work: "memory of Redis for 1,000 leases", Unit: "KB",
			Target: "≤ 224 KB", Met: harness.AtMost(224), Contestants: memory(),
		},
		{
			Name: "lease/beat-cost", Work: "processor time of Redis for a beat in a group of 1,000 workers with 1,000 leases", Unit: "µs",
			Target: "≤ 300 µs", Met: harness.AtMost(300), Contestants: beatCost(1000, lots),
		},
		{
			Name: "lease/calls", Work: "calls to Redis, 1,000 shards, 10 workers, nothing happens, lease time 10 s", Unit: "calls/s",
			Target: "≤ 5 calls/s", Met: harness.AtMost(5),
			Contestants: append(atRest(10, 1000, 10*time.Second, 2*time.Second, 10*time.Second),
				harness.Contestant{Name: "KCL", Published: 30, Source: "3.x, measured elsewhere"}),
			Also: []harness.Line{{
				Name: "lease/pings", Work: "pings of the subscriptions meanwhile", Extra: "pings", Unit: "pings/s", Better: harness.Lower,
			}},
		},
	}
	for i := range rows {
		rows[i].Group, rows[i].Better = "lease", harness.Lower
		rows[i].NeedsQuiet = rows[i].Unit == "ms" || rows[i].Unit == "µs"
	}
	return rows
}
