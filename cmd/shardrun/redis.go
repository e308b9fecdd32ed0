package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/internal/rediskeys"
	"github.com/shardrun/shardrun/internal/redisurl"
	"github.com/shardrun/shardrun/lease"
	leaseredis "github.com/shardrun/shardrun/lease/redis"
)

// redisStore is a store and the connection that it was made from.
type redisStore struct {
	lease.Store
	store  *leaseredis.Store
	client redis.UniversalClient
	addr   string // without secrets
}

// redisError is a Redis that cannot be used.
type redisError struct {
	addr string
	err  error
}

func (e *redisError) Error() string {
	if refused, ok := errors.AsType[*rediskeys.RefusedError](e.err); ok {
		return fmt.Sprintf("Redis at %s refuses: %v", e.addr, refused)
	}
	return fmt.Sprintf("no Redis answers at %s (start one, or use the address of shardrun serve --redis-listen): %v", e.addr, e.err)
}

func (e *redisError) Unwrap() error { return e.err }

// quiet is where the Redis client logs: what it has to say comes back as an
// error too.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// openRedis reaches the Redis at host:port or at a URL.
func openRedis(ctx context.Context, address string) (*redisStore, error) {
	parsed, err := redisurl.Parse(address)
	if err != nil {
		return nil, usagef("--redis: %w", err)
	}
	client := parsed.Client()
	if err := client.Ping(ctx).Err(); err != nil {
		err = rediskeys.Explain(err, client, "", true)
		if away, ok := errors.AsType[*rediskeys.UnreachableError](err); ok {
			err = away.Err // the text says so
		}
		return nil, errors.Join(&redisError{parsed.String(), err}, client.Close())
	}
	store, err := leaseredis.New(leaseredis.Config{Client: client})
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &redisStore{store, store, client, parsed.String()}, nil
}

// forget removes a group.
func (s *redisStore) forget(ctx context.Context, group string) error {
	if err := s.client.Unlink(ctx, rediskeys.Keys(group)...).Err(); err != nil {
		return fmt.Errorf("remove group %s from Redis: %w", group, err)
	}
	return nil
}

func (s *redisStore) close() error { return errors.Join(s.store.Close(), s.client.Close()) }
