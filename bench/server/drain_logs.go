package server

import (
	"context"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"
	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/peers"
)

// drainPage is how many messages the other logs are asked for at once.
const drainPage = 1000

// logDrains are other logs that are drained of the same records with their own
// clients.
func logDrains() []harness.Contestant {
	return []harness.Contestant{
		{Name: redis, Setup: redisDrain},
		{Name: nats, Setup: natsDrain},
	}
}

// redisDrain reads four streams with XRANGE.
func redisDrain(ctx context.Context, env *harness.Env) (harness.Bench, error) {
	process, address, err := peers.Redis(ctx, env, "everysec")
	if err != nil {
		return harness.Bench{}, err
	}
	client := goredis.NewClient(&goredis.Options{Addr: address})
	name := func(shard int) string { return fmt.Sprint(stream, "-", shard) }
	read := func(ctx context.Context) (harness.Sample, error) {
		return drainAll(ctx, func(ctx context.Context, shard int) error {
			from, got := "-", 0
			for got < drainRecords/drainShards {
				page, err := client.XRangeN(ctx, name(shard), from, "+", drainPage).Result()
				if err != nil {
					return err
				}
				if len(page) == 0 {
					return fmt.Errorf("%s ended after %d records", name(shard), got)
				}
				got += len(page)
				from = "(" + page[len(page)-1].ID
			}
			return nil
		})
	}
	warm := func(ctx context.Context) error {
		data := make([]byte, drainBytes)
		for n := 0; n < drainRecords; n += drainPage {
			if _, err := client.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
				for i := range drainPage {
					_ = pipe.XAdd(ctx, &goredis.XAddArgs{
						Stream: name(i % drainShards), Values: []any{partitionKeys[i], data},
					}) // the pipeline returns the first error
				}
				return nil
			}); err != nil {
				return err
			}
		}
		_, err := read(ctx)
		return err
	}
	return harness.Bench{Servers: []*harness.Process{process}, Warm: warm, Run: read, Close: client.Close}, nil
}

// natsDrain reads a stream by four pull consumers, one a subject.
func natsDrain(ctx context.Context, env *harness.Env) (harness.Bench, error) {
	process, conn, js, err := jetStream(ctx, env, drainPage)
	if err != nil {
		return harness.Bench{}, err
	}
	read := func(ctx context.Context) (harness.Sample, error) {
		return drainAll(ctx, func(ctx context.Context, shard int) error {
			sub, err := js.PullSubscribe(fmt.Sprint(stream, ".", shard), "", natsgo.AckNone())
			if err != nil {
				return err
			}
			defer func() { _ = sub.Unsubscribe() }() // the consumer goes with it
			for got := 0; got < drainRecords/drainShards; {
				page, err := sub.Fetch(drainPage, natsgo.Context(ctx))
				if err != nil {
					return err
				}
				got += len(page)
			}
			return nil
		})
	}
	warm := func(ctx context.Context) error {
		data := make([]byte, drainBytes)
		for n := 0; n < drainRecords; n += drainPage {
			if err := publish(ctx, js, data, n, drainPage); err != nil {
				return err
			}
		}
		_, err := read(ctx)
		return err
	}
	return harness.Bench{
		Servers: []*harness.Process{process}, Warm: warm, Run: read,
		Close: func() error { conn.Close(); return nil },
	}, nil
}

// drainAll has a reader for each shard, all at once.
func drainAll(ctx context.Context, read func(ctx context.Context, shard int) error) (harness.Sample, error) {
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for shard := range drainShards {
		g.Go(func() error { return read(ctx, shard) })
	}
	if err := g.Wait(); err != nil {
		return harness.Sample{}, err
	}
	return harness.Sample{
		Value:   drainRecords * drainBytes / 1e6 / time.Since(began).Seconds(),
		Records: drainRecords,
	}, nil
}
