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
	put, err := answering(&PutRecordAnswer{Result: PutResult{ShardID: "shardId-000000000001", Sequence: []byte("123")}}).
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

	put, err = answering(&PutRecordAnswer{Result: PutResult{ShardID: "s", Sequence: []byte("1")}, Encrypted: true}).
		PutRecord(ctx, &kinesis.PutRecordInput{Data: []byte{}})
	if err != nil || put.EncryptionType != types.EncryptionTypeKms || *put.ShardId != "s" {
		t.Errorf("PutRecord, encrypted: %+v, %v", put, err)
	}
	puts, err = answering(&PutRecordsAnswer{Encrypted: true}).PutRecords(ctx, &kinesis.PutRecordsInput{Records: []types.PutRecordsRequestEntry{}})
	if err != nil || puts.EncryptionType != types.EncryptionTypeKms || *puts.FailedRecordCount != 0 {
		t.Errorf("PutRecords, encrypted: %+v, %v", puts, err)
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

// AWS writes milliseconds as a bare integer, and so do we: the SDK for Java fails
// on a tag or a float. Lists that can be long say how long they are.
func TestAnswersOfCBOR(t *testing.T) {
	for name, tt := range map[string]struct {
		answer Answer
		want   string
	}{
		"a page": {&GetRecordsAnswer{Next: "n", Records: []Record{{Sequence: []byte("12"), Arrival: 946684800123, Key: "ключ", Data: []byte{0, 255}}}},
			"\xa3\x72MillisBehindLatest\x00\x71NextShardIterator\x61n\x67Records\x81\xa4\x78\x1bApproximateArrivalTimestamp\x1b\x00\x00\x00\xdc\x6a\xcf\xac\x7b" +
				"\x64Data\x42\x00\xff\x6cPartitionKey\x68ключ\x6eSequenceNumber\x6212"},
		"an empty page at the end of a shard": {&GetRecordsAnswer{}, "\xa2\x72MillisBehindLatest\x00\x67Records\x80"},
		"a put":                               {&PutRecordAnswer{Result: PutResult{ShardID: "s", Sequence: []byte("12")}}, "\xa2\x6eSequenceNumber\x6212\x67ShardId\x61s"},
		"puts that failed": {&PutRecordsAnswer{Failed: 1, Results: []PutResult{{Code: "c", Message: "m"}}},
			"\xa2\x71FailedRecordCount\x01\x67Records\x81\xa2\x69ErrorCode\x61c\x6cErrorMessage\x61m"},
		"an encrypted put": {&PutRecordAnswer{PutResult{ShardID: "s", Sequence: []byte("12")}, true},
			"\xa3\x6eEncryptionType\x63KMS\x6eSequenceNumber\x6212\x67ShardId\x61s"},
		"an encrypted record without a key": {&GetRecordsAnswer{Records: []Record{{Sequence: []byte("1"), Encrypted: true}}},
			"\xa2\x72MillisBehindLatest\x00\x67Records\x81\xa4\x6eEncryptionType\x63KMS\x78\x1bApproximateArrivalTimestamp\x00\x64Data\x40\x6eSequenceNumber\x611"},
		"encrypted puts":             {&PutRecordsAnswer{Encrypted: true}, "\xa3\x6eEncryptionType\x63KMS\x71FailedRecordCount\x00\x67Records\x80"},
		"an error":                   {&ErrorAnswer{Type: "X", Member: "message", Message: "m"}, "\xbf\x66__type\x61X\x67message\x61m\xff"},
		"an error without a message": {&ErrorAnswer{Type: "X", Member: "message"}, "\xbf\x66__type\x61X\xff"},
	} {
		if got := string(AsCBOR.Append([]byte("x"), tt.answer)); got != "x"+tt.want {
			t.Errorf("%s: %q\nwant %q", name, got[1:], tt.want)
		}
	}
	at := time.UnixMilli(946684800123)
	got := string(AsCBOR.AppendShape(nil, &types.StreamDescriptionSummary{StreamCreationTimestamp: &at, StreamName: aws.String("s")}))
	if want := "\xbf\x77StreamCreationTimestamp\x1b\x00\x00\x00\xdc\x6a\xcf\xac\x7b\x6aStreamName\x61s\xff"; got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// An answer is made room for before it is written, so that its records are
// copied once; a page is written through a buffer that has the room already.
func TestRoomForAnswersOfCBOR(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates as well")
	}
	long := strings.Repeat("s", 128)
	puts, page := &PutRecordsAnswer{}, &GetRecordsAnswer{Next: strings.Repeat("n", 512)}
	for range 500 {
		puts.Results = append(puts.Results, PutResult{ShardID: "shardId-000000000000", Sequence: []byte(long)[:56]})
		page.Records = append(page.Records, Record{Sequence: []byte(long)[:56], Arrival: 1e12, Key: long, Data: []byte(long)})
	}
	if got := testing.AllocsPerRun(10, func() { puts.AppendCBOR(nil) }); got != 1 {
		t.Errorf("puts: %v allocations", got)
	}
	buf := make([]byte, 0, pieceBytes)
	if got := testing.AllocsPerRun(10, func() { buf, _ = page.Write(AsCBOR, io.Discard, buf) }); got != 0 || cap(buf) != pieceBytes {
		t.Errorf("a page: %v allocations, the buffer has grown to %d bytes", got, cap(buf))
	}
}
