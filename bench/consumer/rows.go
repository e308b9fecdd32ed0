package consumer

import (
	"context"

	"github.com/shardrun/shardrun/bench/drainer"
	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/peers"
)

// small is a budget for what has been read, in bytes.
const small = 32 << 20

// Rows are the rows of reading. full reads ten times as much.
func Rows(full bool) []harness.Row {
	pages := Pages{Shards: 4, Pages: 50, Records: 1000, Bytes: 1024}
	packed := Pages{Shards: 4, Pages: 100, Records: 20, Bytes: 100, Members: 400}
	if full {
		pages.Pages *= 10
		packed.Pages *= 5
	}
	rows := []harness.Row{
		{
			Name:   "consumer/drain-cbor",
			Work:   "drain 1 KiB records of 4 shards from prebuilt CBOR pages, positions in Redis, budget of 32 MiB",
			Target: "≥ 300,000 records/s", Met: harness.AtLeast(300_000),
			Contestants: []harness.Contestant{
				{Name: "shardrun", Setup: fromPages(inCBOR(pages), drainer.Drain{Memory: small, Fast: true}, role("consumer-shardrun"), inRedis)},
			},
			Also: []harness.Line{
				{
					Name: "consumer/drain-cbor-cpu", Work: "processor time of the consumer for it", Extra: "cpu", Unit: "s/100k",
					Better: harness.Lower, Target: "≤ 0.4 s per 100,000 records",
					Met: func(r harness.Result) bool { return r.Extra("cpu") <= 0.4 },
				},
				{
					Name: "consumer/drain-cbor-memory", Work: "its peak memory", Extra: "rss", Unit: "MiB",
					Better: harness.Lower, Target: "< 64 MiB",
					Met: func(r harness.Result) bool { return r.Extra("rss") < 64 },
				},
			},
		},
		{
			Name:   "consumer/drain",
			Work:   "drain 1 KiB records of 4 shards from prebuilt JSON pages, positions in Redis",
			Target: "≥ 0.95 × a bare SDK loop", Met: harness.RatioAtLeast("SDK loop", 0.95), Against: "SDK loop",
			Contestants: []harness.Contestant{
				{Name: "shardrun", Setup: fromPages(pages, drainer.Drain{}, role("consumer-shardrun"), inRedis)},
				{Name: "shardrun, 32 MiB", Ours: true, Setup: fromPages(pages, drainer.Drain{Memory: small}, role("consumer-shardrun"), inRedis)},
				{Name: "SDK loop", Setup: fromPages(pages, drainer.Drain{}, role("consumer-bare"), nowhere)},
				{Name: "harlow", Setup: fromPages(pages, drainer.Drain{}, program("harlow"), inRedis)},
				{Name: "vmware", Setup: fromPages(pages, drainer.Drain{}, program("vmware"), inDynamoDB)},
			},
			Note: "the SDK loop has no leases and saves nothing; harlow saves each record in Redis and has no leases; vmware saves " +
				"each page in DynamoDB (dynalite), its read limit of AWS is taken out; all read pages of 1,000 without pauses",
			Also: []harness.Line{
				{
					Name: "consumer/drain-cpu", Work: "processor time of the consumer for it", Extra: "cpu", Unit: "s/100k",
					Better: harness.Lower, Against: "SDK loop",
				},
				{
					Name: "consumer/drain-32MiB", Work: "the same with a budget of 32 MiB", Ours: "shardrun, 32 MiB",
					Target: "≥ 0.95 × a bare SDK loop", Met: harness.RatioAtLeast("SDK loop", 0.95), Against: "SDK loop",
				},
				{
					Name: "consumer/drain-memory", Work: "peak memory of the consumer, budget of 32 MiB", Ours: "shardrun, 32 MiB",
					Extra: "rss", Unit: "MiB", Better: harness.Lower, Target: "< 64 MiB",
					Met: func(r harness.Result) bool { return r.Ours.Value < 64 },
				},
			},
		},
		{
			Name:   "consumer/drain-serve",
			Work:   "drain 1 KiB records of 4 shards from shardrun serve, positions in Redis",
			Target: "≥ 0.95 × a bare SDK loop", Met: harness.RatioAtLeast("SDK loop", 0.95), Against: "SDK loop",
			Contestants: []harness.Contestant{
				{Name: "shardrun", Setup: fromServe(pages, role("consumer-shardrun"), inRedis)},
				{Name: "SDK loop", Setup: fromServe(pages, role("consumer-bare"), nowhere)},
			},
		},
		{
			Name:   "consumer/aggregates",
			Work:   "drain user records of 100 B in aggregates of 400, 4 shards, prebuilt JSON pages, positions in Redis",
			Target: "≥ 3,000,000 records/s", Met: harness.AtLeast(3e6),
			Contestants: []harness.Contestant{
				{Name: "shardrun", Setup: fromPages(packed, drainer.Drain{}, role("consumer-shardrun"), inRedis)},
				{Name: "vmware", Setup: fromPages(packed, drainer.Drain{}, program("vmware"), inDynamoDB)},
			},
		},
	}
	for i := range rows {
		rows[i].Group, rows[i].Unit, rows[i].NeedsQuiet = "consumer", "records/s", true
	}
	return rows
}

func nowhere(context.Context, *harness.Env, *drainer.Drain) error { return nil }

func inRedis(ctx context.Context, env *harness.Env, d *drainer.Drain) (err error) {
	_, d.Redis, err = peers.Redis(ctx, env, "everysec")
	return err
}

func inDynamoDB(ctx context.Context, env *harness.Env, d *drainer.Drain) (err error) {
	_, d.DynamoDB, err = peers.Dynalite(ctx, env)
	return err
}

// inCBOR is the same pages in CBOR.
func inCBOR(p Pages) Pages {
	p.CBOR = true
	return p
}
