// Package consumer runs a Go function on the shards of a Kinesis data stream,
// on as many workers as are started, each shard on one of them at a time.
//
//	w, err := consumer.New(consumer.Config{
//		Group: "billing", Stream: "orders", Client: client, Store: store,
//		Handler: consumer.Each(consumer.JSON[Order](), func(ctx context.Context, o consumer.Message[Order]) error {
//			return charge(ctx, o.Value)
//		}),
//	})
//	if err != nil { … }
//	err = w.Run(ctx) // until ctx is cancelled: then drain, save, give back, nil
//
// What a worker keeps to:
//
//   - No record is lost. A position is saved only when every record up to it
//     was handled, was given to [Config.OnFailure], or was dropped because the
//     configuration says so, which is counted and logged. The zero values drop
//     nothing: what cannot be handled is tried until it can.
//   - Records of a partition key are delivered in the order of their sequence
//     numbers, one batch at a time, over retries, changes of worker and
//     resharding: a shard starts when all its parents were handled to their
//     end. What is delivered twice is a replay from a saved position.
//   - A worker that lost a shard cannot move its position, and the context of
//     its handler is cancelled before another worker starts.
//
// What it cannot keep to: that a handler which ignores its context has stopped
// when the next worker starts. [Batch.Lease] and [Batch.Epoch] let a sink
// refuse the late one.
//
// Workers run in a testing/synctest bubble, with a localstream server in the
// same process (its Client) and leases in memory: a test of minutes takes none.
package consumer
