package producer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"go.uber.org/zap"
)

// Kinesis is what a producer calls; *kinesis.Client implements it. Retries are
// the producer's own: it passes an option that turns the client's off.
type Kinesis interface {
	// PutRecords may be called concurrently. It must not keep the input
	// after it has returned.
	PutRecords(context.Context, *kinesis.PutRecordsInput, ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error)
	// ListShards may be called concurrently with PutRecords.
	ListShards(context.Context, *kinesis.ListShardsInput, ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error)
}

// Limits of the PutRecords operation.
const (
	maxCallRecords = 500
	maxCallBytes   = 10 << 20
	maxRecordBytes = 10 << 20
	// keyReserve is room for the longest partition key beside an aggregate.
	keyReserve = MaxKeyLength * 4
)

// Config says where and how a [Producer] writes. The zero value of each field
// that is not required is its default.
type Config struct {
	// Client calls Kinesis, on AWS or elsewhere. Required.
	Client Kinesis
	// Stream is the name or ARN of the stream. Required. See "A stream that is
	// created again" in the package's comment before deleting one in use.
	Stream string

	// Ordered keeps the records of a partition key in the order of their Puts,
	// also when calls fail and when shards are split and merged. Each shard
	// then has one Kinesis record on its way at a time. Defaults to false: see
	// Order in the package's comment.
	Ordered bool

	// BufferRecords bounds the user records accepted and not yet written.
	// Defaults to 250,000.
	BufferRecords int
	// BufferBytes bounds their keys and data. At least MaxRecordBytes; an empty
	// buffer takes any record. Defaults to 64 MiB.
	BufferBytes int
	// MaxRecordBytes bounds the key and data of one record; set it to the
	// stream's MaxRecordSizeInKiB when that was raised, up to 10 MiB. Defaults
	// to 1 MiB.
	MaxRecordBytes int

	// AggregateBytes bounds the data of an aggregate; larger user records are
	// sent by themselves, as they are. Data that begins as an aggregate does
	// would then be unpacked by consumers, so it is put into an aggregate of
	// its own, whatever its length, and refused (ErrTooLarge) if that is above
	// MaxRecordBytes. Negative turns aggregation off, and this too: all data is
	// sent as it is, and an aggregate that was made elsewhere is unpacked by
	// consumers. Defaults to 50 KiB, as the KPL's AggregationMaxSize.
	AggregateBytes int
	// AggregateRecords bounds the user records of an aggregate. Defaults to no
	// bound but AggregateBytes.
	AggregateRecords int
	// FirstKey sends an aggregate under the partition key of its first record.
	// Defaults to false: under the key "a" and the first record's hash key as
	// explicit hash key, as the KPL does.
	FirstKey bool
	// Linger is the longest time that a record waits for others to share its
	// aggregate with, under load; a record for an idle shard is sent at once.
	// Negative sends without waiting under load too. Defaults to 100 ms, the
	// KPL's RecordMaxBufferedTime.
	Linger time.Duration

	// CallRecords bounds the Kinesis records of a PutRecords call. Defaults to
	// 500, which is the most that AWS takes.
	CallRecords int
	// CallBytes bounds the keys and data of a call, at most 10 MiB; a larger
	// single record has a call for itself. Defaults to 5 MiB, the KPL's
	// CollectionMaxSize.
	CallBytes int
	// Calls bounds the PutRecords calls in flight at once. Defaults to 16.
	Calls int
	// RequestTimeout ends a call that gets no answer; it is then retried.
	// Defaults to 6 s, the KPL's.
	RequestTimeout time.Duration

	// RecordTTL is how long a record may live from Put to its sequence number;
	// it then fails with ErrExpired. It is observed in steps of 1/32, and not
	// while a call carries the record. Negative never expires. Defaults to
	// 30 s, the KPL's.
	RecordTTL time.Duration
	// NotFoundTimeout is how long the stream may be missing before records fail
	// instead of waiting: it may be about to be created. Negative fails at
	// once. Defaults to 10 s.
	NotFoundTimeout time.Duration

	// RateLimit is the share of a shard's write limits (1,000 Kinesis records
	// and 1 MiB per second) that this producer may use. Above 1, several
	// moments of throttling are traded for never leaving capacity unused; the
	// rate falls when Kinesis throttles and recovers by itself. Negative is no
	// limit. Defaults to 1.5, the KPL's 150 %.
	RateLimit float64

	// Logger is told of retries and lost work. Defaults to no logging.
	Logger *zap.Logger
	// Hooks are told of calls and records, for metrics. Defaults to none.
	Hooks Hooks
}

func (c Config) withDefaults() Config {
	c.BufferRecords = cmp.Or(c.BufferRecords, 250_000)
	c.BufferBytes = cmp.Or(c.BufferBytes, 64<<20)
	c.MaxRecordBytes = cmp.Or(c.MaxRecordBytes, 1<<20)
	c.AggregateBytes = cmp.Or(c.AggregateBytes, 50<<10)
	c.Linger = cmp.Or(c.Linger, 100*time.Millisecond)
	c.CallRecords = cmp.Or(c.CallRecords, maxCallRecords)
	c.CallBytes = cmp.Or(c.CallBytes, 5<<20)
	c.Calls = cmp.Or(c.Calls, 16)
	c.RequestTimeout = cmp.Or(c.RequestTimeout, 6*time.Second)
	c.RecordTTL = cmp.Or(c.RecordTTL, 30*time.Second)
	c.NotFoundTimeout = cmp.Or(c.NotFoundTimeout, 10*time.Second)
	c.RateLimit = cmp.Or(c.RateLimit, 1.5)
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	return c
}

// validate reports the first field that is not accepted; c has its defaults.
func (c Config) validate() error {
	switch {
	case c.Client == nil:
		return errors.New("producer config: Client is required")
	case c.Stream == "":
		return errors.New("producer config: Stream is required, the name or ARN of a stream")
	}
	for _, f := range []struct {
		name      string
		value     int
		low, high int
	}{
		{"MaxRecordBytes", c.MaxRecordBytes, 1, maxRecordBytes},
		{"BufferRecords", c.BufferRecords, 1, 1 << 30},
		{"BufferBytes", c.BufferBytes, c.MaxRecordBytes, 1 << 40},
		{"AggregateBytes", c.AggregateBytes, -1 << 40, maxRecordBytes},
		{"AggregateRecords", c.AggregateRecords, 0, 1 << 20},
		{"CallRecords", c.CallRecords, 1, maxCallRecords},
		{"CallBytes", c.CallBytes, 1, maxCallBytes},
		{"Calls", c.Calls, 1, 1 << 16},
	} {
		if f.value < f.low || f.value > f.high {
			return fmt.Errorf("producer config: %s is %d, %d to %d is accepted", f.name, f.value, f.low, f.high)
		}
	}
	if c.RequestTimeout < 0 {
		return fmt.Errorf("producer config: RequestTimeout is %v, a time above 0 is accepted", c.RequestTimeout)
	}
	if c.RateLimit != c.RateLimit { // NaN
		return errors.New("producer config: RateLimit is not a number")
	}
	return nil
}

// aggregateLimit is the greatest length of an aggregate in bytes, 0 for none.
func (c Config) aggregateLimit() int {
	return max(0, min(c.AggregateBytes, c.MaxRecordBytes-keyReserve))
}
