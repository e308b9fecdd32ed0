package localstream

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

func (c *checker) describeChannel(in *kinesis.DescribeChannelInput) { c.channelARN(in.ChannelARN) }

func (c *call) describeChannel(ctx context.Context, in *kinesis.DescribeChannelInput) (*kinesis.DescribeChannelOutput, error) {
	ch, err := c.findChannel(ctx, *in.ChannelARN)
	if err != nil {
		return nil, err
	}
	return &kinesis.DescribeChannelOutput{ChannelDescription: describeChannel(ch)}, nil
}

// findChannel gives the channel that a request names. Faults of its stream are
// its own.
func (c *call) findChannel(ctx context.Context, arn string) (*channel, error) {
	ch, err := c.server.lookupChannel(arn)
	key := state.Key{Scope: c.scope}
	if err == nil {
		key = ch.stream.key
	}
	if err := c.fault(ctx, key, anyShard); err != nil {
		return nil, err
	}
	return ch, err
}

// describeChannel gives a channel in the form of the API.
func describeChannel(ch *channel) *types.ChannelDescription {
	out := &types.ChannelDescription{
		ChannelARN:               aws.String(ch.ARN()),
		ChannelCreationTimestamp: aws.Time(ch.createdAt()),
		ChannelId:                aws.String(ch.ID),
		ChannelName:              aws.String(ch.Name),
		ChannelStatus:            types.ChannelStatus(ch.Status),
		ChannelStatusReason:      present(ch.Reason),
		LoggingConfiguration: &types.ChannelLoggingConfiguration{CloudWatchLogs: &types.CloudWatchLogs{
			Enabled: aws.Bool(ch.Logs.Enabled), LogGroupName: aws.String(ch.Logs.Group), LogStreamName: aws.String(ch.Logs.Stream),
		}},
		ServiceExecutionRoleARN: aws.String(ch.Role),
		StreamConfigurationList: []types.ChannelStreamDescription{{
			StreamARN: aws.String(ch.stream.key.ARN()), StreamCreationTimestamp: aws.Time(ch.stream.view.Load().createdAt()),
			RecordConfiguration: &types.RecordConfiguration{
				RecordFormatType: types.RecordFormatType(ch.Format), GSRSchemaARN: present(ch.Schema),
			},
		}},
	}
	if ch.KMSKey != "" {
		out.EncryptionConfiguration = &types.ChannelEncryptionConfiguration{
			EncryptionType: types.ChannelEncryptionTypeKms, KeyId: aws.String(ch.KMSKey),
		}
	}
	letters := &types.DeadLetterQueueS3Configuration{
		BucketARN: aws.String(ch.Letters.Bucket), ExpectedBucketOwner: aws.String(ch.Letters.Owner), ErrorOutputPrefix: aws.String(ch.Letters.Prefix),
	}
	if s := ch.S3; s != nil {
		out.S3DestinationConfiguration = &types.S3DestinationDescription{
			DataFreshnessInSeconds: aws.Int32(ch.FreshSecs), DeadLetterQueueS3Configuration: letters,
			StorageConfiguration: &types.S3StorageConfiguration{
				BucketARN: aws.String(s.ARN), ExpectedBucketOwner: aws.String(s.Owner), CompressionType: types.S3CompressionType(s.Compression),
				OutputKeyTemplate: aws.String(s.Template), StorageClass: types.S3StorageClass(s.Class),
			},
		}
	}
	if t := ch.Table; t != nil {
		out.S3TablesDestinationConfiguration = &types.S3TablesDestinationDescription{
			DataFreshnessInSeconds: aws.Int32(ch.FreshSecs), DeadLetterQueueS3Configuration: letters,
			S3TablesConfigurationList: []types.S3TablesConfiguration{describeTable(t)},
		}
	}
	return out
}

func describeTable(t *state.Table) types.S3TablesConfiguration {
	out := types.S3TablesConfiguration{
		TableBucketARN: aws.String(t.Bucket), Namespace: aws.String(t.Namespace), TableName: aws.String(t.Name),
		CompressionType: types.S3TablesCompressionType(t.Compression),
	}
	if len(t.Partitions) > 0 {
		out.PartitionSpec = &types.PartitionSpec{}
		for _, p := range t.Partitions {
			out.PartitionSpec.PartitionFields = append(out.PartitionSpec.PartitionFields,
				types.PartitionField{SourceName: aws.String(p.Source), Transform: types.PartitionTransform(p.Transform)})
		}
	}
	return out
}

// present is nil for a text that is empty, and so not there.
func present(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
