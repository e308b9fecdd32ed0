package localstream

import (
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/localstream/internal/wire"
)

// auth is an Authorization header of the right form.
const auth = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=00"

// raw sends a body of JSON to an operation and gives the answer.
func (h *harness) raw(operation, body string) (status int, answer string) {
	h.Helper()
	status, b := h.send(wire.AsJSON, operation, []byte(body))
	return status, string(b)
}

// refused sends a body and gives the type and the message of the error.
func (h *harness) refused(operation, body string) (kind, message string) {
	h.Helper()
	status, answer := h.raw(operation, body)
	var e map[string]string
	if err := json.Unmarshal([]byte(answer), &e); err != nil || status < 400 {
		h.Fatalf("%s %s: status %d, %s, want an error", operation, body, status, answer)
	}
	return e["__type"], e["message"] + e["Message"]
}

func fromHex(s string) string {
	n, _ := new(big.Int).SetString(s, 16)
	return n.String()
}

const (
	nameAndLength = "Value '' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; " +
		"Value '' at 'streamName' failed to satisfy constraint: Member must have length greater than or equal to 1"
	nullStream = "Value null at 'streamName' failed to satisfy constraint: Member must not be null"
)

// What the service model refuses, with the texts of AWS.
func TestModelViolations(t *testing.T) {
	h := start(t, 1)
	long := strings.Repeat("a", 129)
	tooLong := func(path string) string {
		return "Value '" + long + "' at '" + path + "' failed to satisfy constraint: Member must have length less than or equal to 128"
	}
	tests := []struct {
		operation, body string
		want            []string
	}{
		{"CreateStream", `{}`, []string{nullStream}},
		{"CreateStream", `{"StreamName":"","ShardCount":0}`, []string{
			"Value '0' at 'shardCount' failed to satisfy constraint: Member must have value greater than or equal to 1", nameAndLength}},
		{"CreateStream", `{"StreamName":"a/b"}`, []string{"Value 'a/b' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"}},
		{"CreateStream", `{"StreamName":"` + long + `","ShardCount":1}`, []string{tooLong("streamName")}},
		{"CreateStream", `{"StreamName":"x","MaxRecordSizeInKiB":1023}`, []string{"Value '1023' at 'maxRecordSizeInKiB' failed to satisfy constraint: Member must have value greater than or equal to 1024"}},
		{"CreateStream", `{"StreamName":"x","MaxRecordSizeInKiB":10241}`, []string{"Value '10241' at 'maxRecordSizeInKiB' failed to satisfy constraint: Member must have value less than or equal to 10240"}},
		{"CreateStream", `{"StreamName":"x","StreamModeDetails":{"StreamMode":"X"}}`, []string{"Value 'X' at 'streamModeDetails.streamMode' failed to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]"}},
		{"CreateStream", `{"StreamName":"x","StreamModeDetails":{}}`, []string{"Value null at 'streamModeDetails.streamMode' failed to satisfy constraint: Member must not be null"}},
		{"CreateStream", `{"StreamName":"x","WarmThroughputMiBps":-1}`, []string{"Value '-1' at 'warmThroughputMiBps' failed to satisfy constraint: Member must have value greater than or equal to 0"}},
		{"DeleteStream", `{}`, []string{nullStream}},
		{"DescribeStream", `{"StreamName":"","Limit":0,"ExclusiveStartShardId":""}`, []string{
			"Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
			"Value '' at 'exclusiveStartShardId' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
			"Value '' at 'exclusiveStartShardId' failed to satisfy constraint: Member must have length greater than or equal to 1", nameAndLength}},
		{"DescribeStream", `{"StreamARN":"arn:aws:kinesis:x:1:stream/a","Limit":10001}`, []string{
			"Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000",
			`Value 'arn:aws:kinesis:x:1:stream/a' at 'streamARN' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:stream/\S+`}},
		{"DescribeStreamSummary", `{"StreamName":"s","StreamId":"x"}`, []string{
			"Value 'x' at 'streamId' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z0-9]{20}-[a-z0-9]{3}"}},
		{"ListStreams", `{"Limit":0,"ExclusiveStartStreamName":"` + long + `"}`, []string{
			"Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1", tooLong("exclusiveStartStreamName")}},
		{"ListShards", `{"StreamName":"s","MaxResults":0,"ShardFilter":{"Type":"X"}}`, []string{
			"Value '0' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1",
			"Value 'X' at 'shardFilter.type' failed to satisfy constraint: Member must satisfy enum value set: [AFTER_SHARD_ID, AT_TRIM_HORIZON, FROM_TRIM_HORIZON, AT_LATEST, AT_TIMESTAMP, FROM_TIMESTAMP]"}},
		{"PutRecord", `{}`, []string{
			"Value null at 'data' failed to satisfy constraint: Member must not be null", nullStream}},
		{"PutRecord", `{"StreamName":"s","Data":""}`, []string{"Value null at 'partitionKey' failed to satisfy constraint: Member must not be null"}},
		{"PutRecords", `{"StreamName":"s","Records":[{"Data":"","PartitionKey":"a"},{"Data":""}]}`, []string{
			"Value null at 'records.2.member.partitionKey' failed to satisfy constraint: Member must not be null"}},
		{"PutRecord", `{"StreamName":"","PartitionKey":"","Data":"","ExplicitHashKey":"","SequenceNumberForOrdering":""}`, []string{
			`Value '' at 'sequenceNumberForOrdering' failed to satisfy constraint: Member must satisfy regular expression pattern: 0|([1-9]\d{0,128})`,
			"Value '' at 'partitionKey' failed to satisfy constraint: Member must have length greater than or equal to 1",
			`Value '' at 'explicitHashKey' failed to satisfy constraint: Member must satisfy regular expression pattern: 0|([1-9]\d{0,38})`, nameAndLength}},
		{"PutRecord", `{"StreamName":"s","Data":"","PartitionKey":"` + strings.Repeat("k", 257) + `"}`, []string{
			"Value '" + strings.Repeat("k", 257) + "' at 'partitionKey' failed to satisfy constraint: Member must have length less than or equal to 256"}},
		{"PutRecord", `{"StreamName":"s","Data":"","PartitionKey":"a","ExplicitHashKey":"01"}`, []string{
			`Value '01' at 'explicitHashKey' failed to satisfy constraint: Member must satisfy regular expression pattern: 0|([1-9]\d{0,38})`}},
		{"PutRecords", `{}`, []string{"Value null at 'records' failed to satisfy constraint: Member must not be null", nullStream}},
		{"PutRecords", `{"StreamName":"s","Records":[]}`, []string{"Value '[]' at 'records' failed to satisfy constraint: Member must have length greater than or equal to 1"}},
		{"PutRecords", `{"StreamName":"s","Records":[{"Data":"","PartitionKey":"a"},{"PartitionKey":""}]}`, []string{
			"Value null at 'records.2.member.data' failed to satisfy constraint: Member must not be null",
			"Value '' at 'records.2.member.partitionKey' failed to satisfy constraint: Member must have length greater than or equal to 1"}},
		{"PutRecords", `{"StreamName":"s","Records":[` + strings.Repeat(`{"Data":"","PartitionKey":"a"},`, 500) + `{"Data":"","PartitionKey":"a"}]}`, []string{
			"Value '[...]' at 'records' failed to satisfy constraint: Member must have length less than or equal to 500"}},
		{"GetShardIterator", `{}`, []string{"Value null at 'shardId' failed to satisfy constraint: Member must not be null",
			"Value null at 'shardIteratorType' failed to satisfy constraint: Member must not be null", nullStream}},
		{"GetShardIterator", `{"StreamName":"s","ShardId":"0","ShardIteratorType":"x","StartingSequenceNumber":"-1"}`, []string{
			"Value 'x' at 'shardIteratorType' failed to satisfy constraint: Member must satisfy enum value set: [AT_SEQUENCE_NUMBER, AFTER_SEQUENCE_NUMBER, TRIM_HORIZON, LATEST, AT_TIMESTAMP]",
			`Value '-1' at 'startingSequenceNumber' failed to satisfy constraint: Member must satisfy regular expression pattern: 0|([1-9]\d{0,128})`}},
		{"GetRecords", `{}`, []string{"Value null at 'shardIterator' failed to satisfy constraint: Member must not be null"}},
		{"GetRecords", `{"ShardIterator":"","Limit":0}`, []string{
			"Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
			"Value '' at 'shardIterator' failed to satisfy constraint: Member must have length greater than or equal to 1"}},
		{"GetRecords", `{"ShardIterator":"` + strings.Repeat("a", 513) + `","Limit":100000}`, []string{
			"Value '100000' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000",
			"Value '" + strings.Repeat("a", 513) + "' at 'shardIterator' failed to satisfy constraint: Member must have length less than or equal to 512"}},
		{"SplitShard", `{}`, []string{"Value null at 'newStartingHashKey' failed to satisfy constraint: Member must not be null", nullStream,
			"Value null at 'shardToSplit' failed to satisfy constraint: Member must not be null"}},
		{"MergeShards", `{"StreamName":"s"}`, []string{"Value null at 'shardToMerge' failed to satisfy constraint: Member must not be null",
			"Value null at 'adjacentShardToMerge' failed to satisfy constraint: Member must not be null"}},
		{"UpdateShardCount", `{"TargetShardCount":0,"ScalingType":"X"}`, []string{
			"Value 'X' at 'scalingType' failed to satisfy constraint: Member must satisfy enum value set: [UNIFORM_SCALING]", nullStream,
			"Value '0' at 'targetShardCount' failed to satisfy constraint: Member must have value greater than or equal to 1"}},
		{"UpdateShardCount", `{"StreamName":"s","TargetShardCount":100001,"ScalingType":"UNIFORM_SCALING"}`, []string{
			"Value '100001' at 'targetShardCount' failed to satisfy constraint: Member must have value less than or equal to 100000"}},
		{"IncreaseStreamRetentionPeriod", `{"RetentionPeriodHours":-1}`, []string{
			"Value '-1' at 'retentionPeriodHours' failed to satisfy constraint: Member must have value greater than or equal to 1", nullStream}},
		{"DecreaseStreamRetentionPeriod", `{"StreamName":"s"}`, []string{"Value null at 'retentionPeriodHours' failed to satisfy constraint: Member must not be null"}},
	}
	for _, tt := range tests {
		t.Run(tt.operation, func(t *testing.T) {
			n := strings.Count(strings.Join(tt.want, "; "), "failed to satisfy")
			want := "1 validation error detected: "
			if n > 1 {
				want = string(rune('0'+n)) + " validation errors detected: "
			}
			want += strings.Join(tt.want, "; ")
			if kind, message := h.refused(tt.operation, tt.body); kind != typeValidation || message != want {
				t.Errorf("%s\ngot  %s: %s\nwant %s", tt.body, kind, message, want)
			}
		})
	}
}

