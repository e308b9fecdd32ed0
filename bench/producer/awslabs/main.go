// Command awslabs measures the decoder of awslabs/kinesis-aggregation for Go.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/awslabs/kinesis-aggregation/go/v2/deaggregator"

	"github.com/shardrun/shardrun/bench/producer/figures"
	"github.com/shardrun/shardrun/internal/aggregate"
)

func main() {
	err := figures.Main(context.Background(), os.Args[1:], os.Stdout, map[string]func(context.Context, figures.Task) (figures.Figures, error){
		"decode": decode,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// decode unpacks one aggregate again and again.
func decode(_ context.Context, t figures.Task) (figures.Figures, error) {
	var b aggregate.Builder
	data := figures.Data(t.Size)
	for b.TryAdd(figures.Key(0), "", data, figures.AggregateBytes) {
	}
	record := []types.Record{{Data: b.Append(nil), PartitionKey: aws.String("a"), SequenceNumber: aws.String("1")}}
	var failed error
	f := figures.Loop(t.Time, b.Len(), func() {
		out, err := deaggregator.DeaggregateRecords(record)
		if err == nil && len(out) != b.Len() {
			err = fmt.Errorf("%d of %d records were decoded", len(out), b.Len())
		}
		if err != nil {
			failed = err
		}
	})
	return f, failed
}
