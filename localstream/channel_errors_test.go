package localstream

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// What the service model refuses.
func TestModelViolationsOfChannels(t *testing.T) {
	h := start(t, 0)
	null := func(path string) string {
		return "Value null at '" + path + "' failed to satisfy constraint: Member must not be null"
	}
	pattern := func(value, path, pattern string) string {
		return "Value '" + value + "' at '" + path + "' failed to satisfy constraint: Member must satisfy regular expression pattern: " + pattern
	}
	enum := func(path, values string) string {
		return "Value 'X' at '" + path + "' failed to satisfy constraint: Member must satisfy enum value set: [" + values + "]"
	}
	const (
		base      = `"ChannelName":"c","ServiceExecutionRoleARN":"arn:aws:iam::000000000000:role/r"`
		source    = `"StreamConfigurationList":[{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","RecordConfiguration":{"RecordFormatType":"JSON"}}]`
		good      = base + `,` + source
		bucketARN = `arn:aws[-a-z0-9]*:s3:::[a-z0-9._-]{3,63}`
		s3        = "s3DestinationConfiguration.storageConfiguration."
		table     = "s3TablesDestinationConfiguration.s3TablesConfigurationList.1.member."
	)
	for _, c := range []struct {
		operation, body string
		want            []string
	}{
		{"CreateChannel", `{}`, []string{null("channelName"), null("serviceExecutionRoleARN"), null("streamConfigurationList")}},
		{"CreateChannel", `{"ChannelName":"a/b","ServiceExecutionRoleARN":"arn:aws:iam::1:role/r",` + source + `}`, []string{
			pattern("a/b", "channelName", "[a-zA-Z0-9_.-]+"),
			pattern("arn:aws:iam::1:role/r", "serviceExecutionRoleARN", `arn:aws[-a-z0-9]*:iam::\d{12}:role/[a-zA-Z_0-9+=,.@\-_/]+`)}},
		{"CreateChannel", `{` + base + `,"StreamConfigurationList":[]}`, []string{
			"Value '[]' at 'streamConfigurationList' failed to satisfy constraint: Member must have length greater than or equal to 1"}},
		{"CreateChannel", `{` + base + `,"StreamConfigurationList":[{},{"RecordConfiguration":{"RecordFormatType":"X","GSRSchemaARN":"g"},"StreamARN":"s"}]}`, []string{
			null("streamConfigurationList.1.member.streamARN"), null("streamConfigurationList.1.member.recordConfiguration"),
			pattern("s", "streamConfigurationList.2.member.streamARN", `arn:aws.*:kinesis:.*:\d{12}:stream/\S+`),
			enum("streamConfigurationList.2.member.recordConfiguration.recordFormatType", "GSR_JSON, JSON, STRING, BYTE_ARRAY"),
			pattern("g", "streamConfigurationList.2.member.recordConfiguration.gSRSchemaARN", `arn:aws[-a-z0-9]*:glue:[-a-z0-9]+:\d{12}:schema/[-a-zA-Z0-9_$#.]+/[-a-zA-Z0-9_$#.]+`)}},
		{"CreateChannel", `{` + good + `,"S3DestinationConfiguration":{"DeadLetterQueueS3Configuration":{"ErrorOutputPrefix":"a b"}}}`, []string{
			null("s3DestinationConfiguration.storageConfiguration"),
			null("s3DestinationConfiguration.deadLetterQueueS3Configuration.bucketARN"), null("s3DestinationConfiguration.deadLetterQueueS3Configuration.expectedBucketOwner"),
			pattern("a b", "s3DestinationConfiguration.deadLetterQueueS3Configuration.errorOutputPrefix", `[0-9A-Za-z!\-_'.*()\/]+`)}},
		{"CreateChannel", `{` + good + `,"S3DestinationConfiguration":{"StorageConfiguration":{}}}`, []string{
			null(s3 + "bucketARN"), null(s3 + "expectedBucketOwner"), null(s3 + "compressionType")}},
		{"CreateChannel", `{` + good + `,"S3DestinationConfiguration":{"StorageConfiguration":{"BucketARN":"arn:aws:s3:::../x","ExpectedBucketOwner":"00000000000a",` +
			`"CompressionType":"X","StorageClass":"X","OutputKeyTemplate":"a b"}}}`, []string{
			pattern("arn:aws:s3:::../x", s3+"bucketARN", bucketARN), pattern("00000000000a", s3+"expectedBucketOwner", `\d{12}`),
			enum(s3+"compressionType", "NONE, GZIP, ZSTD"), pattern("a b", s3+"outputKeyTemplate", `[0-9A-Za-z!\-_'.*()\/=:{}]+`),
			enum(s3+"storageClass", "STANDARD, INTELLIGENT_TIERING, GLACIER_IR")}},
		{"CreateChannel", `{` + good + `,"S3TablesDestinationConfiguration":{}}`, []string{
			null("s3TablesDestinationConfiguration.deadLetterQueueS3Configuration"), null("s3TablesDestinationConfiguration.s3TablesConfigurationList")}},
		{"CreateChannel", `{` + good + `,"S3TablesDestinationConfiguration":{"DeadLetterQueueS3Configuration":{"BucketARN":"arn:aws:s3:::abc","ExpectedBucketOwner":"000000000000"},` +
			`"S3TablesConfigurationList":[{"TableBucketARN":"t","Namespace":"A","TableName":"B","CompressionType":"X","PartitionSpec":{"PartitionFields":[{"Transform":"X"}]}}]}}`, []string{
			pattern("t", table+"tableBucketARN", `arn:aws[-a-z0-9]*:s3tables:[-a-z0-9]+:\d{12}:bucket/[a-z0-9_-]{3,63}`),
			pattern("A", table+"namespace", `[0-9a-z_]+`), pattern("B", table+"tableName", `[0-9a-z_]+`), enum(table+"compressionType", "NONE, ZSTD, SNAPPY"),
			null(table + "partitionSpec.partitionFields.1.member.sourceName"), enum(table+"partitionSpec.partitionFields.1.member.transform", "TIME_HOUR")}},
		{"CreateChannel", `{` + good + `,"EncryptionConfiguration":{},"LoggingConfiguration":{}}`, []string{
			null("encryptionConfiguration.encryptionType"), null("encryptionConfiguration.keyId"), null("loggingConfiguration.cloudWatchLogs")}},
		{"CreateChannel", `{` + good + `,"LoggingConfiguration":{"CloudWatchLogs":{"LogGroupName":"a b","LogStreamName":"a:b"}},"Tags":{"":"v"}}`, []string{
			null("loggingConfiguration.cloudWatchLogs.enabled"), pattern("a b", "loggingConfiguration.cloudWatchLogs.logGroupName", `[\.\-_/#A-Za-z0-9]+`),
			pattern("a:b", "loggingConfiguration.cloudWatchLogs.logStreamName", `[^:*]+`),
			"Value '{=v}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"}},
		{"UpdateChannel", `{"S3DestinationConfiguration":{},"S3TablesDestinationConfiguration":{},"LoggingConfiguration":{"CloudWatchLogs":{}}}`, []string{
			null("channelARN"), null("s3DestinationConfiguration.dataFreshnessInSeconds"), null("s3TablesDestinationConfiguration.dataFreshnessInSeconds"),
			null("loggingConfiguration.cloudWatchLogs.enabled")}},
		{"DescribeChannel", `{"ChannelARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s"}`, []string{
			pattern("arn:aws:kinesis:us-east-1:000000000000:stream/s", "channelARN", `arn:aws.*:kinesis:.*:\d{12}:channel/\S+`)}},
		{"DeleteChannel", `{}`, []string{null("channelARN")}},
		{"ListChannels", `{"MaxResults":0,"StreamFilter":[],"NextToken":""}`, []string{
			"Value '0' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1",
			"Value '' at 'nextToken' failed to satisfy constraint: Member must have length greater than or equal to 1",
			"Value '[]' at 'streamFilter' failed to satisfy constraint: Member must have length greater than or equal to 1"}},
		{"ListChannels", `{"MaxResults":10001,"StreamFilter":[{}]}`, []string{
			"Value '10001' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 10000", null("streamFilter.1.member.streamARN")}},
	} {
		kind, message := h.refused(c.operation, c.body)
		want := "1 validation error detected: "
		if len(c.want) > 1 {
			want = fmt.Sprintf("%d validation errors detected: ", len(c.want))
		}
		equal(t, c.operation+" "+c.body, kind+": "+message, typeValidation+": "+want+strings.Join(c.want, "; "))
	}
}

