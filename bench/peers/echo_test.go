package peers

import (
	"bytes"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/producer"
)

func newTestEcho(t *testing.T) *kinesis.Client {
	t.Helper()
	server := httptest.NewServer(newEcho())
	t.Cleanup(server.Close)
	return Client(server.URL)
}

func TestEchoAnswersEachEntryWithTheShardOfItsHashKey(t *testing.T) {
	client := newTestEcho(t)
	listed, err := client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("s")})
	if err != nil {
		t.Fatal(err)
	}
	if len(listed.Shards) != EchoShards {
		t.Fatalf("%d shards are listed", len(listed.Shards))
	}
	var entries []types.PutRecordsRequestEntry
	var want []string
	for _, s := range listed.Shards {
		for _, hash := range []*string{s.HashKeyRange.StartingHashKey, s.HashKeyRange.EndingHashKey} {
			entries = append(entries, types.PutRecordsRequestEntry{Data: []byte("x"), PartitionKey: aws.String("k"), ExplicitHashKey: hash})
			want = append(want, *s.ShardId)
		}
	}
	entries = append(entries, types.PutRecordsRequestEntry{Data: []byte{}, PartitionKey: aws.String("k")})
	want = append(want, shardID(0))
	out, err := client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("s"), Records: entries})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Records) != len(want) || aws.ToInt32(out.FailedRecordCount) != 0 {
		t.Fatalf("%d entries were answered, %d were put", len(out.Records), len(want))
	}
	for i, r := range out.Records {
		if aws.ToString(r.ShardId) != want[i] || aws.ToString(r.SequenceNumber) == "" {
			t.Errorf("entry %d is in %s, want %s", i, aws.ToString(r.ShardId), want[i])
		}
	}
}

func TestEchoServesThePagesOfOtherOperations(t *testing.T) {
	client := newTestEcho(t)
	if err := CreateStream(t.Context(), client, "s", EchoShards); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutRecord(t.Context(), &kinesis.PutRecordInput{
		StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte("x"),
	}); err != nil {
		t.Fatal(err)
	}
	out, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("any")})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Records) != EchoRecords || len(out.Records[EchoRecords-1].Data) != EchoBytes || out.NextShardIterator == nil {
		t.Errorf("the page has %d records", len(out.Records))
	}
}

// A producer that predicts shards must find its aggregates where it predicted
// them, or the row measures how it sends them again.
func TestEchoAgreesWithTheProducersPredictions(t *testing.T) {
	p, err := producer.New(producer.Config{Client: newTestEcho(t), Stream: "s", RateLimit: -1})
	if err != nil {
		t.Fatal(err)
	}
	var acked, again atomic.Int64
	const records = 20_000
	data := bytes.Repeat([]byte("x"), 100)
	for n := range records {
		if err := p.Put(t.Context(), producer.Record{Key: "customer-" + strconv.Itoa(n%1000), Data: data, Done: func(r producer.Result, err error) {
			if err == nil {
				acked.Add(1)
			}
			if r.Attempts > 1 {
				again.Add(1)
			}
		}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if acked.Load() != records || again.Load() != 0 {
		t.Errorf("%d of %d records were acknowledged, %d were sent again", acked.Load(), records, again.Load())
	}
}
