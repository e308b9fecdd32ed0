//go:build unix

package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/internal/history/witness"
)

// auditPause is the time between two reads of the auditor.
const auditPause = 300 * time.Millisecond

// audit reads shards from all kinds of iterators, and tells the history what it
// got, until ctx ends. That the server is away at times is no failure.
func (r *run) audit(ctx context.Context) {
	rng := rand.New(rand.NewPCG(r.cfg.seed, 0xaad17))
	begun := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(auditPause):
		}
		if err := r.auditOnce(ctx, rng, begun); err != nil && ctx.Err() == nil {
			r.history.Note("auditor", "%v", err)
		}
	}
}

// auditOnce makes one read.
func (r *run) auditOnce(ctx context.Context, rng *rand.Rand, begun time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, clientPatience)
	defer cancel()
	shards, err := r.fleet.listShards(ctx)
	if err != nil {
		return err
	}
	kinds := types.ShardIteratorType("").Values()
	read := history.Read{
		Shard: aws.ToString(shards[rng.IntN(len(shards))].ShardId),
		Type:  string(kinds[rng.IntN(len(kinds))]),
	}
	moment := begun.Add(time.Duration(rng.Int64N(int64(time.Since(begun))))).Truncate(time.Millisecond)
	switch types.ShardIteratorType(read.Type) {
	case types.ShardIteratorTypeAtTimestamp:
		read.Timestamp = moment
	case types.ShardIteratorTypeAtSequenceNumber, types.ShardIteratorTypeAfterSequenceNumber:
		if read.Sequence, err = r.sequenceAt(ctx, read.Shard, moment); err != nil || read.Sequence == "" {
			return err
		}
	}
	return witness.Audit(ctx, r.history, r.fleet.client, streamName, read, 1+rng.IntN(5), int32(1+rng.IntN(200)))
}

// sequenceAt is the number of a record that arrived about at a moment, "" when
// the shard has none.
func (r *run) sequenceAt(ctx context.Context, shard string, moment time.Time) (string, error) {
	it, err := r.fleet.client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: aws.String(streamName), ShardId: aws.String(shard),
		ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(moment),
	})
	if err != nil {
		return "", err
	}
	page, err := r.fleet.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator, Limit: aws.Int32(1)})
	if err != nil || len(page.Records) == 0 {
		return "", err
	}
	seq := aws.ToString(page.Records[0].SequenceNumber)
	if seq == "" {
		return "", errors.New("a record has no sequence number")
	}
	return seq, nil
}
