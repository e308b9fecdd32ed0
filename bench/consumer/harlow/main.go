// Command harlow drains a stream with harlow/kinesis-consumer. It is a program
// of its own because its dependencies and those of others register the same
// protobuf messages.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go/aws"             //nolint:staticcheck // harlow is made for the old SDK
	"github.com/aws/aws-sdk-go/aws/credentials" //nolint:staticcheck // harlow is made for the old SDK
	"github.com/aws/aws-sdk-go/aws/session"     //nolint:staticcheck // harlow is made for the old SDK
	"github.com/aws/aws-sdk-go/service/kinesis" //nolint:staticcheck // harlow is made for the old SDK
	"github.com/go-redis/redis/v8"
	harlow "github.com/harlow/kinesis-consumer"
	harlowredis "github.com/harlow/kinesis-consumer/store/redis"

	"github.com/shardrun/shardrun/bench/child"
	"github.com/shardrun/shardrun/bench/drainer"
)

func main() { child.Main(drainer.Role(drain)) }

// drain is harlow/kinesis-consumer with its Redis store. It has no
// leases: one process reads all shards. Its pause between reads, 250 ms by
// default, is taken out.
func drain(ctx context.Context, d drainer.Drain, handled func(n int)) error {
	sess, err := session.NewSession(&aws.Config{
		Region: new("us-east-1"), Endpoint: new(d.Endpoint),
		Credentials: credentials.NewStaticCredentials("000000000000", "local", ""),
	})
	if err != nil {
		return err
	}
	client := redis.NewClient(&redis.Options{Addr: d.Redis})
	defer func() { _ = client.Close() }() // the store writes through
	store, err := harlowredis.New(d.Group, harlowredis.WithClient(client))
	if err != nil {
		return err
	}
	c, err := harlow.New(d.Stream, harlow.WithClient(kinesis.New(sess)), harlow.WithStore(store),
		harlow.WithShardIteratorType(kinesis.ShardIteratorTypeTrimHorizon),
		harlow.WithScanInterval(time.Nanosecond), harlow.WithMaxRecords(1000), harlow.WithAggregation(d.Aggregated))
	if err != nil {
		return err
	}
	return c.Scan(ctx, func(*harlow.Record) error {
		handled(1)
		return nil
	})
}
