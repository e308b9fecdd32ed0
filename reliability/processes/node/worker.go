package main

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/history/witness"
	leaseredis "github.com/shardrun/shardrun/lease/redis"
)

// workerFlags declares the flags of a worker, and returns its life.
func workerFlags(flags *flag.FlagSet) func(context.Context, *node) error {
	var (
		redis = flags.String("redis", "", "address of Redis")
		group = flags.String("group", "", "group of workers")
		ttl   = flags.Duration("lease-ttl", time.Second, "how long a worker that fell silent keeps its shards")
	)
	return func(ctx context.Context, n *node) error {
		store, err := leaseredis.New(leaseredis.Config{Addr: *redis, Logger: n.log})
		if err != nil {
			return err
		}
		h := handler{slow: *ttl / 2, rng: n.rand()}
		w, err := consumer.New(witness.Worker(n.history, consumer.Config{
			Group: *group, Stream: n.stream, Client: n.client, Store: store, Handler: consumer.BatchFunc(h.handle),
			WorkerName:     n.name,
			LeaseTTL:       *ttl,
			BatchSize:      15, // ends inside of aggregates
			ReadsPerSecond: -1, // the local stream has no limit to keep to
			DrainTimeout:   2 * *ttl,
			StartTimeout:   2 * time.Minute, // the nemesis may have the server and Redis in turn
			RetryDelay:     5 * time.Millisecond, MaxRetryDelay: 50 * time.Millisecond,
			Logger: n.log,
		}))
		if err != nil {
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
	}
}

// handler is what the user of a worker would write, on a bad day: it fails at
// times, and at times it is so slow that its batch is half done when the worker is
// killed, or handed on while the worker is held.
type handler struct {
	slow time.Duration // the longest that a batch takes

	mu  sync.Mutex // guards rng
	rng *rand.Rand
}

// fresh is how old records may be for the handler to be slow with them. A group
// whose state was lost has the whole stream to handle again, and is to catch up.
const fresh = 20 * time.Second

var errBadDay = errors.New("bad day")

func (h *handler) handle(ctx context.Context, b *consumer.Batch) error {
	h.mu.Lock()
	var work time.Duration
	if time.Since(b.Records[0].Arrival) < fresh {
		work = time.Duration(h.rng.Int64N(int64(10 * time.Millisecond)))
		if h.rng.IntN(6) == 0 {
			work = time.Duration(h.rng.Int64N(int64(h.slow)))
		}
	}
	fail := h.rng.IntN(40)
	at := h.rng.IntN(len(b.Records))
	h.mu.Unlock()
	if err := sleep(ctx, work); err != nil {
		return err
	}
	switch fail {
	case 0:
		return consumer.FailFrom(at, errBadDay)
	case 1:
		return errBadDay
	}
	return nil
}
