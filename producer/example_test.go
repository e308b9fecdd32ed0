package producer_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/localstream"
	"github.com/shardrun/shardrun/producer"
)

// must ends an example that cannot go on.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newClient is a client of a server in memory that has the stream "orders".
func newClient(ctx context.Context) (client *kinesis.Client, stop func()) {
	server := must(localstream.Open(localstream.Config{Durability: localstream.Memory}))
	client = server.Client()
	must(client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("orders"), ShardCount: aws.Int32(1)}))
	return client, func() { _ = server.Close() }
}

func Example() {
	ctx := context.Background()
	client, stop := newClient(ctx)
	defer stop()

	p, err := producer.New(producer.Config{Client: client, Stream: "orders"})
	if err != nil {
		panic(err)
	}
	for i := range 3 {
		err := p.Put(ctx, producer.Record{
			Key:  "customer-7",
			Data: fmt.Appendf(nil, "order %d", i),
			Done: func(r producer.Result, err error) {
				if err != nil {
					fmt.Println("not written:", err)
					return
				}
				fmt.Println("order", i, "is in", r.Shard)
			},
		})
		if err != nil {
			panic(err)
		}
	}
	if err := p.Close(ctx); err != nil {
		panic(err)
	}
	// Output:
	// order 0 is in shardId-000000000000
	// order 1 is in shardId-000000000000
	// order 2 is in shardId-000000000000
}

func ExampleProducer_PutSync() {
	ctx := context.Background()
	client, stop := newClient(ctx)
	defer stop()

	p := must(producer.New(producer.Config{Client: client, Stream: "orders"}))
	r, err := p.PutSync(ctx, producer.Record{Key: "customer-7", Data: []byte("order")})
	fmt.Println(r.Shard, r.Attempts, err)
	fmt.Println(p.Close(ctx))
	// Output:
	// shardId-000000000000 1 <nil>
	// <nil>
}

func ExampleProducer_TryPut() {
	ctx := context.Background()
	client, stop := newClient(ctx)
	defer stop()

	p := must(producer.New(producer.Config{Client: client, Stream: "orders", BufferRecords: 100}))
	accepted := 0
	for {
		err := p.TryPut(producer.Record{Key: "sensor", Data: []byte("reading")})
		if errors.Is(err, producer.ErrBufferFull) {
			break // drop the reading, or tell the sensor to slow down
		}
		accepted++
		if accepted == 1_000_000 {
			break
		}
	}
	fmt.Println(accepted >= 100, p.Close(ctx))
	// Output:
	// true <nil>
}