// What is wrong with a request that the service model allows.
func TestChannelsThatAreRefused(t *testing.T) {
	h := start(t, 1)
	h.onDemand("o")
	other := func(in *kinesis.CreateChannelInput) { in.StreamConfigurationList[0].StreamARN = streamARN("o") }
	s3 := func(f func(*types.S3StorageConfiguration)) *kinesis.CreateChannelInput {
		return toS3(other, func(in *kinesis.CreateChannelInput) { f(in.S3DestinationConfiguration.StorageConfiguration) })
	}
	template := func(s string, c types.S3CompressionType) *kinesis.CreateChannelInput {
		return s3(func(s3 *types.S3StorageConfiguration) { s3.OutputKeyTemplate, s3.CompressionType = &s, c })
	}
	format := func(in *kinesis.CreateChannelInput, f types.RecordFormatType) *kinesis.CreateChannelInput {
		in.StreamConfigurationList[0].RecordConfiguration.RecordFormatType = f
		return in
	}
	const elsewhere = " is not in the account and Region of the channel, 000000000000 and us-east-1."
	for name, c := range map[string]struct {
		in            *kinesis.CreateChannelInput
		kind, message string
	}{
		"two streams": {toS3(func(in *kinesis.CreateChannelInput) {
			in.StreamConfigurationList = append(in.StreamConfigurationList, in.StreamConfigurationList[0])
		}), typeInvalidArgument, "StreamConfigurationList has 2 streams. A channel has exactly one."},
		"no destination": {toS3(other, func(in *kinesis.CreateChannelInput) { in.S3DestinationConfiguration = nil }),
			typeInvalidArgument, "Exactly one of S3DestinationConfiguration and S3TablesDestinationConfiguration must be specified."},
		"two destinations": {toS3(other, func(in *kinesis.CreateChannelInput) {
			in.S3TablesDestinationConfiguration = toTables().S3TablesDestinationConfiguration
		}), typeInvalidArgument, "Exactly one of S3DestinationConfiguration and S3TablesDestinationConfiguration must be specified."},
		"provisioned stream": {toS3(), typeValidation, "Request is invalid. Stream s under account 000000000000 is not in On-Demand mode."},
		"unknown stream": {toS3(func(in *kinesis.CreateChannelInput) { in.StreamConfigurationList[0].StreamARN = streamARN("x") }),
			typeNotFound, "Stream x under account 000000000000 not found."},
		"stream elsewhere": {toS3(func(in *kinesis.CreateChannelInput) {
			in.StreamConfigurationList[0].StreamARN = aws.String("arn:aws:kinesis:us-east-2:000000000000:stream/o")
		}), typeInvalidArgument, "Stream arn:aws:kinesis:us-east-2:000000000000:stream/o" + elsewhere},
		"stream of another account": {toS3(func(in *kinesis.CreateChannelInput) {
			in.StreamConfigurationList[0].StreamARN = aws.String("arn:aws:kinesis:us-east-1:000000000001:stream/o")
		}), typeInvalidArgument, "Stream arn:aws:kinesis:us-east-1:000000000001:stream/o" + elsewhere},
		"schema format to a bucket": {format(toS3(other), types.RecordFormatTypeGsrJson),
			typeInvalidArgument, "RecordFormatType GSR_JSON is supported only for streaming table destinations."},
		"text to a table": {format(toTables(other), types.RecordFormatTypeString),
			typeInvalidArgument, "RecordFormatType STRING is supported only for general purpose Amazon S3 destinations."},
		"bytes to a table": {format(toTables(other), types.RecordFormatTypeByteArray),
			typeInvalidArgument, "RecordFormatType BYTE_ARRAY is supported only for general purpose Amazon S3 destinations."},
		"table without a schema": {toTables(other, func(in *kinesis.CreateChannelInput) {
			in.StreamConfigurationList[0].RecordConfiguration.GSRSchemaARN = nil
		}), typeInvalidArgument, "GSRSchemaARN is required for streaming table destinations."},
		"two tables": {toTables(other, func(in *kinesis.CreateChannelInput) {
			d := in.S3TablesDestinationConfiguration
			d.S3TablesConfigurationList = append(d.S3TablesConfigurationList, d.S3TablesConfigurationList[0])
		}), typeInvalidArgument, "S3TablesConfigurationList has 2 tables. A channel has exactly one."},
		"table elsewhere": {toTables(other, func(in *kinesis.CreateChannelInput) {
			in.S3TablesDestinationConfiguration.S3TablesConfigurationList[0].TableBucketARN = aws.String("arn:aws:s3tables:us-east-2:000000000000:bucket/b-b")
		}), typeInvalidArgument, "TableBucketARN arn:aws:s3tables:us-east-2:000000000000:bucket/b-b" + elsewhere},
		"schema of another account": {toTables(other, func(in *kinesis.CreateChannelInput) {
			in.StreamConfigurationList[0].RecordConfiguration.GSRSchemaARN = aws.String("arn:aws:glue:us-east-1:000000000001:schema/r/s")
		}), typeInvalidArgument, "GSRSchemaARN arn:aws:glue:us-east-1:000000000001:schema/r/s" + elsewhere},
		"fresher than allowed": {toS3(other, func(in *kinesis.CreateChannelInput) {
			in.S3DestinationConfiguration.DataFreshnessInSeconds = aws.Int32(299)
		}),
			typeInvalidArgument, "DataFreshnessInSeconds 299 is not between 300 and 900."},
		"older than allowed": {toTables(other, func(in *kinesis.CreateChannelInput) {
			in.S3TablesDestinationConfiguration.DataFreshnessInSeconds = aws.Int32(901)
		}), typeInvalidArgument, "DataFreshnessInSeconds 901 is not between 300 and 900."},
		"key of the service": {toS3(other, func(in *kinesis.CreateChannelInput) {
			in.EncryptionConfiguration = &types.ChannelEncryptionConfiguration{EncryptionType: types.ChannelEncryptionTypeKms, KeyId: aws.String("alias/aws/kinesis")}
		}), typeInvalidArgument, "The key alias/aws/kinesis of Amazon Kinesis Data Streams cannot encrypt what a channel delivers. Use a customer managed key."},
		"key of no form": {toS3(other, func(in *kinesis.CreateChannelInput) {
			in.EncryptionConfiguration = &types.ChannelEncryptionConfiguration{EncryptionType: types.ChannelEncryptionTypeKms, KeyId: aws.String("mine")}
		}), typeInvalidArgument, "KeyId mine is not valid. It must be the UUID of a key, an alias name that begins with alias/, or the ARN of either."},
		"reserved tag": {toS3(other, func(in *kinesis.CreateChannelInput) { in.Tags = map[string]string{"aws:x": ""} }),
			typeInvalidArgument, "Failed to add tags to stream c under account 000000000000 because the prefix aws: of tag keys is reserved."},
		"key of the service by ARN": {toS3(other, func(in *kinesis.CreateChannelInput) {
			in.EncryptionConfiguration = &types.ChannelEncryptionConfiguration{EncryptionType: types.ChannelEncryptionTypeKms, KeyId: aws.String("arn:aws:kms:us-east-1:000000000000:alias/aws/kinesis")}
		}), typeInvalidArgument, "The key arn:aws:kms:us-east-1:000000000000:alias/aws/kinesis of Amazon Kinesis Data Streams cannot encrypt what a channel delivers. Use a customer managed key."},
		"template of no key": {template("/a", types.S3CompressionTypeNone), typeInvalidArgument, "OutputKeyTemplate '/a' is not valid: it starts with a slash."},
		"compression without an extension": {template("a", types.S3CompressionTypeGzip),
			typeInvalidArgument, "OutputKeyTemplate 'a' is not valid: with the compression GZIP it must end with !{extension} or !{extension:.literal}."},
		"long key": {template(strings.Repeat("0123456789", 98)+"abc!{yyyy}", types.S3CompressionTypeNone),
			typeInvalidArgument, "OutputKeyTemplate '" + strings.Repeat("0123456789", 98) + "abc!{yyyy}' is not valid: it becomes 987 characters, at most 986 are allowed."},
	} {
		_, err := h.client.CreateChannel(t.Context(), c.in)
		t.Run(name, func(t *testing.T) {
			h := *h
			h.T = t
			h.wantError(err, c.kind, c.message)
		})
	}
	tags := map[string]string{}
	for i := range maxTags + 1 {
		tags[fmt.Sprint(i)] = ""
	}
	_, err := h.client.CreateChannel(t.Context(), toS3(other, func(in *kinesis.CreateChannelInput) { in.Tags = tags }))
	h.wantError(err, typeInvalidArgument, "Failed to add tags to stream c under account 000000000000 because a given stream cannot have more than 50 tags associated with it.")

	h.channel(toS3(other, func(in *kinesis.CreateChannelInput) { // the longest there is
		in.S3DestinationConfiguration.StorageConfiguration.OutputKeyTemplate = aws.String(strings.Repeat("012345678/", 98) + "ab!{yyyy}")
	}))
	_, err = h.client.CreateChannel(t.Context(), toTables(other, func(in *kinesis.CreateChannelInput) { in.ChannelName = aws.String("c") }))
	h.wantError(err, typeInUse, "Channel c under account 000000000000 already exists.")
	_, err = h.client.CreateChannel(t.Context(), toS3(other, func(in *kinesis.CreateChannelInput) { in.ChannelName = aws.String("d") }))
	h.wantError(err, typeLimitExceeded, "A stream cannot have more than one channel that delivers to a general purpose Amazon S3 bucket. Channel c does.")
	h.channel(toTables(other))
	_, err = h.client.CreateChannel(t.Context(), toTables(other, func(in *kinesis.CreateChannelInput) { in.ChannelName = aws.String("d") }))
	h.wantError(err, typeLimitExceeded, "A stream cannot have more than one channel that delivers to a streaming table. Channel t does.")
}
