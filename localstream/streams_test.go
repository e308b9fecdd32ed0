package localstream

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func (h *harness) describe(name string) *types.StreamDescription {
	h.Helper()
	out, err := h.client.DescribeStream(h.Context(), &kinesis.DescribeStreamInput{StreamName: &name})
	h.must(err)
	return out.StreamDescription
}

func (h *harness) summary(name string) *types.StreamDescriptionSummary {
	h.Helper()
	out, err := h.client.DescribeStreamSummary(h.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &name})
	h.must(err)
	return out.StreamDescriptionSummary
}

func TestNewStream(t *testing.T) {
	h := start(t, 3)
	d := h.describe("s")
	equal(t, "status", d.StreamStatus, "ACTIVE")
	equal(t, "ARN", *d.StreamARN, "arn:aws:kinesis:us-east-1:000000000000:stream/s")
	equal(t, "retention", *d.RetentionPeriodHours, 24)
	equal(t, "encryption", d.EncryptionType, "NONE")
	equal(t, "mode", d.StreamModeDetails.StreamMode, "PROVISIONED")
	equal(t, "more", *d.HasMoreShards, false)
	ranges := []string{}
	for _, sh := range d.Shards {
		ranges = append(ranges, *sh.HashKeyRange.StartingHashKey+"-"+*sh.HashKeyRange.EndingHashKey)
		if sh.ParentShardId != nil || sh.AdjacentParentShardId != nil || sh.SequenceNumberRange.EndingSequenceNumber != nil {
			t.Errorf("%s has a parent or an end", *sh.ShardId)
		}
		equal(t, "digits of the starting number", len(*sh.SequenceNumberRange.StartingSequenceNumber), 56)
	}
	equal(t, "hash key ranges", ranges, []string{"0-113427455640312821154458202477256070484",
		"113427455640312821154458202477256070485-226854911280625642308916404954512140969", "226854911280625642308916404954512140970-340282366920938463463374607431768211455"})
	sum := h.summary("s")
	equal(t, "open shards", *sum.OpenShardCount, 3)
	equal(t, "largest record", *sum.MaxRecordSizeInKiB, 1024)
	equal(t, "consumers", *sum.ConsumerCount, 0)

	_, err := h.client.DescribeStream(t.Context(), &kinesis.DescribeStreamInput{StreamARN: d.StreamARN})
	h.must(err)
}

func TestOnDemandStream(t *testing.T) {
	h := start(t, 0)
	for name, body := range map[string]string{"a": `{"StreamName":"a"}`, "b": `{"StreamName":"b","StreamModeDetails":{"StreamMode":"ON_DEMAND"}}`} {
		if status, answer := h.raw("CreateStream", body); status != 200 || answer != "" {
			t.Fatalf("%d %s", status, answer)
		}
		d := h.describe(name)
		equal(t, "shards", len(d.Shards), 4)
		equal(t, "mode", d.StreamModeDetails.StreamMode, "ON_DEMAND")
	}
	for _, r := range [][2]string{
		{"SplitShard", `{"StreamName":"a","ShardToSplit":"0","NewStartingHashKey":"10"}`},
		{"MergeShards", `{"StreamName":"a","ShardToMerge":"0","AdjacentShardToMerge":"1"}`},
		{"UpdateShardCount", `{"StreamName":"a","TargetShardCount":2,"ScalingType":"UNIFORM_SCALING"}`},
	} {
		kind, message := h.refused(r[0], r[1])
		equal(t, r[0], kind+": "+message, "ValidationException: Request is invalid. Stream a under account 000000000000 is in On-Demand mode.")
	}
}

func TestListStreams(t *testing.T) {
	h := start(t, 0, Config{ShardLimit: -1})
	var want []string
	for i := range 7 {
		want = append(want, fmt.Sprintf("s%d", i))
		h.create(want[i], 1)
	}
	var got []string
	pages := 0
	for token := (*string)(nil); ; pages++ {
		out, err := h.client.ListStreams(t.Context(), &kinesis.ListStreamsInput{Limit: aws.Int32(3), NextToken: token})
		h.must(err)
		got = append(got, out.StreamNames...)
		equal(t, "summaries", len(out.StreamSummaries), len(out.StreamNames))
		equal(t, "more", *out.HasMoreStreams, out.NextToken != nil)
		if token = out.NextToken; token == nil {
			break
		}
	}
	equal(t, "names", got, want)
	equal(t, "pages", pages, 2)
	out, err := h.client.ListStreams(t.Context(), &kinesis.ListStreamsInput{ExclusiveStartStreamName: aws.String("s4")})
	h.must(err)
	equal(t, "after s4", out.StreamNames, []string{"s5", "s6"})
}

