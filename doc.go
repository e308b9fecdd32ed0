// Package shardrun is the root of a stream processing framework: a handler
// function, run on the shards of an Amazon Kinesis data stream, in containers
// that come and go, with nothing lost and the order of each key kept.
//
// The parts work alone or together:
//
//   - [github.com/shardrun/shardrun/consumer] runs a handler on the shards of a
//     stream: leases, reads, retries, checkpoints, hand-over.
//   - [github.com/shardrun/shardrun/producer] writes records: aggregation in
//     the KPL format, batches, pace, order, retries.
//   - [github.com/shardrun/shardrun/localstream] is a Kinesis server on a
//     durable log, in process or over the network.
//   - [github.com/shardrun/shardrun/lease] and
//     [github.com/shardrun/shardrun/checkpoint] keep who owns which shard and
//     how far it got, in memory or in Redis.
//
// A worker:
//
//	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
//	defer stop()
//	w, err := consumer.New(consumer.Config{
//		Group:  "billing",
//		Stream: "orders",
//		Client: shardrun.NewClient(awsConfig),
//		Store:  store, // lease/redis, or lease.NewMemory for one process
//		Handler: consumer.Each(consumer.JSON[Order](), func(ctx context.Context, o consumer.Message[Order]) error {
//			return bill(ctx, o.Value)
//		}),
//	})
//	if err != nil {
//		return err
//	}
//	return w.Run(ctx) // ctx cancelled: drain, checkpoint, release, return nil
//
// This package itself holds [NewClient], which makes the Kinesis client that
// the parts like best.
package shardrun
