package scale

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/bench/child"
	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/leases"
	"github.com/shardrun/shardrun/bench/peers"
)

// Rows are the rows of growth.
func Rows(full bool) []harness.Row {
	ttl, records := 2*time.Second, 200_000
	if full {
		ttl, records = 10*time.Second, 1_000_000
	}
	var rows []harness.Row
	for _, size := range []struct {
		shards, workers int
		full            bool
	}{
		{4, 1, false}, {4, 10, true}, {4, 100, true},
		{100, 1, true}, {100, 10, false}, {100, 100, true},
		{1000, 1, true}, {1000, 10, false}, {1000, 100, true},
		{5000, 1, true}, {5000, 10, true}, {5000, 100, true},
	} {
		row := of(Size{Shards: size.shards, Workers: size.workers, Records: records, TTL: ttl})
		row.FullOnly = size.full
		rows = append(rows, row)
	}
	return rows
}

// of is the row of one size.
func of(size Size) harness.Row {
	name := fmt.Sprintf("scale/%d-shards-%d-workers", size.Shards, size.Workers)
	row := harness.Row{
		Name: name, Group: "scale", Unit: "µs/record", Better: harness.Lower, NeedsQuiet: true, FullRounds: 3,
		Work: fmt.Sprintf("processor time for a record of 100 B in pages of up to 100: %d shards, %d workers in one process, lease time %v",
			size.Shards, size.Workers, size.TTL),
		Contestants: []harness.Contestant{{Name: "shardrun", Setup: func(ctx context.Context, env *harness.Env) (harness.Bench, error) {
			_, addr, err := peers.Redis(ctx, env, "everysec")
			if err != nil {
				return harness.Bench{}, err
			}
			size.Redis = addr
			client := goredis.NewClient(&goredis.Options{Addr: addr})
			return harness.Bench{Close: client.Close, Run: func(ctx context.Context) (harness.Sample, error) {
				return run(ctx, env, size, client)
			}}, nil
		}}},
		Also: []harness.Line{
			{Name: name + "/start", Work: "until every worker has its share of the shards", Extra: "start", Unit: "s", Better: harness.Lower},
			{Name: name + "/calls", Work: "calls to Redis while nothing happens", Extra: "calls", Unit: "calls/s", Better: harness.Lower},
			{Name: name + "/memory", Work: "memory of the process with all workers, before records", Extra: "memory", Unit: "MiB", Better: harness.Lower},
		},
	}
	if size.Shards > size.Workers {
		join := harness.Line{Name: name + "/join", Work: "until one worker more has its share", Extra: "join", Unit: "s", Better: harness.Lower}
		if size.Shards == 1000 && size.Workers == 10 {
			join.Target, join.Met = "≤ lease time + 3 s", harness.AtMost((size.TTL + 3*time.Second).Seconds())
		}
		row.Also = append(row.Also, join)
	}
	return row
}

// run lets a new process play, and counts its calls while it is at rest.
func run(ctx context.Context, env *harness.Env, size Size, client *goredis.Client) (harness.Sample, error) {
	out := harness.Sample{Extra: map[string]float64{}}
	resting := make(chan struct{}, 1) // it rests once
	phases := make(chan phase, 8)     // more than it says
	p, _, err := child.Start[struct{}](ctx, env, role, size, func(line []byte) {
		var ph phase
		if json.Unmarshal(line, &ph) != nil {
			return
		}
		if ph.Rest {
			resting <- struct{}{}
		}
		phases <- ph
	})
	if err != nil {
		return out, err
	}
	select {
	case <-resting:
		const watch = restTime - time.Second
		before, err := leases.Sent(ctx, client)
		if err != nil {
			return out, err
		}
		time.Sleep(watch)
		after, err := leases.Sent(ctx, client)
		if err != nil {
			return out, err
		}
		out.Extra["calls"] = float64(after.Scripts-before.Scripts) / watch.Seconds()
	case <-p.Done():
	case <-ctx.Done():
		return out, ctx.Err()
	}
	if err := p.Wait(ctx); err != nil {
		return out, err
	}
	close(phases)
	for ph := range phases {
		switch {
		case ph.Started > 0:
			out.Extra["start"] = ph.Started
		case ph.Memory > 0:
			out.Extra["memory"] = float64(ph.Memory) / (1 << 20)
		case ph.CPU > 0:
			out.Value = ph.CPU
		case ph.Joined > 0:
			out.Extra["join"] = ph.Joined
		}
	}
	return out, nil
}