// The account is the access key id, if that is a number of 12 digits, and the
// region comes from the signature.
func TestAccountsAndRegions(t *testing.T) {
	h := start(t, 1)
	client := func(account, region string) *kinesis.Client {
		return h.server.Client(noRetry, func(o *kinesis.Options) {
			o.Region = region
			o.Credentials = credentials.NewStaticCredentialsProvider(account, "x", "")
		})
	}
	arns := map[string]*kinesis.Client{}
	for _, account := range []string{"111111111111", "222222222222"} {
		for _, region := range []string{"eu-west-1", "us-east-1"} {
			c := client(account, region)
			_, err := c.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(1)})
			h.must(err)
			out, err := c.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("s")})
			h.must(err)
			equal(t, "ARN", *out.StreamDescriptionSummary.StreamARN, "arn:aws:kinesis:"+region+":"+account+":stream/s")
			arns[*out.StreamDescriptionSummary.StreamARN] = c
		}
	}
	for arn := range arns { // by ARN a stream is found from everywhere
		_, err := h.client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamARN: &arn})
		h.must(err)
	}
	out, err := client("not-a-number", "us-east-1").ListStreams(t.Context(), &kinesis.ListStreamsInput{})
	h.must(err)
	equal(t, "streams of the server's own account", *out.StreamSummaries[0].StreamARN, "arn:aws:kinesis:us-east-1:000000000000:stream/s")
}

// What AWS says of tags that are too many or too long.
func TestTagsOfANewStream(t *testing.T) {
	h := start(t, 0)
	long := strings.Repeat("k", 129)
	tags := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf(`"k%03d":"v"`, i)
		}
		return strings.Join(list, ",")
	}
	const violation = "1 validation error detected: Value "
	for _, tt := range []struct{ name, tags, kind, message string }{
		{"51 tags", tags(51), typeInvalidArgument, "Failed to add tags to stream s under account 000000000000 because a given stream cannot have more than 50 tags associated with it."},
		{"201 tags", tags(201), typeValidation, violation + "'{...}' at 'tags' failed to satisfy constraint: Member must have length less than or equal to 200"},
		{"an empty key", `"":"v","a":"b"`, typeValidation, violation + "'{=v, a=b}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: " +
			"[Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"},
		{"a long key", `"` + long + `":"v"`, typeValidation, violation + "'{" + long + "=v}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: " +
			"[Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"},
		{"a character that tags cannot have", `"k":"a;b"`, typeInvalidArgument, badTagText},
		{"a reserved key", `"Aws:k":""`, typeInvalidArgument, "Failed to add tags to stream s under account 000000000000 because the prefix aws: of tag keys is reserved."},
		{"a long value", `"k":"` + long + long + `"`, typeValidation, violation + "'{k=" + long + long + "}' at 'tags' failed to satisfy constraint: Map value must satisfy constraint: " +
			"[Member must have length less than or equal to 256, Member must have length greater than or equal to 0]"},
	} {
		kind, message := h.refused("CreateStream", `{"StreamName":"s","ShardCount":1,"Tags":{`+tt.tags+`}}`)
		equal(t, tt.name, kind+": "+message, tt.kind+": "+tt.message)
	}
	if status, answer := h.raw("CreateStream", `{"StreamName":"s","ShardCount":1,"Tags":{`+tags(49)+`,"`+long[1:]+`":"`+strings.Repeat("ü", 256)+`"}}`); status != 200 {
		t.Errorf("50 tags of the greatest lengths: %s", answer)
	}
	equal(t, "tags", len(mustView(h).Tags), 50)
}

// bubble runs a test in a synctest bubble, where time passes as fast as it can.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestTransitionsTakeTheirTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 0, Config{CreateDelay: time.Second, UpdateDelay: time.Second, DeleteDelay: time.Second})
		h.create("s", 1)
		d := h.describe("s")
		equal(t, "new stream", fmt.Sprint(d.StreamStatus, len(d.Shards), *h.summary("s").OpenShardCount), "CREATING0 0")
		_, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("a"), Data: []byte("x")})
		h.wantError(err, typeNotFound, "")
		_, err = h.client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("s")})
		h.wantError(err, typeInUse, "Stream s under account 000000000000 not ACTIVE, instead in state CREATING")
		_, err = h.client.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: aws.String("s"), ShardToSplit: aws.String("0"), NewStartingHashKey: aws.String("10")})
		h.wantError(err, typeInUse, "Stream s under account 000000000000 not ACTIVE, instead in state CREATING")

		waiter := kinesis.NewStreamExistsWaiter(h.client)
		h.must(waiter.Wait(t.Context(), &kinesis.DescribeStreamInput{StreamName: aws.String("s")}, time.Minute))
		equal(t, "shards", len(h.shards()), 1)

		h.split("shardId-000000000000", "10")
		equal(t, "while splitting", h.describe("s").StreamStatus, "UPDATING")
		equal(t, "shards while splitting", len(h.shards()), 1)
		equal(t, "a put while splitting", *h.put("a", "x").ShardId, "shardId-000000000000")
		_, err = h.client.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: aws.String("s"), ShardToSplit: aws.String("0"), NewStartingHashKey: aws.String("10")})
		h.wantError(err, typeInUse, "Stream s under account 000000000000 not ACTIVE, instead in state UPDATING")
		time.Sleep(time.Second)
		synctest.Wait()
		equal(t, "after splitting", fmt.Sprint(h.describe("s").StreamStatus, len(h.shards())), "ACTIVE3")

		_, err = h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
		h.must(err)
		equal(t, "while deleting", h.describe("s").StreamStatus, "DELETING")
		h.must(kinesis.NewStreamNotExistsWaiter(h.client).Wait(t.Context(), &kinesis.DescribeStreamInput{StreamName: aws.String("s")}, time.Minute))
	})
}

