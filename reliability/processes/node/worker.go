package main

import (
	"context"
	"errors"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/history/witness"
	"github.com/shardrun/shardrun/lease"
	leaseredis "github.com/shardrun/shardrun/lease/redis"
	"github.com/shardrun/shardrun/reliability/cmdline"
)

// masterName is what the sentinels of a run call their primary; the processes
// command has the same name.
const masterName = "chaos"

// workerFlags declares the flags of a worker.
func workerFlags(flags *cmdline.Flags) role {
	var (
		redis = flags.String("redis", "", "address of Redis")
		set   = flags.String("sentinels", "", "addresses of the sentinels of Redis, with commas, instead of -redis")
		group = flags.String("group", "", "group of workers")
		ttl   = flags.Duration("lease-ttl", time.Second, "how long a worker that fell silent keeps its shards")
	)
	check := func() error {
		if *ttl < lease.MinTTL {
			return cmdline.Wrong("-lease-ttl %v: want at least %v", *ttl, lease.MinTTL)
		}
		if *set == "" {
			return flags.Need("redis", "group")
		}
		if *redis != "" {
			return cmdline.Wrong("-redis and -sentinels: want one of them")
		}
		return flags.Need("group")
	}
	return role{check, func(ctx context.Context, n *node) error {
		cfg := leaseredis.Config{Addr: *redis, Logger: n.log}
		if *set != "" {
			client := goredis.NewFailoverClient(&goredis.FailoverOptions{MasterName: masterName, SentinelAddrs: strings.Split(*set, ",")})
			defer func() { _ = client.Close() }() // the life is over
			cfg.Client = client
		}
		store, err := leaseredis.New(cfg)
		if err != nil {
			return err
		}
		w, err := consumer.New(n.worker(store, *group, *ttl))
		if err != nil {
			return errors.Join(err, store.Close())
		}
		if err := n.up(); err != nil {
			return errors.Join(err, store.Close())
		}
		err = w.Run(ctx)
		if ctx.Err() != nil && err != nil {
			// Asked to end while Redis was away, perhaps: what could not be saved
			// will then be handled again. Who asked knows.
			n.history.Note(n.name, "drained with an error: %v", err)
			n.log.Error("drained with an error", zap.Error(err))
			n.unfinished, err = true, nil
		}
		return errors.Join(err, store.Close())
	}}
}

// worker is the configuration of the node's worker. The history is told by those
// whom the worker uses, its store and its handler.
func (n *node) worker(store lease.Store, group string, ttl time.Duration) consumer.Config {
	h := &handler{history: n.history, worker: n.name, slow: ttl / 2, rng: n.rand()}
	return consumer.Config{
		Group: group, Stream: n.stream, Client: n.client,
		Store: witness.Store(n.history, n.name, store), Handler: consumer.BatchFunc(h.handle),
		WorkerName:     n.name,
		LeaseTTL:       ttl,
		BatchSize:      15, // ends inside of aggregates
		ReadsPerSecond: -1, // the local stream has no limit to keep to
		DrainTimeout:   2 * ttl,
		StartTimeout:   2 * time.Minute, // the nemesis may have the server and Redis in turn
		RetryDelay:     5 * time.Millisecond, MaxRetryDelay: 50 * time.Millisecond,
		Logger: n.log,
	}
}
