package producer_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/localstream"
	"github.com/shardrun/shardrun/producer"
)

// answering is a client that says yes at once, for benchmarks of what the
// producer itself costs.
type answering struct{ shards int }

func shardName(i int) *string { return aws.String(fmt.Sprintf("shardId-%012d", i)) }

func (a answering) ListShards(context.Context, *kinesis.ListShardsInput, ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	var out kinesis.ListShardsOutput
	for i, r := range hashkey.Split(a.shards) {
		out.Shards = append(out.Shards, types.Shard{
			ShardId:      shardName(i),
			HashKeyRange: &types.HashKeyRange{StartingHashKey: aws.String(r.Start.String()), EndingHashKey: aws.String(r.End.String())},
		})
	}
	return &out, nil
}

func (a answering) PutRecords(_ context.Context, in *kinesis.PutRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error) {
	out := &kinesis.PutRecordsOutput{Records: make([]types.PutRecordsResultEntry, len(in.Records))}
	for i, r := range in.Records {
		k := hashkey.Of(*r.PartitionKey)
		if r.ExplicitHashKey != nil {
			k, _ = hashkey.Parse(*r.ExplicitHashKey)
		}
		out.Records[i] = types.PutRecordsResultEntry{
			ShardId: shardName(int(k.Hi >> 62 * uint64(a.shards) / 4)), SequenceNumber: aws.String("1"),
		}
	}
	return out, nil
}

func BenchmarkPut(b *testing.B) {
	for _, ordered := range []bool{false, true} {
		for _, size := range []int{100, 1024} {
			b.Run(fmt.Sprintf("ordered=%v/%dB", ordered, size), func(b *testing.B) {
				p := must(producer.New(producer.Config{Client: answering{4}, Stream: "s", RateLimit: -1, Ordered: ordered}))
				keys := make([]string, 1000)
				for i := range keys {
					keys[i] = fmt.Sprintf("customer-%06d", i)
				}
				data := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if err := p.Put(b.Context(), producer.Record{Key: keys[i%len(keys)], Data: data}); err != nil {
						b.Fatal(err)
					}
					i++
				}
				if err := p.Close(b.Context()); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// BenchmarkStream is the way through a real client and a server in memory.
func BenchmarkStream(b *testing.B) {
	for _, ordered := range []bool{false, true} {
		for _, size := range []int{100, 1024} {
			b.Run(fmt.Sprintf("ordered=%v/%dB", ordered, size), func(b *testing.B) {
				client := localstream.NewT(b).Client()
				must(client.CreateStream(b.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(4)}))
				p := must(producer.New(producer.Config{Client: client, Stream: "s", RateLimit: -1, Ordered: ordered}))
				keys := make([]string, 1000)
				for i := range keys {
					keys[i] = fmt.Sprintf("customer-%06d", i)
				}
				data := make([]byte, size)
				b.SetBytes(int64(size))
				i := 0
				for b.Loop() {
					if err := p.Put(b.Context(), producer.Record{Key: keys[i%len(keys)], Data: data}); err != nil {
						b.Fatal(err)
					}
					i++
				}
				if err := p.Close(b.Context()); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}
