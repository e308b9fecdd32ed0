package redis_test

import (
	"testing"
	"testing/synctest"

	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/leasetest"
	"github.com/shardrun/shardrun/lease/redis"
)

func TestOnMiniredis(t *testing.T) {
	t.Parallel()
	leasetest.Run(t, func(t *testing.T, test func(*testing.T, lease.Store)) {
		synctest.Test(t, func(t *testing.T) {
			_, client := redistest.Mini(t)
			test(t, newStore(t, redis.Config{Client: client}))
		})
	})
}

func TestOnRedisServer(t *testing.T) {
	t.Parallel()
	store := newStore(t, redis.Config{Addr: redistest.Server(t), Timeout: patience})
	leasetest.Run(t, func(t *testing.T, test func(*testing.T, lease.Store)) {
		t.Parallel()
		test(t, store)
	})
}

func newStore(t *testing.T, cfg redis.Config) *redis.Store {
	t.Helper()
	s, err := redis.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // the test is over
	return s
}
