package server

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/bench/harness"
)

// How long callers put in a run, and before the first one.
const (
	putTime  = 2 * time.Second
	warmTime = time.Second
)

// partitionKeys are those of all records: enough to reach each of many shards.
var partitionKeys = func() []string {
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = "customer-" + strconv.Itoa(100_000+i)
	}
	return keys
}()

// puts says what callers put, all at once, each one call after the other.
type puts struct {
	callers int
	batch   int // records of a PutRecords call, 0 for PutRecord
	bytes   int // of data in a record
}

// records is the number of records of a call.
func (p puts) records() int { return max(p.batch, 1) }

// drive has the callers put for a time, and returns the number of records put
// and the time that it took.
func (p puts) drive(ctx context.Context, client *kinesis.Client, stream string, d time.Duration) (int64, time.Duration, error) {
	call := func(data []byte, n int) error {
		_, err := client.PutRecord(ctx, &kinesis.PutRecordInput{
			StreamName: aws.String(stream), PartitionKey: &partitionKeys[n%len(partitionKeys)], Data: data,
		})
		return err
	}
	if p.batch > 0 {
		call = func(data []byte, n int) error { return putBatch(ctx, client, stream, data, n, p.batch) }
	}
	return drive(ctx, p.callers, p.records(), p.bytes, d, call)
}

// putBatch puts a batch of records with the n-th key and those after it.
func putBatch(ctx context.Context, client *kinesis.Client, stream string, data []byte, n, batch int) error {
	entries := make([]types.PutRecordsRequestEntry, batch)
	for i := range entries {
		entries[i] = types.PutRecordsRequestEntry{Data: data, PartitionKey: &partitionKeys[(n+i)%len(partitionKeys)]}
	}
	return putEntries(ctx, client, stream, entries)
}

// putEntries puts records into a stream in one call; all of them have to succeed.
func putEntries(ctx context.Context, client *kinesis.Client, stream string, entries []types.PutRecordsRequestEntry) error {
	out, err := client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: aws.String(stream), Records: entries})
	if err != nil {
		return err
	}
	if failed := aws.ToInt32(out.FailedRecordCount); failed > 0 || len(out.Records) != len(entries) {
		return fmt.Errorf("%d of %d records failed, %d were answered", failed, len(entries), len(out.Records))
	}
	return nil
}

// drive has callers make calls for a time. A call gets the data of a record
// and the number of its first record. It returns the number of records of the
// calls, and the time until the last one was answered.
func drive(ctx context.Context, callers, records, bytes int, d time.Duration, call func(data []byte, n int) error) (int64, time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	data := make([]byte, bytes)
	for i := range data {
		data[i] = byte('a' + i%26)
	}
	var done atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for caller := range callers {
		wg.Go(func() {
			for n := caller * len(partitionKeys) / callers; time.Since(began) < d && ctx.Err() == nil; n += records {
				if err := call(data, n); err != nil {
					cancel(err)
					return
				}
				done.Add(int64(records))
			}
		})
	}
	wg.Wait()
	return done.Load(), time.Since(began), context.Cause(ctx)
}

// work is the row's work: records or megabytes per second.
func (p puts) work(shards int, megabytes bool) work {
	return work{
		shards: shards,
		warm: func(ctx context.Context, client *kinesis.Client) error {
			_, _, err := p.drive(ctx, client, stream, warmTime)
			return err
		},
		run: func(ctx context.Context, client *kinesis.Client) (harness.Sample, error) {
			n, took, err := p.drive(ctx, client, stream, putTime)
			return p.sample(n, took, megabytes), err
		},
	}
}

// sample is the rate of a run.
func (p puts) sample(n int64, took time.Duration, megabytes bool) harness.Sample {
	value := float64(n) / took.Seconds()
	if megabytes {
		value *= float64(p.bytes) / 1e6
	}
	return harness.Sample{Value: value, Records: n}
}
