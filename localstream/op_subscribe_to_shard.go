package localstream

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

func (c *checker) subscribeToShard(in *kinesis.SubscribeToShardInput) {
	c.consumerARN(in.ConsumerARN)
	c.name("shardId", in.ShardId, true)
	if p := in.StartingPosition; p == nil {
		c.null("startingPosition")
	} else {
		enum(c, "startingPosition.type", p.Type, true, types.ShardIteratorType("").Values())
		c.sequence("startingPosition.sequenceNumber", p.SequenceNumber)
	}
	c.streamID(in.StreamId)
}

func (c *call) subscribeToShard(ctx context.Context, in *kinesis.SubscribeToShardInput) (*subscription, error) {
	key, name, secs, _ := state.ParseConsumerARN(*in.ConsumerARN) // its form was checked before
	number, ok := state.ParseShardID(*in.ShardId)
	if !ok {
		return nil, noShard(key, *in.ShardId)
	}
	for _, shard := range []string{anyShard, state.ShardID(number)} {
		if err := c.fault(ctx, key, shard); err != nil {
			return nil, err
		}
	}
	st, v, err := c.server.lookup(key)
	if err != nil {
		return nil, err
	}
	consumer, ok := v.Consumer(name)
	switch {
	case !ok || consumer.Secs() != secs:
		return nil, noConsumer(key, name)
	case v.statusOf(consumer) != types.ConsumerStatusActive:
		return nil, inUse("Consumer %s with creation timestamp %d under stream: %s , account %s is not in ACTIVE status.", name, secs, key.Name, key.Account)
	}
	now := time.Now()
	sh, ok := v.Shard(number)
	if !ok || sh.Expired(v.TrimHorizon(now)) {
		return nil, missingShard(key, number)
	}
	p := in.StartingPosition
	start := startingPoint{operation: c.op.name, kind: p.Type, number: p.SequenceNumber, at: p.Timestamp}
	from, err := c.startOf(ctx, st, v, sh, start, now)
	if err != nil {
		return nil, err
	}
	sub := &subscription{
		server: c.server, peer: c.share.peer, st: st, shard: sh.Number, consumer: consumer,
		key:  seatKey{consumer.Name, consumer.Created, sh.Number},
		from: from, reached: placeBefore(st, sh, from, start),
	}
	if aws.ToBool(in.DryRun) {
		if err := sub.refusal(st.seats.would(sub.key, now, c.server.cfg.Limits)); err != nil {
			return nil, err
		}
		return nil, dryRun()
	}
	var outcome seating
	sub.seat, outcome = st.seats.take(sub.key, now, c.server.cfg.Limits)
	return sub, sub.refusal(outcome)
}

// forgo gives back the seat of a subscription that is not going to send.
func (s *subscription) forgo() { s.st.seats.free(s.key, s.seat, time.Now(), false) }

// placeBefore is the sequence number that a subscription goes on after, before
// it has read anything.
func placeBefore(st *stream, sh state.Shard, from uint64, start startingPoint) state.Sequence {
	switch {
	case from == 0:
		return sh.Start()
	case start.kind == types.ShardIteratorTypeAfterSequenceNumber:
		n, _ := state.ParseSequence(*start.number) // which was done before, without an error
		return n
	case start.kind == types.ShardIteratorTypeLatest:
		_, arrival := st.log.Tip(sh.Number)
		return sh.At(from-1, arrival)
	}
	return sh.At(from-1, 0)
}

// refusal is the error of a subscription that did not get its seat.
func (s *subscription) refusal(outcome seating) error {
	switch outcome {
	case tooFast:
		return limitExceeded("Rate exceeded for consumer %s and shard %s in stream %s under account %s.",
			s.consumer.Name, state.ShardID(s.shard), s.st.key.Name, s.st.key.Account)
	case tooEarly:
		return s.anotherActive()
	}
	return nil
}
