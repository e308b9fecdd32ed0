package producer

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/peers"
	"github.com/shardrun/shardrun/bench/producer/figures"
)

// The names of the contestants.
const (
	ours    = "shardrun"
	ordered = "shardrun ordered"
	keyed   = "shardrun, 1,000 keys"
	a8m     = "a8m"
	awslabs = "awslabs"
	sdkLoop = "SDK PutRecords loop"
	franz   = "franz-go on kfake"
)

// The programs of the peers.
const (
	a8mProgram     = "github.com/shardrun/shardrun/bench/producer/a8m"
	awslabsProgram = "github.com/shardrun/shardrun/bench/producer/awslabs"
)

// published says where figures come from when a peer cannot be had.
const published = "measured once on a machine of 2 cores"

// How long a codec and a producer work in a run.
const (
	codecTime = time.Second
	putTime   = 2 * time.Second
)

// allocs is the figure of allocations per record.
const allocs = "allocs"

// unit makes a value of figures.
type unit func(f figures.Figures, size int) float64

func nanoseconds(f figures.Figures, _ int) float64 { return f.Seconds * 1e9 / float64(f.Records) }
func perSecond(f figures.Figures, _ int) float64   { return float64(f.Records) / f.Seconds }
func megabytes(f figures.Figures, size int) float64 {
	return float64(f.Records) * float64(size) / 1e6 / f.Seconds
}

// program is who does a work: a package to build, or this program when empty.
type program string

// command is the command that does the task.
func (p program) command(ctx context.Context, env *harness.Env, work string, t figures.Task) (harness.Command, error) {
	if p == "" {
		return env.Self(workRole, t.Args(work)...), nil
	}
	path, err := env.Build(ctx, string(p))
	if err != nil {
		return harness.Command{}, fmt.Errorf("%w: %w", harness.ErrUnavailable, err)
	}
	return harness.Command{Path: path, Args: t.Args(work)}, nil
}

// measure runs a command and reads its figures.
func measure(ctx context.Context, env *harness.Env, c harness.Command, size int, value unit) (harness.Sample, error) {
	ran, err := env.Output(ctx, c)
	if err != nil {
		return harness.Sample{}, err
	}
	var f figures.Figures
	if err := json.Unmarshal(ran.Output, &f); err != nil {
		return harness.Sample{}, fmt.Errorf("figures: %w", err)
	}
	if f.Records == 0 {
		return harness.Sample{}, fmt.Errorf("no record was handled")
	}
	return harness.Sample{
		Value: value(f, size), Records: f.Records,
		CPU: harness.CPU{Client: ran.CPU}, PeakRSS: ran.PeakRSS,
		Extra: map[string]float64{allocs: f.Allocs},
	}, nil
}

// codec is a contestant that encodes or decodes on one core.
func codec(name string, p program, work string, size int, value unit) harness.Contestant {
	return harness.Contestant{Name: name, Setup: func(ctx context.Context, env *harness.Env) (harness.Bench, error) {
		c, err := p.command(ctx, env, work, figures.Task{Size: size, Time: codecTime})
		if err != nil {
			return harness.Bench{}, err
		}
		c.Env = append(c.Env, "GOMAXPROCS=1")
		return harness.Bench{Run: func(ctx context.Context) (harness.Sample, error) {
			return measure(ctx, env, c, size, value)
		}}, nil
	}}
}

func encoders(size int, value unit, elsewhere float64) []harness.Contestant {
	manyKeys := codec(keyed, "", "encode-keys", size, value)
	manyKeys.Ours = true
	peer := codec(a8m, a8mProgram, "encode", size, value)
	peer.Published, peer.Source = elsewhere, published
	return []harness.Contestant{codec(ours, "", "encode", size, value), manyKeys, peer}
}

func decoders(size int, value unit, elsewhere float64) []harness.Contestant {
	manyKeys := codec(keyed, "", "decode-keys", size, value)
	manyKeys.Ours = true
	peer := codec(awslabs, awslabsProgram, "decode", size, value)
	peer.Published, peer.Source = elsewhere, published
	return []harness.Contestant{codec(ours, "", "decode", size, value), manyKeys, peer}
}

// sender is a contestant that puts records to a server, which is started for
// each run: kfake keeps what it got in memory.
func sender(name string, p program, work string, size int, value unit, start func(context.Context, *harness.Env) (*harness.Process, string, error)) harness.Contestant {
	return harness.Contestant{Name: name, Setup: func(ctx context.Context, env *harness.Env) (harness.Bench, error) {
		run := func(ctx context.Context, d time.Duration) (harness.Sample, error) {
			server, endpoint, err := start(ctx, env)
			if err != nil {
				return harness.Sample{}, err
			}
			defer server.Stop()
			c, err := p.command(ctx, env, work, figures.Task{Size: size, Time: d, Endpoint: endpoint})
			if err != nil {
				return harness.Sample{}, err
			}
			s, err := measure(ctx, env, c, size, value)
			s.CPU.Server = server.CPU()
			return s, err
		}
		return harness.Bench{
			Warm: func(ctx context.Context) error { _, err := run(ctx, putTime/10); return err },
			Run:  func(ctx context.Context) (harness.Sample, error) { return run(ctx, putTime) },
		}, nil
	}}
}

func producers(size int, value unit, elsewhere float64) []harness.Contestant {
	kafka := func(ctx context.Context, env *harness.Env) (*harness.Process, string, error) {
		return peers.Kafka(ctx, env, stream)
	}
	inOrder := sender(ordered, "", "put-ordered", size, value, peers.Echo)
	inOrder.Ours = true
	peer := sender(a8m, a8mProgram, "put", size, value, peers.Echo)
	peer.Published, peer.Source = elsewhere, published
	return []harness.Contestant{
		sender(ours, "", "put", size, value, peers.Echo),
		inOrder,
		sender(sdkLoop, "", "put-loop", size, value, peers.Echo),
		peer,
		sender(franz, "", "put-kafka", size, value, kafka),
	}
}
