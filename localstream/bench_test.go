package localstream

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

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

// BenchmarkPutToEvent is the time from the call of PutRecord to the event that
// its subscriber reads, with other subscribers on other shards.
func BenchmarkPutToEvent(b *testing.B) {
	for name, tt := range map[string]struct {
		durability Durability
		shards     int
		option     func(*kinesis.Options)
	}{
		"in process":               {Async, 1, nil},
		"HTTP/1.1":                 {Async, 1, overNetwork["HTTP/1.1"]},
		"HTTP/2":                   {Async, 1, overNetwork["HTTP/2"]},
		"HTTP/2, 99 other shards":  {Async, 100, overNetwork["HTTP/2"]},
		"HTTP/2, each put fsynced": {Sync, 1, overNetwork["HTTP/2"]},
	} {
		b.Run(name, func(b *testing.B) {
			s, err := Open(Config{Durability: tt.durability, DataDir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() {
				if err := s.Close(); err != nil {
					b.Error(err)
				}
			})
			options := []func(*kinesis.Options){noRetry}
			if tt.option != nil {
				srv := httptest.NewUnstartedServer(s.Handler())
				srv.Config.Protocols = new(http.Protocols)
				srv.Config.Protocols.SetHTTP1(true)
				srv.Config.Protocols.SetUnencryptedHTTP2(true)
				srv.Start()
				b.Cleanup(srv.Close)
				options = append(options, tt.option, func(o *kinesis.Options) { o.BaseEndpoint = &srv.URL })
			}
			ctx := b.Context()
			c := s.Client(options...)
			if _, err := c.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(int32(tt.shards))}); err != nil {
				b.Fatal(err)
			}
			consumer, err := c.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: aws.String(testARN), ConsumerName: aws.String("c")})
			if err != nil {
				b.Fatal(err)
			}
			var streams []*kinesis.SubscribeToShardEventStream
			for shard := range tt.shards {
				out, err := s.Client(options...).SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{
					ConsumerARN: consumer.Consumer.ConsumerARN, ShardId: aws.String(fmt.Sprint(shard)), StartingPosition: &fromLatest})
				if err != nil {
					b.Fatal(err)
				}
				defer out.GetStream().Close()
				streams = append(streams, out.GetStream())
				<-out.GetStream().Events()
			}
			for _, other := range streams[1:] {
				go func() {
					for range other.Events() { // as beats come
					}
				}()
			}
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				_, err := c.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), ExplicitHashKey: aws.String("0"), Data: make([]byte, 100)})
				if err != nil {
					b.Fatal(err)
				}
				for records := 0; records == 0; {
					event, ok := <-streams[0].Events()
					if !ok {
						b.Fatal(streams[0].Err())
					}
					records = len(event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value.Records)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
