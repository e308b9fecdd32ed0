package consumer

import (
	"context"

	"github.com/shardrun/shardrun/bench/drainer"
	"github.com/shardrun/shardrun/bench/peers"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/lease/redis"
)

// drainShardrun is our worker with its defaults, but for the rate of AWS, which
// the endpoint does not have.
func drainShardrun(ctx context.Context, d drainer.Drain, handled func(n int)) error {
	store, err := redis.New(redis.Config{Addr: d.Redis})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // Run has saved everything by then
	client := peers.Client(d.Endpoint)
	if d.Fast {
		client = peers.FastClient(d.Endpoint)
	}
	c, err := consumer.New(consumer.Config{
		Group: d.Group, Stream: d.Stream, Client: client, Store: store,
		ReadsPerSecond: -1, MemoryBudget: d.Memory,
		Handler: consumer.BatchFunc(func(_ context.Context, b *consumer.Batch) error {
			handled(len(b.Records))
			return nil
		}),
	})
	if err != nil {
		return err
	}
	return c.Run(ctx)
}
