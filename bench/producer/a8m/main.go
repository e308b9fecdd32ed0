// Command a8m measures the codec and the producer of a8m/kinesis-producer.
package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	a8m "github.com/a8m/kinesis-producer"
	"github.com/aws/aws-sdk-go/aws"             //nolint:staticcheck // the library speaks through this version of the SDK
	"github.com/aws/aws-sdk-go/aws/credentials" //nolint:staticcheck // the library speaks through this version of the SDK
	"github.com/aws/aws-sdk-go/aws/session"     //nolint:staticcheck // the library speaks through this version of the SDK
	"github.com/aws/aws-sdk-go/service/kinesis" //nolint:staticcheck // the library speaks through this version of the SDK

	"github.com/shardrun/shardrun/bench/producer/figures"
)

func main() {
	err := figures.Main(context.Background(), os.Args[1:], os.Stdout, map[string]func(context.Context, figures.Task) (figures.Figures, error){
		"encode": encode,
		"put":    put,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// encode makes aggregates. The library puts all records under the first key.
func encode(_ context.Context, t figures.Task) (figures.Figures, error) {
	data, a := figures.Data(t.Size), new(a8m.Aggregator)
	records := 0
	for a.Size()+t.Size <= figures.AggregateBytes {
		a.Put(data, figures.Key(0))
		records++
	}
	var failed error
	f := figures.Loop(t.Time, records, func() {
		if _, err := a.Drain(); err != nil {
			failed = err
		}
		for range records {
			a.Put(data, figures.Key(0))
		}
	})
	return f, failed
}

// silent is a logger that says nothing.
type silent struct{}

func (silent) Info(string, ...a8m.LogValue)         {}
func (silent) Error(string, error, ...a8m.LogValue) {}

// put puts records for a time and waits until all are sent.
func put(_ context.Context, t figures.Task) (figures.Figures, error) {
	s, err := session.NewSession(aws.NewConfig().WithEndpoint(t.Endpoint).WithRegion("us-east-1").
		WithCredentials(credentials.NewStaticCredentials("bench", "bench", "")))
	if err != nil {
		return figures.Figures{}, err
	}
	p := a8m.New(&a8m.Config{StreamName: "bench", Client: kinesis.New(s), Logger: silent{}})
	failures := p.NotifyFailures()
	var failed error
	var wg sync.WaitGroup
	wg.Go(func() {
		for f := range failures {
			failed = f
		}
	})
	p.Start()
	data := figures.Data(t.Size)
	began := time.Now()
	n := 0
	for ; n%64 != 0 || time.Since(began) < t.Time; n++ {
		if err := p.Put(data, figures.Key(n)); err != nil {
			return figures.Figures{}, err
		}
	}
	p.Stop()
	took := time.Since(began)
	wg.Wait()
	return figures.Figures{Records: int64(n), Seconds: took.Seconds()}, failed
}
