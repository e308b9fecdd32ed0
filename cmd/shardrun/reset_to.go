package main

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/aggregate"
)

// parseReset reads --to: a record of one shard, or a start.
func parseReset(text string, single bool, now time.Time) (*checkpoint.Position, consumer.StartAt, error) {
	at, err := parseStart("--to", text, now)
	if _, isTime := startTime(text, now); err == nil || isTime {
		return nil, at, err
	}
	p, wrong := checkpoint.ParsePosition(text)
	switch {
	case wrong != nil || p.Rank != checkpoint.RankRecord:
		return nil, at, usagef("--to %q: want trim, latest, a time like 2026-01-02T15:04:05Z, a duration like 15m, or with --shard a sequence number", text)
	case !single:
		return nil, at, usagef("--to %s: a sequence number is of one shard: name it with --shard", text)
	}
	return &p, consumer.TrimHorizon(), nil
}

// lookedFor is how many answers of Kinesis are read in search of one record, which may
// all be empty.
const lookedFor = 10

// checkRecord fails when a position is of no record that the shard can have. Kinesis
// says which sequence numbers it takes: another would stop the shard. A sub-sequence
// number above all that an aggregate has would skip the rest of it unseen, or mean
// another record than was thought. Of a record that has expired that is not known.
func checkRecord(ctx context.Context, client *kinesis.Client, stream, shard string, at checkpoint.Position) error {
	it, err := client.GetShardIterator(ctx, iteratorAt(stream, shard, at))
	if err != nil {
		return err
	}
	if at.Subsequence == 0 {
		return nil
	}
	next := it.ShardIterator
	for range lookedFor {
		out, err := client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next, Limit: aws.Int32(1)})
		if err != nil {
			return err
		}
		if len(out.Records) > 0 {
			r := out.Records[0]
			if aws.ToString(r.SequenceNumber) != string(at.Sequence) {
				return nil
			}
			return checkSubsequence(r.Data, at)
		}
		if next = out.NextShardIterator; next == nil || aws.ToInt64(out.MillisBehindLatest) == 0 {
			return nil
		}
	}
	return nil
}

// checkSubsequence fails when a record has no user record of a number.
func checkSubsequence(data []byte, at checkpoint.Position) error {
	members, verdict := aggregate.Decode(data, nil)
	switch {
	case verdict != aggregate.Unpacked:
		return usagef("record %s is no aggregate: its only sub-sequence number is 0, not %d", at.Sequence, at.Subsequence)
	case at.Subsequence >= uint64(len(members)):
		return usagef("record %s is an aggregate of %d: its sub-sequence numbers are from 0 to %d, not %d",
			at.Sequence, len(members), max(len(members), 1)-1, at.Subsequence)
	}
	return nil
}

// planned prints what would be done, and fails.
func (r *resetting) planned(lines []resetLine, may error) error {
	if err := r.print(lines); err != nil {
		return err
	}
	text := "shardrun: nothing was changed: say --yes to reset"
	if may != nil {
		text += fmt.Sprintf(", when group %s is paused (shardrun pause %s --wait), or with --force", r.flags.group, r.flags.group)
	}
	fmt.Fprintln(r.err, text)
	return exitError(exitPlan)
}
