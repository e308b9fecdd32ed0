package localstream

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/google/uuid"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// The bounds of DataFreshnessInSeconds, and its default.
const (
	minFreshness     = 300
	maxFreshness     = 900
	defaultFreshness = minFreshness
)

func (c *checker) createChannel(in *kinesis.CreateChannelInput) {
	c.name("channelName", in.ChannelName, true)
	c.required("serviceExecutionRoleARN", in.ServiceExecutionRoleARN,
		`arn:aws[-a-z0-9]*:iam::\d{12}:role/[a-zA-Z_0-9+=,.@\-_/]+`, isRoleARN, 1, 512)
	c.channelStreams("streamConfigurationList", in.StreamConfigurationList)
	c.storage("s3DestinationConfiguration", in.S3DestinationConfiguration)
	c.tables("s3TablesDestinationConfiguration", in.S3TablesDestinationConfiguration)
	if e := in.EncryptionConfiguration; e != nil {
		enum(c, "encryptionConfiguration.encryptionType", e.EncryptionType, true, types.ChannelEncryptionType("").Values())
		c.required("encryptionConfiguration.keyId", e.KeyId, "", nil, 1, 2048)
	}
	if l := in.LoggingConfiguration; l != nil && l.CloudWatchLogs == nil {
		c.null("loggingConfiguration.cloudWatchLogs")
	} else if l != nil {
		c.logs("loggingConfiguration.cloudWatchLogs", l.CloudWatchLogs.Enabled, l.CloudWatchLogs.LogGroupName, l.CloudWatchLogs.LogStreamName)
	}
	c.tags(in.Tags, false)
}

// createChannel answers with the channel as it is made, in CREATING, as AWS
// does, even if it is ACTIVE by then.
func (c *call) createChannel(ctx context.Context, in *kinesis.CreateChannelInput) (*kinesis.CreateChannelOutput, error) {
	key, _ := state.ParseARN(*in.StreamConfigurationList[0].StreamARN) // its form was checked before
	if err := c.fault(ctx, key, anyShard); err != nil {
		return nil, err
	}
	ch, err := newChannel(c.scope, key, in)
	if err != nil {
		return nil, err
	}
	s := c.server
	var out *types.ChannelDescription
	err = s.change(ctx, func(m *metadata) error {
		st, v, err := s.lookup(key)
		switch {
		case err != nil:
			return err
		case v.Status != state.Active:
			return notActive(v)
		case !v.OnDemand:
			return invalid("Request is invalid. Stream %s under account %s is not in On-Demand mode.", v.Name, v.Account)
		case isOwnKMSKey(v.KeyID()):
			return invalidArgument("Stream %s under account %s is encrypted with the key %s of Amazon Kinesis Data Streams, which channels cannot read with.",
				v.Name, v.Account, v.KeyID())
		}
		if err := s.kms.use(key, ch.KMSKey); err != nil {
			return err
		}
		for _, other := range s.channels.Load().list(ch.Scope) {
			if other.Name == ch.Name {
				return inUse("Channel %s under account %s already exists.", ch.Name, ch.Account)
			}
		}
		ch.Stream, ch.Created = st.id, time.Now().UnixMilli()
		if err := s.checkChannelLimits(ch); err != nil {
			return err
		}
		out = describeChannel(&channel{Channel: ch, stream: st})
		return m.createChannel(ch, st)
	})
	if err != nil {
		return nil, err
	}
	return &kinesis.CreateChannelOutput{ChannelDescription: out}, nil
}

// newChannel is the channel that a request asks for, with the defaults of AWS.
// It lacks what only the stream itself can tell.
func newChannel(scope state.Scope, stream state.Key, in *kinesis.CreateChannelInput) (*state.Channel, error) {
	source := in.StreamConfigurationList[0]
	ch := &state.Channel{
		Scope: scope, ID: uuid.NewString(), Name: *in.ChannelName, Status: state.Creating, Role: *in.ServiceExecutionRoleARN,
		Format: string(source.RecordConfiguration.RecordFormatType), Schema: aws.ToString(source.RecordConfiguration.GSRSchemaARN),
	}
	ch.Logs = state.Logs{Group: "/aws/kinesis/" + ch.Name + "/" + ch.ID, Stream: "DestinationDelivery"}
	if in.LoggingConfiguration != nil {
		l := in.LoggingConfiguration.CloudWatchLogs
		ch.Logs = changedLogs(ch.Logs, *l.Enabled, l.LogGroupName, l.LogStreamName)
	}
	switch {
	case len(in.StreamConfigurationList) > 1:
		return nil, invalidArgument("StreamConfigurationList has %d streams. A channel has exactly one.", len(in.StreamConfigurationList))
	case stream.Scope != scope:
		return nil, invalidArgument("Stream %s is not in the account and Region of the channel, %s and %s.", stream.ARN(), scope.Account, scope.Region)
	case (in.S3DestinationConfiguration == nil) == (in.S3TablesDestinationConfiguration == nil):
		return nil, invalidArgument("Exactly one of S3DestinationConfiguration and S3TablesDestinationConfiguration must be specified.")
	}
	if len(in.Tags) > 0 {
		var err error
		if ch.Tags, err = addTags(ch.TagKey(), nil, in.Tags); err != nil {
			return nil, err
		}
	}
	if e := in.EncryptionConfiguration; e != nil {
		ch.KMSKey = *e.KeyId
		if err := checkEncryption(types.EncryptionTypeKms, ch.KMSKey); err != nil {
			return nil, err
		}
		if isOwnKMSKey(ch.KMSKey) {
			return nil, invalidArgument("The key %s of Amazon Kinesis Data Streams cannot encrypt what a channel delivers. Use a customer managed key.", ch.KMSKey)
		}
	}
	if in.S3DestinationConfiguration != nil {
		return ch, toBucket(ch, stream, in.S3DestinationConfiguration)
	}
	return ch, toTable(ch, in.S3TablesDestinationConfiguration)
}

