package witness

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/awserr"
	"github.com/shardrun/shardrun/internal/history"
)

// Kinesis is what is needed to read a stream; *kinesis.Client has it.
type Kinesis interface {
	ListShards(context.Context, *kinesis.ListShardsInput, ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error)
	GetShardIterator(context.Context, *kinesis.GetShardIteratorInput, ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error)
	GetRecords(context.Context, *kinesis.GetRecordsInput, ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error)
}

// readPause is waited after a read that was refused for its rate.
const readPause = 200 * time.Millisecond

// Stream reads a whole stream, open shards up to where they end now. It has all
// records in memory.
func Stream(ctx context.Context, c Kinesis, name string) (history.Stream, error) {
	out := history.Stream{Name: name}
	in := &kinesis.ListShardsInput{StreamName: aws.String(name)}
	for in != nil {
		page, err := c.ListShards(ctx, in)
		if err != nil {
			return out, fmt.Errorf("list shards of %s: %w", name, err)
		}
		for _, s := range page.Shards {
			sh, err := shard(ctx, c, name, s)
			if err != nil {
				return out, err
			}
			out.Shards = append(out.Shards, sh)
		}
		in = nil
		if page.NextToken != nil {
			in = &kinesis.ListShardsInput{NextToken: page.NextToken}
		}
	}
	return out, nil
}

func shard(ctx context.Context, c Kinesis, stream string, s types.Shard) (history.Shard, error) {
	out := history.Shard{
		ID:           aws.ToString(s.ShardId),
		StartHashKey: aws.ToString(s.HashKeyRange.StartingHashKey), EndHashKey: aws.ToString(s.HashKeyRange.EndingHashKey),
		StartSequence: aws.ToString(s.SequenceNumberRange.StartingSequenceNumber),
		EndSequence:   aws.ToString(s.SequenceNumberRange.EndingSequenceNumber),
	}
	for _, parent := range []*string{s.ParentShardId, s.AdjacentParentShardId} {
		if parent != nil {
			out.Parents = append(out.Parents, *parent)
		}
	}
	it, err := c.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: aws.String(stream), ShardId: s.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		return out, fmt.Errorf("get shard iterator of %s: %w", out.ID, err)
	}
	for next := it.ShardIterator; next != nil; {
		page, err := getRecords(ctx, c, next, 0)
		if err != nil {
			return out, fmt.Errorf("get records of %s: %w", out.ID, err)
		}
		for _, r := range page.Records {
			out.Records = append(out.Records, history.Raw{
				Sequence: aws.ToString(r.SequenceNumber), Key: aws.ToString(r.PartitionKey),
				Arrival: aws.ToTime(r.ApproximateArrivalTimestamp), Data: r.Data,
			})
		}
		next = page.NextShardIterator
		if s.SequenceNumberRange.EndingSequenceNumber == nil && aws.ToInt64(page.MillisBehindLatest) == 0 {
			break
		}
	}
	return out, nil
}

// getRecords reads a page, of at most limit records unless that is 0, and waits
// when it was read too fast.
func getRecords(ctx context.Context, c Kinesis, iterator *string, limit int32) (*kinesis.GetRecordsOutput, error) {
	in := &kinesis.GetRecordsInput{ShardIterator: iterator}
	if limit > 0 {
		in.Limit = aws.Int32(limit)
	}
	for {
		page, err := c.GetRecords(ctx, in)
		if err == nil || awserr.Classify(err) != awserr.Throttle {
			return page, err
		}
		select {
		case <-time.After(readPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Audit reads a shard from where r.Shard, Type, Sequence and Timestamp say, at
// most so many pages of at most limit records (0 for what the server gives), and
// tells h what it got. It stops at the tip and at the end of the shard.
func Audit(ctx context.Context, h *history.History, c Kinesis, stream string, r history.Read, pages int, limit int32) error {
	in := &kinesis.GetShardIteratorInput{
		StreamName: aws.String(stream), ShardId: aws.String(r.Shard), ShardIteratorType: types.ShardIteratorType(r.Type),
	}
	if r.Sequence != "" {
		in.StartingSequenceNumber = aws.String(r.Sequence)
	}
	if !r.Timestamp.IsZero() {
		in.Timestamp = aws.Time(r.Timestamp)
	}
	r.Began = time.Now()
	it, err := c.GetShardIterator(ctx, in)
	if err != nil {
		return fmt.Errorf("audit %s: get shard iterator: %w", r.Shard, err)
	}
	r.Answered = time.Now()
	next := it.ShardIterator
	for range pages {
		began := time.Now()
		page, err := getRecords(ctx, c, next, limit)
		if err != nil {
			if len(r.Got) > 0 { // what it got before counts
				h.Read(r)
			}
			return fmt.Errorf("audit %s: get records: %w", r.Shard, err)
		}
		for _, rec := range page.Records {
			r.Got = append(r.Got, aws.ToString(rec.SequenceNumber))
		}
		r.Last, r.Behind = began, time.Duration(aws.ToInt64(page.MillisBehindLatest))*time.Millisecond
		next = page.NextShardIterator
		if r.Closed = next == nil; r.Closed || r.Behind == 0 && len(page.Records) == 0 {
			break
		}
	}
	h.Read(r)
	return nil
}
