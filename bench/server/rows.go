package server

import (
	"fmt"
	"slices"

	"github.com/shardrun/shardrun/bench/harness"
)

const group = "server"

// The bodies of the rows that put.
var (
	singles = puts{callers: 16, bytes: 100}
	batches = puts{callers: 4, batch: 500, bytes: 1024}
)

// Rows are the rows of the server. full says that the run has the larger log.
func Rows(full bool) []harness.Row {
	return slices.Concat(putRows(), readRows(), runningRows(logBytes(full)>>30))
}

// putRows measure how fast records are taken.
func putRows() []harness.Row {
	return []harness.Row{
		{
			Name: "server/put-record-async", Group: group, Unit: "records/s", NeedsQuiet: true,
			Work:   "PutRecord of 100 B by 16 callers with the SDK's client, 4 shards, durability async",
			Target: "≥ 0.85 × echo", Met: harness.RatioAtLeast(echo, 0.85), Against: echo,
			Contestants: slices.Concat(contestants(kinesisServers(), singles.work(4, false)), logs(singles, false)),
			Also: []harness.Line{{
				Name: "server/put-record-sync", Ours: oursSync,
				Work:   "the same, synced to disk before it is acknowledged",
				Target: "≥ 0.7 × echo", Met: harness.RatioAtLeast(echo, 0.7), Against: echo,
			}},
			Note: logsNote,
		},
		{
			Name: "server/put-records-async", Group: group, Unit: "MB/s", NeedsQuiet: true,
			Work:   "PutRecords of 500 × 1 KiB by 4 callers with the SDK's client, 4 shards, durability async",
			Target: "≥ 0.9 × echo", Met: harness.RatioAtLeast(echo, 0.9), Against: echo,
			Contestants: slices.Concat(contestants(kinesisServers(), batches.work(4, true)), logs(batches, true)),
			Also: []harness.Line{{
				Name: "server/put-records-sync", Ours: oursSync,
				Work:   "the same, synced to disk before it is acknowledged",
				Target: "≥ 0.75 × echo", Met: harness.RatioAtLeast(echo, 0.75), Against: echo,
			}},
			Note: logsNote,
		},
		{
			Name: "server/put-records-cbor-async", Group: group, Unit: "MB/s", NeedsQuiet: true,
			Work:   "PutRecords of 500 × 1 KiB by 4 callers with our client, which talks CBOR, 4 shards, durability async",
			Target: "≥ 400 MB/s", Met: harness.AtLeast(400),
			Contestants: slices.Concat(contestants(fastServers(), batches.work(4, true)), logs(batches, true)),
			Also: []harness.Line{{
				Name: "server/put-records-cbor-sync", Ours: oursSync,
				Work:   "the same, synced to disk before it is acknowledged",
				Target: "≥ 250 MB/s", Met: harness.AtLeast(250),
			}},
		},
		{
			Name: "server/thousand-shards-async", Group: group, Unit: "MB/s", NeedsQuiet: true,
			Work:   "PutRecords of 500 × 1 KiB by 4 callers on 1,000 shards, durability async, beside the same on 4 shards",
			Target: "≥ 0.8 × 4 shards", Met: harness.RatioAtLeast(fourAsync, 0.8), Against: fourAsync,
			Contestants: thousandShards(),
			Also: []harness.Line{{
				Name: "server/thousand-shards-sync", Ours: thousandSync,
				Work:   "the same with durability sync",
				Target: "≥ 0.8 × 4 shards", Met: harness.RatioAtLeast(fourSync, 0.8), Against: fourSync,
			}},
		},
	}
}

