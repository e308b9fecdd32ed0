package localstream

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func TestFaultsAreReadFromLines(t *testing.T) {
	for line, want := range map[string]Fault{
		"": {Count: 1},
		"op=PutRecords,shard=*,kind=throttle,count=3":                        {Operation: "PutRecords", Shard: "*", Count: 3},
		"kind=delay,delay=1.5s,count=all,stream=orders":                      {Stream: "orders", Action: Delay, Delay: 1500 * time.Millisecond, Count: -1},
		"op=GetRecords,shard=shardId-7,kind=expire":                          {Operation: "GetRecords", Shard: "shardId-000000000007", Action: ExpireIterator, Count: 1},
		"kind=error,type=KMSDisabledException,message=a key, disabled=true,": {Action: Fail, Type: "KMSDisabledException", Message: "a key, disabled=true,", Count: 1},
		"op=PutRecord,kind=lose-reply":                                       {Operation: "PutRecord", Action: LoseReply, Count: 1},
		"kind=drop":                                                          {Action: Drop, Count: 1},
	} {
		if got, err := ParseFault(line); err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", line, got, err, want)
		}
	}
	for line, want := range map[string]string{
		"op=PutRecodrs":                         "want an operation of Kinesis",
		"PutRecords":                            "want name=value",
		"count=0":                               "want a number from 1, or all",
		"count=many":                            "want a number from 1, or all",
		"kind=explode":                          "want throttle, error, expire, drop, delay, lose-reply",
		"kind=delay":                            "kind delay wants a time above 0",
		"delay=1s":                              "with kind throttle: want kind delay",
		"kind=delay,delay=-1s":                  "want a time like 200ms",
		"shard=first":                           "want an id like shardId-000000000000, or *",
		"op=ListShards,shard=*":                 "ListShards is not about one shard",
		"op=PutRecords,shard=*,kind=lose-reply": "leave out the shard",
		"type=x":                                "want kind error",
		"colour=red":                            "is none of op, stream, shard, kind",
		"kind=drop,kind=drop":                   "kind is there twice",
	} {
		if got, err := ParseFault(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v, want %q", line, got, err, want)
		}
	}
}

// A fault of every shard hits the records of PutRecords one by one, and is not
// used up by requests that are about none.
func TestAFaultOfEveryShard(t *testing.T) {
	h := start(t, 4)
	h.server.Inject(Fault{Shard: EveryShard, Count: 3})
	_, err := h.client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("s")})
	h.must(err)
	entries := make([]types.PutRecordsRequestEntry, 10)
	for i := range entries {
		entries[i] = types.PutRecordsRequestEntry{Data: []byte("x"), PartitionKey: aws.String(string(rune('a' + i)))}
	}
	out, err := h.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("s"), Records: entries})
	h.must(err)
	equal(t, "failed", aws.ToInt32(out.FailedRecordCount), 3)
	for i, r := range out.Records {
		equal(t, "code", aws.ToString(r.ErrorCode), map[bool]string{true: typeThroughput}[i < 3])
	}
	out, err = h.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("s"), Records: entries})
	h.must(err)
	equal(t, "failed again", aws.ToInt32(out.FailedRecordCount), 0)
}
