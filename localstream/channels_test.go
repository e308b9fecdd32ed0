package localstream

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
)

func TestNewChannelToABucket(t *testing.T) {
	h := start(t, 0)
	h.onDemand("s")
	out, err := h.client.CreateChannel(t.Context(), toS3())
	h.must(err)
	made := out.ChannelDescription
	equal(t, "status in the answer", made.ChannelStatus, "CREATING")
	got := h.describeChannel(*made.ChannelARN)
	equal(t, "status", got.ChannelStatus, "ACTIVE")
	got.ChannelStatus = made.ChannelStatus
	equal(t, "the rest", asJSON(t, got), asJSON(t, made))
	id := *got.ChannelId
	want := &types.ChannelDescription{
		ChannelARN: aws.String("arn:aws:kinesis:us-east-1:000000000000:channel/" + id), ChannelId: &id, ChannelName: aws.String("c"),
		ChannelCreationTimestamp: got.ChannelCreationTimestamp, ChannelStatus: types.ChannelStatusCreating,
		LoggingConfiguration: &types.ChannelLoggingConfiguration{CloudWatchLogs: &types.CloudWatchLogs{
			Enabled: aws.Bool(false), LogGroupName: aws.String("/aws/kinesis/c/" + id), LogStreamName: aws.String("DestinationDelivery")}},
		ServiceExecutionRoleARN: aws.String(testRole),
		StreamConfigurationList: []types.ChannelStreamDescription{{StreamARN: streamARN("s"),
			StreamCreationTimestamp: h.describe("s").StreamCreationTimestamp,
			RecordConfiguration:     &types.RecordConfiguration{RecordFormatType: types.RecordFormatTypeString}}},
		S3DestinationConfiguration: &types.S3DestinationDescription{
			DataFreshnessInSeconds: aws.Int32(300),
			DeadLetterQueueS3Configuration: &types.DeadLetterQueueS3Configuration{BucketARN: aws.String("arn:aws:s3:::lake"),
				ExpectedBucketOwner: aws.String("000000000000"), ErrorOutputPrefix: aws.String("kinesis-channel/errors/c/" + id + "/")},
			StorageConfiguration: &types.S3StorageConfiguration{BucketARN: aws.String("arn:aws:s3:::lake"), ExpectedBucketOwner: aws.String("000000000000"),
				CompressionType: types.S3CompressionTypeNone, StorageClass: types.S3StorageClassStandard, OutputKeyTemplate: aws.String(defaultKeyTemplate)},
		},
	}
	equal(t, "description", asJSON(t, got), asJSON(t, want))
	if age := time.Since(*got.ChannelCreationTimestamp); age < 0 || age > time.Minute {
		t.Errorf("created %v ago", age)
	}
	equal(t, "channels of the stream", *h.summary("s").ChannelCount, 1)
}

func TestNewChannelToATable(t *testing.T) {
	h := start(t, 0)
	h.onDemand("s")
	in := toTables(func(in *kinesis.CreateChannelInput) {
		in.EncryptionConfiguration = &types.ChannelEncryptionConfiguration{EncryptionType: types.ChannelEncryptionTypeKms, KeyId: aws.String("alias/mine")}
		in.LoggingConfiguration = &types.ChannelLoggingConfiguration{CloudWatchLogs: &types.CloudWatchLogs{Enabled: aws.Bool(true), LogGroupName: aws.String("/g")}}
		in.S3TablesDestinationConfiguration.DataFreshnessInSeconds = aws.Int32(900)
		in.Tags = map[string]string{"k": "v"}
	})
	got := h.channel(in)
	equal(t, "status", got.ChannelStatus, "ACTIVE")
	d := got.S3TablesDestinationConfiguration
	equal(t, "tables", asJSON(t, d.S3TablesConfigurationList), asJSON(t, in.S3TablesDestinationConfiguration.S3TablesConfigurationList))
	equal(t, "dead letters", asJSON(t, d.DeadLetterQueueS3Configuration), asJSON(t, in.S3TablesDestinationConfiguration.DeadLetterQueueS3Configuration))
	equal(t, "freshness", *d.DataFreshnessInSeconds, 900)
	equal(t, "records", asJSON(t, got.StreamConfigurationList[0].RecordConfiguration), asJSON(t, in.StreamConfigurationList[0].RecordConfiguration))
	equal(t, "encryption", asJSON(t, got.EncryptionConfiguration), asJSON(t, in.EncryptionConfiguration))
	logs := got.LoggingConfiguration.CloudWatchLogs
	equal(t, "logging", fmt.Sprint(*logs.Enabled, *logs.LogGroupName, *logs.LogStreamName), "true/gDestinationDelivery")
	equal(t, "tags", (*h.server.channels.Load())[*got.ChannelId].Tags, "map[k:v]")
	if got.S3DestinationConfiguration != nil {
		t.Error("a table is shown as a bucket")
	}
}

