package localstream

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

// The content types of the two encodings.
const (
	contentJSON = "application/x-amz-json-1.1"
	contentCBOR = "application/x-amz-cbor-1.1"
)

// harness is a server, a client of it, and a stream "s".
type harness struct {
	*testing.T
	server *Server
	client *kinesis.Client
}

// noRetry makes a client that gives every error at once.
func noRetry(o *kinesis.Options) { o.Retryer = aws.NopRetryer{} }

// start opens a server in memory with a stream "s" of some shards, 0 for no
// stream at all.
func start(t *testing.T, shards int, config ...Config) *harness {
	t.Helper()
	s := NewT(t, config...)
	h := &harness{T: t, server: s, client: s.plainClient(noRetry)}
	if shards > 0 {
		h.create("s", shards)
	}
	return h
}

func (h *harness) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *harness) create(name string, shards int) {
	h.Helper()
	_, err := h.client.CreateStream(h.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(int32(shards))})
	h.must(err)
}

// put puts a record into "s" and gives the shard and the number that it got.
func (h *harness) put(key, data string) *kinesis.PutRecordOutput {
	h.Helper()
	out, err := h.client.PutRecord(h.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: &key, Data: []byte(data)})
	h.must(err)
	return out
}

// putAt is put with an explicit hash key.
func (h *harness) putAt(hashKey, data string) *kinesis.PutRecordOutput {
	h.Helper()
	out, err := h.client.PutRecord(h.Context(), &kinesis.PutRecordInput{
		StreamName: aws.String("s"), PartitionKey: aws.String("k"), ExplicitHashKey: &hashKey, Data: []byte(data)})
	h.must(err)
	return out
}

// iterator asks for an iterator of "s".
func (h *harness) iterator(shard string, kind types.ShardIteratorType, change ...func(*kinesis.GetShardIteratorInput)) string {
	h.Helper()
	in := &kinesis.GetShardIteratorInput{StreamName: aws.String("s"), ShardId: &shard, ShardIteratorType: kind}
	for _, f := range change {
		f(in)
	}
	out, err := h.client.GetShardIterator(h.Context(), in)
	h.must(err)
	return *out.ShardIterator
}

func from(number string) func(*kinesis.GetShardIteratorInput) {
	return func(in *kinesis.GetShardIteratorInput) { in.StartingSequenceNumber = &number }
}

func (h *harness) get(iterator string) *kinesis.GetRecordsOutput {
	h.Helper()
	out, err := h.client.GetRecords(h.Context(), &kinesis.GetRecordsInput{ShardIterator: &iterator})
	h.must(err)
	return out
}

// read gives the data of the records of one page.
func (h *harness) read(iterator string) []string {
	h.Helper()
	return dataOf(h.get(iterator).Records)
}

func dataOf(records []types.Record) []string {
	data := []string{}
	for _, r := range records {
		data = append(data, string(r.Data))
	}
	return data
}

func (h *harness) shards(change ...func(*kinesis.ListShardsInput)) []types.Shard {
	h.Helper()
	in := &kinesis.ListShardsInput{StreamName: aws.String("s")}
	for _, f := range change {
		f(in)
	}
	out, err := h.client.ListShards(h.Context(), in)
	h.must(err)
	return out.Shards
}

func (h *harness) split(shard, at string) {
	h.Helper()
	_, err := h.client.SplitShard(h.Context(), &kinesis.SplitShardInput{StreamName: aws.String("s"), ShardToSplit: &shard, NewStartingHashKey: &at})
	h.must(err)
}

func (h *harness) merge(low, high string) {
	h.Helper()
	_, err := h.client.MergeShards(h.Context(), &kinesis.MergeShardsInput{StreamName: aws.String("s"), ShardToMerge: &low, AdjacentShardToMerge: &high})
	h.must(err)
}

// wantError checks that err is of the API, with this code and message.
func (h *harness) wantError(err error, code, message string) {
	h.Helper()
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		h.Fatalf("got %v, want %s", err, code)
	}
	if api.ErrorCode() != code || message != "" && api.ErrorMessage() != message {
		h.Fatalf("got  %s: %s\nwant %s: %s", api.ErrorCode(), api.ErrorMessage(), code, message)
	}
}

// equal compares by what is printed.
func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}

// socket serves a server on a loopback socket and gives a client of that.
func socket(t *testing.T, s *Server, options ...func(*kinesis.Options)) (url string, client *kinesis.Client) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	url = "http://" + ln.Addr().String()
	return url, kinesis.New(kinesis.Options{
		Region: "us-east-1", BaseEndpoint: &url, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, options...)
}

// pass lets time pass in a bubble, and what happens by then happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
