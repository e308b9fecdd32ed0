package scale

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/bench/child"
	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/lease/redis"
)

// Size is what a process is to run.
type Size struct {
	Shards  int           `json:"shards"`
	Workers int           `json:"workers"`
	Records int           `json:"records"`
	TTL     time.Duration `json:"ttl"`
	Redis   string        `json:"redis"`
}

// Roles are the processes of this package.
func Roles() map[string]child.Role { return map[string]child.Role{role: child.As(play)} }

const role = "scale-fleet"

// Phases of a process, and what it says at the end of each.
type phase struct {
	// Started is the time until every worker had its share, in seconds.
	Started float64 `json:"started,omitempty"`
	// CPU is processor time of the process for a record, in microseconds.
	CPU float64 `json:"cpu,omitempty"`
	// Memory is the resident memory before anything is read, in bytes.
	Memory int64 `json:"memory,omitempty"`
	// Joined is the time until one worker more had its share, in seconds.
	Joined float64 `json:"joined,omitempty"`
	// Rest says that nothing happens from here on for restTime.
	Rest bool `json:"rest,omitempty"`
}

// restTime is how long the fleet does nothing, while calls are counted.
const restTime = 3 * time.Second

// silent is where the Redis client logs: what it has to say comes back as an
// error too.
type silent struct{}

// Printf says nothing.
func (silent) Printf(context.Context, string, ...any) {}

func play(ctx context.Context, say *child.Speaker, size Size) (err error) {
	goredis.SetLogger(silent{})
	say.Say(struct{}{})
	f := &fleet{size: size, group: uuid.NewString(), stream: newStream(size.Shards, size.Records)}
	ctx, f.cancel = context.WithCancel(ctx)
	defer func() { err = errors.Join(err, f.stop()) }()
	began := time.Now()
	for range size.Workers {
		if err := f.add(ctx); err != nil {
			return err
		}
	}
	if err := f.shared(ctx); err != nil {
		return err
	}
	say.Say(phase{Started: time.Since(began).Seconds()})

	say.Say(phase{Memory: child.UsageNow().PeakRSS, Rest: true})
	time.Sleep(restTime)

	used := child.UsageNow().CPU
	f.stream.open.Store(true)
	if err := harness.Poll(ctx, nil, time.Minute, func() error {
		if n := f.handled.Load(); n < f.stream.records() {
			return fmt.Errorf("%d of %d records were handled", n, f.stream.records())
		}
		return nil
	}); err != nil {
		return err
	}
	say.Say(phase{CPU: 1e6 * (child.UsageNow().CPU - used) / float64(f.stream.records())})

	if size.Shards > size.Workers { // else nobody has to give anything
		began = time.Now()
		if err := f.add(ctx); err != nil {
			return err
		}
		if err := f.shared(ctx); err != nil {
			return err
		}
		say.Say(phase{Joined: time.Since(began).Seconds()})
	}
	return nil
}

// fleet are the workers of a group in this process.
type fleet struct {
	size    Size
	group   string
	stream  *stream
	handled atomic.Int64
	workers []*consumer.Consumer
	stores  []*redis.Store
	cancel  context.CancelFunc
	ended   sync.WaitGroup

	mu     sync.Mutex // guards failed
	failed error
}

// add starts a worker.
func (f *fleet) add(ctx context.Context) error {
	store, err := redis.New(redis.Config{Addr: f.size.Redis})
	if err != nil {
		return err
	}
	f.stores = append(f.stores, store)
	c, err := consumer.New(consumer.Config{
		Group: f.group, Stream: streamName, Client: f.stream, Store: store, LeaseTTL: f.size.TTL,
		WorkerName: "worker-" + strconv.Itoa(len(f.workers)), ReadsPerSecond: -1,
		Handler: consumer.BatchFunc(func(_ context.Context, b *consumer.Batch) error {
			f.handled.Add(int64(len(b.Records)))
			return nil
		}),
	})
	if err != nil {
		return err
	}
	f.workers = append(f.workers, c)
	f.ended.Go(func() {
		if err := c.Run(ctx); err != nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.failed = errors.Join(f.failed, err)
		}
	})
	return nil
}

// shared waits until every worker has its share and all shards have a worker.
func (f *fleet) shared(ctx context.Context) error {
	return harness.Poll(ctx, nil, 100*time.Second, func() error {
		// To look at a worker makes it list its shards: not all the time.
		time.Sleep(20 * time.Millisecond)
		least, all := f.size.Shards, 0
		for _, w := range f.workers {
			n := len(w.Status().Shards)
			least, all = min(least, n), all+n
		}
		if share := f.size.Shards / len(f.workers); least < share || all != f.size.Shards {
			return fmt.Errorf("%d of %d shards have a worker, and a worker has %d of %d", all, f.size.Shards, least, share)
		}
		return nil
	})
}

// stop drains the workers.
func (f *fleet) stop() error {
	f.cancel()
	f.ended.Wait()
	errs := []error{f.failed}
	for _, s := range f.stores {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
