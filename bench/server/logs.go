package server

import (
	"context"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"
	goredis "github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/peers"
)

// logs are other logs that do the same puts in their own protocols, with their
// own clients: Redis Streams with an append-only file synced each second, and
// NATS JetStream with its file store, which it syncs each two minutes.
func logs(p puts, megabytes bool) []harness.Contestant {
	return []harness.Contestant{
		{Name: redis, Setup: func(ctx context.Context, env *harness.Env) (harness.Bench, error) {
			return redisLog(ctx, env, p, megabytes)
		}},
		{Name: nats, Setup: func(ctx context.Context, env *harness.Env) (harness.Bench, error) {
			return natsLog(ctx, env, p, megabytes)
		}},
	}
}

// redisLog appends with XADD, a batch in a pipeline.
func redisLog(ctx context.Context, env *harness.Env, p puts, megabytes bool) (harness.Bench, error) {
	process, address, err := peers.Redis(ctx, env, "everysec")
	if err != nil {
		return harness.Bench{}, err
	}
	client := goredis.NewClient(&goredis.Options{Addr: address, PoolSize: p.callers})
	add := func(pipe goredis.Cmdable, ctx context.Context, data []byte, n int) error {
		key := partitionKeys[n%len(partitionKeys)]
		return pipe.XAdd(ctx, &goredis.XAddArgs{
			Stream: fmt.Sprint(stream, "-", n%4), Values: []any{key, data},
			MaxLen: 1_000_000, Approx: true,
		}).Err()
	}
	run := func(ctx context.Context, d time.Duration) (harness.Sample, error) {
		n, took, err := drive(ctx, p.callers, p.records(), p.bytes, d, func(data []byte, n int) error {
			if p.batch == 0 {
				return add(client, ctx, data, n)
			}
			_, err := client.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
				for i := range p.batch {
					_ = add(pipe, ctx, data, n+i) // the pipeline returns the first error
				}
				return nil
			})
			return err
		})
		return p.sample(n, took, megabytes), err
	}
	return harness.Bench{
		Servers: []*harness.Process{process},
		Warm:    func(ctx context.Context) error { _, err := run(ctx, warmTime); return err },
		Run:     func(ctx context.Context) (harness.Sample, error) { return run(ctx, putTime) },
		Close:   client.Close,
	}, nil
}

// natsLog publishes to JetStream: a single message at a time, or a batch
// asynchronously, all of whose acknowledgements are waited for.
func natsLog(ctx context.Context, env *harness.Env, p puts, megabytes bool) (harness.Bench, error) {
	process, conn, js, err := jetStream(ctx, env, p.callers*p.records())
	if err != nil {
		return harness.Bench{}, err
	}
	run := func(ctx context.Context, d time.Duration) (harness.Sample, error) {
		n, took, err := drive(ctx, p.callers, p.records(), p.bytes, d, func(data []byte, n int) error {
			return publish(ctx, js, data, n, p.batch)
		})
		return p.sample(n, took, megabytes), err
	}
	return harness.Bench{
		Servers: []*harness.Process{process},
		Warm:    func(ctx context.Context) error { _, err := run(ctx, warmTime); return err },
		Run:     func(ctx context.Context) (harness.Sample, error) { return run(ctx, putTime) },
		Close:   func() error { conn.Close(); return nil },
	}, nil
}

// jetStream starts a server with a stream in files, and connects to it. pending
// is how many messages may be unacknowledged.
func jetStream(ctx context.Context, env *harness.Env, pending int) (*harness.Process, *natsgo.Conn, natsgo.JetStreamContext, error) {
	process, url, err := peers.NATS(ctx, env)
	if err != nil {
		return nil, nil, nil, err
	}
	conn, err := natsgo.Connect(url)
	if err != nil {
		return nil, nil, nil, err
	}
	js, err := conn.JetStream(natsgo.PublishAsyncMaxPending(pending))
	if err == nil {
		_, err = js.AddStream(&natsgo.StreamConfig{Name: stream, Subjects: []string{stream + ".*"}, Storage: natsgo.FileStorage})
	}
	if err != nil {
		conn.Close()
	}
	return process, conn, js, err
}

// publish sends a message, or a batch of them, and waits for what the server
// says to each.
func publish(ctx context.Context, js natsgo.JetStreamContext, data []byte, n, batch int) error {
	subject := func(n int) string { return fmt.Sprint(stream, ".", n%4) }
	if batch == 0 {
		_, err := js.Publish(subject(n), data, natsgo.Context(ctx))
		return err
	}
	acks := make([]natsgo.PubAckFuture, batch)
	for i := range acks {
		ack, err := js.PublishAsync(subject(n+i), data)
		if err != nil {
			return err
		}
		acks[i] = ack
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
