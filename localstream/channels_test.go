package localstream

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/state"
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

func TestListChannels(t *testing.T) {
	h := start(t, 0, Config{ShardLimit: -1})
	var names []string
	for i := range 12 {
		name := fmt.Sprintf("s%02d", i)
		h.onDemand(name)
		h.channel(toS3(func(in *kinesis.CreateChannelInput) {
			in.ChannelName, in.StreamConfigurationList[0].StreamARN = aws.String("c"+name), streamARN(name)
		}))
		names = append(names, "c"+name)
	}
	h.channel(toTables(func(in *kinesis.CreateChannelInput) { in.StreamConfigurationList[0].StreamARN = streamARN("s03") }))
	names = append(names, "t")
	list := func(in *kinesis.ListChannelsInput) (got []string) {
		pages := kinesis.NewListChannelsPaginator(h.client, in)
		for pages.HasMorePages() {
			out, err := pages.NextPage(t.Context())
			h.must(err)
			for _, ch := range out.ChannelSummaries {
				got = append(got, *ch.ChannelName)
			}
		}
		return got
	}
	equal(t, "all", list(&kinesis.ListChannelsInput{}), names)
	equal(t, "by fives", list(&kinesis.ListChannelsInput{MaxResults: aws.Int32(5)}), names)
	created := h.describe("s03").StreamCreationTimestamp
	filter := func(f ...types.StreamFilter) []string {
		return list(&kinesis.ListChannelsInput{StreamFilter: f, MaxResults: aws.Int32(1)})
	}
	equal(t, "of one stream", filter(types.StreamFilter{StreamARN: streamARN("s03")}), "[cs03 t]")
	equal(t, "of two", filter(types.StreamFilter{StreamARN: streamARN("s03"), StreamCreationTimestamp: created}, types.StreamFilter{StreamARN: streamARN("s05")}), "[cs03 cs05 t]")
	equal(t, "of one that was", filter(types.StreamFilter{StreamARN: streamARN("s03"), StreamCreationTimestamp: aws.Time(created.Add(-time.Hour))}), "[]")
	equal(t, "of none", filter(types.StreamFilter{StreamARN: streamARN("x")}), "[]")

	out, err := h.client.ListChannels(t.Context(), &kinesis.ListChannelsInput{StreamFilter: []types.StreamFilter{{StreamARN: streamARN("s03")}}})
	h.must(err)
	one := h.describeChannel(*out.ChannelSummaries[0].ChannelARN)
	equal(t, "summary", asJSON(t, out.ChannelSummaries[0]), asJSON(t, types.ChannelSummary{
		ChannelARN: one.ChannelARN, ChannelId: one.ChannelId, ChannelName: aws.String("cs03"), ChannelStatus: types.ChannelStatusActive,
		ChannelCreationTimestamp: one.ChannelCreationTimestamp, ChannelDestinationType: types.ChannelDestinationTypeS3,
		Streams: []types.ChannelStreamIdentifier{{StreamARN: streamARN("s03"), StreamCreationTimestamp: created}},
	}))
	equal(t, "kind of the other", out.ChannelSummaries[1].ChannelDestinationType, "S3_TABLES")

	elsewhere, err := h.server.Client(noRetry, func(o *kinesis.Options) { o.Region = "eu-west-1" }).ListChannels(t.Context(), &kinesis.ListChannelsInput{})
	h.must(err)
	equal(t, "in another region", len(elsewhere.ChannelSummaries), 0)
	_, err = h.client.ListChannels(t.Context(), &kinesis.ListChannelsInput{NextToken: aws.String("x")})
	h.wantError(err, typeInvalidArgument, "NextToken is invalid.")
}

func TestTheTokenOfAListOfChannelsExpires(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 0)
		h.onDemand("s")
		h.channel(toS3())
		h.channel(toTables())
		out, err := h.client.ListChannels(t.Context(), &kinesis.ListChannelsInput{MaxResults: aws.Int32(1)})
		h.must(err)
		time.Sleep(tokenLife)
		_, err = h.client.ListChannels(t.Context(), &kinesis.ListChannelsInput{NextToken: out.NextToken})
		h.wantError(err, typeExpiredToken, "")
	})
}

