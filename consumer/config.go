package consumer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/lease"
)

// Kinesis is what a worker calls. *kinesis.Client implements it.
type Kinesis interface {
	DescribeStreamSummary(context.Context, *kinesis.DescribeStreamSummaryInput, ...func(*kinesis.Options)) (*kinesis.DescribeStreamSummaryOutput, error)
	ListShards(context.Context, *kinesis.ListShardsInput, ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error)
	GetShardIterator(context.Context, *kinesis.GetShardIteratorInput, ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error)
	GetRecords(context.Context, *kinesis.GetRecordsInput, ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error)
}

// Config says what a worker is to do. The zero value of each field that is not
// required means its default; all workers of a group should have the same.
type Config struct {
	// Group names the workers that share the stream, and their saved
	// positions. Required.
	Group string
	// Stream is the name or the ARN of the data stream. Required.
	Stream string
	// Client calls Kinesis: a *kinesis.Client. Required.
	Client Kinesis
	// Store keeps the leases and positions of the group. Required.
	Store lease.Store
	// Handler handles the records. Required.
	Handler Handler

	// StartAt is where a group that has no positions for the stream begins
	// (Lambda: StartingPosition). Defaults to TrimHorizon.
	StartAt StartAt
	// OnStateLoss is where the group goes on in shards of which the store lost how
	// far they were handled, and no living worker remembers it. With TrimHorizon
	// they are read again from the oldest record, with AtTimestamp from a time, and
	// what is before it is skipped; Latest is not accepted. With [Halt] Run fails and names them, for an
	// operator to say where to go on. When everything was lost while no worker was
	// alive, nobody knows of the loss: the group is new, and StartAt applies. It also
	// does to a stream that was made more than an hour after a loss.
	// Defaults to TrimHorizon.
	OnStateLoss StartAt

	// BatchSize is the greatest number of user records in a batch, 1 to 10,000
	// (Lambda: BatchSize). Defaults to 100.
	BatchSize int
	// BatchWindow is how long a batch waits to fill after its first record was
	// read, at most 300 s (Lambda: MaximumBatchingWindowInSeconds). Defaults to
	// 0: what has been read is delivered. It ends early when other shards wait
	// for room in MemoryBudget.
	BatchWindow time.Duration
	// MaxBatchBytes bounds the keys and data of a batch; a single record may be
	// longer (Lambda: the payload limit of 6 MB). Defaults to 6 MiB.
	MaxBatchBytes int
	// HandlerTimeout is how long one call of the handler may take before its
	// context ends with ErrDeadline. Defaults to 0, no limit.
	HandlerTimeout time.Duration

	// MaxAttempts is how often a record is given to a handler that fails, -1
	// for no limit (Lambda: MaximumRetryAttempts, which does not count the
	// first). After the last attempt the records go to OnFailure; without it
	// the shard stops and keeps its position. Defaults to -1 without OnFailure
	// and to 10 with it.
	MaxAttempts int
	// MaxRecordAge is how old a record may be to be given to the handler;
	// older ones go to OnFailure, without it the shard stops (Lambda:
	// MaximumRecordAgeInSeconds). Defaults to 0, no limit.
	MaxRecordAge time.Duration
	// OnFailure takes the records that are given up. [Drop] forgets them.
	// Defaults to none: nothing is ever given up.
	OnFailure Destination
	// RetryDelay and MaxRetryDelay bound the pause before a retry: it is drawn
	// from 0 to RetryDelay, twice that for the next one, and so on up to
	// MaxRetryDelay. Default to 100 ms and 30 s.
	RetryDelay, MaxRetryDelay time.Duration

	// PageSize is the greatest number of Kinesis records in one read, 1 to
	// 10,000. Defaults to 1,000.
	PageSize int
	// ReadsPerSecond bounds the reads of a shard by this worker; AWS allows 5
	// for all readers of a shard together. Negative means no limit. Defaults
	// to 5.
	ReadsPerSecond float64
	// ReadBytesPerSecond bounds the bytes read of a shard; AWS allows 2 MiB for
	// all readers together. Negative means no limit. Defaults to 2 MiB, and to
	// no limit when ReadsPerSecond is negative.
	ReadBytesPerSecond int
	// IdleDelay and MaxIdleDelay bound the pause after a read that found
	// nothing: it doubles from one to the other until records come. Default
	// to 200 ms and 1 s.
	IdleDelay, MaxIdleDelay time.Duration
	// MemoryBudget bounds the bytes of records that have been read and not yet
	// handled, after deaggregation, of all shards of the worker together; a
	// record counts 128 bytes beside its keys and data. A read begins when the
	// most that it can bring fits in: 10 MiB, and 384 bytes for each record of
	// PageSize. Where other shards wait for room, a shard whose batch is
	// retried lets go of what was read behind it.
	//
	// It can be exceeded: up to the size of two such reads when it is smaller;
	// by what aggregates unpack to beyond their own size, at most a batch and
	// 2 MiB, and what two more aggregates add, for each shard; and when batches
	// that are retried leave no room for anything else, by one read.
	// Defaults to 256 MiB.
	MemoryBudget int64

	// LeaseTTL is how long a worker that fell silent keeps its shards, 300 ms
	// to 5 min. A group that exists keeps the one that it was made with, by its
	// first worker or by shardrun leases init; a worker that has another says so in
	// its log. Defaults to 10 s.
	LeaseTTL time.Duration
	// WorkerName is unique among the living workers of the group. A worker
	// that starts under the name of an older one takes over from it at once.
	// Defaults to host-pid-uuid.
	WorkerName string
	// CheckpointInterval is how long a position waits to be saved together
	// with those of other shards. It bounds what is delivered again after a
	// crash. Defaults to a tenth of LeaseTTL, from 50 ms to 1 s.
	CheckpointInterval time.Duration
	// DrainTimeout is how long handlers may take to finish once Run's context
	// is cancelled; then theirs is, with ErrDraining. When the last has
	// returned, positions are tried to be saved for one LeaseTTL. Defaults to
	// 30 s.
	DrainTimeout time.Duration
	// HandoffTime is how long a handler may take to finish when another worker
	// is to get the shard; otherwise the shard stays. Defaults to 5 s.
	HandoffTime time.Duration
	// StartTimeout is how long the stream may be unreachable or not yet
	// active, or credentials for it be missing, and then the store
	// unreachable, at the start of Run before it fails. Defaults to 30 s.
	StartTimeout time.Duration
	// AuditInterval is how often one of the workers compares the group's leases with
	// the shards that the stream has, with one or two lists of all shards: shards
	// without a lease get one, those that expired before anyone took them are ended
	// (Hooks.RecordsExpired), and leases that nobody needs are removed. Negative
	// means never. Defaults to 5 min.
	AuditInterval time.Duration
	// Capacity weighs this worker's share of the shards. Defaults to 1.
	Capacity float64
	// MaxLeases bounds the shards held at once. Defaults to 0, no bound.
	MaxLeases int

	// Hooks are called on events, for metrics. Defaults to none.
	Hooks Hooks
	// Logger gets changes of ownership at Info, what was retried and survived
	// at Warn, what lost work at Error. Defaults to none.
	Logger *zap.Logger
}

