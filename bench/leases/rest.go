package leases

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/peers"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/lease/redis"
	"github.com/shardrun/shardrun/localstream"
)

// atRest has workers share the shards of a stream in which nothing happens, and
// counts the calls to Redis for a while.
func atRest(workers, shards int, ttl, settle, watch time.Duration) []harness.Contestant {
	return []harness.Contestant{{Name: "shardrun", Setup: func(ctx context.Context, env *harness.Env) (harness.Bench, error) {
		_, addr, err := peers.Redis(ctx, env, "everysec")
		if err != nil {
			return harness.Bench{}, err
		}
		crew, err := startCrew(ctx, addr, workers, shards, ttl)
		if err != nil {
			return harness.Bench{}, err
		}
		client := goredis.NewClient(&goredis.Options{Addr: addr})
		return harness.Bench{
			Close: func() error { return errors.Join(crew.stop(), client.Close()) },
			Warm:  func(ctx context.Context) error { return crew.settle(ctx, settle) },
			Run: func(ctx context.Context) (harness.Sample, error) {
				before, err := Sent(ctx, client)
				if err != nil {
					return harness.Sample{}, err
				}
				began := time.Now()
				select {
				case <-time.After(watch):
				case <-ctx.Done():
					return harness.Sample{}, ctx.Err()
				}
				took := time.Since(began).Seconds()
				after, err := Sent(ctx, client)
				if err != nil {
					return harness.Sample{}, err
				}
				out := harness.Sample{Value: float64(after.Scripts-before.Scripts) / took, Extra: map[string]float64{
					"pings": float64(after.Pings-before.Pings) / took,
				}}
				return out, nil
			},
		}, nil
	}}}
}

// Calls are what clients sent to a Redis since its start.
type Calls struct {
	// Scripts are calls of the store, each of which is one script; Pings keep
	// the subscriptions.
	Scripts, Pings int
	// Took is the time that the server worked on scripts.
	Took time.Duration
}

// Sent reads the counts. Commands that a script runs inside of the server are
// not calls.
func Sent(ctx context.Context, client *goredis.Client) (c Calls, err error) {
	text, err := client.Info(ctx, "commandstats").Result()
	if err != nil {
		return c, err
	}
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		var n, micros int
		if _, err := fmt.Sscanf(rest, "%d,usec=%d,", &n, &micros); err != nil {
			return c, fmt.Errorf("command statistics: %q", line)
		}
		switch name {
		case "evalsha", "eval":
			c.Scripts += n
			c.Took += time.Duration(micros) * time.Microsecond
		case "ping":
			c.Pings += n
		}
	}
	return c, nil
}

// crew are workers of one group in this process, on a stream of their own.
type crew struct {
	server  *localstream.Server
	stores  []*redis.Store
	workers []*consumer.Consumer
	shards  int
	cancel  context.CancelFunc
	ended   sync.WaitGroup

	mu     sync.Mutex // guards failed
	failed error
}

func startCrew(ctx context.Context, addr string, workers, shards int, ttl time.Duration) (*crew, error) {
	server, err := localstream.Open(localstream.Config{Durability: localstream.Memory, ShardLimit: -1})
	if err != nil {
		return nil, err
	}
	c := &crew{server: server, shards: shards}
	if err := peers.CreateStream(ctx, server.Client(), "orders", shards); err != nil {
		return nil, errors.Join(err, server.Close())
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	group := uuid.NewString()
	for range workers {
		store, err := redis.New(redis.Config{Addr: addr})
		if err != nil {
			return nil, errors.Join(err, c.stop())
		}
		c.stores = append(c.stores, store)
		w, err := consumer.New(consumer.Config{
			Group: group, Stream: "orders", Client: server.Client(), Store: store, LeaseTTL: ttl, WorkerName: uuid.NewString(),
			ReadsPerSecond: 0.5, // the shards are empty, and one machine has them all
			Handler:        consumer.BatchFunc(func(context.Context, *consumer.Batch) error { return nil }),
		})
		if err != nil {
			return nil, errors.Join(err, c.stop())
		}
		c.workers = append(c.workers, w)
		c.ended.Go(func() {
			if err := w.Run(run); err != nil {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.failed = errors.Join(c.failed, err)
			}
		})
	}
	return c, nil
}

// settle waits until every worker has its share, and for a while longer.
func (c *crew) settle(ctx context.Context, longer time.Duration) error {
	share := c.shards / len(c.workers)
	err := harness.Poll(ctx, nil, 2*time.Minute, func() error {
		for _, w := range c.workers {
			if n := len(w.Status().Shards); n < share {
				return fmt.Errorf("a worker has %d shards of %d", n, share)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	select {
	case <-time.After(longer):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop drains the workers.
func (c *crew) stop() error {
	c.cancel()
	c.ended.Wait()
	errs := []error{c.failed}
	for _, s := range c.stores {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.server.Close())...)
}
