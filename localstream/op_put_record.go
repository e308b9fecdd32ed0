package localstream

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/localstream/internal/state"
	"github.com/shardrun/shardrun/localstream/internal/wal"
	"github.com/shardrun/shardrun/localstream/internal/wire"
)

func (c *checker) putRecord(in *kinesis.PutRecordInput) {
	c.sequence("sequenceNumberForOrdering", in.SequenceNumberForOrdering)
	c.record(0, in.Data, in.PartitionKey, in.ExplicitHashKey)
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
}

func (c *call) putRecord(ctx context.Context, in *kinesis.PutRecordInput) (*wire.PutRecordAnswer, error) {
	st, v, err := c.writable(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if in.PartitionKey == nil && !v.Auto {
		var violation checker
		violation.noKey(0)
		return nil, violation.err()
	}
	puts := []put{{}}
	recs := []wal.Record{{Data: in.Data}}
	if err := st.place(v, &puts[0], &recs[0], in.PartitionKey, in.ExplicitHashKey); err != nil {
		return nil, err
	}
	if in.SequenceNumberForOrdering != nil {
		if v.Auto {
			return nil, invalidArgument("SequenceNumberForOrdering cannot be specified for stream %s under account %s, because its record distribution strategy is AUTO.",
				v.Name, v.Account)
		}
		if err := v.checkOrdering(st, *in.SequenceNumberForOrdering, time.Now()); err != nil {
			return nil, err
		}
	}
	var size checker
	size.recordSize(0, &recs[0], v)
	if err := size.err(); err != nil {
		return nil, err
	}
	if err := c.server.kms.use(v.Key, v.KeyID()); err != nil {
		return nil, err
	}
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	if recs, err = c.append(ctx, st, puts, recs); err != nil {
		return nil, err
	}
	p := &puts[0]
	if p.refused != nil {
		return nil, p.refused
	}
	digits := p.shard.At(recs[0].Seq, recs[0].Arrival).Append(make([]byte, 0, sequenceDigits))
	return &wire.PutRecordAnswer{
		Result: wire.PutResult{ShardID: p.shard.id, Sequence: digits}, Encrypted: st.encrypted(recs[0]),
	}, nil
}

// checkOrdering refuses a SequenceNumberForOrdering that Kinesis cannot have
// given out: of an unknown form, or of a time to come. Numbers of a new child
// shard run a little ahead of the clock, and those that were given before the
// clock was set back run ahead of it by as much. There is nothing else to do
// for it: numbers of a shard rise in any case.
func (v *view) checkOrdering(st *stream, number string, now time.Time) error {
	latest := now.Unix()
	for _, sh := range v.open {
		latest = max(latest, sh.CreateSecs)
	}
	n, err := state.ParseSequence(number)
	if err == nil && n.Secs > latest {
		if _, arrival := st.log.Tip(n.Shard); n.Secs <= arrival/1000 {
			latest = n.Secs
		}
	}
	if err != nil || n.Version == 0 || n.Secs > latest {
		return invalidArgument("ExclusiveMinimumSequenceNumber %s used in PutRecord on stream %s under account %s is invalid.",
			number, v.Name, v.Account)
	}
	return nil
}
