package localstream

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/wire"
)

// discard is an http.ResponseWriter that keeps nothing.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// benchServer is a server with a stream "s" of four shards.
func benchServer(b *testing.B, d Durability) *Server {
	b.Helper()
	cfg := Config{Durability: d, DataDir: b.TempDir()}
	s, err := Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	_, err = s.Client().CreateStream(b.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(4)})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// serve sends a body straight to the handler, so that no client takes part.
func serve(b *testing.B, s *Server, e wire.Encoding, operation string, body []byte) {
	b.Helper()
	r := httptest.NewRequest(http.MethodPost, "http://localhost/", bytes.NewReader(body))
	r.Header.Set("Content-Type", e.ContentType())
	r.Header.Set("X-Amz-Target", targetPrefix+operation)
	r.Header.Set("X-Amz-Date", "x")
	r.Header.Set("Authorization", auth)
	w := &discard{header: http.Header{}}
	s.serveHTTP(w, r)
	if w.status != http.StatusOK {
		b.Fatalf("status %d", w.status)
	}
}

// records is the body of a PutRecords request.
func recordsBody(e wire.Encoding, n, size int) []byte {
	in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
	for i := range n {
		in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint("key-", i)), Data: bytes.Repeat([]byte{byte(i)}, size)})
	}
	return e.AppendShape(nil, in)
}

// encodings are what the encodings are called in the names of benchmarks.
var encodings = map[string]wire.Encoding{"JSON": wire.AsJSON, "CBOR": wire.AsCBOR}

// BenchmarkPutRecords is the server's side of 500 records of 1 KiB, from four
// callers at a time.
func BenchmarkPutRecords(b *testing.B) {
	for _, d := range []Durability{Memory, Async, Sync} {
		for name, e := range encodings {
			b.Run(d.String()+"/"+name, func(b *testing.B) {
				s := benchServer(b, d)
				body := recordsBody(e, 500, 1024)
				b.SetBytes(500 * 1024)
				b.ReportAllocs()
				b.SetParallelism(2)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						serve(b, s, e, "PutRecords", body)
					}
				})
			})
		}
	}
}

// BenchmarkPutRecord is the server's side of records of 100 bytes, from 16
// callers at a time.
func BenchmarkPutRecord(b *testing.B) {
	for _, d := range []Durability{Memory, Async, Sync} {
		b.Run(d.String(), func(b *testing.B) {
			s := benchServer(b, d)
			body := []byte(`{"StreamName":"s","PartitionKey":"k","Data":"` + string(bytes.Repeat([]byte("QUJD"), 33)) + `"}`)
			b.ReportAllocs()
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					serve(b, s, wire.AsJSON, "PutRecord", body)
				}
			})
		})
	}
}

// BenchmarkGetRecords is the server's side of pages of 10 MiB.
func BenchmarkGetRecords(b *testing.B) {
	for name, e := range encodings {
		b.Run(name, func(b *testing.B) {
			s := benchServer(b, Async)
			body := recordsBody(e, 500, 1024)
			for range 100 {
				serve(b, s, e, "PutRecords", body)
			}
			out, err := s.Client().GetShardIterator(b.Context(), &kinesis.GetShardIteratorInput{
				StreamName: aws.String("s"), ShardId: aws.String("0"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
			if err != nil {
				b.Fatal(err)
			}
			get := e.AppendShape(nil, &kinesis.GetRecordsInput{ShardIterator: out.ShardIterator})
			b.SetBytes(10 << 20)
			b.ReportAllocs()
			for b.Loop() {
				serve(b, s, e, "GetRecords", get)
			}
		})
	}
}