// The SDK's waiter sees a channel come, and one that cannot come.
func TestChannelsTakeTheirTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := vfs.NewMemory()
		h := open(t, Config{fs: disk, ChannelDelay: time.Minute})
		h.onDemand("s")
		created, err := h.client.CreateChannel(t.Context(), toS3())
		h.must(err)
		arn := created.ChannelDescription.ChannelARN
		status := func() types.ChannelStatus { return h.describeChannel(*arn).ChannelStatus }
		equal(t, "at first", status(), "CREATING")
		update := &kinesis.UpdateChannelInput{ChannelARN: arn, S3DestinationConfiguration: &types.S3DestinationUpdateInput{DataFreshnessInSeconds: aws.Int32(600)}}
		_, err = h.client.UpdateChannel(t.Context(), update)
		h.wantError(err, typeInUse, "Channel c under account 000000000000 not ACTIVE, instead in state CREATING")
		began := time.Now()
		h.must(kinesis.NewChannelActiveWaiter(h.client).Wait(t.Context(), &kinesis.DescribeChannelInput{ChannelARN: arn}, time.Hour))
		if took := time.Since(began); took < time.Minute {
			t.Errorf("ACTIVE after %v", took)
		}

		updated, err := h.client.UpdateChannel(t.Context(), update)
		h.must(err)
		equal(t, "answer of the update", updated.ChannelDescription.ChannelStatus, "UPDATING")
		equal(t, "freshness", *updated.ChannelDescription.S3DestinationConfiguration.DataFreshnessInSeconds, 600)
		equal(t, "after the update", status(), "UPDATING")
		h.must(h.server.Close()) // an interrupted update goes on
		h = open(t, Config{fs: disk, ChannelDelay: time.Minute})
		equal(t, "after a restart", status(), "UPDATING")
		time.Sleep(time.Minute + time.Second)
		equal(t, "in the end", status(), "ACTIVE")

		h.deleteChannel(arn)
		equal(t, "after the delete", status(), "DELETING")
		h.deleteChannel(arn)
		_, err = h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
		h.wantError(err, typeInUse, "Stream s under account 000000000000 has 1 channels. Delete its channels before the stream.")
		h.must(h.server.Close())
		h = open(t, Config{fs: disk, ChannelDelay: time.Minute})
		equal(t, "after a restart", status(), "DELETING")
		time.Sleep(time.Minute + time.Second)
		_, err = h.client.DescribeChannel(t.Context(), &kinesis.DescribeChannelInput{ChannelARN: arn})
		h.wantError(err, typeNotFound, "Channel "+*created.ChannelDescription.ChannelId+" under account 000000000000 not found.")
		_, err = h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
		h.must(err)
		h.must(h.server.Close())
	})
}

// A channel that is deleted before it is ACTIVE does not become so.
func TestDeletingAChannelThatIsBeingMade(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 0, Config{ChannelDelay: time.Minute})
		h.onDemand("s")
		arn := h.channel(toS3()).ChannelARN
		time.Sleep(30 * time.Second)
		h.deleteChannel(arn)
		time.Sleep(45 * time.Second)
		equal(t, "status", h.describeChannel(*arn).ChannelStatus, "DELETING")
		time.Sleep(30 * time.Second)
		equal(t, "channels", *h.summary("s").ChannelCount, 0)
		h.channel(toS3()) // the name is free
	})
}

func TestAChannelWhoseBucketCannotBeMadeFails(t *testing.T) {
	dir := t.TempDir()
	h := start(t, 0, Config{ChannelDir: dir})
	h.onDemand("s")
	disk, err := vfs.OpenOS(dir)
	h.must(err)
	t.Cleanup(func() { _ = disk.Close() })
	f, err := disk.Create("lake")
	h.must(err)
	h.must(f.Close())
	got := h.channel(toS3())
	equal(t, "status", got.ChannelStatus, "FAILED")
	equal(t, "reason", *got.ChannelStatusReason, "The destination cannot be written to: make directory lake: a file has this name.")
	list, err := h.client.ListChannels(t.Context(), &kinesis.ListChannelsInput{})
	h.must(err)
	equal(t, "reason in the list", *list.ChannelSummaries[0].ChannelStatusReason, *got.ChannelStatusReason)
	_, err = h.client.UpdateChannel(t.Context(), &kinesis.UpdateChannelInput{ChannelARN: got.ChannelARN,
		S3DestinationConfiguration: &types.S3DestinationUpdateInput{DataFreshnessInSeconds: aws.Int32(600)}})
	h.wantError(err, typeInUse, "Channel c under account 000000000000 not ACTIVE, instead in state FAILED")
	h.deleteChannel(got.ChannelARN)
	h.must(disk.Remove("lake"))
	equal(t, "made anew", h.channel(toS3()).ChannelStatus, "ACTIVE")

	got = h.channel(toS3(func(in *kinesis.CreateChannelInput) {
		other := "other"
		h.onDemand(other)
		in.ChannelName, in.StreamConfigurationList[0].StreamARN = &other, streamARN(other)
		in.S3DestinationConfiguration.StorageConfiguration.OutputKeyTemplate = aws.String(strings.Repeat("x", 220))
	}))
	equal(t, "long key", fmt.Sprint(got.ChannelStatus, *got.ChannelStatusReason),
		"FAILEDThe destination cannot be written to: "+strings.Repeat("x", 40)+"... has 257 characters between slashes, and a file name at most 255.")
}