func TestAnAccountHasNoMoreChannelsThanAllowed(t *testing.T) {
	h := start(t, 0)
	h.onDemand("s")
	h.must(h.server.change(t.Context(), func(m *metadata) error {
		st := (*h.server.catalog.Load())[testKey("s")]
		for i := range maxChannels {
			id := fmt.Sprint(i)
			ch := &state.Channel{Scope: testKey("s").Scope, ID: id, Name: id, Stream: st.id, Status: state.Failed, Table: &state.Table{}}
			if err := m.saveChannel(id, st, state.ChannelEvent{Created: ch}); err != nil {
				return err
			}
		}
		return nil
	}))
	_, err := h.client.CreateChannel(t.Context(), toS3())
	h.wantError(err, typeLimitExceeded, "Account 000000000000 cannot have more than 100 channels in us-east-1.")
}

func TestAChannelNeedsAStreamThatIsActive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 0, Config{CreateDelay: time.Second, DeleteDelay: time.Second})
		h.onDemand("s")
		_, err := h.client.CreateChannel(t.Context(), toS3())
		h.wantError(err, typeInUse, "Stream s under account 000000000000 not ACTIVE, instead in state CREATING")
		time.Sleep(2 * time.Second)
		_, err = h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
		h.must(err)
		_, err = h.client.CreateChannel(t.Context(), toS3())
		h.wantError(err, typeInUse, "Stream s under account 000000000000 not ACTIVE, instead in state DELETING")
	})
}

// Faults of a stream hit the requests about its channels.
func TestFaultsOfChannels(t *testing.T) {
	h := start(t, 0)
	h.onDemand("s")
	arn := h.channel(toS3()).ChannelARN
	for operation, request := range map[string]func() error{
		"CreateChannel": func() error { _, err := h.client.CreateChannel(t.Context(), toS3()); return err },
		"UpdateChannel": func() error {
			_, err := h.client.UpdateChannel(t.Context(), &kinesis.UpdateChannelInput{ChannelARN: arn})
			return err
		},
		"DescribeChannel": func() error {
			_, err := h.client.DescribeChannel(t.Context(), &kinesis.DescribeChannelInput{ChannelARN: arn})
			return err
		},
		"DeleteChannel": func() error {
			_, err := h.client.DeleteChannel(t.Context(), &kinesis.DeleteChannelInput{ChannelARN: arn})
			return err
		},
	} {
		h.server.Inject(Fault{Operation: operation, Stream: "s", Action: Fail, Type: typeAccessDenied})
		h.wantError(request(), typeAccessDenied, "")
	}
	h.server.Inject(Fault{Operation: "ListChannels", Action: Fail, Type: typeAccessDenied})
	_, err := h.client.ListChannels(t.Context(), &kinesis.ListChannelsInput{})
	h.wantError(err, typeAccessDenied, "")
}

// Channels have tags as streams do, but no policies.
func TestTagsOfChannels(t *testing.T) {
	disk := vfs.NewMemory()
	h := open(t, Config{fs: disk})
	h.onDemand("s")
	arn := h.channel(toS3(func(in *kinesis.CreateChannelInput) { in.Tags = map[string]string{"a": "1", "b": "2"} })).ChannelARN
	tags := func() (list []string) {
		out, err := h.client.ListTagsForResource(t.Context(), &kinesis.ListTagsForResourceInput{ResourceARN: arn})
		h.must(err)
		for _, tag := range out.Tags {
			list = append(list, *tag.Key+"="+*tag.Value)
		}
		return list
	}
	equal(t, "tags", tags(), "[a=1 b=2]")
	_, err := h.client.TagResource(t.Context(), &kinesis.TagResourceInput{ResourceARN: arn, Tags: map[string]string{"b": "3", "c": ""}})
	h.must(err)
	_, err = h.client.UntagResource(t.Context(), &kinesis.UntagResourceInput{ResourceARN: arn, TagKeys: []string{"a", "z"}})
	h.must(err)
	equal(t, "changed tags", tags(), "[b=3 c=]")
	h.must(h.server.Close())
	h = open(t, Config{fs: disk})
	equal(t, "after a restart", tags(), "[b=3 c=]")
	equal(t, "tags of the stream", len(mustView(h).Tags), 0)

	_, err = h.client.GetResourcePolicy(t.Context(), &kinesis.GetResourcePolicyInput{ResourceARN: arn})
	h.wantError(err, typeValidation, "")
	h.deleteChannel(arn)
	for name, request := range map[string]func() error{
		"list": func() error {
			_, err := h.client.ListTagsForResource(t.Context(), &kinesis.ListTagsForResourceInput{ResourceARN: arn})
			return err
		},
		"tag": func() error {
			_, err := h.client.TagResource(t.Context(), &kinesis.TagResourceInput{ResourceARN: arn, Tags: map[string]string{"b": "3"}})
			return err
		},
	} {
		if err := request(); err == nil {
			t.Errorf("%s the tags of a channel that is gone: no error", name)
		} else {
			h.wantError(err, typeNotFound, "")
		}
	}
}

