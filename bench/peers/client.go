package peers

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"

	"github.com/shardrun/shardrun"
	"github.com/shardrun/shardrun/bench/harness"
)

// Client is the AWS SDK's client for the server at url, with a pool of
// connections that is wide enough for all rows. It talks the SDK's own JSON:
// not every peer takes CBOR, and all servers are to be asked alike.
func Client(url string) *kinesis.Client {
	return FastClient(url, func(o *kinesis.Options) { o.Protocol = awsjson.New11(schemas.Kinesis_20131202) })
}

// FastClient is our client for the server at url, which talks CBOR.
func FastClient(url string, options ...func(*kinesis.Options)) *kinesis.Client {
	return shardrun.NewClient(aws.Config{
		Region:      "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("bench", "bench", ""),
	}, append(options, func(o *kinesis.Options) { o.BaseEndpoint = aws.String(url) })...)
}

// CreateStream creates a stream and waits until it is active.
func CreateStream(ctx context.Context, client *kinesis.Client, name string, shards int) error {
	if _, err := client.CreateStream(ctx, &kinesis.CreateStreamInput{
		StreamName: aws.String(name), ShardCount: aws.Int32(int32(shards)),
	}); err != nil {
		return err
	}
	return Active(ctx, client, name)
}

// Active waits until a stream is active.
func Active(ctx context.Context, client *kinesis.Client, name string) error {
	return harness.Poll(ctx, nil, 30*time.Second, func() error {
		out, err := client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(name)})
		if err != nil {
			return err
		}
		if status := out.StreamDescriptionSummary.StreamStatus; status != types.StreamStatusActive {
			return fmt.Errorf("stream %s is %s", name, status)
		}
		return nil
	})
}

// Shards are the ids of a stream's shards.
func Shards(ctx context.Context, client *kinesis.Client, name string) ([]string, error) {
	var ids []string
	in := &kinesis.ListShardsInput{StreamName: aws.String(name)}
	for {
		out, err := client.ListShards(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, s := range out.Shards {
			ids = append(ids, aws.ToString(s.ShardId))
		}
		if out.NextToken == nil {
			return ids, nil
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
}
