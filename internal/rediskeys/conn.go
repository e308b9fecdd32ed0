package rediskeys

import (
	"cmp"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// beatConns are the connections that only beats use, so that nothing
	// makes them wait: one as a rule, and room for dials that hang.
	beatConns = 8
	// silence is after what time without a message a subscription is tried
	// with a ping; after as much again it is given up.
	silence = 3 * time.Second
	// callConns are the connections of all other calls. More callers than
	// that wait for one another.
	callConns = 64
)

// Options say how to reach Redis.
type Options struct {
	// Client is the caller's client, of which the address and credentials are
	// taken. It stays the caller's.
	Client redis.UniversalClient
	// Addr is host:port, when there is no Client.
	Addr string
	// Timeout bounds dialing, reading and writing, each. Defaults to 1 s. The
	// context of a call bounds it further, also the dial that it brought about.
	Timeout time.Duration
	// Edit changes the text of a script before it is used, for tests that set the
	// clock. Nil leaves it.
	Edit func(source string) string
	// ReplicaAcks are the replicas that must have what an acquire, a completion,
	// a creation or a seed wrote before it counts, see [ErrReplicas]. Defaults to 0.
	ReplicaAcks int
}

// DB calls the scripts. It has connections of its own: by default go-redis
// sends a call up to four times and lets it outlive its context, and neither
// is right for calls by which a lease is kept.
type DB struct {
	beats, calls *conns
	scripts      []program
	timeout      time.Duration
	acks         int
	// answered is whether a script was answered ever.
	answered atomic.Bool
	// channels is how changes are announced, a channels.
	channels atomic.Int32
}

// Open derives the connections; it dials nothing.
func Open(o Options) (*DB, error) {
	timeout := cmp.Or(o.Timeout, time.Second)
	if timeout < 0 {
		return nil, fmt.Errorf("redis: Timeout is %v, it must be positive", o.Timeout)
	}
	if o.ReplicaAcks < 0 {
		return nil, fmt.Errorf("redis: ReplicaAcks is %d, it must be 0 or the number of replicas", o.ReplicaAcks)
	}
	switch {
	case o.Client == nil && o.Addr == "":
		return nil, errors.New("redis: Client or Addr is required")
	case o.Client != nil && o.Addr != "":
		return nil, errors.New("redis: Client and Addr are both set, one is enough")
	}
	p := &primary{} // one for all connections
	beats, err := derive(o, p, timeout, beatConns)
	if err != nil {
		return nil, err
	}
	calls, err := derive(o, p, timeout, callConns)
	if err != nil {
		return nil, err
	}
	return &DB{beats: beats, calls: calls, scripts: compile(o.Edit), timeout: timeout, acks: o.ReplicaAcks}, nil
}

// conns are connections of one kind of call.
type conns struct {
	client redis.UniversalClient
	// primary follows the primary of a Sentinel set, nil without one.
	primary *primary
	// limit is how long the latest call may take. go-redis dials outside of the
	// context of the call that needs a connection, and a dial that hangs keeps
	// its place in the pool: without the limit, dials of a server that was away
	// would keep calls waiting after it is back.
	limit atomic.Int64
}

// sentinelAddr is what go-redis has for an address in the options of a client of
// a Sentinel set, whose dialer asks the sentinels where the primary is.
const sentinelAddr = "FailoverClient"

// derive makes a client like the caller's that sends every call once and within
// its context.
func derive(from Options, p *primary, timeout time.Duration, size int) (*conns, error) {
	out := &conns{}
	switch c := from.Client.(type) {
	case nil:
		out.single(redis.Options{Addr: from.Addr}, timeout, size)
	case *redis.Client:
		if c.Options().Addr == sentinelAddr {
			out.primary = p
		}
		out.single(*c.Options(), timeout, size)
	case *redis.ClusterClient:
		out.cluster(*c.Options(), timeout, size)
	default:
		return nil, fmt.Errorf("redis: a %T is not supported, use a *redis.Client (Sentinel too) or a *redis.ClusterClient", c)
	}
	return out, nil
}

func (c *conns) single(o redis.Options, timeout time.Duration, size int) {
	o.MaxRetries, o.ContextTimeoutEnabled, o.DialerRetries = -1, true, 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = timeout, timeout, timeout
	o.PoolSize, o.PoolTimeout, o.PipelinePoolSize = size, timeout, -1
	o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns = 0, 0, 0
	o.OnConnect = greeted(o.OnConnect)
	o.DisableIdentity = true // else each connection asks for what a user of least rights may not
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if o.Dialer == nil {
		o.Dialer = redis.NewDialer(&o)
	}
	o.Dialer = c.bound(o.Dialer)
	c.client = redis.NewClient(&o)
}

func (c *conns) cluster(o redis.ClusterOptions, timeout time.Duration, size int) {
	o.MaxRetries, o.ContextTimeoutEnabled, o.DialerRetries = -1, true, 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = timeout, timeout, timeout
	o.PoolSize, o.PoolTimeout, o.PipelinePoolSize = size, timeout, -1
	o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns = 0, 0, 0
	o.ReadOnly, o.RouteByLatency, o.RouteRandomly = false, false, false
	o.DisableRoutingPolicies = true // they ask for COMMAND, with each call where it is not allowed
	o.OnConnect = greeted(o.OnConnect)
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if o.Dialer == nil {
		o.Dialer = redis.NewDialer(&redis.Options{DialTimeout: timeout, TLSConfig: o.TLSConfig})
	}
	o.Dialer = c.bound(o.Dialer)
	c.client = redis.NewClusterClient(&o)
}

// Close closes the connections.
func (db *DB) Close() error { return errors.Join(db.beats.client.Close(), db.calls.client.Close()) }
