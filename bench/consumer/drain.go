package consumer

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/shardrun/shardrun/bench/child"
	"github.com/shardrun/shardrun/bench/drainer"
	"github.com/shardrun/shardrun/bench/harness"
)

// Roles are the processes that the rows start.
func Roles() map[string]child.Role {
	return map[string]child.Role{
		"consumer-pages":    child.As(servePages),
		"consumer-shardrun": drainer.Role(drainShardrun),
		"consumer-bare":     drainer.Role(drainBare),
	}
}

// starter starts a process that drains.
type starter func(ctx context.Context, env *harness.Env, d drainer.Drain, heard func(line []byte)) (*harness.Process, error)

// role starts this program in a role.
func role(name string) starter {
	return func(ctx context.Context, env *harness.Env, d drainer.Drain, heard func([]byte)) (*harness.Process, error) {
		p, _, err := child.Start[struct{}](ctx, env, name, d, heard)
		return p, err
	}
}

// program starts another one of this module.
func program(name string) starter {
	return func(ctx context.Context, env *harness.Env, d drainer.Drain, heard func([]byte)) (*harness.Process, error) {
		p, _, err := child.StartProgram[struct{}](ctx, env, "github.com/shardrun/shardrun/bench/consumer/"+name, d, heard)
		return p, err
	}
}

// positions starts what a contestant keeps its positions in.
type positions func(ctx context.Context, env *harness.Env, d *drainer.Drain) error

// fromPages sets up a contestant that drains the page server. Each run is a
// new process of a new group.
func fromPages(pages Pages, d drainer.Drain, start starter, keep positions) func(context.Context, *harness.Env) (harness.Bench, error) {
	return func(ctx context.Context, env *harness.Env) (harness.Bench, error) {
		server, at, err := child.Start[listening](ctx, env, "consumer-pages", pages, nil)
		if err != nil {
			return harness.Bench{}, err
		}
		d.Endpoint, d.Stream, d.Records, d.Aggregated = at.Endpoint, streamName, pages.total(), pages.Members > 0
		if err := keep(ctx, env, &d); err != nil {
			return harness.Bench{}, err
		}
		return drains(env, server, d, start), nil
	}
}

// drains drains the stream that d says once with each run.
func drains(env *harness.Env, server *harness.Process, d drainer.Drain, start starter) harness.Bench {
	return harness.Bench{Run: func(ctx context.Context) (harness.Sample, error) {
		before := server.CPU()
		out, err := drainOnce(ctx, env, d, start)
		if err != nil {
			return harness.Sample{}, err
		}
		return harness.Sample{
			Value: float64(out.Handled) / out.Seconds, Records: out.Handled, PeakRSS: out.PeakRSS,
			CPU: harness.CPU{Client: out.CPU, Server: server.CPU() - before},
			Extra: map[string]float64{
				"cpu": out.CPU * 1e5 / float64(out.Handled),
				"rss": float64(out.PeakRSS) / (1 << 20),
			},
		}, nil
	}}
}

// drainOnce lets a new process drain the stream.
func drainOnce(ctx context.Context, env *harness.Env, d drainer.Drain, start starter) (out drainer.Drained, err error) {
	d.Group = "bench-" + uuid.NewString()
	said := make(chan []byte, 1) // one line is said
	p, err := start(ctx, env, d, func(line []byte) { said <- line })
	if err != nil {
		return out, err
	}
	if err := p.Wait(ctx); err != nil {
		return out, err
	}
	select {
	case line := <-said:
		if err := json.Unmarshal(line, &out); err != nil {
			return out, fmt.Errorf("a drainer said %q: %w", line, err)
		}
		return out, nil
	default:
		return out, fmt.Errorf("a drainer said nothing")
	}
}
