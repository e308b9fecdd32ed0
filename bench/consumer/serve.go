package consumer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/bench/drainer"
	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/peers"
)

const (
	// putters call at a time to fill a stream, each with as many records as a
	// call may have.
	putters    = 4
	putRecords = 500
)

// fromServe sets up a contestant that drains our server. It is filled with as
// many records as the pages have.
func fromServe(pages Pages, start starter, keep positions) func(context.Context, *harness.Env) (harness.Bench, error) {
	return func(ctx context.Context, env *harness.Env) (harness.Bench, error) {
		server, endpoint, err := peers.Shardrun(ctx, env, "async", "")
		if err != nil {
			return harness.Bench{}, err
		}
		d := drainer.Drain{Endpoint: endpoint, Stream: streamName, Records: pages.total()}
		client := peers.Client(endpoint)
		if err := peers.CreateStream(ctx, client, streamName, pages.Shards); err != nil {
			return harness.Bench{}, err
		}
		if err := fill(ctx, client, d.Records, pages.Bytes); err != nil {
			return harness.Bench{}, err
		}
		if err := keep(ctx, env, &d); err != nil {
			return harness.Bench{}, err
		}
		return drains(env, server, d, start), nil
	}
}

// fill puts records of so many bytes.
func fill(ctx context.Context, client *kinesis.Client, records, bytes int) error {
	calls := records / putRecords
	if calls*putRecords != records {
		return fmt.Errorf("%d records are not a number of calls of %d", records, putRecords)
	}
	errs := make([]error, putters)
	var work sync.WaitGroup
	for i := range putters {
		work.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(i)))
			for n := i; n < calls && errs[i] == nil; n += putters {
				errs[i] = putOnce(ctx, client, random, bytes)
			}
		})
	}
	work.Wait()
	return errors.Join(errs...)
}

func putOnce(ctx context.Context, client *kinesis.Client, random *rand.Rand, bytes int) error {
	in := &kinesis.PutRecordsInput{StreamName: aws.String(streamName)}
	data := noise(random, bytes)
	for range putRecords {
		in.Records = append(in.Records, types.PutRecordsRequestEntry{
			Data: data, PartitionKey: aws.String(strconv.FormatUint(random.Uint64(), 36)),
		})
	}
	out, err := client.PutRecords(ctx, in)
	if err != nil {
		return err
	}
	if failed := aws.ToInt32(out.FailedRecordCount); failed > 0 {
		return fmt.Errorf("%d records were not put", failed)
	}
	return nil
}