const (
	maxBatchSize   = 10_000            // of Lambda
	maxBatchWindow = 300 * time.Second // of Lambda
	maxPageSize    = 10_000            // of GetRecords
	minBudget      = 1 << 20
)

// withDefaults returns c with every zero field filled that has a default.
func (c Config) withDefaults() Config {
	c.BatchSize = cmp.Or(c.BatchSize, 100)
	c.MaxBatchBytes = cmp.Or(c.MaxBatchBytes, 6<<20)
	if c.MaxAttempts == 0 {
		c.MaxAttempts = -1
		if c.OnFailure != nil {
			c.MaxAttempts = 10
		}
	}
	c.RetryDelay = cmp.Or(c.RetryDelay, 100*time.Millisecond)
	c.MaxRetryDelay = cmp.Or(c.MaxRetryDelay, max(30*time.Second, c.RetryDelay))
	c.PageSize = cmp.Or(c.PageSize, 1000)
	c.ReadsPerSecond = cmp.Or(c.ReadsPerSecond, 5)
	if c.ReadBytesPerSecond == 0 {
		c.ReadBytesPerSecond = 2 << 20
		if c.ReadsPerSecond < 0 {
			c.ReadBytesPerSecond = -1
		}
	}
	c.IdleDelay = cmp.Or(c.IdleDelay, 200*time.Millisecond)
	c.MaxIdleDelay = cmp.Or(c.MaxIdleDelay, max(time.Second, c.IdleDelay))
	c.MemoryBudget = cmp.Or(c.MemoryBudget, 256<<20)
	c.LeaseTTL = cmp.Or(c.LeaseTTL, 10*time.Second)
	if c.WorkerName == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown"
		}
		c.WorkerName = fmt.Sprintf("%s-%d-%s", host, os.Getpid(), uuid.NewString()[:8])
	}
	c.StartTimeout = cmp.Or(c.StartTimeout, 30*time.Second)
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	return c
}

