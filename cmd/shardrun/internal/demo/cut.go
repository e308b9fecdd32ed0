package demo

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/lease"
)

// errCut is what a killed worker gets of everything outside it.
var errCut = errors.New("this worker was killed")

// cord is what connects a worker with the world. Once it is cut the worker is
// as good as dead: it neither reads, nor checkpoints, nor says goodbye.
type cord struct{ severed atomic.Bool }

func (c *cord) cut() { c.severed.Store(true) }

func (c *cord) err() error {
	if c.severed.Load() {
		return errCut
	}
	return nil
}

// through makes a call unless the cord is cut, also when that happened while
// the call was on its way: then its answer is lost.
func through[T any](c *cord, call func() (T, error)) (T, error) {
	var none T
	if err := c.err(); err != nil {
		return none, err
	}
	v, err := call()
	if cut := c.err(); cut != nil {
		return none, cut
	}
	return v, err
}

// nothing adapts a call that returns only an error.
func nothing(call func() error) func() (struct{}, error) {
	return func() (struct{}, error) { return struct{}{}, call() }
}

// cutStore is a store behind a cord.
type cutStore struct {
	cord  *cord
	store lease.Store
}

func (s cutStore) Load(ctx context.Context, group string, leases ...string) (map[string]checkpoint.Entry, error) {
	return through(s.cord, func() (map[string]checkpoint.Entry, error) { return s.store.Load(ctx, group, leases...) })
}

func (s cutStore) Save(ctx context.Context, scope checkpoint.Scope, updates ...checkpoint.Update) ([]checkpoint.Outcome, error) {
	return through(s.cord, func() ([]checkpoint.Outcome, error) { return s.store.Save(ctx, scope, updates...) })
}

func (s cutStore) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	return through(s.cord, func() (lease.View, error) { return s.store.Beat(ctx, group, b) })
}

func (s cutStore) View(ctx context.Context, group string) (lease.View, error) {
	return through(s.cord, func() (lease.View, error) { return s.store.View(ctx, group) })
}

func (s cutStore) Acquire(ctx context.Context, scope checkpoint.Scope, a lease.Acquire) ([]lease.Grant, error) {
	return through(s.cord, func() ([]lease.Grant, error) { return s.store.Acquire(ctx, scope, a) })
}

func (s cutStore) Complete(ctx context.Context, scope checkpoint.Scope, c lease.Completion) error {
	_, err := through(s.cord, nothing(func() error { return s.store.Complete(ctx, scope, c) }))
	return err
}

func (s cutStore) Create(ctx context.Context, scope checkpoint.Scope, c lease.Create) error {
	_, err := through(s.cord, nothing(func() error { return s.store.Create(ctx, scope, c) }))
	return err
}

func (s cutStore) Request(ctx context.Context, scope checkpoint.Scope, r lease.Request) ([]error, error) {
	return through(s.cord, func() ([]error, error) { return s.store.Request(ctx, scope, r) })
}

func (s cutStore) Refuse(ctx context.Context, scope checkpoint.Scope, r lease.Refusal) error {
	_, err := through(s.cord, nothing(func() error { return s.store.Refuse(ctx, scope, r) }))
	return err
}

func (s cutStore) Bye(ctx context.Context, scope checkpoint.Scope, session string) error {
	_, err := through(s.cord, nothing(func() error { return s.store.Bye(ctx, scope, session) }))
	return err
}

func (s cutStore) Seed(ctx context.Context, scope checkpoint.Scope, seed lease.Seed) error {
	_, err := through(s.cord, nothing(func() error { return s.store.Seed(ctx, scope, seed) }))
	return err
}

func (s cutStore) Adopt(ctx context.Context, scope checkpoint.Scope, a lease.Adoption) error {
	_, err := through(s.cord, nothing(func() error { return s.store.Adopt(ctx, scope, a) }))
	return err
}

func (s cutStore) Retire(ctx context.Context, scope checkpoint.Scope, r lease.Retirement) error {
	_, err := through(s.cord, nothing(func() error { return s.store.Retire(ctx, scope, r) }))
	return err
}

func (s cutStore) Collect(ctx context.Context, scope checkpoint.Scope, c lease.Collection) ([]error, error) {
	return through(s.cord, func() ([]error, error) { return s.store.Collect(ctx, scope, c) })
}

func (s cutStore) Mark(ctx context.Context, scope checkpoint.Scope, m lease.Mark) error {
	_, err := through(s.cord, nothing(func() error { return s.store.Mark(ctx, scope, m) }))
	return err
}

func (s cutStore) Pause(ctx context.Context, scope checkpoint.Scope, on bool) error {
	_, err := through(s.cord, nothing(func() error { return s.store.Pause(ctx, scope, on) }))
	return err
}

func (s cutStore) Reset(ctx context.Context, scope checkpoint.Scope, r lease.Reset) error {
	_, err := through(s.cord, nothing(func() error { return s.store.Reset(ctx, scope, r) }))
	return err
}

func (s cutStore) Watch(ctx context.Context, group string, notify func()) error {
	return s.store.Watch(ctx, group, func() {
		if s.cord.err() == nil {
			notify()
		}
	})
}

// cutClient is a Kinesis client behind a cord.
type cutClient struct {
	cord   *cord
	client consumer.Kinesis
}

func (c cutClient) DescribeStreamSummary(ctx context.Context, in *kinesis.DescribeStreamSummaryInput, opts ...func(*kinesis.Options)) (*kinesis.DescribeStreamSummaryOutput, error) {
	return through(c.cord, func() (*kinesis.DescribeStreamSummaryOutput, error) {
		return c.client.DescribeStreamSummary(ctx, in, opts...)
	})
}

func (c cutClient) ListShards(ctx context.Context, in *kinesis.ListShardsInput, opts ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	return through(c.cord, func() (*kinesis.ListShardsOutput, error) { return c.client.ListShards(ctx, in, opts...) })
}

func (c cutClient) GetShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput, opts ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	return through(c.cord, func() (*kinesis.GetShardIteratorOutput, error) { return c.client.GetShardIterator(ctx, in, opts...) })
}

func (c cutClient) GetRecords(ctx context.Context, in *kinesis.GetRecordsInput, opts ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	return through(c.cord, func() (*kinesis.GetRecordsOutput, error) { return c.client.GetRecords(ctx, in, opts...) })
}
