// The gosdk command is a session of the AWS SDK for Go with localstream:
//
//	go run ./localstream/interop/gosdk ENDPOINT [CA.pem]
//
// It is the SDK as it comes, in JSON, over HTTP/2. Over HTTP/1.1 and a fast
// network about one of its calls in a hundred ends in "use of closed network
// connection": it closes the body of a request when the answer begins, and
// net/http may still look for its end. shardrun.NewClient cures that.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: gosdk ENDPOINT [CA.pem]")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "go:", err)
		os.Exit(1)
	}
	fmt.Println("go: all well")
}

// stream is the name of the stream, and of its twin that is on-demand.
const (
	stream   = "go"
	onDemand = "go-on-demand"
)

// session is a client and the first thing that went wrong.
type session struct {
	*kinesis.Client
	ctx context.Context
	err error
}

func run(ctx context.Context, endpoint string, ca []string) error {
	options := []func(*config.LoadOptions) error{
		config.WithRegion("eu-west-1"),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("123456789012", "secret", "")),
		config.WithRetryMaxAttempts(1),
	}
	if len(ca) > 0 {
		pem, err := os.ReadFile(ca[0])
		if err != nil {
			return err
		}
		options = append(options, config.WithCustomCABundle(bytes.NewReader(pem)))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return err
	}
	if strings.HasPrefix(endpoint, "http://") {
		cfg.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.Protocols = new(http.Protocols)
			t.Protocols.SetUnencryptedHTTP2(true)
		})
	}
	s := &session{Client: kinesis.NewFromConfig(cfg, func(o *kinesis.Options) { o.BaseEndpoint = &endpoint }), ctx: ctx}
	fmt.Println("AWS SDK for Go", aws.SDKVersion)
	for _, part := range []func(){s.records, s.push, s.reshard, s.settings, s.end} {
		if part(); s.err != nil {
			return s.err
		}
	}
	return nil
}

// must notes an error, and reports whether there is none so far.
func (s *session) must(err error) bool {
	if s.err == nil && err != nil {
		s.err = err
	}
	return s.err == nil
}

// check compares by what is printed.
func (s *session) check(what string, got, want any) {
	if g, w := fmt.Sprint(got), fmt.Sprint(want); s.err == nil && g != w {
		s.err = fmt.Errorf("%s: got %s, want %s", what, g, w)
	}
	if s.err == nil {
		fmt.Println(" ", what)
	}
}

// fails checks that err has a code.
func (s *session) fails(what, code string, err error) {
	api, _ := errors.AsType[smithy.APIError](err)
	if api == nil {
		s.must(fmt.Errorf("%s: %w, want %s", what, err, code))
		return
	}
	s.check(what+": "+code, api.ErrorCode(), code)
}

func (s *session) active(name string) {
	s.must(kinesis.NewStreamExistsWaiter(s.Client, func(o *kinesis.StreamExistsWaiterOptions) { o.MinDelay = 50 * time.Millisecond }).
		Wait(s.ctx, &kinesis.DescribeStreamInput{StreamName: &name}, 30*time.Second))
}

func (s *session) arn() *string {
	out, err := s.DescribeStreamSummary(s.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(stream)})
	if !s.must(err) {
		return nil
	}
	return out.StreamDescriptionSummary.StreamARN
}

