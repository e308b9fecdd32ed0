// Quickstart is a stream, a producer and a worker in one process.
//
// Run it with `go run ./examples/quickstart`. Watch the greetings arrive in the
// order in which they were put, and the program end by itself: the handler
// cancels the worker's context after the last one, and Run then finishes,
// checkpoints and returns.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/localstream"
	"github.com/shardrun/shardrun/producer"
)

func main() {
	ctx, done := context.WithCancel(context.Background())
	server := must(localstream.Open(localstream.Config{Durability: localstream.Memory}))
	defer server.Close()
	client := server.Client() // of AWS: shardrun.NewClient(cfg)
	must(client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("greetings"), ShardCount: aws.Int32(2)}))

	p := must(producer.New(producer.Config{Client: client, Stream: "greetings"}))
	for i := range 10 {
		check(p.Put(ctx, producer.Record{Key: "world", Data: fmt.Appendf(nil, "hello %d", i)}))
	}
	check(p.Close(ctx)) // sends what is buffered

	w := must(consumer.New(consumer.Config{
		Group: "greeters", Stream: "greetings", Client: client, Store: lease.NewMemory(),
		Handler: consumer.BatchFunc(func(_ context.Context, b *consumer.Batch) error {
			for _, r := range b.Records {
				fmt.Printf("%s: %s\n", b.Shard, r.Data)
				if string(r.Data) == "hello 9" {
					done()
				}
			}
			return nil
		}),
	}))
	check(w.Run(ctx))
}

func must[T any](v T, err error) T { check(err); return v }

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
