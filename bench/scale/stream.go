package scale

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/hashkey"
)

const (
	// pageRecords is the number of records in an answer, recordBytes their size.
	pageRecords = 100
	recordBytes = 100
	streamName  = "orders"
	streamARN   = "arn:aws:kinesis:us-east-1:000000000000:stream/" + streamName
)

// stream is a stream that is made up: each shard has the same pages, and none
// of them can be read before it is opened. It answers what a worker calls.
type stream struct {
	shards []types.Shard
	pages  [][]types.Record // of each shard
	open   atomic.Bool
}

// newStream makes a stream of so many records, or a few more.
func newStream(shards, records int) *stream {
	s := &stream{}
	for i, r := range hashkey.Split(shards) {
		s.shards = append(s.shards, types.Shard{
			ShardId: aws.String(fmt.Sprintf("shardId-%012d", i)),
			HashKeyRange: &types.HashKeyRange{
				StartingHashKey: aws.String(r.Start.String()), EndingHashKey: aws.String(r.End.String()),
			},
			SequenceNumberRange: &types.SequenceNumberRange{StartingSequenceNumber: aws.String(sequence(0))},
		})
	}
	left := (records + shards - 1) / shards
	for n := 0; left > 0; left -= pageRecords {
		var page []types.Record
		for range min(left, pageRecords) {
			n++
			page = append(page, types.Record{
				ApproximateArrivalTimestamp: aws.Time(time.Unix(1_767_225_600, 0)), Data: make([]byte, recordBytes),
				PartitionKey: aws.String("key-" + strconv.Itoa(n%50)), SequenceNumber: aws.String(sequence(n)),
			})
		}
		s.pages = append(s.pages, page)
	}
	return s
}

// records is the number of records of all shards.
func (s *stream) records() int64 {
	n := 0
	for _, p := range s.pages {
		n += len(p)
	}
	return int64(n * len(s.shards))
}

func sequence(n int) string { return fmt.Sprintf("49590338271490256608559692538361571%021d", n) }

// DescribeStreamSummary describes it.
func (s *stream) DescribeStreamSummary(context.Context, *kinesis.DescribeStreamSummaryInput, ...func(*kinesis.Options)) (*kinesis.DescribeStreamSummaryOutput, error) {
	return &kinesis.DescribeStreamSummaryOutput{StreamDescriptionSummary: &types.StreamDescriptionSummary{
		StreamName: aws.String(streamName), StreamARN: aws.String(streamARN), StreamStatus: types.StreamStatusActive,
		RetentionPeriodHours: aws.Int32(24), StreamCreationTimestamp: aws.Time(time.Unix(1_767_222_000, 0)),
		OpenShardCount: aws.Int32(int32(len(s.shards))),
	}}, nil
}

// ListShards lists a thousand shards at a time, as Kinesis does.
func (s *stream) ListShards(_ context.Context, in *kinesis.ListShardsInput, _ ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	from := 0
	if in.NextToken != nil {
		var err error
		if from, err = strconv.Atoi(*in.NextToken); err != nil {
			return nil, err
		}
	}
	to := min(from+1000, len(s.shards))
	out := &kinesis.ListShardsOutput{Shards: s.shards[from:to]}
	if to < len(s.shards) {
		out.NextToken = aws.String(strconv.Itoa(to))
	}
	return out, nil
}

// GetShardIterator gives iterators that name a page: what workers of a group
// that begins ask for.
func (s *stream) GetShardIterator(_ context.Context, in *kinesis.GetShardIteratorInput, _ ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	page := 0
	if at := aws.ToString(in.StartingSequenceNumber); at != "" {
		n, err := strconv.Atoi(strings.TrimLeft(at[len(at)-21:], "0"))
		if err != nil {
			return nil, errors.New("unknown sequence number " + at)
		}
		page = (n - 1) / pageRecords // it is read again from its page on
	}
	return &kinesis.GetShardIteratorOutput{ShardIterator: aws.String(strconv.Itoa(page))}, nil
}

// GetRecords gives a page, or nothing while the stream is not open.
func (s *stream) GetRecords(_ context.Context, in *kinesis.GetRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	page, err := strconv.Atoi(aws.ToString(in.ShardIterator))
	if err != nil {
		return nil, err
	}
	if !s.open.Load() || page >= len(s.pages) {
		return &kinesis.GetRecordsOutput{NextShardIterator: in.ShardIterator, MillisBehindLatest: aws.Int64(0)}, nil
	}
	records := make([]types.Record, len(s.pages[page]))
	copy(records, s.pages[page])
	return &kinesis.GetRecordsOutput{
		Records: records, NextShardIterator: aws.String(strconv.Itoa(page + 1)),
		MillisBehindLatest: aws.Int64(int64(len(s.pages) - page - 1)),
	}, nil
}
