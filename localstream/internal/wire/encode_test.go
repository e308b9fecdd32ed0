package wire

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// answering is a client of the SDK that gets this answer.
func answering(a Answer) *kinesis.Client {
	return kinesis.New(kinesis.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://localhost"), Credentials: aws.AnonymousCredentials{},
		HTTPClient: smithyhttp.ClientDoFunc(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(string(a.AppendJSON(nil))))}, nil
		}),
	})
}

func TestAnswersByHand(t *testing.T) {
	ctx := context.Background()
	put, err := answering(&PutRecordAnswer{PutResult{ShardID: "shardId-000000000001", Sequence: []byte("123")}}).
		PutRecord(ctx, &kinesis.PutRecordInput{Data: []byte{}, PartitionKey: aws.String("a")})
	if err != nil || *put.SequenceNumber != "123" || *put.ShardId != "shardId-000000000001" {
		t.Errorf("PutRecord: %+v, %v", put, err)
	}

	puts, err := answering(&PutRecordsAnswer{Failed: 1, Results: []PutResult{
		{ShardID: "shardId-000000000001", Sequence: []byte("123")},
		{Code: "InternalFailure", Message: "a \"quoted\"\x01\nmessage"},
	}}).PutRecords(ctx, &kinesis.PutRecordsInput{Records: []types.PutRecordsRequestEntry{}})
	if err != nil {
		t.Fatal(err)
	}
	want := &kinesis.PutRecordsOutput{FailedRecordCount: aws.Int32(1), Records: []types.PutRecordsResultEntry{
		{ShardId: aws.String("shardId-000000000001"), SequenceNumber: aws.String("123")},
		{ErrorCode: aws.String("InternalFailure"), ErrorMessage: aws.String("a \"quoted\"\x01\nmessage")},
	}}
	puts.ResultMetadata = middleware.Metadata{}
	if !reflect.DeepEqual(puts, want) {
		t.Errorf("PutRecords: %+v", puts)
	}

	get, err := answering(&GetRecordsAnswer{
		Records: []Record{
			{Sequence: []byte("1"), Arrival: 946684800123, Key: "ключ\u2028\"", Data: []byte("data")},
			{Sequence: []byte("2"), Arrival: 946684800000, Key: "b", Data: []byte{}},
		},
		Next: "next", Behind: 5, Children: []ChildShard{{ShardID: "c", Parents: []string{"p", "q"}, FirstKey: "0", EndKey: "9"}},
	}).GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: aws.String("i")})
	if err != nil {
		t.Fatal(err)
	}
	get.ResultMetadata = middleware.Metadata{}
	wantGet := &kinesis.GetRecordsOutput{
		Records: []types.Record{
			{SequenceNumber: aws.String("1"), ApproximateArrivalTimestamp: aws.Time(time.UnixMilli(946684800123).UTC()), PartitionKey: aws.String("ключ\u2028\""), Data: []byte("data")},
			{SequenceNumber: aws.String("2"), ApproximateArrivalTimestamp: aws.Time(time.UnixMilli(946684800000).UTC()), PartitionKey: aws.String("b"), Data: []byte{}},
		},
		NextShardIterator: aws.String("next"), MillisBehindLatest: aws.Int64(5),
		ChildShards: []types.ChildShard{{ShardId: aws.String("c"), ParentShards: []string{"p", "q"}, HashKeyRange: &types.HashKeyRange{StartingHashKey: aws.String("0"), EndingHashKey: aws.String("9")}}},
	}
	if !reflect.DeepEqual(get, wantGet) {
		t.Errorf("GetRecords: %+v\nwant %+v", get, wantGet)
	}
}

// The end of a shard has no next iterator, and an empty page has an empty
// list: clients tell both apart from absent members.
func TestGetRecordsAnswerMembers(t *testing.T) {
	if got := string((&GetRecordsAnswer{}).AppendJSON(nil)); got != `{"MillisBehindLatest":0,"Records":[]}` {
		t.Errorf("empty answer %s", got)
	}
	if got := string((&GetRecordsAnswer{Next: "n"}).AppendJSON([]byte("x"))); got != `x{"MillisBehindLatest":0,"NextShardIterator":"n","Records":[]}` {
		t.Errorf("answer without records %s", got)
	}
}

func TestInvalidUTF8IsReplaced(t *testing.T) {
	if got := string(appendString(nil, "a\xffb")); got != `"a\ufffdb"` {
		t.Errorf("got %s", got)
	}
}
