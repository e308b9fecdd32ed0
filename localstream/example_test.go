package localstream_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream"
)

// exampleTest stands for the *testing.T of a test.
type exampleTest struct{ cleanup func() }

func (*exampleTest) Helper()                           {}
func (t *exampleTest) Cleanup(f func())                { t.cleanup = f }
func (*exampleTest) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (*exampleTest) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// In a test: a server that is closed at the test's end, a client of it, a put
// that is throttled, and a look at the records without the wire.
func ExampleNewT() {
	t := &exampleTest{} // in a test it is there
	srv := localstream.NewT(t)
	client := srv.Client(func(o *kinesis.Options) { o.RetryMaxAttempts = 1 }) // to see every error
	ctx := context.Background()                                               // t.Context()

	_, err := client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("orders"), ShardCount: aws.Int32(1)})
	fmt.Println("create stream:", err)

	srv.Inject(localstream.Fault{Operation: "PutRecord"}) // throttled once
	order := &kinesis.PutRecordInput{StreamName: aws.String("orders"), PartitionKey: aws.String("customer-7"), Data: []byte("coffee")}
	_, err = client.PutRecord(ctx, order)
	_, throttled := errors.AsType[*types.ProvisionedThroughputExceededException](err)
	fmt.Println("put record: throttled:", throttled)
	_, err = client.PutRecord(ctx, order)
	fmt.Println("put record again:", err)
	fmt.Println("faults that did not happen:", len(srv.Faults()))

	records, err := srv.Records("orders")
	for _, r := range records {
		fmt.Printf("%s has %s, %v\n", r.PartitionKey, r.Data, err)
	}
	t.cleanup() // at the test's end

	// Output:
	// create stream: <nil>
	// put record: throttled: true
	// put record again: <nil>
	// faults that did not happen: 0
	// customer-7 has coffee, <nil>
}

// Read a shard from its beginning with the client of the AWS SDK.
func ExampleServer_Client() {
	srv, err := localstream.Open(localstream.Config{Durability: localstream.Memory})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	ctx, client, stream := context.Background(), srv.Client(), aws.String("orders")

	_, err = client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: stream, ShardCount: aws.Int32(1)})
	if err != nil {
		fmt.Println(err)
		return
	}
	put, err := client.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: stream, PartitionKey: aws.String("k"), Data: []byte("coffee")})
	if err != nil {
		fmt.Println(err)
		return
	}
	from, err := client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: stream, ShardId: put.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	page, err := client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: from.ShardIterator})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range page.Records {
		fmt.Printf("%s: %s\n", *put.ShardId, r.Data)
	}
	// Output: shardId-000000000000: coffee
}
