package redis_test

import (
	"strings"
	"testing"
	"testing/synctest"

	goredis "github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/checkpoint/checkpointtest"
	"github.com/shardrun/shardrun/checkpoint/redis"
	"github.com/shardrun/shardrun/internal/redistest"
	leaseredis "github.com/shardrun/shardrun/lease/redis"

	"github.com/shardrun/shardrun/lease/leasetest"
)

func TestOnMiniredis(t *testing.T) {
	checkpointtest.Run(t, func(t *testing.T, test func(*testing.T, checkpointtest.Backend)) {
		synctest.Test(t, func(t *testing.T) {
			_, client := redistest.Mini(t)
			test(t, backend(t, redis.Config{Client: client}))
		})
	})
}

func TestOnRedisServer(t *testing.T) {
	addr := redistest.Server(t)
	checkpointtest.Run(t, func(t *testing.T, test func(*testing.T, checkpointtest.Backend)) {
		t.Parallel()
		test(t, backend(t, redis.Config{Addr: addr}))
	})
}

// backend is a store whose leases come from lease/redis on the same server.
func backend(t *testing.T, cfg redis.Config) checkpointtest.Backend {
	t.Helper()
	leases, err := leaseredis.New(leaseredis.Config{Client: cfg.Client, Addr: cfg.Addr})
	if err != nil {
		t.Fatal(err)
	}
	store, err := redis.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = store.Close(), leases.Close() }) // the test is over
	return checkpointtest.Backend{Store: store, Grant: leasetest.Checkpoints(leases).Grant}
}

func TestConfigIsChecked(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1"})
	defer func() { _ = client.Close() }() // it never dialed
	ring := goredis.NewRing(&goredis.RingOptions{})
	defer func() { _ = ring.Close() }() // it never dialed
	for want, cfg := range map[string]redis.Config{
		"Client or Addr is required": {},
		"are both set":               {Client: client, Addr: "127.0.0.1:1"},
		"is not supported":           {Client: ring},
		"must be positive":           {Client: client, Timeout: -1},
	} {
		if _, err := redis.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestGroupNamesAreChecked(t *testing.T) {
	store, err := redis.New(redis.Config{Addr: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }() // it never dialed
	for want, group := range map[string]string{
		"is empty": "", "has a brace": "a{b}", "control character": "a\nb", "not UTF-8": "\xff", "at most 256": strings.Repeat("a", 257),
	} {
		_, err := store.Load(t.Context(), group, "x")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("group %q: %v, want %q", group, err, want)
		}
		_, err = store.Save(t.Context(), checkpoint.Scope{Group: group}, checkpoint.Update{Lease: "x", Token: "y", Position: checkpoint.Start()})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("group %q: %v, want %q", group, err, want)
		}
	}
}
