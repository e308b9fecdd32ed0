package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/localstream"
)

// A worker that handles orders one by one. The stream is in the process here;
// with AWS the client comes from shardrun.NewClient, and the store of several
// workers from lease/redis.
func Example() {
	server, err := localstream.Open(localstream.Config{Durability: localstream.Memory})
	if err != nil {
		log.Fatal(err)
	}
	client := server.Client()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("orders"), ShardCount: aws.Int32(1)}); err != nil {
		log.Fatal(err)
	}
	for _, order := range []string{`{"id":1,"euro":20}`, `{"id":2,"euro":35}`, `not JSON`, `{"id":3,"euro":9}`} {
		_, err := client.PutRecord(ctx, &kinesis.PutRecordInput{
			StreamName: aws.String("orders"), PartitionKey: aws.String("customer-7"), Data: []byte(order),
		})
		if err != nil {
			log.Fatal(err)
		}
	}

	type Order struct{ ID, Euro int }
	worker, err := consumer.New(consumer.Config{
		Group: "billing", Stream: "orders", Client: client, Store: lease.NewMemory(),
		Handler: consumer.Each(consumer.JSON[Order](), func(ctx context.Context, o consumer.Message[Order]) error {
			fmt.Printf("%s pays %d euros for order %d\n", o.Key, o.Value.Euro, o.Value.ID)
			if o.Value.ID == 3 {
				cancel() // enough for an example; a service waits for SIGTERM
			}
			return nil
		}),
		OnFailure: consumer.FailureFunc(func(ctx context.Context, f *consumer.Failure) error {
			fmt.Printf("set aside: %s\n", f.Records[0].Data)
			return nil
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := errors.Join(worker.Run(ctx), server.Close()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// customer-7 pays 20 euros for order 1
	// customer-7 pays 35 euros for order 2
	// set aside: not JSON
	// customer-7 pays 9 euros for order 3
}
