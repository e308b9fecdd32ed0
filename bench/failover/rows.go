package failover

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/shardrun/shardrun/bench/harness"
)

// Rows are the rows of starting and of hand-over. A full run has the lease time
// that is the default, and enough rounds for a 99th percentile.
func Rows(full bool) []harness.Row {
	// Runs of processes, and in one process: legs or reshards a run, and runs.
	ttl, processes, legs, reshardings, runs := 2*time.Second, 3, 6, 3, 3
	if full {
		ttl, processes, legs, reshardings, runs = 10*time.Second, 30, 40, 5, 20
	}
	rows := []harness.Row{
		{
			Name: "failover/sigterm", Rounds: processes, Note: of(processes * shardsOf),
			Work:   "SIGTERM of a worker process: last record of a shard there to the first one here",
			Target: "< 300 ms at p99", Percentile: 99, Met: under(300),
			Contestants: slices.Concat(ours(relay(1, ttl, process, terminate)),
				[]harness.Contestant{vmware(relay(1, ttl, vmwareProcess, terminate))}, elsewhere(15_300, 40_000)),
		},
		{
			Name: "failover/sigterm-many", Rounds: runs, Note: of(runs * legs * shardsOf),
			Work:   "the same with workers in one process, many times",
			Target: "< 300 ms at p99", Percentile: 99, Met: under(300),
			Contestants: ours(relay(legs, ttl, within, terminate)),
		},
		killed("failover/sigkill", 3*time.Second, processes, vmware(relay(1, 3*time.Second, vmwareProcess, kill))),
		killed("failover/sigkill-10s", 10*time.Second, processes, elsewhere(20_700, 50_000)...),
		{
			Name: "failover/sigstop", Rounds: processes, Unit: "positions",
			Work:   fmt.Sprintf("SIGSTOP of a worker process for 3 × the lease time of %v, then SIGCONT: stale positions accepted", ttl),
			Target: "0", Met: harness.AtMost(0),
			Contestants: ours(stopped(ttl)),
			Also: []harness.Line{{
				Name: "failover/sigstop-duplicates", Work: "records of a shard handled again because of it", Extra: "duplicates",
				Unit: "records", Better: harness.Lower, Target: "≤ a batch of 100", Met: harness.AtMost(100),
			}},
		},
		{
			Name: "failover/reshard-same", Rounds: runs, Note: of(runs * reshardings * 3),
			Work:   "split and merge: last record of the parents to the start of a child, on the same worker",
			Target: "< 100 ms at p99", Percentile: 99, Met: under(100),
			Contestants: ours(reshards(reshardings, ttl, within, false)),
		},
		{
			Name: "failover/reshard-across", Rounds: runs,
			Work:   "the same, to a child on another worker",
			Target: "< 1 s at p99", Percentile: 99, Met: under(1000),
			Contestants: ours(reshards(reshardings, ttl, within, true)),
		},
		{
			Name: "failover/join", Rounds: processes, Note: of(processes),
			Work:   fmt.Sprintf("a second worker process joins, lease time %v: until it handles its share", ttl),
			Target: "≤ lease time + 3 s", Percentile: 100, Met: harness.AtMost(ms(int64(ttl + 3*time.Second))),
			Contestants: ours(join(ttl)),
		},
	}
	for i := range rows {
		rows[i].Group, rows[i].Better, rows[i].NeedsQuiet = "failover", harness.Lower, true
		rows[i].FullRounds = rows[i].Rounds
		if rows[i].Unit == "" {
			rows[i].Unit = "ms"
		}
	}
	return append(firstRows(), rows...)
}

// killed is the row of workers that die, for one lease time.
func killed(name string, ttl time.Duration, runs int, peers ...harness.Contestant) harness.Row {
	return harness.Row{
		Name: name, Rounds: runs, Note: of(runs * shardsOf),
		Work:   fmt.Sprintf("SIGKILL of a worker process, lease time %v: to the first record of each shard elsewhere", ttl),
		Target: "≤ lease time + 1 s", Percentile: 100, Met: harness.AtMost(ms(int64(ttl + time.Second))),
		Contestants: append(ours(relay(1, ttl, process, kill)), peers...),
	}
}

// of tells how many values a percentile is of.
func of(n int) string { return fmt.Sprintf("n = %d", n) }

// under is met by values below v.
func under(v float64) func(harness.Result) bool {
	return func(r harness.Result) bool { return r.Ours.Value < v }
}

// ours is a row of ours alone.
func ours(run act) []harness.Contestant {
	return []harness.Contestant{{Name: "shardrun", Setup: setup(run)}}
}

// setup starts the servers of a contestant.
func setup(run act) func(context.Context, *harness.Env) (harness.Bench, error) {
	return func(ctx context.Context, env *harness.Env) (harness.Bench, error) {
		s, err := startServers(ctx, env)
		if err != nil {
			return harness.Bench{}, err
		}
		return harness.Bench{Run: func(ctx context.Context) (harness.Sample, error) { return run(ctx, s) }}, nil
	}
}
