package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/bench/harness"
)

const (
	// latencyTime is how long records are put and got in a run, one after the
	// other, and latencyRecords how many at most.
	latencyTime    = 2 * time.Second
	latencyRecords = 1000
	// fsyncs is how many writes are synced to know what that takes, and
	// fsyncBytes the length of each.
	fsyncs     = 200
	fsyncBytes = 4 << 10
)

// fsyncP99 is the figure of what a sync of the disk takes in a run.
const fsyncP99 = "fsync p99"

// latencies are the Kinesis servers but for the echo.
func latencies() []harness.Contestant {
	var list []harness.Contestant
	for _, c := range kinesisServers() {
		if c.name == echo {
			continue
		}
		contestant := c.contestant(work{shards: 1, warm: func(ctx context.Context, client *kinesis.Client) error {
			_, err := putToGet(ctx, client, latencyRecords/10)
			return err
		}, run: func(ctx context.Context, client *kinesis.Client) (harness.Sample, error) {
			return putToGet(ctx, client, latencyRecords)
		}})
		if c.name == oursSync {
			contestant = withFsync(contestant)
		}
		list = append(list, contestant)
	}
	return list
}

// putToGet puts records of 100 B, one after the other, into a shard that is
// read without a pause. It observes the milliseconds from before each put
// until the record was read.
func putToGet(ctx context.Context, client *kinesis.Client, records int) (harness.Sample, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	const shard = "shardId-000000000000"
	next, err := iterator(ctx, client, stream, shard, types.ShardIteratorTypeLatest)
	if err != nil {
		return harness.Sample{}, err
	}
	arrivals := make(chan arrival, records) // room for all, so that the reader does not wait
	// The reader is let finish its last call: kinesalite dies of a client that
	// goes away in the middle of one.
	stop, ended := make(chan struct{}), make(chan struct{})
	defer func() { close(stop); <-ended }()
	go func() {
		defer close(ended)
		for !closed(stop) {
			out, err := client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next})
			if err != nil {
				cancel(err)
				return
			}
			now := time.Now()
			for _, r := range out.Records {
				n, err := strconv.Atoi(aws.ToString(r.PartitionKey))
				if err != nil {
					cancel(err)
					return
				}
				select {
				case arrivals <- arrival{n, now}:
				case <-stop:
					return
				}
			}
			next = out.NextShardIterator
		}
	}()

	return putEach(ctx, client, records, arrivals)
}

// arrival is when a record was read.
type arrival struct {
	n  int
	at time.Time
}

// putEach puts records of 100 B, each when the one before has arrived, and
// observes the milliseconds that each took. ctx ends with the cause when the
// reader fails.
func putEach(ctx context.Context, client *kinesis.Client, records int, arrivals <-chan arrival) (harness.Sample, error) {
	var sample harness.Sample
	data := make([]byte, 100)
	for n, began := 0, time.Now(); n < records && time.Since(began) < latencyTime; n++ {
		put := time.Now()
		if _, err := client.PutRecord(ctx, &kinesis.PutRecordInput{
			StreamName: aws.String(stream), PartitionKey: aws.String(strconv.Itoa(n)), Data: data,
		}); err != nil {
			return sample, errors.Join(err, context.Cause(ctx))
		}
		select {
		case a := <-arrivals:
			if a.n != n {
				return sample, fmt.Errorf("record %d was read instead of %d", a.n, n)
			}
			sample.Observations = append(sample.Observations, a.at.Sub(put).Seconds()*1e3)
		case <-ctx.Done():
			return sample, context.Cause(ctx)
		}
	}
	sample.Records = int64(len(sample.Observations))
	return sample, nil
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// withFsync adds to each run what a sync of the disk takes at the time.
func withFsync(c harness.Contestant) harness.Contestant {
	setup := c.Setup
	c.Setup = func(ctx context.Context, env *harness.Env) (harness.Bench, error) {
		b, err := setup(ctx, env)
		run := b.Run
		b.Run = func(ctx context.Context) (harness.Sample, error) {
			s, err := run(ctx)
			if err != nil {
				return s, err
			}
			times, err := syncTimes(filepath.Join(env.Dir, "fsync"))
			s.Extra = map[string]float64{fsyncP99: harness.Percentile(times, 99)}
			return s, err
		}
		return b, err
	}
	return c
}

// syncTimes appends to a file and syncs it, again and again, and returns the
// milliseconds that each took.
func syncTimes(path string) ([]float64, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	block := make([]byte, fsyncBytes)
	var times []float64
	for range fsyncs {
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began).Seconds()*1e3)
	}
	return times, nil
}

// withinPush is the target of put to push. withinAsync and withinSync are those
// of put to get; the second may take a sync of the disk longer.
func withinPush(r harness.Result) bool { return r.Extra("p50") < 0.5 && r.Extra("p99") < 2 }

func withinAsync(r harness.Result) bool { return r.Extra("p50") < 0.8 && r.Extra("p99") < 3 }

func withinSync(r harness.Result) bool {
	return r.Extra("p50") < 0.8+r.Extra(fsyncP99) && r.Extra("p99") < 3+r.Extra(fsyncP99)
}
