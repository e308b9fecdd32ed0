package localstream

import (
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// What the service model says of the members that only channels have.

// maxListed is how many elements the model allows in lists.
const maxListed = 10000

// listOf checks the length of a list, and reports whether its elements are worth
// a look.
func listOf[T any](c *checker, path string, v []T, required bool) bool {
	switch {
	case v == nil && required:
		c.null(path)
	case v == nil:
	case len(v) == 0:
		c.fail(path, "'[]'", "have length greater than or equal to 1")
	case len(v) > maxListed:
		c.fail(path, "'[...]'", "have length less than or equal to "+strconv.Itoa(maxListed))
	default:
		return true
	}
	return false
}

// element is what stands in front of the members of an element of a list.
func element(path string, index int) string { return path + "." + strconv.Itoa(index+1) + ".member." }

// required is text for a string that has to be there.
func (c *checker) required(path string, v *string, pattern string, matches func(string) bool, least, most int) {
	if v == nil {
		c.null(path)
		return
	}
	c.text(path, *v, pattern, matches, least, most)
}

// optional is text for a string that may be missing, but not be empty.
func (c *checker) optional(path string, v *string, pattern string, matches func(string) bool, most int) {
	if v != nil {
		c.text(path, *v, pattern, matches, 1, most)
	}
}

func (c *checker) channelARN(v *string) {
	c.required("channelARN", v, `arn:aws.*:kinesis:.*:\d{12}:channel/\S+`, isChannelARN, 1, 2048)
}

// sourceARN checks the ARN of the stream that a channel reads.
func (c *checker) sourceARN(path string, v *string) {
	c.required(path, v, `arn:aws.*:kinesis:.*:\d{12}:stream/\S+`, isStreamARN, 1, 2048)
}

func (c *checker) bucketARN(path string, v *string) {
	c.required(path, v, `arn:aws[-a-z0-9]*:s3:::[a-z0-9._-]{3,63}`, isBucketARN, 1, 2048)
}

func (c *checker) owner(path string, v *string) { c.required(path, v, `\d{12}`, isAccount, 12, 12) }

// channelStreams checks the sources of a channel.
func (c *checker) channelStreams(path string, v []types.ChannelStreamConfiguration) {
	if !listOf(c, path, v, true) {
		return
	}
	for i := range v {
		at := element(path, i)
		c.sourceARN(at+"streamARN", v[i].StreamARN)
		r := v[i].RecordConfiguration
		if r == nil {
			c.null(at + "recordConfiguration")
			continue
		}
		enum(c, at+"recordConfiguration.recordFormatType", r.RecordFormatType, true, types.RecordFormatType("").Values())
		c.optional(at+"recordConfiguration.gSRSchemaARN", r.GSRSchemaARN,
			`arn:aws[-a-z0-9]*:glue:[-a-z0-9]+:\d{12}:schema/[-a-zA-Z0-9_$#.]+/[-a-zA-Z0-9_$#.]+`, isSchemaARN, 512)
	}
}

// storage checks a general purpose bucket as a destination.
func (c *checker) storage(path string, v *types.S3DestinationConfiguration) {
	if v == nil {
		return
	}
	if s := v.StorageConfiguration; s == nil {
		c.null(path + ".storageConfiguration")
	} else {
		at := path + ".storageConfiguration."
		c.bucketARN(at+"bucketARN", s.BucketARN)
		c.owner(at+"expectedBucketOwner", s.ExpectedBucketOwner)
		enum(c, at+"compressionType", s.CompressionType, true, types.S3CompressionType("").Values())
		c.optional(at+"outputKeyTemplate", s.OutputKeyTemplate, `[0-9A-Za-z!\-_'.*()\/=:{}]+`, madeOf(alphanumeric+"!-_'.*()/=:{}"), 1024)
		enum(c, at+"storageClass", s.StorageClass, false, types.S3StorageClass("").Values())
	}
	c.letters(path+".deadLetterQueueS3Configuration", v.DeadLetterQueueS3Configuration, false)
}

// tables checks tables as a destination.
func (c *checker) tables(path string, v *types.S3TablesDestinationConfiguration) {
	if v == nil {
		return
	}
	c.letters(path+".deadLetterQueueS3Configuration", v.DeadLetterQueueS3Configuration, true)
	path += ".s3TablesConfigurationList"
	if !listOf(c, path, v.S3TablesConfigurationList, true) {
		return
	}
	for i := range v.S3TablesConfigurationList {
		t, at := &v.S3TablesConfigurationList[i], element(path, i)
		c.required(at+"tableBucketARN", t.TableBucketARN, `arn:aws[-a-z0-9]*:s3tables:[-a-z0-9]+:\d{12}:bucket/[a-z0-9_-]{3,63}`, isTableBucketARN, 1, 2048)
		c.required(at+"namespace", t.Namespace, `[0-9a-z_]+`, madeOf(lowercase+digits+"_"), 1, 255)
		c.required(at+"tableName", t.TableName, `[0-9a-z_]+`, madeOf(lowercase+digits+"_"), 1, 255)
		enum(c, at+"compressionType", t.CompressionType, true, types.S3TablesCompressionType("").Values())
		if t.PartitionSpec == nil || !listOf(c, at+"partitionSpec.partitionFields", t.PartitionSpec.PartitionFields, true) {
			continue
		}
		for j := range t.PartitionSpec.PartitionFields {
			f, at := &t.PartitionSpec.PartitionFields[j], element(at+"partitionSpec.partitionFields", j)
			c.required(at+"sourceName", f.SourceName, `[a-zA-Z0-9._]+`, madeOf(alphanumeric+"._"), 1, 255)
			enum(c, at+"transform", f.Transform, true, types.PartitionTransform("").Values())
		}
	}
}

// letters checks the place of dead letters.
func (c *checker) letters(path string, v *types.DeadLetterQueueS3Configuration, required bool) {
	switch {
	case v == nil && required:
		c.null(path)
	case v != nil:
		c.bucketARN(path+".bucketARN", v.BucketARN)
		c.owner(path+".expectedBucketOwner", v.ExpectedBucketOwner)
		c.optional(path+".errorOutputPrefix", v.ErrorOutputPrefix, `[0-9A-Za-z!\-_'.*()\/]+`, madeOf(alphanumeric+"!-_'.*()/"), 512)
	}
}

// logs checks the names of a log, and whether it is said if there is to be one.
func (c *checker) logs(path string, enabled *bool, group, stream *string) {
	if enabled == nil {
		c.null(path + ".enabled")
	}
	c.optional(path+".logGroupName", group, `[\.\-_/#A-Za-z0-9]+`, madeOf(alphanumeric+".-_/#"), 512)
	c.optional(path+".logStreamName", stream, `[^:*]+`, func(s string) bool { return s != "" && !strings.ContainsAny(s, ":*") }, 512)
}

const (
	digits       = "0123456789"
	lowercase    = "abcdefghijklmnopqrstuvwxyz"
	alphanumeric = digits + lowercase + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// madeOf matches texts of nothing but the characters in a set.
func madeOf(set string) func(string) bool {
	return func(s string) bool { return s != "" && strings.Trim(s, set) == "" }
}

func isChannelARN(s string) bool {
	_, _, ok := state.ParseChannelARN(s)
	return ok && !strings.ContainsAny(s, " \t\n\v\f\r")
}

// arn takes an ARN of a service apart, of any AWS partition.
func arn(s, service string) (region, account, resource string, ok bool) {
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != service {
		return "", "", "", false
	}
	partition, ok := strings.CutPrefix(parts[1], "aws")
	return parts[3], parts[4], parts[5], ok && strings.Trim(partition, "-"+lowercase+digits) == ""
}

func isRoleARN(s string) bool {
	region, account, resource, ok := arn(s, "iam")
	name, role := strings.CutPrefix(resource, "role/")
	return ok && region == "" && isAccount(account) && role && madeOf(alphanumeric+"_+=,.@-/")(name)
}

func isBucketARN(s string) bool {
	region, account, name, ok := arn(s, "s3")
	return ok && region+account == "" && len(name) >= 3 && len(name) <= 63 && madeOf(lowercase+digits+"._-")(name)
}

func isTableBucketARN(s string) bool {
	region, account, resource, ok := arn(s, "s3tables")
	name, bucket := strings.CutPrefix(resource, "bucket/")
	return ok && isRegion(region) && isAccount(account) && bucket && len(name) >= 3 && len(name) <= 63 && madeOf(lowercase+digits+"_-")(name)
}

func isSchemaARN(s string) bool {
	region, account, resource, ok := arn(s, "glue")
	path, schema := strings.CutPrefix(resource, "schema/")
	registry, name, both := strings.Cut(path, "/")
	set := alphanumeric + "-_$#."
	return ok && isRegion(region) && isAccount(account) && schema && both && madeOf(set)(registry) && madeOf(set)(name)
}
