package localstream

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const testRole = "arn:aws:iam::000000000000:role/delivery"

// onDemand makes a stream in on-demand mode, which has four shards.
func (h *harness) onDemand(name string) {
	h.Helper()
	_, err := h.client.CreateStream(h.Context(), &kinesis.CreateStreamInput{StreamName: &name})
	h.must(err)
}

func streamARN(name string) *string { return aws.String(testKey(name).ARN()) }

// toS3 is a request for a channel "c" from the stream "s" to the bucket
// "lake".
func toS3(change ...func(*kinesis.CreateChannelInput)) *kinesis.CreateChannelInput {
	in := &kinesis.CreateChannelInput{
		ChannelName: aws.String("c"), ServiceExecutionRoleARN: aws.String(testRole),
		StreamConfigurationList: []types.ChannelStreamConfiguration{{
			StreamARN: streamARN("s"), RecordConfiguration: &types.RecordConfiguration{RecordFormatType: types.RecordFormatTypeString},
		}},
		S3DestinationConfiguration: &types.S3DestinationConfiguration{StorageConfiguration: &types.S3StorageConfiguration{
			BucketARN: aws.String("arn:aws:s3:::lake"), ExpectedBucketOwner: aws.String("000000000000"), CompressionType: types.S3CompressionTypeNone,
		}},
	}
	for _, f := range change {
		f(in)
	}
	return in
}

// toTables is toS3 for a channel "t" to a streaming table.
func toTables(change ...func(*kinesis.CreateChannelInput)) *kinesis.CreateChannelInput {
	in := toS3()
	in.ChannelName, in.S3DestinationConfiguration = aws.String("t"), nil
	in.StreamConfigurationList[0].RecordConfiguration = &types.RecordConfiguration{
		RecordFormatType: types.RecordFormatTypeJson, GSRSchemaARN: aws.String("arn:aws:glue:us-east-1:000000000000:schema/registry/orders")}
	in.S3TablesDestinationConfiguration = &types.S3TablesDestinationConfiguration{
		DeadLetterQueueS3Configuration: &types.DeadLetterQueueS3Configuration{
			BucketARN: aws.String("arn:aws:s3:::dead"), ExpectedBucketOwner: aws.String("000000000000"), ErrorOutputPrefix: aws.String("errors/")},
		S3TablesConfigurationList: []types.S3TablesConfiguration{{
			TableBucketARN: aws.String("arn:aws:s3tables:us-east-1:000000000000:bucket/analytics"), Namespace: aws.String("db"), TableName: aws.String("orders"),
			CompressionType: types.S3TablesCompressionTypeZstd, PartitionSpec: &types.PartitionSpec{
				PartitionFields: []types.PartitionField{{SourceName: aws.String("at"), Transform: types.PartitionTransformTimeHour}}},
		}},
	}
	for _, f := range change {
		f(in)
	}
	return in
}

// channel makes a channel and gives it as it is then.
func (h *harness) channel(in *kinesis.CreateChannelInput) *types.ChannelDescription {
	h.Helper()
	out, err := h.client.CreateChannel(h.Context(), in)
	h.must(err)
	return h.describeChannel(*out.ChannelDescription.ChannelARN)
}

func (h *harness) describeChannel(arn string) *types.ChannelDescription {
	h.Helper()
	out, err := h.client.DescribeChannel(h.Context(), &kinesis.DescribeChannelInput{ChannelARN: &arn})
	h.must(err)
	return out.ChannelDescription
}

func (h *harness) deleteChannel(arn *string) {
	h.Helper()
	_, err := h.client.DeleteChannel(h.Context(), &kinesis.DeleteChannelInput{ChannelARN: arn})
	h.must(err)
}

// asJSON is a value as JSON, for comparison.
func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