func TestAtMostTenViolationsAreListed(t *testing.T) {
	h := start(t, 1)
	_, message := h.refused("PutRecords", `{"StreamName":"s","Records":[`+strings.Repeat(`{},`, 20)+`{}]}`)
	if !strings.HasPrefix(message, "10 validation errors detected: ") || strings.Count(message, "Value null") != 10 {
		t.Errorf("got %s", message)
	}
}

// What AWS refuses when the form is right, with its texts.
func TestRefusals(t *testing.T) {
	h := start(t, 3, Config{ShardLimit: 10})
	h.create("closed", 2)
	if status, answer := h.raw("SplitShard", `{"StreamName":"closed","ShardToSplit":"0","NewStartingHashKey":"100"}`); status != http.StatusOK || answer != "" {
		t.Fatalf("split: %d %s", status, answer)
	}
	future := time.Now().Add(time.Hour).Unix()
	const in = " in stream s under account 000000000000"
	seqType := "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or " +
		"(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified "
	iterate := func(rest string) string {
		return `{"StreamName":"s","ShardId":"shardId-0","ShardIteratorType":` + rest + `}`
	}
	order := func(n string) string {
		return `{"StreamName":"s","PartitionKey":"a","Data":"","SequenceNumberForOrdering":"` + n + `"}`
	}
	badOrder := func(n string) string {
		return "ExclusiveMinimumSequenceNumber " + n + " used in PutRecord on stream s under account 000000000000 is invalid."
	}
	type test struct{ operation, body, kind, message string }
	tests := []test{
		{"CreateStream", `{"StreamName":"s"}`, typeInUse, "Stream s under account 000000000000 already exists."},
		{"CreateStream", `{"StreamName":"big","ShardCount":1000}`, typeLimitExceeded,
			"This request would exceed the shard limit for the account 000000000000 in us-east-1. Current shard count for the account: 6. Limit: 10. " +
				"Number of additional shards that would have resulted from this request: 1000. " +
				"Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request higher limits."},
		{"CreateStream", `{"StreamName":"x","StreamModeDetails":{"StreamMode":"PROVISIONED"}}`, typeValidation, ""},
		{"CreateStream", `{"StreamName":"x","ShardCount":1,"StreamModeDetails":{"StreamMode":"ON_DEMAND"}}`, typeValidation, ""},
		{"CreateStream", `{"StreamName":"x","ShardCount":1,"WarmThroughputMiBps":5}`, typeValidation, ""},
		{"DeleteStream", `{"StreamName":"none"}`, typeNotFound, "Stream none under account 000000000000 not found."},
		{"DescribeStream", `{"StreamARN":"arn:aws:kinesis:us-east-1:123456789012:stream/none"}`, typeNotFound, "Stream none under account 123456789012 not found."},
		{"DescribeStreamSummary", `{"StreamName":"none"}`, typeNotFound, "Stream none under account 000000000000 not found."},
		{"DescribeStreamSummary", `{"StreamName":"t","StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s"}`, typeInvalidArgument, ""},
		{"ListShards", `{}`, typeInvalidArgument, "Either NextToken or StreamName should be provided."},
		{"ListShards", `{"StreamName":"none"}`, typeNotFound, "Stream none under account 000000000000 not found."},
		{"ListShards", `{"StreamName":"s","NextToken":"x"}`, typeInvalidArgument, "NextToken and StreamName cannot be provided together."},
		{"ListShards", `{"NextToken":"x","ShardFilter":{"Type":"AT_LATEST"}}`, typeInvalidArgument, "NextToken and ShardFilter cannot be provided together."},
		{"ListShards", `{"NextToken":"x","ExclusiveStartShardId":"0"}`, typeInvalidArgument, "NextToken and ExclusiveStartShardId cannot be provided together."},
		{"ListShards", `{"NextToken":"x"}`, typeInvalidArgument, "NextToken is invalid."},
		{"ListShards", `{"StreamName":"s","ShardFilter":{"Type":"AFTER_SHARD_ID"}}`, typeInvalidArgument, "ShardId must be provided for the ShardFilter type AFTER_SHARD_ID."},
		{"ListShards", `{"StreamName":"s","ShardFilter":{"Type":"AT_TIMESTAMP"}}`, typeInvalidArgument, "Timestamp must be provided for the ShardFilter type AT_TIMESTAMP."},
		{"ListShards", `{"StreamName":"s","ShardFilter":{"Type":"FROM_TIMESTAMP"}}`, typeInvalidArgument, "Timestamp must be provided for the ShardFilter type FROM_TIMESTAMP."},
		{"ListShards", `{"StreamName":"s","ExclusiveStartShardId":"x"}`, typeNotFound, "Could not find shard x" + in + "."},
		{"ListStreams", `{"NextToken":"x"}`, typeInvalidArgument, "NextToken is invalid."},

		{"PutRecord", `{"StreamName":"none","PartitionKey":"a","Data":""}`, typeNotFound, "Stream none under account 000000000000 not found."},
		{"PutRecord", `{"StreamName":"s","PartitionKey":"a","Data":"","ExplicitHashKey":"340282366920938463463374607431768211456"}`, typeInvalidArgument,
			"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was 340282366920938463463374607431768211456"},
		{"PutRecord", order(fromHex("20000000000000000000000000000000000000000000000")), typeInvalidArgument, badOrder(fromHex("20000000000000000000000000000000000000000000000"))},
		{"PutRecord", order(fromHex("20000000000000000000000000000000000000000000004")), typeInvalidArgument, badOrder(fromHex("20000000000000000000000000000000000000000000004"))},
		{"PutRecord", order(fromHex("13bb2cc3d80000000000000000000000")), typeInvalidArgument, badOrder("26227199374822427428162556223570313216")},
		{"PutRecord", order(fromHex("200000000000000000000000000000" + big.NewInt(future).Text(16) + "000000002")), typeInvalidArgument, ""},
		{"PutRecords", `{"StreamName":"s","Records":[{"PartitionKey":"a","Data":""},{"PartitionKey":"a","Data":"","ExplicitHashKey":"999999999999999999999999999999999999999"}]}`,
			typeInvalidArgument, "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was 999999999999999999999999999999999999999"},

		{"GetShardIterator", `{"StreamName":"none","ShardId":"a-00002147483647","ShardIteratorType":"LATEST"}`, typeNotFound, "Shard shardId-002147483647 in stream none under account 000000000000 does not exist"},
		{"GetShardIterator", `{"StreamName":"none","ShardId":"2147483648","ShardIteratorType":"LATEST"}`, typeNotFound, "Could not find shard 2147483648 in stream none under account 000000000000."},
		{"GetShardIterator", `{"StreamName":"s","ShardId":"shardId-5","ShardIteratorType":"AT_SEQUENCE_NUMBER","StartingSequenceNumber":"5"}`, typeNotFound, "Shard shardId-000000000005" + in + " does not exist"},
		{"GetShardIterator", iterate(`"AT_SEQUENCE_NUMBER"`), typeInvalidArgument, seqType + "AT_SEQUENCE_NUMBER and no StartingSequenceNumber."},
		{"GetShardIterator", iterate(`"AFTER_SEQUENCE_NUMBER"`), typeInvalidArgument, seqType + "AFTER_SEQUENCE_NUMBER and no StartingSequenceNumber."},
		{"GetShardIterator", iterate(`"LATEST","StartingSequenceNumber":"5"`), typeInvalidArgument, seqType + "LATEST and also a StartingSequenceNumber."},
		{"GetShardIterator", iterate(`"TRIM_HORIZON","StartingSequenceNumber":"5"`), typeInvalidArgument, seqType + "TRIM_HORIZON and also a StartingSequenceNumber."},
		{"GetShardIterator", iterate(`"AT_SEQUENCE_NUMBER","StartingSequenceNumber":"5"`), typeInvalidArgument,
			"Invalid StartingSequenceNumber. It encodes shardId-000000000005, while it was used in a call to a shard with shardId-000000000000"},
		{"GetShardIterator", iterate(`"AT_SEQUENCE_NUMBER","StartingSequenceNumber":"0"`), typeInvalidArgument,
			"StartingSequenceNumber 21267647932558653966460912964485513216 used in GetShardIterator on shard shardId-000000000000" + in + " is invalid because it did not come from this stream."},
		{"GetShardIterator", iterate(`"AT_SEQUENCE_NUMBER","StartingSequenceNumber":"` + fromHex("20000000000800000000000000000000000000000000002") + `"`), typeInvalidArgument,
			"StartingSequenceNumber " + fromHex("20000000000800000000000000000000000000000000002") + " used in GetShardIterator on shard shardId-000000000000" + in + " is invalid."},
		{"GetShardIterator", iterate(`"AT_TIMESTAMP"`), typeInvalidArgument, "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter."},
		{"GetShardIterator", iterate(`"AT_TIMESTAMP","Timestamp":99999999999`), typeInvalidArgument, ""},
		{"GetRecords", `{"ShardIterator":"nonsense"}`, typeInvalidArgument, "Invalid ShardIterator."},

		{"SplitShard", `{"StreamName":"none","ShardToSplit":"ABKLFD8","NewStartingHashKey":"0"}`, typeNotFound, "Could not find shard ABKLFD8 in stream none under account 000000000000."},
		{"SplitShard", `{"StreamName":"none","ShardToSplit":"0","NewStartingHashKey":"0"}`, typeNotFound, "Stream none under account 000000000000 not found."},
		{"SplitShard", `{"StreamName":"s","ShardToSplit":"shardId-5","NewStartingHashKey":"0"}`, typeNotFound, "Could not find shard shardId-000000000005" + in + "."},
		{"SplitShard", `{"StreamName":"closed","ShardToSplit":"0","NewStartingHashKey":"50"}`, typeInvalidArgument,
			"Shard shardId-000000000000 in stream closed under account 000000000000 has already been merged or split, and thus is not eligible for merging or splitting."},
		{"MergeShards", `{"StreamName":"closed","ShardToMerge":"0","AdjacentShardToMerge":"1"}`, typeInvalidArgument,
			"Shard shardId-000000000000 in stream closed under account 000000000000 has already been merged or split, and thus is not eligible for merging or splitting."},
		{"MergeShards", `{"StreamName":"s","ShardToMerge":"0","AdjacentShardToMerge":"shardId-5"}`, typeNotFound, "Could not find shard shardId-000000000005" + in + "."},
		{"MergeShards", `{"StreamName":"s","ShardToMerge":"0","AdjacentShardToMerge":"2"}`, typeInvalidArgument,
			"Shards shardId-000000000000 and shardId-000000000002" + in + " are not an adjacent pair of shards eligible for merging"},
		{"MergeShards", `{"StreamName":"s","ShardToMerge":"1","AdjacentShardToMerge":"0"}`, typeInvalidArgument,
			"Shards shardId-000000000001 and shardId-000000000000" + in + " are not an adjacent pair of shards eligible for merging"},
		{"UpdateShardCount", `{"StreamName":"none","TargetShardCount":2,"ScalingType":"UNIFORM_SCALING"}`, typeNotFound, "Stream none under account 000000000000 not found."},
		{"UpdateShardCount", `{"StreamName":"s","TargetShardCount":12,"ScalingType":"UNIFORM_SCALING"}`, typeLimitExceeded,
			"Target shard count or number of open shards cannot be greater than 10. Current open shard count: 3, Target shard count: 12"},
		{"UpdateShardCount", `{"StreamName":"s","TargetShardCount":7,"ScalingType":"UNIFORM_SCALING"}`, typeLimitExceeded,
			"UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: 3, Target shard count: 7"},
		{"UpdateShardCount", `{"StreamName":"s","TargetShardCount":1,"ScalingType":"UNIFORM_SCALING"}`, typeLimitExceeded,
			"UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: 3, Target shard count: 1"},
		{"IncreaseStreamRetentionPeriod", `{"StreamName":"s","RetentionPeriodHours":23}`, typeInvalidArgument,
			"Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short."},
		{"IncreaseStreamRetentionPeriod", `{"StreamName":"s","RetentionPeriodHours":8761}`, typeInvalidArgument,
			"Maximum allowed retention period is 8760 hours. Requested retention period (8761 hours) is too long."},
		{"DecreaseStreamRetentionPeriod", `{"StreamName":"s","RetentionPeriodHours":25}`, typeInvalidArgument,
			"Requested retention period (25 hours) for stream s can not be longer than existing retention period (24 hours). Use IncreaseRetentionPeriod API."},
		{"DecreaseStreamRetentionPeriod", `{"StreamName":"none","RetentionPeriodHours":24}`, typeNotFound, "Stream none under account 000000000000 not found."},
	}
	for _, n := range []string{"1", "113427455640312821154458202477256070484", "999999999999999999999999999999999999999"} {
		tests = append(tests, test{"SplitShard", `{"StreamName":"s","ShardToSplit":"shard-0","NewStartingHashKey":"` + n + `"}`, typeInvalidArgument,
			"NewStartingHashKey " + n + " used in SplitShard() on shard shardId-000000000000" + in + " is not both greater than one plus the shard's StartingHashKey 0 " +
				"and less than the shard's EndingHashKey 113427455640312821154458202477256070484."})
	}
	for _, tt := range tests {
		t.Run(tt.operation, func(t *testing.T) {
			kind, message := h.refused(tt.operation, tt.body)
			if kind != tt.kind || tt.message != "" && message != tt.message {
				t.Errorf("%s\ngot  %s: %s\nwant %s: %s", tt.body, kind, message, tt.kind, tt.message)
			}
		})
	}
}

// Numbers that AWS accepts for ordering.
func TestSequenceNumberForOrdering(t *testing.T) {
	h := start(t, 1)
	for _, n := range []string{
		fromHex("2ffffffffff7fffffffffffffff000000000007fffffff2"),
		fromHex("20000000000000000000000000000000000000000000002"),
		fromHex("20000000000000000000000000000000000000000000001"),
		*h.put("a", "first").SequenceNumber,
	} {
		if status, answer := h.raw("PutRecord", `{"StreamName":"s","PartitionKey":"a","Data":"","SequenceNumberForOrdering":"`+n+`"}`); status != 200 {
			t.Errorf("%s: %s", n, answer)
		}
	}
}
