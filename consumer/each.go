package consumer

import (
	"context"
	"encoding/json"
	"fmt"
)

// Decoder makes a value of a record's data. Any func([]byte) (T, error) is one.
// It may keep data, and must not change it: another attempt decodes it again.
type Decoder[T any] func(data []byte) (T, error)

// JSON decodes data as one JSON value.
func JSON[T any]() Decoder[T] {
	return func(data []byte) (T, error) {
		var v T
		err := json.Unmarshal(data, &v)
		return v, err
	}
}

// Raw gives the data as it is.
func Raw() Decoder[[]byte] {
	return func(data []byte) ([]byte, error) { return data, nil }
}

// Message is one decoded record.
type Message[T any] struct {
	// Value is the decoded data.
	Value T
	// Record is what it was decoded from.
	Record
	// Batch is what the record came in: its shard, epoch and attempt.
	Batch *Batch
}

// Each is a [Handler] that decodes each record and calls handle for one at a
// time, in order. It stops at the first error: the records before it are done,
// and that record is tried again, or is given to [Config.OnFailure] by itself
// when it cannot be decoded or its attempts are used up.
//
// When the context ends between two records, the first is done and the rest is
// delivered again, here after [Config.HandlerTimeout] or by the shard's next
// owner. That is no attempt of a record that handle was not called for.
func Each[T any](decode Decoder[T], handle func(ctx context.Context, m Message[T]) error) Handler {
	return BatchFunc(func(ctx context.Context, b *Batch) error {
		for i := range b.Records {
			if ctx.Err() != nil {
				return &failFrom{index: i, err: context.Cause(ctx), unseen: true}
			}
			if err := handleOne(ctx, b, i, decode, handle); err != nil {
				return FailFrom(i, err)
			}
		}
		return nil
	})
}

// handleOne decodes and handles record i. A panic becomes an error here, and
// not one level up, so that the records before it count as done.
func handleOne[T any](ctx context.Context, b *Batch, i int, decode Decoder[T], handle func(context.Context, Message[T]) error) (err error) {
	defer recoverTo(&err)
	r := b.Records[i]
	v, err := decode(r.Data)
	if err != nil {
		return Poison(fmt.Errorf("decode record %s: %w", r.Position(), err))
	}
	return handle(ctx, Message[T]{Value: v, Record: r, Batch: b})
}