// readRows measure how fast records are given back.
func readRows() []harness.Row {
	return []harness.Row{
		{
			Name: "server/drain", Group: group, Unit: "MB/s", NeedsQuiet: true,
			Work:   "GetRecords of 200,000 × 1 KiB from 4 shards by 4 readers with the SDK's client",
			Target: "≥ 0.9 × echo", Met: harness.RatioAtLeast(echo, 0.9), Against: echo,
			Contestants: slices.Concat(drains(kinesisServers()), logDrains()),
			Note:        "the echo answers with pages made before, so it shows what the SDK's client can decode; kinesalite drains a fourth of the records and kinesis-local a fortieth",
		},
		{
			Name: "server/drain-cbor", Group: group, Unit: "MB/s", NeedsQuiet: true,
			Work:   "the same with our client, which talks CBOR",
			Target: "≥ 600 MB/s", Met: harness.AtLeast(600),
			Contestants: slices.Concat(drains(fastServers()), logDrains()),
		},
		{
			Name: "server/put-to-get-async", Group: group, Unit: "ms", Better: harness.Lower, NeedsQuiet: true,
			Work:   "p50 from PutRecord of 100 B to its GetRecords, which is called back to back, one record at a time, durability async",
			Target: "p50 < 0.8 ms, p99 < 3 ms", Met: withinAsync,
			FullRounds:  10,
			Contestants: latencies(),
			Also: []harness.Line{
				{
					Name: "server/put-to-get-async-p99", Extra: "p99", Unit: "ms", Better: harness.Lower,
					Work: "the same, p99",
				},
				{
					Name: "server/put-to-get-sync", Ours: oursSync, Work: "p50 of the same with durability sync",
					Target: "p50 < 0.8 ms, p99 < 3 ms, + fsync p99", Met: withinSync,
				},
				{
					Name: "server/put-to-get-sync-p99", Ours: oursSync, Extra: "p99", Unit: "ms", Better: harness.Lower,
					Work: "the same, p99",
				},
			},
		},
		{
			Name: "server/put-to-push", Group: group, Unit: "ms", Better: harness.Lower, NeedsQuiet: true,
			Work:   "p50 from PutRecord of 100 B to its SubscribeToShard event, one record at a time, durability async",
			Target: "p50 < 0.5 ms, p99 < 2 ms", Met: withinPush,
			FullRounds:  10,
			Contestants: pushes(),
			Also: []harness.Line{{
				Name: "server/put-to-push-p99", Extra: "p99", Unit: "ms", Better: harness.Lower,
				Work: "the same, p99",
			}},
		},
	}
}

// runningRows measure what it takes to run the server, on a log of so many GiB.
func runningRows(gib int) []harness.Row {
	return []harness.Row{
		{
			Name: "server/start-empty", Group: group, Unit: "ms", Better: harness.Lower, NeedsQuiet: true,
			Work:   "from the start of the process to the first active stream of 4 shards, nothing on disk",
			Target: "< 50 ms", Met: harness.AtMost(50), Rounds: 5,
			Contestants: starts(),
		},
		{
			Name: "server/start-log", Group: group, Unit: "ms", Better: harness.Lower, NeedsQuiet: true,
			Work:   fmt.Sprintf("from the start of the process, after SIGKILL, to an active stream of 1,000 shards with a log of %d GiB", gib),
			Target: fmt.Sprintf("< %d ms with %d GiB", 100*gib, gib), Met: harness.AtMost(float64(100 * gib)), Rounds: 5,
			Contestants: []harness.Contestant{{Name: oursSync, Setup: startOnLog}},
			Note:        "the full run has 10 GiB; the time that the target allows is proportional",
		},
		{
			Name: "server/memory-idle", Group: group, Unit: "MiB", Better: harness.Lower,
			Work:   fmt.Sprintf("resident memory a second after the start with 1,000 shards and a log of %d GiB; the others with no records", gib),
			Target: fmt.Sprintf("< 40 MiB with %d GiB", gib), Met: harness.AtMost(40),
			Contestants: memories(),
			Also: []harness.Line{{
				Name: "server/memory-load", Extra: underLoad, Unit: "MiB", Better: harness.Lower,
				Work:   "its peak while 2 callers put 500 × 1 KiB into 4 other shards and 2 read these from their beginnings, in pages of up to 10 MiB",
				Target: "< 100 MiB", Met: harness.AtMost(100),
			}},
		},
	}
}

const (
	logsNote = "Redis Streams with its append-only file synced each second and NATS JetStream with its file store, which it syncs each two minutes, do the same puts in their own protocols"
)

// The names of the contestants of the row about many shards.
const (
	thousandAsync = "1,000 shards async"
	thousandSync  = "1,000 shards sync"
	fourAsync     = "4 shards async"
	fourSync      = "4 shards sync"
)

// thousandShards are ours four times: with many and few shards, and with both
// durabilities.
func thousandShards() []harness.Contestant {
	return []harness.Contestant{
		contender{name: thousandAsync, start: shardrun("async")}.contestant(batches.work(1000, true)),
		contender{name: fourAsync, start: shardrun("async")}.contestant(batches.work(4, true)),
		contender{name: thousandSync, start: shardrun("sync"), ours: true}.contestant(batches.work(1000, true)),
		contender{name: fourSync, start: shardrun("sync"), ours: true}.contestant(batches.work(4, true)),
	}
}