func TestAtMostFiveStreamsAreBeingCreated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 0, Config{CreateDelay: time.Second})
		for i := range maxCreating {
			h.create(fmt.Sprint("s", i), 1)
		}
		kind, _ := h.refused("CreateStream", `{"StreamName":"x","ShardCount":1}`)
		equal(t, "sixth stream", kind, typeLimitExceeded)
		time.Sleep(time.Second)
		synctest.Wait()
		h.create("x", 1)
	})
}

// A stream that is deleted while it is created or updated stays deleted.
func TestDeleteWinsOverOtherTransitions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 0, Config{CreateDelay: time.Second, UpdateDelay: time.Second, DeleteDelay: 2 * time.Second})
		h.create("s", 1)
		_, err := h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
		h.must(err)
		time.Sleep(1500 * time.Millisecond)
		equal(t, "status", h.describe("s").StreamStatus, "DELETING")
		time.Sleep(time.Second)
		synctest.Wait()
		_, err = h.client.DescribeStream(t.Context(), &kinesis.DescribeStreamInput{StreamName: aws.String("s")})
		h.wantError(err, typeNotFound, "")
	})
}

func TestRecordSizes(t *testing.T) {
	h := start(t, 0)
	_, err := h.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("large"), ShardCount: aws.Int32(1), MaxRecordSizeInKiB: aws.Int32(2048)})
	h.must(err)
	h.create("s", 1)
	put := func(stream string, size int) error {
		_, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: &stream, PartitionKey: aws.String("k"), Data: make([]byte, size)})
		return err
	}
	h.must(put("s", 1<<20-1)) // with the key, exactly 1 MiB
	h.must(put("s", 0))
	h.must(put("large", 2<<20-1))
	h.wantError(put("s", 1<<20+1), typeValidation, "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=1048577 cap=1048577]' at 'data' "+
		"failed to satisfy constraint: Member must have length less than or equal to 1048576")
	h.wantError(put("s", 1<<20), typeValidation, "")
	h.wantError(put("large", 2<<20), typeValidation, "")

	entry := func(size int) types.PutRecordsRequestEntry {
		return types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), Data: make([]byte, size)}
	}
	_, err = h.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("s"), Records: []types.PutRecordsRequestEntry{entry(1), entry(1 << 20)}})
	h.wantError(err, typeValidation, "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=1048576 cap=1048576]' at 'records.2.member.data' "+
		"failed to satisfy constraint: Member must have length less than or equal to 1048575")
	var records []types.PutRecordsRequestEntry
	for range 10 {
		records = append(records, entry(1<<20-1))
	}
	_, err = h.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("s"), Records: records})
	h.must(err)
	_, err = h.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("s"), Records: append(records, entry(1))})
	h.wantError(err, typeInvalidArgument, "Records size exceeds 10 MB limit")
}

func TestPartitionKeysOfAnyCharacters(t *testing.T) {
	h := start(t, 1)
	keys := []string{strings.Repeat("k", 256), strings.Repeat("ключ", 64), "\"\\\n\u2028😀", " "}
	for _, k := range keys {
		h.put(k, k)
	}
	for i, r := range h.get(h.iterator("0", types.ShardIteratorTypeTrimHorizon)).Records {
		equal(t, "key", *r.PartitionKey, keys[i])
		equal(t, "data", string(r.Data), keys[i])
		if r.EncryptionType != "" {
			t.Errorf("an unencrypted record has an encryption type")
		}
	}
}

func TestExplicitHashKeyPicksTheShard(t *testing.T) {
	h := start(t, 3)
	for hash, shard := range map[string]string{
		"0": "shardId-000000000000", "113427455640312821154458202477256070484": "shardId-000000000000",
		"113427455640312821154458202477256070485": "shardId-000000000001", "226854911280625642308916404954512140969": "shardId-000000000001",
		"226854911280625642308916404954512140970": "shardId-000000000002", "340282366920938463463374607431768211455": "shardId-000000000002",
	} {
		equal(t, hash, *h.putAt(hash, "x").ShardId, shard)
	}
	// MD5 of "a" and "b", as AWS places them.
	equal(t, "key a", *h.put("a", "").ShardId, "shardId-000000000000")
	equal(t, "key b", *h.put("b", "").ShardId, "shardId-000000000001")
}
