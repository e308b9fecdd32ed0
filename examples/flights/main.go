// Flights is the worker of `shardrun demo` as a process of its own: it counts
// flights by origin airport. Run a stream and a Redis, fill the stream, and
// start as many copies as you like, each in its own terminal:
//
//	go run ./cmd/shardrun serve --redis-listen 127.0.0.1:6399
//	export AWS_ENDPOINT_URL_KINESIS=http://127.0.0.1:4567
//	go run ./cmd/shardrun streams create flights --shards 4
//	go run ./examples/flights --redis 127.0.0.1:6399
//	go run ./examples/flights --redis 127.0.0.1:6399
//	go run ./cmd/shardrun put flights --key-field origin --file FLIGHTS.ndjson
//	go run ./cmd/shardrun leases flights --redis 127.0.0.1:6399
//
// Watch the shards move when a copy starts, when one gets SIGTERM (it finishes
// its batches, hands its shards over in milliseconds and prints what it
// counted), and when one gets SIGKILL (the others take over when its leases
// have lapsed, and handle again what it had not checkpointed).
//
// With --out each handled flight is a line of JSON in a file: a sink to look at
// when you want to see for yourself that nothing is missing.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/awsclient"
	"github.com/shardrun/shardrun/internal/flights"
	"github.com/shardrun/shardrun/internal/redisurl"
	leaseredis "github.com/shardrun/shardrun/lease/redis"
)

func main() {
	endpoint := flag.String("endpoint", "", "URL of the Kinesis API (else $AWS_ENDPOINT_URL_KINESIS, or AWS)")
	region := flag.String("region", "", "AWS region")
	redis := flag.String("redis", "127.0.0.1:6379", redisurl.Usage)
	stream := flag.String("stream", "flights", "name or ARN of the stream")
	group := flag.String("group", "flights", "group of workers that share the stream")
	name := flag.String("name", "", "name of this worker (default: host, process and a random part)")
	ttl := flag.Duration("lease-ttl", 10*time.Second, "how long a killed worker keeps its shards")
	out := flag.String("out", "", "file to append a line of JSON to for each handled flight")
	flag.Parse()

	// SIGTERM, which is how a container is stopped, drains the worker.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	client, err := awsclient.New(ctx, awsclient.Options{Endpoint: *endpoint, Region: *region})
	if err != nil {
		log.Fatal(err)
	}
	at, err := redisurl.Parse(*redis)
	if err != nil {
		log.Fatal("-redis: ", err)
	}
	store, err := leaseredis.New(leaseredis.Config{Client: at.Client()})
	if err != nil {
		log.Fatal(err)
	}
	counter := &counter{out: io.Discard}
	if *out != "" {
		file, err := os.OpenFile(*out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			log.Fatal(err)
		}
		defer file.Close()
		counter.out = file
	}
	logs := zap.NewDevelopmentConfig()
	logs.Level.SetLevel(zap.InfoLevel)
	logs.DisableStacktrace = true // what was survived is no bug
	logger, err := logs.Build()
	if err != nil {
		log.Fatal(err)
	}
	w, err := consumer.New(consumer.Config{
		Group: *group, Stream: *stream, Client: client, Store: store,
		Handler:    consumer.Each(consumer.JSON[flights.Flight](), counter.count),
		WorkerName: *name, LeaseTTL: *ttl, Logger: logger,
	})
	if err != nil {
		log.Fatal(err)
	}
	err = w.Run(ctx)
	counter.print()
	if err != nil {
		log.Fatal(err)
	}
}

// counter is the handler's state. Its count is at least once: what another
// worker handled and did not checkpoint is counted here again.
type counter struct {
	out io.Writer // one Write a line; shards are handled concurrently

	mu    sync.Mutex // guards all below
	stats flights.Stats
	n     int
}

// count handles one flight. An error makes the worker deliver it again.
func (c *counter) count(_ context.Context, m consumer.Message[flights.Flight]) error {
	line, err := json.Marshal(map[string]any{
		"sequence": m.Record.Sequence, "subsequence": m.Record.Subsequence,
		"origin": m.Value.Origin, "date": m.Value.Date, "delay": m.Value.Delay,
	})
	if err != nil {
		return err
	}
	if _, err := c.out.Write(append(line, '\n')); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Add(m.Value)
	c.n++
	return nil
}

func (c *counter) print() {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Printf("this worker counted %d flights\n", c.n)
	for _, a := range c.stats.Top(10) {
		fmt.Printf("%s  %5d flights, mean delay %+.1f min\n", a.Code, a.Flights, a.MeanDelay())
	}
}
