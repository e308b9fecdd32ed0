package awscbor

import (
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/smithy-go"
)

// handwritten says for which shapes the codecs written by hand may be used. A
// later version of the SDK may have added members that they do not know; then
// the shape goes the way of all others, and no member is lost.
type handwritten struct {
	putRecord        bool
	putRecords       bool
	putRecordsAnswer bool
	getRecords       bool
	event            bool // of SubscribeToShard
}

func ourShapes() handwritten {
	records := consistsOf(schemas.Record,
		"ApproximateArrivalTimestamp", "Data", "EncryptionType", "PartitionKey", "SequenceNumber")
	return handwritten{
		putRecord: consistsOf(schemas.PutRecordInput, "Data", "DryRun", "ExplicitHashKey", "PartitionKey",
			"SequenceNumberForOrdering", "StreamARN", "StreamId", "StreamName"),
		putRecords: consistsOf(schemas.PutRecordsInput, "DryRun", "Records", "StreamARN", "StreamId", "StreamName") &&
			consistsOf(schemas.PutRecordsRequestEntry, "Data", "ExplicitHashKey", "PartitionKey"),
		putRecordsAnswer: consistsOf(schemas.PutRecordsOutput, "EncryptionType", "FailedRecordCount", "Records") &&
			consistsOf(schemas.PutRecordsResultEntry, "ErrorCode", "ErrorMessage", "SequenceNumber", "ShardId"),
		getRecords: records &&
			consistsOf(schemas.GetRecordsOutput, "ChildShards", "MillisBehindLatest", "NextShardIterator", "Records"),
		event: records &&
			consistsOf(schemas.SubscribeToShardEvent, "ChildShards", "ContinuationSequenceNumber", "MillisBehindLatest", "Records"),
	}
}

// consistsOf reports whether a structure has these members and no others.
func consistsOf(s *smithy.Schema, members ...string) bool {
	for _, m := range members {
		if s.Member(m) == nil {
			return false
		}
	}
	return len(s.Members()) == len(members)
}