// read gives the data of a shard's records, and its children if it has ended.
func (s *session) read(shard string) (data, children []string) {
	it, err := s.GetShardIterator(s.ctx, &kinesis.GetShardIteratorInput{
		StreamName: aws.String(stream), ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	if !s.must(err) {
		return nil, nil
	}
	for next := it.ShardIterator; next != nil; {
		page, err := s.GetRecords(s.ctx, &kinesis.GetRecordsInput{ShardIterator: next})
		if !s.must(err) {
			return nil, nil
		}
		for _, r := range page.Records {
			data = append(data, string(r.Data))
		}
		for _, c := range page.ChildShards {
			children = append(children, *c.ShardId)
		}
		if next = page.NextShardIterator; len(page.Records) == 0 && *page.MillisBehindLatest == 0 {
			next = nil
		}
	}
	return data, children
}

func (s *session) records() {
	_, err := s.CreateStream(s.ctx, &kinesis.CreateStreamInput{StreamName: aws.String(stream), ShardCount: aws.Int32(2)})
	s.must(err)
	s.active(stream)
	s.check("account and region", aws.ToString(s.arn()), "arn:aws:kinesis:eu-west-1:123456789012:stream/"+stream)
	_, err = s.CreateStream(s.ctx, &kinesis.CreateStreamInput{StreamName: aws.String(stream), ShardCount: aws.Int32(2)})
	s.fails("a stream twice", "ResourceInUseException", err)
	in := &kinesis.PutRecordsInput{StreamName: aws.String(stream)}
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprintf("%03d", i))
		in.Records = append(in.Records, types.PutRecordsRequestEntry{Data: []byte(want[i]), PartitionKey: aws.String(fmt.Sprint("käy ", i))})
	}
	put, err := s.PutRecords(s.ctx, in)
	if s.must(err) {
		s.check("records that failed", *put.FailedRecordCount, 0)
	}
	first, _ := s.read("shardId-000000000000")
	second, _ := s.read("shardId-000000000001")
	s.check("records read", slices.Sorted(slices.Values(append(first, second...))), want)
	_, err = s.PutRecord(s.ctx, &kinesis.PutRecordInput{StreamName: aws.String(stream), PartitionKey: aws.String("k"), Data: []byte("x"), DryRun: aws.Bool(true)})
	s.fails("a dry run", "DryRunOperationException", err)
}

// push subscribes to a shard, writes to it and splits it.
func (s *session) push() {
	reg, err := s.RegisterStreamConsumer(s.ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: s.arn(), ConsumerName: aws.String("reader")})
	if !s.must(err) {
		return
	}
	for status := types.ConsumerStatusCreating; status != types.ConsumerStatusActive && s.err == nil; time.Sleep(10 * time.Millisecond) {
		out, err := s.DescribeStreamConsumer(s.ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: reg.Consumer.ConsumerARN})
		if s.must(err) {
			status = out.ConsumerDescription.ConsumerStatus
		}
	}
	out, err := s.SubscribeToShard(s.ctx, &kinesis.SubscribeToShardInput{
		ConsumerARN: reg.Consumer.ConsumerARN, ShardId: aws.String("shardId-000000000000"),
		StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest},
	})
	if !s.must(err) {
		return
	}
	events := out.GetStream()
	defer func() { _ = events.Close() }() // it has ended, or failed already
	for i := range 10 {
		_, err := s.PutRecord(s.ctx, &kinesis.PutRecordInput{
			StreamName: aws.String(stream), PartitionKey: aws.String("k"), ExplicitHashKey: aws.String("0"), Data: fmt.Append(nil, i),
		})
		s.must(err)
	}
	_, err = s.SplitShard(s.ctx, &kinesis.SplitShardInput{
		StreamName: aws.String(stream), ShardToSplit: aws.String("shardId-000000000000"), NewStartingHashKey: aws.String("1000"),
	})
	s.must(err)
	var got, children []string
	for e := range events.Events() {
		event, ok := e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
		if !ok {
			s.must(fmt.Errorf("an event of type %T", e))
			return
		}
		for _, r := range event.Value.Records {
			got = append(got, string(r.Data))
		}
		for _, c := range event.Value.ChildShards {
			children = append(children, *c.ShardId)
		}
	}
	s.must(events.Err())
	s.check("records pushed in order", strings.Join(got, " "), "0 1 2 3 4 5 6 7 8 9")
	s.check("children pushed", children, "[shardId-000000000002 shardId-000000000003]")
}