// validate names the field that is missing or out of its range, the reason, and
// what is accepted. What only concerns leases is checked by package lease.
func (c Config) validate() error {
	switch {
	case c.Group == "":
		return errors.New("consumer config: Group is required: the name that the workers of one application share")
	case c.Stream == "":
		return errors.New("consumer config: Stream is required: the name or ARN of a data stream")
	case c.Client == nil:
		return errors.New("consumer config: Client is required: a *kinesis.Client")
	case c.Store == nil:
		return errors.New("consumer config: Store is required: lease/redis, or lease.NewMemory for a single process")
	case c.Handler == nil:
		return errors.New("consumer config: Handler is required: a consumer.BatchFunc or consumer.Each")
	case c.MaxAttempts < -1:
		return fmt.Errorf("consumer config: MaxAttempts is %d, it must be -1 (no limit), 0 (default) or more", c.MaxAttempts)
	case c.LeaseTTL < lease.MinTTL || c.LeaseTTL > lease.MaxTTL:
		return fmt.Errorf("consumer config: LeaseTTL is %v, it must be from %v to %v", c.LeaseTTL, lease.MinTTL, lease.MaxTTL)
	case c.MemoryBudget < minBudget:
		return fmt.Errorf("consumer config: MemoryBudget is %d bytes, it must be at least 1 MiB", c.MemoryBudget)
	case c.Capacity < 0:
		return fmt.Errorf("consumer config: Capacity is %v, it must be 0 (default) or more", c.Capacity)
	case c.MaxLeases < 0:
		return fmt.Errorf("consumer config: MaxLeases is %d, it must be 0 (no bound) or more", c.MaxLeases)
	case c.RetryDelay > c.MaxRetryDelay:
		return fmt.Errorf("consumer config: RetryDelay %v is above MaxRetryDelay %v", c.RetryDelay, c.MaxRetryDelay)
	case c.IdleDelay > c.MaxIdleDelay:
		return fmt.Errorf("consumer config: IdleDelay %v is above MaxIdleDelay %v", c.IdleDelay, c.MaxIdleDelay)
	case c.BatchWindow > maxBatchWindow:
		return fmt.Errorf("consumer config: BatchWindow is %v, it must be from 0 to %v", c.BatchWindow, maxBatchWindow)
	case c.StartAt.halt:
		return errors.New("consumer config: StartAt is HALT, it must be TrimHorizon, Latest or AtTimestamp")
	case c.OnStateLoss.latest:
		return errors.New("consumer config: OnStateLoss is LATEST, it must be TrimHorizon, AtTimestamp or Halt: what arrived since the loss would be skipped")
	case c.OnStateLoss.at.After(time.Now().Add(aheadAtMost)):
		return fmt.Errorf("consumer config: OnStateLoss is %v, in the future; Kinesis accepts times up to now", c.OnStateLoss)
	case c.StartAt.at.After(time.Now().Add(aheadAtMost)):
		return fmt.Errorf("consumer config: StartAt is %v, in the future; Kinesis accepts times up to now", c.StartAt)
	}
	for _, f := range []struct {
		field          string
		value, highest int
	}{
		{"BatchSize", c.BatchSize, maxBatchSize}, {"PageSize", c.PageSize, maxPageSize},
		{"MaxBatchBytes", c.MaxBatchBytes, 1 << 30},
	} {
		if f.value < 1 || f.value > f.highest {
			return fmt.Errorf("consumer config: %s is %d, it must be from 1 to %d", f.field, f.value, f.highest)
		}
	}
	for _, f := range []struct {
		field string
		value time.Duration
	}{
		{"BatchWindow", c.BatchWindow}, {"HandlerTimeout", c.HandlerTimeout}, {"MaxRecordAge", c.MaxRecordAge},
		{"RetryDelay", c.RetryDelay}, {"IdleDelay", c.IdleDelay}, {"CheckpointInterval", c.CheckpointInterval},
		{"DrainTimeout", c.DrainTimeout}, {"HandoffTime", c.HandoffTime}, {"StartTimeout", c.StartTimeout},
	} {
		if f.value < 0 {
			return fmt.Errorf("consumer config: %s is %v, it must not be negative", f.field, f.value)
		}
	}
	return nil
}