// toBucket makes a general purpose bucket the destination of a channel.
func toBucket(ch *state.Channel, stream state.Key, in *types.S3DestinationConfiguration) error {
	s := in.StorageConfiguration
	ch.S3 = &state.Bucket{
		ARN: *s.BucketARN, Owner: *s.ExpectedBucketOwner, Compression: string(s.CompressionType),
		Template: defaultKeyTemplate, Class: string(cmp.Or(s.StorageClass, types.S3StorageClassStandard)),
	}
	letters := in.DeadLetterQueueS3Configuration
	if letters == nil {
		letters = &types.DeadLetterQueueS3Configuration{BucketARN: s.BucketARN, ExpectedBucketOwner: s.ExpectedBucketOwner}
	}
	setLetters(ch, letters)
	if ch.Format == string(types.RecordFormatTypeGsrJson) {
		return invalidArgument("RecordFormatType GSR_JSON is supported only for streaming table destinations.")
	}
	if s.OutputKeyTemplate != nil {
		ch.S3.Template = *s.OutputKeyTemplate
		if err := checkTemplate(ch, stream); err != nil {
			return invalidArgument("OutputKeyTemplate %s is not valid: %v.", quoted(ch.S3.Template), err)
		}
	}
	return setFreshness(&ch.FreshSecs, cmp.Or(in.DataFreshnessInSeconds, aws.Int32(defaultFreshness)))
}

// checkTemplate checks the template of a channel, also for what it becomes.
func checkTemplate(ch *state.Channel, stream state.Key) error {
	t, err := parseKeyTemplate(ch.S3.Template)
	if err != nil {
		return err
	}
	if ch.S3.Compression != string(types.S3CompressionTypeNone) && t.extension == "" {
		return fmt.Errorf("with the compression %s it must end with !{extension} or !{extension:.literal}", ch.S3.Compression)
	}
	if n := len(t.expand(valuesOf(ch, stream.Name, time.Unix(0, 0)), "")); n > maxExpandedLength {
		return fmt.Errorf("it becomes %d characters, at most %d are allowed", n, maxExpandedLength)
	}
	return nil
}

// toTable makes a table the destination of a channel.
func toTable(ch *state.Channel, in *types.S3TablesDestinationConfiguration) error {
	t := in.S3TablesConfigurationList[0]
	ch.Table = &state.Table{Bucket: *t.TableBucketARN, Namespace: *t.Namespace, Name: *t.TableName, Compression: string(t.CompressionType)}
	if t.PartitionSpec != nil {
		for _, f := range t.PartitionSpec.PartitionFields {
			ch.Table.Partitions = append(ch.Table.Partitions, state.TablePartition{Source: *f.SourceName, Transform: string(f.Transform)})
		}
	}
	setLetters(ch, in.DeadLetterQueueS3Configuration)
	switch format := types.RecordFormatType(ch.Format); {
	case len(in.S3TablesConfigurationList) > 1:
		return invalidArgument("S3TablesConfigurationList has %d tables. A channel has exactly one.", len(in.S3TablesConfigurationList))
	case format != types.RecordFormatTypeJson && format != types.RecordFormatTypeGsrJson:
		return invalidArgument("RecordFormatType %s is supported only for general purpose Amazon S3 destinations.", format)
	case ch.Schema == "":
		return invalidArgument("GSRSchemaARN is required for streaming table destinations.")
	}
	for _, other := range []struct{ name, arn, service string }{
		{"TableBucketARN", ch.Table.Bucket, "s3tables"}, {"GSRSchemaARN", ch.Schema, "glue"},
	} {
		if region, account, _, _ := arn(other.arn, other.service); region != ch.Region || account != ch.Account {
			return invalidArgument("%s %s is not in the account and Region of the channel, %s and %s.", other.name, other.arn, ch.Account, ch.Region)
		}
	}
	return setFreshness(&ch.FreshSecs, cmp.Or(in.DataFreshnessInSeconds, aws.Int32(defaultFreshness)))
}

func setLetters(ch *state.Channel, in *types.DeadLetterQueueS3Configuration) {
	ch.Letters = state.DeadLetters{
		Bucket: *in.BucketARN, Owner: *in.ExpectedBucketOwner, Prefix: "kinesis-channel/errors/" + ch.Name + "/" + ch.ID + "/",
	}
	if in.ErrorOutputPrefix != nil {
		ch.Letters.Prefix = *in.ErrorOutputPrefix
	}
}

// setFreshness sets how old undelivered records get.
func setFreshness(secs, v *int32) error {
	if *v < minFreshness || *v > maxFreshness {
		return invalidArgument("DataFreshnessInSeconds %d is not between %d and %d.", *v, minFreshness, maxFreshness)
	}
	*secs = *v
	return nil
}

// changedLogs is the settings of a log after a change of those that are given.
func changedLogs(l state.Logs, enabled bool, group, stream *string) state.Logs {
	l.Enabled = enabled
	if group != nil {
		l.Group = *group
	}
	if stream != nil {
		l.Stream = *stream
	}
	return l
}
