package redis_test

import (
	"context"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/lease/redis"
)

// watched is what the store logs when a worker begins to watch, and again after
// its watch broke.
func watched(t *testing.T, cfg redis.Config) []observer.LoggedEntry {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	cfg.Logger = zap.New(core)
	store := newStore(t, cfg)
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := store.Watch(ctx, group, cancel); ctx.Err() == nil {
			t.Fatal(err)
		}
		cancel()
	}
	return logs.All()
}

func TestSettingsThatLoseStateAreLoggedOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings []string
		want     map[string]zapcore.Level
	}{
		"safe": {settings: []string{"--appendonly", "yes"}},
		"evicts nothing of ours": {
			settings: []string{"--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"},
		},
		"evicts": {
			settings: []string{"--appendonly", "yes", "--maxmemory-policy", "allkeys-lfu"},
			want:     map[string]zapcore.Level{"maxmemory-policy is allkeys-lfu": zapcore.WarnLevel},
		},
		"forgets": {want: map[string]zapcore.Level{"keeps no append-only file": zapcore.WarnLevel}},
		"replica": {
			settings: []string{"--appendonly", "yes", "--replicaof", "127.0.0.1", "1"},
			want:     map[string]zapcore.Level{"connect to its primary, 127.0.0.1:1": zapcore.WarnLevel},
		},
		"refuses INFO": {
			settings: []string{"--rename-command", "INFO", ""},
			want:     map[string]zapcore.Level{"could not be checked: whether it is a replica, its version, appendonly and maxmemory-policy": zapcore.WarnLevel},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := map[string]int{}
			for _, e := range watched(t, redis.Config{Addr: redistest.Start(t, c.settings...).Addr}) {
				known := false
				for text, level := range c.want {
					if strings.Contains(e.Message, text) && e.Level == level {
						known = true
						seen[text]++
					}
				}
				if !known {
					t.Errorf("logged %v: %s", e.Level, e.Message)
				}
			}
			for text := range c.want {
				if seen[text] != 1 {
					t.Errorf("%q logged %d times", text, seen[text])
				}
			}
		})
	}
}

func TestSettingsAreLookedAtOnTheNodeThatHasTheGroup(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, false, "--appendonly", "yes")
	c.Primaries[c.Owner("{"+group+"}:m")].Do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	client := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: c.Addrs()})
	defer func() { _ = client.Close() }() // the test is over
	if logs := watched(t, redis.Config{Client: client}); len(logs) != 1 || !strings.Contains(logs[0].Message, "allkeys-lru") {
		t.Errorf("logged %v", logs)
	}
}