// A channel needs its key when it is made, and a stream whose key others may
// use.
func TestKeysOfChannels(t *testing.T) {
	h := start(t, 0, Config{KMSKeys: map[string]KMSKey{"alias/off": KMSDisabled, "alias/mine": KMSEnabled}})
	h.onDemand("s")
	with := func(key string) *kinesis.CreateChannelInput {
		return toS3(func(in *kinesis.CreateChannelInput) {
			in.EncryptionConfiguration = &types.ChannelEncryptionConfiguration{EncryptionType: types.ChannelEncryptionTypeKms, KeyId: &key}
		})
	}
	_, err := h.client.CreateChannel(t.Context(), with("alias/off"))
	h.wantError(err, "KMSDisabledException", "")
	_, err = h.client.CreateChannel(t.Context(), with("alias/none"))
	h.wantError(err, "KMSNotFoundException", "")
	h.deleteChannel(h.channel(with("alias/mine")).ChannelARN)

	for _, tt := range []struct{ key, want string }{
		{"alias/aws/kinesis", "Stream s under account 000000000000 is encrypted with the key alias/aws/kinesis of Amazon Kinesis Data Streams, which channels cannot read with."},
		{"alias/mine", ""},
	} {
		_, err = h.client.StartStreamEncryption(t.Context(), &kinesis.StartStreamEncryptionInput{StreamName: aws.String("s"), EncryptionType: types.EncryptionTypeKms, KeyId: &tt.key})
		h.must(err)
		_, err = h.client.CreateChannel(t.Context(), toS3())
		if tt.want != "" {
			h.wantError(err, typeInvalidArgument, tt.want)
		} else {
			h.must(err)
		}
	}
}

// Who may use a stream in some ways may use its channels in those ways, and no
// others.
func TestPermissionsForChannels(t *testing.T) {
	s := NewT(t, Config{Auth: AuthSigV4, Keys: []Key{
		{ID: "ADMIN", Secret: accessSecret},
		{ID: "ORDERS", Secret: accessSecret, Allow: []Permission{{Actions: []string{"CreateChannel", "Describe*", "ListTags*"}, Streams: []string{"orders"}}}},
	}})
	h := &harness{T: t, server: s, client: keyed(t, s, "ADMIN")}
	orders := keyed(t, s, "ORDERS")
	from := func(stream string) *kinesis.CreateChannelInput {
		h.onDemand(stream)
		return toS3(func(in *kinesis.CreateChannelInput) {
			in.ChannelName, in.StreamConfigurationList[0].StreamARN = &stream, streamARN(stream)
		})
	}
	theirs := h.channel(from("payments")).ChannelARN
	ours, err := orders.CreateChannel(t.Context(), from("orders"))
	h.must(err)
	_, err = orders.CreateChannel(t.Context(), from("refunds"))
	h.wantError(err, typeAccessDenied, "")
	arn := ours.ChannelDescription.ChannelARN
	_, err = orders.DescribeChannel(t.Context(), &kinesis.DescribeChannelInput{ChannelARN: arn})
	h.must(err)
	_, err = orders.ListTagsForResource(t.Context(), &kinesis.ListTagsForResourceInput{ResourceARN: arn})
	h.must(err)
	_, err = orders.DescribeChannel(t.Context(), &kinesis.DescribeChannelInput{ChannelARN: theirs})
	h.wantError(err, typeAccessDenied, "")
	_, err = orders.DeleteChannel(t.Context(), &kinesis.DeleteChannelInput{ChannelARN: arn})
	h.wantError(err, typeAccessDenied, "")
	_, err = orders.ListChannels(t.Context(), &kinesis.ListChannelsInput{})
	h.wantError(err, typeAccessDenied, "")
}

func TestLimitsOfChannels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 0, Config{Limits: LimitsAWS})
		h.onDemand("s")
		h.channel(toS3())
		h.channel(toTables())
		out, err := h.client.DescribeLimits(t.Context(), &kinesis.DescribeLimitsInput{})
		h.must(err)
		equal(t, "channels", fmt.Sprint(*out.ChannelCount, " of ", *out.ChannelCountLimit), "2 of 100")
		for i := range 6 {
			_, err = h.client.ListChannels(t.Context(), &kinesis.ListChannelsInput{})
			if i < 5 {
				h.must(err)
			}
		}
		h.wantError(err, typeLimitExceeded, "")
	})
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
