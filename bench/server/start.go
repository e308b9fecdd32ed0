package server

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"golang.org/x/sync/errgroup"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/peers"
)

// The streams that the server is started on: one with many shards, and one with
// few, so that each of these has records for many full pages.
const (
	logShards   = 1000
	dense       = stream + "-dense"
	denseShards = 4
)

// logBytes is the length of its records; a full run has the larger log.
func logBytes(full bool) int {
	if full {
		return 10 << 30
	}
	return 1 << 30
}

// starts are the Kinesis servers that keep nothing yet: a run is from the
// start of the process to the first active stream.
func starts() []harness.Contestant {
	var list []harness.Contestant
	for _, c := range kinesisServers() {
		if c.name == echo {
			continue
		}
		list = append(list, harness.Contestant{Name: c.name, Ours: c.ours, Setup: func(ctx context.Context, env *harness.Env) (harness.Bench, error) {
			run := func(ctx context.Context) (harness.Sample, error) {
				began := time.Now()
				process, url, err := c.start(ctx, env)
				if err != nil {
					return harness.Sample{}, err
				}
				defer process.Stop()
				if err := peers.CreateStream(ctx, peers.Client(url), stream, 4); err != nil {
					return harness.Sample{}, err
				}
				return harness.Sample{
					Value: time.Since(began).Seconds() * 1e3, PeakRSS: process.PeakRSS(),
				}, nil
			}
			// The first start reads the program from disk.
			warm := func(ctx context.Context) error { _, err := run(ctx); return err }
			return harness.Bench{Warm: warm, Run: run}, nil
		}})
	}
	return list
}

// filled is a data directory of ours with both streams, half of the records in
// each. Its path is absolute.
func filled(ctx context.Context, env *harness.Env) (string, error) {
	size := logBytes(env.Full)
	if !roomFor(env.Dir, 2*uint64(size)) {
		return "", fmt.Errorf("%w: %s has no room for a log of %d GiB", harness.ErrUnavailable, env.Dir, size>>30)
	}
	dir := filepath.Join(env.Dir, "filled")
	process, url, err := peers.Shardrun(ctx, env, "async", dir)
	if err != nil {
		return "", err
	}
	defer process.Stop()
	client := peers.Client(url)
	if err := createBoth(ctx, client); err != nil {
		return "", err
	}
	load := puts{batch: 500, bytes: 1024}
	data := make([]byte, load.bytes)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for i := range size / load.batch / load.bytes {
		into := []string{stream, dense}[i%2]
		g.Go(func() error { return putBatch(ctx, client, into, data, i*load.batch, load.batch) })
	}
	if err := g.Wait(); err != nil {
		return "", fmt.Errorf("fill: %w", err)
	}
	return dir, nil
}

// createBoth creates the streams.
func createBoth(ctx context.Context, client *kinesis.Client) error {
	if err := peers.CreateStream(ctx, client, stream, logShards); err != nil {
		return err
	}
	return peers.CreateStream(ctx, client, dense, denseShards)
}

// roomFor reports whether the disk has so many bytes to spare.
func roomFor(dir string, bytes uint64) bool {
	var fs syscall.Statfs_t
	return syscall.Statfs(dir, &fs) == nil && fs.Bavail*uint64(fs.Bsize) > bytes
}

// startOnLog is ours, started on a log. Each run ends with SIGKILL, so the
// next one starts after that.
func startOnLog(ctx context.Context, env *harness.Env) (harness.Bench, error) {
	dir, err := filled(ctx, env)
	if err != nil {
		return harness.Bench{}, err
	}
	run := func(ctx context.Context) (harness.Sample, error) {
		began := time.Now()
		process, url, err := peers.Shardrun(ctx, env, "sync", dir)
		if err != nil {
			return harness.Sample{}, err
		}
		defer process.Kill()
		client := peers.Client(url)
		if err := peers.Active(ctx, client, stream); err != nil {
			return harness.Sample{}, err
		}
		s := harness.Sample{Value: time.Since(began).Seconds() * 1e3, PeakRSS: process.PeakRSS()}
		return s, putBatch(ctx, client, stream, make([]byte, 1024), 0, 500) // it has to work, and leaves an end that was not closed
	}
	return harness.Bench{Run: run, Warm: func(ctx context.Context) error { _, err := run(ctx); return err }}, nil
}

// memories measure resident memory in MiB: idle with a stream of 1,000 shards
// (ours with a log on disk), and the peak while callers put and get.
func memories() []harness.Contestant {
	list := []harness.Contestant{{Name: oursSync, Setup: func(ctx context.Context, env *harness.Env) (harness.Bench, error) {
		dir, err := filled(ctx, env)
		if err != nil {
			return harness.Bench{}, err
		}
		return memory(env, func(ctx context.Context, env *harness.Env) (*harness.Process, string, error) {
			return peers.Shardrun(ctx, env, "sync", dir)
		}, false), nil
	}}}
	for _, c := range kinesisServers() {
		if c.name != kinesalite && c.name != kinesisLocal {
			continue
		}
		list = append(list, harness.Contestant{Name: c.name, Setup: func(_ context.Context, env *harness.Env) (harness.Bench, error) {
			return memory(env, c.start, true), nil
		}})
	}
	return list
}

// underLoad is the figure of the peak of memory while callers put and get.
const underLoad = "under load"

// memory starts the server in each run; create says that it needs the streams.
func memory(env *harness.Env, start server, create bool) harness.Bench {
	const mib = 1 << 20
	return harness.Bench{Run: func(ctx context.Context) (harness.Sample, error) {
		process, url, err := start(ctx, env)
		if err != nil {
			return harness.Sample{}, err
		}
		defer process.Stop()
		client := peers.Client(url)
		if create {
			err = createBoth(ctx, client)
		} else {
			err = peers.Active(ctx, client, stream)
		}
		if err != nil {
			return harness.Sample{}, err
		}
		select { // what the start took is given back, or not
		case <-time.After(time.Second):
		case <-ctx.Done():
			return harness.Sample{}, ctx.Err()
		}
		s := harness.Sample{Value: float64(process.RSS()) / mib}
		if err := putAndGet(ctx, client, putTime); err != nil {
			return s, err
		}
		s.PeakRSS = process.PeakRSS()
		s.Extra = map[string]float64{underLoad: float64(s.PeakRSS) / mib}
		return s, nil
	}}
}

// putAndGet has two callers put batches into the stream with few shards, and two
// read its shards from their beginnings, one after the other, for a time.
func putAndGet(ctx context.Context, client *kinesis.Client, d time.Duration) error {
	shards, err := peers.Shards(ctx, client, dense)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		_, _, err := puts{callers: 2, batch: 500, bytes: 1024}.drive(ctx, client, dense, d)
		return err
	})
	var turn atomic.Int64
	began := time.Now()
	for range 2 {
		g.Go(func() error {
			for time.Since(began) < d {
				if err := readPages(ctx, client, dense, shards[int(turn.Add(1))%len(shards)]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}
