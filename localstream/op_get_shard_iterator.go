package localstream

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

func (c *checker) getShardIterator(in *kinesis.GetShardIteratorInput) {
	c.name("shardId", in.ShardId, true)
	enum(c, "shardIteratorType", in.ShardIteratorType, true, types.ShardIteratorType("").Values())
	c.sequence("startingSequenceNumber", in.StartingSequenceNumber)
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
}

func (c *call) getShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput) (*kinesis.GetShardIteratorOutput, error) {
	key, err := c.key(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	number, ok := state.ParseShardID(*in.ShardId)
	if !ok {
		return nil, noShard(key, *in.ShardId)
	}
	now := time.Now()
	st, v, sh, err := c.findShard(ctx, key, number, now)
	if err != nil {
		return nil, err
	}
	if c.server.cfg.Limits == LimitsAWS && !st.rates.iterator(sh.Number, now) {
		return nil, rateExceeded(st.key, state.ShardID(sh.Number))
	}
	start := startingPoint{operation: c.op.name, kind: in.ShardIteratorType, number: in.StartingSequenceNumber, at: in.Timestamp}
	from, err := c.startOf(ctx, st, v, sh, start, now)
	if err != nil {
		return nil, err
	}
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	it := iterator{Stream: st.key, ID: st.id, Shard: sh.Number, From: from}
	return &kinesis.GetShardIteratorOutput{ShardIterator: aws.String(c.server.sealIterator(it, now))}, nil
}

// findShard gives a shard to read from. Here AWS speaks of the shard even when
// the stream is missing.
func (c *call) findShard(ctx context.Context, key state.Key, number uint32, now time.Time) (*stream, *view, state.Shard, error) {
	if err := c.fault(ctx, key, anyShard); err != nil {
		return nil, nil, state.Shard{}, err
	}
	if err := c.fault(ctx, key, state.ShardID(number)); err != nil {
		return nil, nil, state.Shard{}, err
	}
	if st, v, err := c.server.lookup(key); err == nil && v.Status != state.Creating {
		if sh, ok := v.Shard(number); ok && !sh.Expired(v.TrimHorizon(now)) {
			return st, v, sh, nil
		}
	}
	return nil, nil, state.Shard{}, missingShard(key, number)
}

// missingShard is the error for a shard to read from that does not exist.
func missingShard(key state.Key, number uint32) error {
	return notFound("Shard %s in stream %s under account %s does not exist", state.ShardID(number), key.Name, key.Account)
}

// startingPoint is where a request wants to begin to read a shard.
type startingPoint struct {
	operation string // for messages
	kind      types.ShardIteratorType
	number    *string    // for the kinds AT_ and AFTER_SEQUENCE_NUMBER
	at        *time.Time // for AT_TIMESTAMP
}

// startOf gives the index from which a request reads.
func (c *call) startOf(ctx context.Context, st *stream, v *view, sh state.Shard, start startingPoint, now time.Time) (uint64, error) {
	kind := start.kind
	byNumber := kind == types.ShardIteratorTypeAtSequenceNumber || kind == types.ShardIteratorTypeAfterSequenceNumber
	if byNumber != (start.number != nil) {
		given := "no"
		if start.number != nil {
			given = "also a"
		}
		return 0, invalidArgument("Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or "+
			"(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified %s and %s StartingSequenceNumber.", kind, given)
	}
	switch kind {
	case types.ShardIteratorTypeLatest:
		next, _ := st.log.Tip(sh.Number)
		return next, nil
	case types.ShardIteratorTypeAtTimestamp:
		return c.atTimestamp(ctx, st, sh, start.at, now)
	case types.ShardIteratorTypeTrimHorizon:
		return 0, nil // what is older than the horizon is skipped by every read
	}
	n, err := v.startingNumber(sh, start)
	if err != nil {
		return 0, err
	}
	if kind == types.ShardIteratorTypeAfterSequenceNumber {
		return n.Index + 1, nil
	}
	return n.Index, nil
}

func (c *call) atTimestamp(ctx context.Context, st *stream, sh state.Shard, at *time.Time, now time.Time) (uint64, error) {
	if at == nil {
		return 0, invalidArgument("Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.")
	}
	if at.UnixMilli() > now.UnixMilli() {
		return 0, invalidArgument("The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "+
			"timestampInMillis: %d, currentTimestampInMillis: %d", at.UnixMilli(), now.UnixMilli())
	}
	request := c.share.bytes
	from, err := st.log.SeekTime(c.roomForPage(ctx), sh.Number, at.UnixMilli())
	if noRoom, ok := errors.AsType[*apiError](err); ok {
		return 0, noRoom
	}
	if err != nil {
		return 0, st.logError(err)
	}
	c.share.tryResize(request)
	return from, nil
}

// startingNumber reads a StartingSequenceNumber, which has to be one of the
// shard's.
func (v *view) startingNumber(sh state.Shard, start startingPoint) (state.Sequence, error) {
	id, text := state.ShardID(sh.Number), *start.number
	wrong := func(number, how string) error {
		return invalidArgument("StartingSequenceNumber %s used in %s on shard %s in stream %s under account %s %s",
			number, start.operation, id, v.Name, v.Account, how)
	}
	n, err := state.ParseSequence(text)
	switch {
	case err != nil:
		return n, wrong(text, "is invalid.")
	case n.Shard != sh.Number:
		return n, invalidArgument("Invalid StartingSequenceNumber. It encodes %s, while it was used in a call to a shard with %s",
			state.ShardID(n.Shard), id)
	case n.Version != 2 || n.CreateSecs != sh.CreateSecs:
		if n.Version == 0 {
			text = state.CanonicalV0(text)
		}
		return n, wrong(text, "is invalid because it did not come from this stream.")
	case n.Index == state.MaxIndex:
		return n, wrong(text, "has reached max possible value for the shard.")
	}
	return n, nil
}
