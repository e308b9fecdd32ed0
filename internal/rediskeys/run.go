package rediskeys

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrReplicas means that a change was written, but that fewer replicas than
// Options.ReplicaAcks had it in time: a failover could forget it. The call may
// be repeated.
var ErrReplicas = errors.New("not on enough replicas")

// Run calls a script. The incarnation is checked unless it is empty.
func (db *DB) Run(ctx context.Context, s Script, group, incarnation string, args ...any) (Reply, error) {
	if err := ValidateGroup(group); err != nil {
		return Reply{}, err
	}
	c := db.calls
	if s == Beat {
		c = db.beats
	}
	c.within(ctx)
	argv := append(make([]any, 0, 3+len(args)), db.publisher(ctx, group), Channel(group), incarnation)
	argv = append(argv, args...)
	acks := 0
	if s == Acquire || s == Complete || s == Create || s == Seed {
		acks = db.acks
	}
	v, err := c.run(ctx, db.scripts[s], Keys(group), argv, acks, db.timeout)
	if err != nil {
		return Reply{}, Explain(err, c.client, group, !db.answered.Load())
	}
	db.answered.Store(true)
	return ParseReply(v)
}

// run calls a script by its hash, and by its text where the server does not
// know it.
func (c *conns) run(ctx context.Context, s program, keys []string, argv []any, acks int, timeout time.Duration) (any, error) {
	args := make([]any, 0, 3+len(keys)+len(argv))
	args = append(args, "evalsha", s.hash, len(keys))
	for _, k := range keys {
		args = append(args, k)
	}
	args = append(args, argv...)
	v, err := c.send(ctx, args, keys[0], acks, timeout)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		args[0], args[1] = "eval", s.text
		v, err = c.send(ctx, args, keys[0], acks, timeout)
	}
	return v, err
}

// once is a command that a client of a cluster does not send again when its
// answer does not come; it does where a node says that another has the slot.
type once struct{ *redis.Cmd }

// NoRetry makes it so.
func (once) NoRetry() bool { return true }

func (c *conns) send(ctx context.Context, args []any, key string, acks int, timeout time.Duration) (any, error) {
	cmd := redis.NewCmd(ctx, args...)
	if acks == 0 {
		err := c.seen(ctx, c.client.Process(ctx, once{cmd}))
		return cmd.Val(), err
	}
	node, err := c.node(ctx, key)
	if err != nil {
		return nil, err
	}
	// Half of the time that is left, so that the answer comes in time.
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	pipe := node.Pipeline() // one connection: after a failover another would not know of the change
	_ = pipe.Process(ctx, cmd)
	wait := pipe.Do(ctx, "wait", acks, max(1, (timeout/2).Milliseconds())) // 0 would be without end
	_, _ = pipe.Exec(ctx)                                                  // the commands have the errors too
	v, err := cmd.Result()
	if c.seen(ctx, err) != nil {
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			err = fmt.Errorf("no answer in time, to wait for %d replicas may have taken it: %w", acks, err)
		}
		return nil, err
	}
	have, err := wait.Int()
	if err != nil {
		return nil, fmt.Errorf("wait for %d replicas: %w", acks, err)
	}
	if have < acks {
		return nil, fmt.Errorf("%w: %d have it after %v, want %d", ErrReplicas, have, (timeout / 2).Round(time.Millisecond), acks)
	}
	return v, nil
}

// seen returns the error of a call. One that says that the server is not what it
// was, or is not there, has the client of a cluster look for the nodes and their
// slots, before the next call: by itself it would do so after a minute.
func (c *conns) seen(ctx context.Context, err error) error {
	cluster, ok := c.client.(*redis.ClusterClient)
	if !ok || err == nil {
		return err
	}
	_, answer := errors.AsType[redis.Error](err)
	_, moved := redis.IsMovedError(err)
	if !answer || moved || redis.IsClusterDownError(err) || redis.IsReadOnlyError(err) {
		cluster.ReloadState(ctx)
	}
	return err
}

// node is the client of the server that has a key.
func (c *conns) node(ctx context.Context, key string) (*redis.Client, error) {
	if cluster, ok := c.client.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, key)
	}
	return c.client.(*redis.Client), nil
}
