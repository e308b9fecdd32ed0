package lease

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
)

// The bounds of [Config.TTL].
const (
	MinTTL = 300 * time.Millisecond
	MaxTTL = 5 * time.Minute
)

// Config says what a [Manager] is to do. The zero value of each field that is
// not required means its default.
type Config struct {
	// Store keeps the group's table. Required.
	Store Store
	// Group names the workers that share the streams. Required.
	Group string
	// Run handles one lease, in its own goroutine, from acquisition until it
	// returns. It returns soon after Held.Draining is closed, and at once when
	// ctx ends; context.Cause(ctx) is ErrLost or ErrDrainTimeout. When it
	// returns, its last position is saved and the lease given back; after an
	// error, or nil without a reason, this worker does not take the lease
	// again for a while. Required.
	Run func(ctx context.Context, h *Held) error
	// Streams are the streams whose leases the worker can take, as
	// account:region:stream:creationEpochMs: the last part, the stream's
	// StreamCreationTimestamp in milliseconds, tells a stream from one of the same name
	// that was deleted. Required, at least one.
	Streams []string
	// Discover lists the shards of a stream that has no leases yet. It is
	// called again, with pauses, until it succeeds. Required.
	Discover func(ctx context.Context, stream string) ([]Row, error)
	// Rediscover is called instead of Discover when the group's state was
	// lost while this worker ran, or before, as the store remembers; but not for a
	// stream that was made, as its name tells, more than an hour after that. Its rows
	// should start where nothing is skipped, and be all that a listing has, with
	// their parents: which of them have leases depends on what is remembered, and
	// those that have keep them. Defaults to Discover with every position set to
	// the start of its shard.
	Rediscover func(ctx context.Context, stream string) ([]Row, error)
	// HaltOnLoss has Run fail with an [UnrestoredError] when the group's state was
	// lost, and the living workers together do not remember how far every shard
	// that Rediscover lists was handled. Otherwise those shards begin where
	// Rediscover says. A stream that was there before the loss, and that the group
	// begins to read after it, is among those. Defaults to false.
	HaltOnLoss bool
	// List lists all shards that a stream has, from the service and not from a
	// cache. It fails when the stream is not the one of that name and creation
	// time. Defaults to none, and then there are no audits.
	List func(ctx context.Context, stream string) (Listing, error)
	// AuditInterval is how often, give or take a tenth, the leases of each stream
	// are compared with its shards: shards that have no lease get one, those that
	// expired unread are ended, and leases that nobody needs are removed. One of the
	// workers does it, which lists the shards, and a second time when something
	// is to be repaired; another one takes its turn when it is late by as much
	// again. Negative means never. Defaults to 5 min.
	AuditInterval time.Duration

	// WorkerName is unique among the living workers of a group. A worker that
	// starts under the name of an older one takes over from it at once.
	// Defaults to host-pid-uuid.
	WorkerName string
	// Host is shown to operators. Defaults to os.Hostname.
	Host string
	// Version is the version of the program, by which leases are left alone that
	// a handler of the same version stopped at. Defaults to none.
	Version string
	// TTL is how long a worker that fell silent keeps its leases; 300 ms to 5
	// minutes. A group that exists keeps the one that it was made with, by its first
	// worker or by shardrun leases init; a worker that has another says so in its log,
	// and Status.TTL is what counts. Defaults to 10 s.
	TTL time.Duration
	// CheckpointInterval is how long a position waits to be saved together
	// with others, in one call. In a group with a lease time shorter than TTL
	// it is a tenth of that at most. Defaults to a tenth of TTL, from 50 ms to 1 s.
	CheckpointInterval time.Duration
	// HandoffTime is how long a runner may take to give its lease to another
	// worker that asked for it; a slower one keeps it. Defaults to 5 s.
	HandoffTime time.Duration
	// DrainTimeout is how long runners may take to return when the manager
	// ends; then their contexts are cancelled. Positions that cannot be saved
	// are given up one lease time after the last runner returned. Defaults to
	// 30 s.
	DrainTimeout time.Duration
	// JoinTimeout is how long the store may be out of reach at the start
	// before Run fails. Defaults to 30 s.
	JoinTimeout time.Duration
	// Capacity weighs the worker's share of the leases. Defaults to 1.
	Capacity float64
	// MaxLeases bounds the number of leases held. Defaults to 0, no bound.
	MaxLeases int

	// Hooks are called on events, for metrics. Defaults to none.
	Hooks Hooks
	// Logger gets changes of ownership at Info, what was survived at Warn, and
	// what was lost at Error. Defaults to none.
	Logger *zap.Logger
}

// withDefaults returns c with every zero field filled.
func (c Config) withDefaults() Config {
	if c.Host == "" {
		c.Host, _ = os.Hostname() // an unknown host is shown as such
		c.Host = cmp.Or(c.Host, "unknown")
	}
	if c.WorkerName == "" {
		c.WorkerName = fmt.Sprintf("%s-%d-%s", c.Host, os.Getpid(), uuid.NewString()[:8])
	}
	c.TTL = cmp.Or(c.TTL, 10*time.Second)
	c.CheckpointInterval = cmp.Or(c.CheckpointInterval, min(max(c.TTL/10, 50*time.Millisecond), time.Second))
	c.HandoffTime = cmp.Or(c.HandoffTime, 5*time.Second)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 30*time.Second)
	c.JoinTimeout = cmp.Or(c.JoinTimeout, 30*time.Second)
	c.AuditInterval = cmp.Or(c.AuditInterval, 5*time.Minute)
	c.Capacity = cmp.Or(c.Capacity, 1)
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.Rediscover == nil {
		c.Rediscover = fromTheStart(c.Discover)
	}
	return c
}

// validate names the field that is missing or out of its range.
func (c Config) validate() error {
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"CheckpointInterval", c.CheckpointInterval}, {"HandoffTime", c.HandoffTime},
		{"DrainTimeout", c.DrainTimeout}, {"JoinTimeout", c.JoinTimeout},
	} {
		if d.value < 0 {
			return fmt.Errorf("lease config: %s is %v, it must be positive", d.field, d.value)
		}
	}
	switch {
	case c.Store == nil:
		return errors.New("lease config: Store is required")
	case c.Group == "":
		return errors.New("lease config: Group is required")
	case c.Run == nil:
		return errors.New("lease config: Run is required")
	case c.Discover == nil:
		return errors.New("lease config: Discover is required")
	case len(c.Streams) == 0:
		return errors.New("lease config: Streams is required, name at least one")
	case c.TTL < MinTTL || c.TTL > MaxTTL:
		return fmt.Errorf("lease config: TTL is %v, it must be from %v to %v", c.TTL, MinTTL, MaxTTL)
	case c.Capacity < 0.001 || c.Capacity > 1e6:
		return fmt.Errorf("lease config: Capacity is %v, it must be from 0.001 to 1,000,000", c.Capacity)
	case c.MaxLeases < 0:
		return fmt.Errorf("lease config: MaxLeases is %d, it must be 0 (no bound) or more", c.MaxLeases)
	}
	return nil
}

// fromTheStart makes every row of a discovery start at the oldest record.
func fromTheStart(discover func(context.Context, string) ([]Row, error)) func(context.Context, string) ([]Row, error) {
	return func(ctx context.Context, stream string) ([]Row, error) {
		rows, err := discover(ctx, stream)
		out := make([]Row, len(rows))
		for i, row := range rows {
			row.Position = checkpoint.Start()
			out[i] = row
		}
		return out, err
	}
}
