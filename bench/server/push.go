package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/bench/harness"
)

// pushes are the Kinesis servers that push records: ours alone.
func pushes() []harness.Contestant {
	var list []harness.Contestant
	for _, c := range []contender{{name: oursAsync, start: shardrun("async")}, {name: oursSync, start: shardrun("sync")}} {
		list = append(list, c.contestant(work{shards: 1, warm: func(ctx context.Context, client *kinesis.Client) error {
			_, err := putToPush(ctx, client, latencyRecords/10)
			return err
		}, run: func(ctx context.Context, client *kinesis.Client) (harness.Sample, error) {
			return putToPush(ctx, client, latencyRecords)
		}}))
	}
	return list
}

// putToPush is putToGet with a subscription: it observes the milliseconds from
// before each put until the event with the record has come. Each run has a
// consumer of its own, so that no subscription stands in the way of the next.
func putToPush(ctx context.Context, client *kinesis.Client, records int) (harness.Sample, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	consumer, err := register(ctx, client)
	if err != nil {
		return harness.Sample{}, fmt.Errorf("register a consumer: %w", err)
	}
	out, err := client.SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{
		ConsumerARN: &consumer, ShardId: aws.String("shardId-000000000000"),
		StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest},
	})
	if err != nil {
		return harness.Sample{}, err
	}
	events := out.GetStream()
	arrivals := make(chan arrival, records) // room for all, so that the reader does not wait
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for e := range events.Events() {
			now := time.Now()
			event, ok := e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
			if !ok {
				cancel(fmt.Errorf("an event of type %T", e))
				return
			}
			for _, r := range event.Value.Records {
				n, err := strconv.Atoi(aws.ToString(r.PartitionKey))
				if err != nil {
					cancel(err)
					return
				}
				arrivals <- arrival{n, now}
			}
		}
		cancel(errors.Join(errors.New("the subscription ended"), events.Err()))
	}()
	sample, err := putEach(ctx, client, records, arrivals)
	err = errors.Join(err, events.Close())
	<-ended
	_, gone := client.DeregisterStreamConsumer(context.WithoutCancel(ctx), &kinesis.DeregisterStreamConsumerInput{ConsumerARN: &consumer})
	return sample, errors.Join(err, gone)
}

// register makes a consumer of the stream and waits until it is active.
func register(ctx context.Context, client *kinesis.Client) (arn string, err error) {
	sum, err := client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(stream)})
	if err != nil {
		return "", err
	}
	name := "reader-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	out, err := client.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{
		StreamARN: sum.StreamDescriptionSummary.StreamARN, ConsumerName: &name,
	})
	if err != nil {
		return "", err
	}
	arn = *out.Consumer.ConsumerARN
	return arn, harness.Poll(ctx, nil, 10*time.Second, func() error {
		out, err := client.DescribeStreamConsumer(ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: &arn})
		if err != nil {
			return err
		}
		if status := out.ConsumerDescription.ConsumerStatus; status != types.ConsumerStatusActive {
			return fmt.Errorf("consumer %s is %s", name, status)
		}
		return nil
	})
}
