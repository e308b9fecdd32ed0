package awscbor

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

// The benchmarks make calls with everything but the network: signing included,
// the answer from memory. Each has the SDK's own JSON beside it.

const (
	benchRecords = 1000
	benchPut     = 500
	benchSize    = 1024
)

var benchNumber = "49590338271490256608559692538361571095921575989136588898"

// canned answers every call with the same body.
type canned []byte

func (c canned) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	return &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: r,
		Body: io.NopCloser(bytes.NewReader(c)), ContentLength: int64(len(c)),
	}, nil
}

// bothProtocols runs a benchmark with the SDK's protocol and with ours, against
// a service that answers out in the encoding of the request.
func bothProtocols(b *testing.B, out smithy.Serializable, run func(b *testing.B, client *kinesis.Client)) {
	for _, protocol := range []string{"json", "cbor"} {
		b.Run(protocol, func(b *testing.B) {
			body := jsonOf(b, out)
			var use []func(*kinesis.Options)
			if protocol == "cbor" {
				body = cborOf(out)
				use = append(use, Use)
			}
			client := newTestClient(canned(body), use...)
			b.ReportAllocs()
			run(b, client)
		})
	}
}

func benchPage(records, size int) *kinesis.GetRecordsOutput {
	out := &kinesis.GetRecordsOutput{MillisBehindLatest: aws.Int64(0), NextShardIterator: aws.String("next"), Records: []types.Record{}}
	for range records {
		out.Records = append(out.Records, types.Record{
			Data: make([]byte, size), PartitionKey: aws.String("abc"), SequenceNumber: &benchNumber,
			ApproximateArrivalTimestamp: aws.Time(fromMillis(1400000000123)),
		})
	}
	return out
}

func BenchmarkGetRecords(b *testing.B) {
	bothProtocols(b, benchPage(benchRecords, benchSize), func(b *testing.B, client *kinesis.Client) {
		b.SetBytes(benchRecords * benchSize)
		for b.Loop() {
			out, err := client.GetRecords(context.Background(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")})
			if err != nil || len(out.Records) != benchRecords || *out.Records[benchRecords-1].PartitionKey != "abc" {
				b.Fatal(err, out)
			}
		}
	})
}

func BenchmarkGetRecordsOf100Bytes(b *testing.B) {
	bothProtocols(b, benchPage(10*benchRecords, 100), func(b *testing.B, client *kinesis.Client) {
		b.SetBytes(10 * benchRecords * 100)
		for b.Loop() {
			out, err := client.GetRecords(context.Background(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")})
			if err != nil || len(out.Records) != 10*benchRecords {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPutRecords(b *testing.B) {
	answer := &kinesis.PutRecordsOutput{FailedRecordCount: aws.Int32(0)}
	in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
	for range benchPut {
		answer.Records = append(answer.Records, types.PutRecordsResultEntry{SequenceNumber: &benchNumber, ShardId: aws.String("shardId-000000000000")})
		in.Records = append(in.Records, types.PutRecordsRequestEntry{Data: make([]byte, benchSize), PartitionKey: aws.String("k")})
	}
	bothProtocols(b, answer, func(b *testing.B, client *kinesis.Client) {
		b.SetBytes(benchPut * benchSize)
		for b.Loop() {
			out, err := client.PutRecords(context.Background(), in)
			if err != nil || len(out.Records) != benchPut {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPutRecord(b *testing.B) {
	answer := &kinesis.PutRecordOutput{SequenceNumber: &benchNumber, ShardId: aws.String("shardId-000000000000")}
	in := &kinesis.PutRecordInput{StreamName: aws.String("s"), Data: make([]byte, 100), PartitionKey: aws.String("k")}
	bothProtocols(b, answer, func(b *testing.B, client *kinesis.Client) {
		for b.Loop() {
			if _, err := client.PutRecord(context.Background(), in); err != nil {
				b.Fatal(err)
			}
		}
	})
}
