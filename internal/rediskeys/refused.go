package rediskeys

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// Rights are the commands that a user of a group may call at least; SECURITY.md says
// why.
const Rights = "+ping +eval +evalsha +time +exists +unlink +hget +hmget +hset +hsetnx +hincrby +hdel +hgetall " +
	"+zadd +zscore +zrem +zrangebyscore +publish +subscribe +wait +info"

// RefusedError is of a server that is there, and does not let the caller in, or do
// something. To try again helps only once somebody has changed it.
type RefusedError struct {
	// Advice says what was refused and what to change.
	Advice string
	// Err is what the server answered.
	Err error
}

// Error implements error.
func (e *RefusedError) Error() string { return fmt.Sprintf("%s: %v", e.Advice, e.Err) }

// Unwrap returns what the server answered.
func (e *RefusedError) Unwrap() error { return e.Err }

// UnwritableError is of a server that takes no writes now.
type UnwritableError struct {
	// Err is what the server answered.
	Err error
}

// Error implements error.
func (e *UnwritableError) Error() string { return fmt.Sprintf("Redis refuses writes: %v", e.Err) }

// Unwrap returns what the server answered.
func (e *UnwritableError) Unwrap() error { return e.Err }

// UnreachableError is of a server that gave no answer.
type UnreachableError struct {
	// Err is how the call ended.
	Err error
}

// Error implements error.
func (e *UnreachableError) Error() string { return fmt.Sprintf("Redis gives no answer: %v", e.Err) }

// Unwrap returns how the call ended.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Explain says what an error of a client means to who set it up. Of a server that
// never answered, fresh, it is not known yet whether it speaks TLS. The group may be
// empty.
func Explain(err error, c redis.UniversalClient, group string, fresh bool) error {
	if err == nil {
		return nil
	}
	if text := refused(err, group); text != "" {
		return &RefusedError{text, err}
	}
	_, cluster := c.(*redis.ClusterClient)
	if _, moved := redis.IsMovedError(err); moved && !cluster {
		return fmt.Errorf("the server is a node of a Redis Cluster, use a *redis.ClusterClient: %w", err)
	}
	if unwritable(err) {
		return &UnwritableError{err}
	}
	hungUp := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
	timeout, ok := errors.AsType[net.Error](err)
	late := ok && timeout.Timeout()
	switch {
	case fresh && hungUp && !secure(c):
		err = fmt.Errorf("the server hung up; does it speak TLS (rediss://)? %w", err)
	case fresh && late && secure(c):
		err = fmt.Errorf("if the server does not speak TLS, connect without TLS (redis://): %w", err)
	}
	if _, answer := errors.AsType[redis.Error](err); answer || errors.Is(err, context.Canceled) || errors.Is(err, ErrReplicas) {
		return err
	}
	return &UnreachableError{err}
}

// refused is what to say of a server that refuses, "" of one that does not.
func refused(err error, group string) string {
	if _, plain := errors.AsType[tls.RecordHeaderError](err); plain {
		return "the server does not speak TLS, connect without TLS (redis://)"
	}
	if _, answer := errors.AsType[redis.Error](err); !answer {
		return ""
	}
	text := err.Error()
	has := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(text, part) {
				return true
			}
		}
		return false
	}
	switch {
	case has("NOAUTH", "unauthenticated"):
		return "Redis wants a password, and none was given; name it, and its user if it has one (redis://user:password@host:port)"
	case has("WRONGPASS", "invalid password", "without any password configured"):
		return "Redis does not take the user name or its password"
	case has("NOPERM", "user executing the script can't"):
		if group == "" {
			group = "GROUP"
		}
		return fmt.Sprintf("the Redis user lacks a permission; SECURITY.md has what it needs: ~{%s}:* &{%[1]s}:* %s", group, Rights)
	case has("DB index is out of range", "invalid DB index"):
		return "Redis has no database of that number; use one below its setting databases, 0 is always there"
	case has("SELECT is not allowed in cluster mode"):
		return "a Redis Cluster has the database 0 alone"
	}
	return ""
}

// unwritable reports whether a server answered that it takes no writes now: it is a
// replica, its memory is full, or it cannot keep what is written.
func unwritable(err error) bool {
	if _, answer := errors.AsType[redis.Error](err); !answer {
		return false
	}
	for _, word := range []string{"READONLY ", "OOM ", "MISCONF "} {
		if strings.Contains(err.Error(), word) {
			return true
		}
	}
	return false
}

// secure reports whether a client speaks TLS.
func secure(c redis.UniversalClient) bool {
	switch c := c.(type) {
	case *redis.Client:
		return c.Options().TLSConfig != nil
	case *redis.ClusterClient:
		return c.Options().TLSConfig != nil
	}
	return false
}

// greeted has each new connection tried with a small command, after what the caller
// does with it. A call of a script is larger than a server takes from who has not
// logged in: it would be refused as no command at all.
func greeted(then func(context.Context, *redis.Conn) error) func(context.Context, *redis.Conn) error {
	return func(ctx context.Context, conn *redis.Conn) error {
		if then != nil {
			if err := then(ctx, conn); err != nil {
				return err
			}
		}
		err := conn.Ping(ctx).Err()
		if _, replied := errors.AsType[redis.Error](err); replied && !redis.HasErrorPrefix(err, "NOAUTH") {
			return nil // what else there is the call itself is told
		}
		// A connection on which an answer is yet to come would give each call the answer
		// to the one before it.
		return err
	}
}
