package consumer

import "context"

// Handler handles the batches of all shards of a worker. Handle is called for
// one batch of a shard at a time, and concurrently for different shards.
//
// A nil error means that all records of the batch are done. [FailFrom],
// [Poison], [RetryAfter] and [Stop] say more than a plain error, also when they
// are wrapped; any other error, and a panic, means that the whole batch is to
// be delivered again, by the retry policy of [Config].
//
// A handler must not change the Data of records in place: what is delivered
// again is delivered as the handler left it.
//
// The context ends when the worker may no longer work on the shard;
// context.Cause then is lease.ErrLost, [ErrDraining] or [ErrDeadline]. A handler
// that goes on all the same works beside the shard's next owner.
type Handler interface {
	Handle(ctx context.Context, b *Batch) error
}

// BatchFunc is a [Handler] made of a function.
type BatchFunc func(ctx context.Context, b *Batch) error

// Handle calls f.
func (f BatchFunc) Handle(ctx context.Context, b *Batch) error { return f(ctx, b) }
