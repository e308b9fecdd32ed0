package worker

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/shardrun/shardrun/bench/child"
	"github.com/shardrun/shardrun/bench/peers"
	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/redis"
)

// Config says what a worker is to do. What it does not say are the worker's
// defaults.
type Config struct {
	Name     string `json:"name"`
	Group    string `json:"group"`
	Stream   string `json:"stream"`
	Endpoint string `json:"endpoint"`
	// Redis is where leases and positions are; DynamoDB the same for workers
	// of other libraries.
	Redis    string        `json:"redis"`
	DynamoDB string        `json:"dynamodb"`
	TTL      time.Duration `json:"ttl"`
	// MaxLeases bounds the shards that it has, 0 for no bound.
	MaxLeases int `json:"max_leases"`
	// Work is how long a batch takes, 0 for no time.
	Work time.Duration `json:"work"`
}

// Roles are the processes of this package.
func Roles() map[string]child.Role {
	return map[string]child.Role{Role: child.As(play)}
}

// Role is the role of a process that is one worker. Its first line is the
// event that it has begun; SIGTERM drains it.
const Role = "worker"

func play(ctx context.Context, say *child.Speaker, cfg Config) error {
	say.Say(struct{}{})
	return Run(ctx, cfg, peers.Client(cfg.Endpoint), func(e Event) { say.Say(e) })
}

// Run is one worker, until ctx ends and it has drained. tell is told of each
// event, from several goroutines.
func Run(ctx context.Context, cfg Config, client consumer.Kinesis, tell func(Event)) error {
	store, err := redis.New(redis.Config{Addr: cfg.Redis})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // Run has saved everything by then
	hear := func(e Event) { e.Worker = cfg.Name; tell(e) }
	c, err := consumer.New(consumer.Config{
		Group: cfg.Group, Stream: cfg.Stream, Client: client, Store: watched{store, hear},
		WorkerName: cfg.Name, LeaseTTL: cfg.TTL, MaxLeases: cfg.MaxLeases,
		Handler: consumer.BatchFunc(func(ctx context.Context, b *consumer.Batch) error {
			at := Now()
			if err := pause(ctx, cfg.Work); err != nil {
				return err
			}
			records := make([]uint64, len(b.Records))
			for i, r := range b.Records {
				records[i] = Number(r.Data)
			}
			hear(Event{Kind: Batch, Shard: b.Shard, At: at, Done: Now(), Records: records})
			return nil
		}),
		Hooks: consumer.Hooks{
			Started: func(shard string, _ checkpoint.Position) { hear(Event{Kind: Started, Shard: shard, At: Now()}) },
			Ended:   func(shard string, _ error) { hear(Event{Kind: Ended, Shard: shard, At: Now()}) },
		},
	})
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	told := make(chan struct{})
	go func() { defer close(told); awaitReady(c, hear, ended) }()
	err = c.Run(ctx)
	close(ended)
	<-told
	return err
}

// pause waits, unless there is nothing to wait for.
func pause(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// awaitReady tells when the worker has joined.
func awaitReady(c *consumer.Consumer, hear func(Event), ended <-chan struct{}) {
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for !c.Status().Ready {
		select {
		case <-ended:
			return
		case <-look.C:
		}
	}
	hear(Event{Kind: Ready, At: Now()})
}

// Number reads the number of a record from its data.
func Number(data []byte) uint64 {
	if len(data) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(data)
}

// Data is the data of a record with a number.
func Data(number uint64, length int) []byte {
	data := make([]byte, max(length, 8))
	binary.BigEndian.PutUint64(data, number)
	return data
}

// watched is a store that tells of what it grants and accepts.
type watched struct {
	lease.Store

	hear func(Event)
}

// Acquire tells of each lease granted.
func (w watched) Acquire(ctx context.Context, scope checkpoint.Scope, a lease.Acquire) ([]lease.Grant, error) {
	at := Now()
	grants, err := w.Store.Acquire(ctx, scope, a)
	for i, g := range grants {
		if g.Err == nil {
			w.hear(Event{Kind: Granted, Shard: lease.ShardOf(a.Names[i]), At: at, Done: Now(), Token: string(g.Token)})
		}
	}
	if err != nil {
		return grants, fmt.Errorf("acquire: %w", err)
	}
	return grants, nil
}

// Save tells of each position accepted.
func (w watched) Save(ctx context.Context, scope checkpoint.Scope, updates ...checkpoint.Update) ([]checkpoint.Outcome, error) {
	at := Now()
	outcomes, err := w.Store.Save(ctx, scope, updates...)
	for i, o := range outcomes {
		if o.Err == nil {
			w.hear(Event{Kind: Saved, Shard: lease.ShardOf(updates[i].Lease), At: at, Done: Now(), Token: string(updates[i].Token)})
		}
	}
	if err != nil {
		return outcomes, fmt.Errorf("save: %w", err)
	}
	return outcomes, nil
}