func TestUpdateChannel(t *testing.T) {
	h := start(t, 0)
	h.onDemand("s")
	bucket, table := h.channel(toS3()), h.channel(toTables())
	update := func(in *kinesis.UpdateChannelInput) (*types.ChannelDescription, error) {
		out, err := h.client.UpdateChannel(t.Context(), in)
		if err != nil {
			return nil, err
		}
		equal(t, "status in the answer", out.ChannelDescription.ChannelStatus, "UPDATING")
		now := h.describeChannel(*in.ChannelARN)
		equal(t, "status", now.ChannelStatus, "ACTIVE")
		return now, nil
	}
	fresh := &types.S3DestinationUpdateInput{DataFreshnessInSeconds: aws.Int32(301)}
	freshTable := &types.S3TablesDestinationUpdateInput{DataFreshnessInSeconds: aws.Int32(899)}
	now, err := update(&kinesis.UpdateChannelInput{ChannelARN: bucket.ChannelARN, S3DestinationConfiguration: fresh})
	h.must(err)
	equal(t, "freshness", *now.S3DestinationConfiguration.DataFreshnessInSeconds, 301)
	now, err = update(&kinesis.UpdateChannelInput{ChannelARN: table.ChannelARN, S3TablesDestinationConfiguration: freshTable})
	h.must(err)
	equal(t, "freshness of the table", *now.S3TablesDestinationConfiguration.DataFreshnessInSeconds, 899)
	now, err = update(&kinesis.UpdateChannelInput{ChannelARN: bucket.ChannelARN,
		LoggingConfiguration: &types.ChannelLoggingUpdateInput{CloudWatchLogs: &types.CloudWatchLogsUpdateInput{Enabled: aws.Bool(true), LogStreamName: aws.String("x")}}})
	h.must(err)
	logs := now.LoggingConfiguration.CloudWatchLogs
	equal(t, "logging", fmt.Sprint(*logs.Enabled, " ", *logs.LogGroupName, " ", *logs.LogStreamName), "true /aws/kinesis/c/"+*now.ChannelId+" x")
	equal(t, "freshness afterwards", *now.S3DestinationConfiguration.DataFreshnessInSeconds, 301)

	_, err = update(&kinesis.UpdateChannelInput{ChannelARN: bucket.ChannelARN})
	h.wantError(err, typeInvalidArgument, "One of S3DestinationConfiguration, S3TablesDestinationConfiguration and LoggingConfiguration must be specified.")
	_, err = update(&kinesis.UpdateChannelInput{ChannelARN: bucket.ChannelARN, S3TablesDestinationConfiguration: freshTable})
	h.wantError(err, typeInvalidArgument, "S3TablesDestinationConfiguration cannot be specified for channel c, whose destination is a general purpose Amazon S3 bucket.")
	_, err = update(&kinesis.UpdateChannelInput{ChannelARN: table.ChannelARN, S3DestinationConfiguration: fresh})
	h.wantError(err, typeInvalidArgument, "S3DestinationConfiguration cannot be specified for channel t, whose destination is a streaming table.")
	for _, secs := range []int32{299, 901, -1} {
		_, err = update(&kinesis.UpdateChannelInput{ChannelARN: bucket.ChannelARN, S3DestinationConfiguration: &types.S3DestinationUpdateInput{DataFreshnessInSeconds: &secs}})
		h.wantError(err, typeInvalidArgument, fmt.Sprintf("DataFreshnessInSeconds %d is not between 300 and 900.", secs))
	}
	_, err = update(&kinesis.UpdateChannelInput{ChannelARN: aws.String("arn:aws:kinesis:us-east-1:000000000000:channel/x"), S3DestinationConfiguration: fresh})
	h.wantError(err, typeNotFound, "Channel x under account 000000000000 not found.")
	elsewhere := strings.Replace(*bucket.ChannelARN, "us-east-1", "us-east-2", 1)
	_, err = h.server.Client(noRetry).DeleteChannel(t.Context(), &kinesis.DeleteChannelInput{ChannelARN: &elsewhere})
	h.wantError(err, typeNotFound, "")
}

// Channels outlive the server, whatever their state, and so do their names.
func TestChannelsSurviveARestart(t *testing.T) {
	cfg := Config{DataDir: filepath.Join(t.TempDir(), "data")}
	h := open(t, cfg)
	h.onDemand("s")
	bucket, table := h.channel(toS3()), h.channel(toTables())
	h.must(h.server.Close())
	for range 2 {
		h = open(t, cfg)
		equal(t, "bucket", asJSON(t, h.describeChannel(*bucket.ChannelARN)), asJSON(t, bucket))
		equal(t, "table", asJSON(t, h.describeChannel(*table.ChannelARN)), asJSON(t, table))
		_, err := h.client.CreateChannel(context.Background(), toS3())
		h.wantError(err, typeInUse, "")
		h.must(h.server.Close())
	}
}