func (s *session) reshard() {
	s.active(stream)
	_, err := s.MergeShards(s.ctx, &kinesis.MergeShardsInput{
		StreamName: aws.String(stream), ShardToMerge: aws.String("shardId-000000000002"), AdjacentShardToMerge: aws.String("shardId-000000000003"),
	})
	s.must(err)
	s.active(stream)
	_, children := s.read("shardId-000000000003")
	s.check("child of the merge", children, "[shardId-000000000004]")
	scaled, err := s.UpdateShardCount(s.ctx, &kinesis.UpdateShardCountInput{
		StreamName: aws.String(stream), TargetShardCount: aws.Int32(4), ScalingType: types.ScalingTypeUniformScaling,
	})
	if s.must(err) {
		s.check("scaled", fmt.Sprint(*scaled.CurrentShardCount, " to ", *scaled.TargetShardCount), "2 to 4")
	}
	s.active(stream)
	open, err := s.ListShards(s.ctx, &kinesis.ListShardsInput{StreamName: aws.String(stream), ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest}})
	if s.must(err) {
		s.check("open shards", len(open.Shards), 4)
	}
}

// settings are operations that old clients do not know.
func (s *session) settings() {
	_, err := s.CreateStream(s.ctx, &kinesis.CreateStreamInput{
		StreamName: aws.String(onDemand), RecordDistributionStrategy: types.RecordDistributionStrategyAuto,
		StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand},
	})
	s.must(err)
	s.active(onDemand)
	_, err = s.PutRecord(s.ctx, &kinesis.PutRecordInput{StreamName: aws.String(onDemand), Data: []byte("no key")})
	s.must(err)
	sum, err := s.DescribeStreamSummary(s.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(onDemand)})
	if !s.must(err) {
		return
	}
	arn := sum.StreamDescriptionSummary.StreamARN
	s.check("distribution", sum.StreamDescriptionSummary.RecordDistributionStrategy, types.RecordDistributionStrategyAuto)
	_, err = s.UpdateStreamRecordDistributionStrategy(s.ctx, &kinesis.UpdateStreamRecordDistributionStrategyInput{
		StreamARN: arn, RecordDistributionStrategy: types.RecordDistributionStrategyUserPartitionKey,
	})
	s.must(err)
	channel, err := s.CreateChannel(s.ctx, &kinesis.CreateChannelInput{
		ChannelName: aws.String("archive"), ServiceExecutionRoleARN: aws.String("arn:aws:iam::123456789012:role/channel"),
		StreamConfigurationList: []types.ChannelStreamConfiguration{{
			StreamARN: arn, RecordConfiguration: &types.RecordConfiguration{RecordFormatType: types.RecordFormatTypeString},
		}},
		S3DestinationConfiguration: &types.S3DestinationConfiguration{StorageConfiguration: &types.S3StorageConfiguration{
			BucketARN: aws.String("arn:aws:s3:::bucket"), CompressionType: types.S3CompressionTypeNone, ExpectedBucketOwner: aws.String("123456789012"),
		}},
	})
	if !s.must(err) {
		return
	}
	channelARN := channel.ChannelDescription.ChannelARN
	s.must(kinesis.NewChannelActiveWaiter(s.Client).Wait(s.ctx, &kinesis.DescribeChannelInput{ChannelARN: channelARN}, 30*time.Second))
	_, err = s.DeleteStream(s.ctx, &kinesis.DeleteStreamInput{StreamName: aws.String(onDemand)})
	s.fails("a stream with a channel", "ResourceInUseException", err)
	_, err = s.DeleteChannel(s.ctx, &kinesis.DeleteChannelInput{ChannelARN: channelARN})
	s.must(err)
	list, err := s.ListChannels(s.ctx, &kinesis.ListChannelsInput{})
	if s.must(err) {
		s.check("channels", len(list.ChannelSummaries), 0)
	}
}

func (s *session) end() {
	for _, name := range []string{stream, onDemand} {
		_, err := s.DeleteStream(s.ctx, &kinesis.DeleteStreamInput{StreamName: &name, EnforceConsumerDeletion: aws.Bool(true)})
		s.must(err)
		_, err = s.DescribeStream(s.ctx, &kinesis.DescribeStreamInput{StreamName: &name})
		s.fails("the stream "+name+" is gone", "ResourceNotFoundException", err)
	}
}
