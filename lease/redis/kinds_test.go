package redis_test

import (
	"crypto/tls"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/leasetest"
	"github.com/shardrun/shardrun/lease/redis"
)

// patience is for calls of the suite, of which none fails: on a machine that has
// much else to do they may take long.
const patience = 10 * time.Second

// conform runs the conformance suite, which has that of checkpoints in it, on a
// server of some kind, and returns when it is over.
func conform(t *testing.T, client goredis.UniversalClient) {
	t.Helper()
	defer func() { _ = client.Close() }() // the suite is over
	t.Run("conformance", func(t *testing.T) {
		store := newStore(t, redis.Config{Client: client, Timeout: patience})
		leasetest.Run(t, func(t *testing.T, test func(*testing.T, lease.Store)) {
			t.Parallel()
			test(t, store)
		})
	})
}

// commands of Redis 6.2 are all that is sent, by scripts and around them.
var commands62 = strings.Fields(`hello auth ping info config|resetstat config eval evalsha wait subscribe publish time exists unlink
	hget hmget hset hsetnx hincrby hdel hgetall zadd zscore zrem zrangebyscore`)

func TestOnlyCommandsOfRedis62AreUsed(t *testing.T) {
	t.Parallel()
	p := redistest.Start(t)
	p.Do("CONFIG", "RESETSTAT") // some ask themselves at their start
	conform(t, goredis.NewClient(&goredis.Options{Addr: p.Addr, DisableIdentity: true}))
	m := p.Do("INFO", "commandstats").String()
	used := 0
	for line := range strings.Lines(m) {
		_, name, ok := strings.Cut(line, "cmdstat_")
		if !ok {
			continue
		}
		name, _, _ = strings.Cut(name, ":")
		used++
		if !slices.Contains(commands62, name) {
			t.Errorf("%s is used", name)
		}
	}
	if used < 15 {
		t.Errorf("%d commands seen: %s", used, m)
	}
}

func TestOnAUserOfLeastRights(t *testing.T) {
	t.Parallel()
	p := redistest.Start(t, "--requirepass", "administrator")
	client := goredis.NewClient(&goredis.Options{Addr: p.Addr, Password: "administrator"})
	defer func() { _ = client.Close() }() // the test is over
	text, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rules, _ := strings.Cut(string(text), "\nACL SETUSER billing ")
	rules, _, ok := strings.Cut(rules, "\n```")
	if !ok {
		t.Fatal("SECURITY.md has no user")
	}
	args := []any{"ACL", "SETUSER", "worker"}
	for rule := range strings.FieldsSeq(strings.ReplaceAll(rules, "\\\n", " ")) {
		args = append(args, strings.ReplaceAll(rule, "{billing}:*", "*")) // the suites have many groups
	}
	if err := client.Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(err)
	}
	conform(t, goredis.NewClient(&goredis.Options{Addr: p.Addr, Username: "worker", Password: "secret"}))
	denials, err := client.Do(t.Context(), "ACL", "LOG").Slice()
	if err != nil || len(denials) > 0 {
		t.Errorf("the user was denied %v, %v", denials, err)
	}
}

func TestOnTLS(t *testing.T) {
	t.Parallel()
	ca := redistest.NewAuthority(t)
	p := ca.StartTLS()
	conform(t, goredis.NewClient(&goredis.Options{Addr: p.Addr, TLSConfig: &tls.Config{
		RootCAs: ca.Pool, Certificates: []tls.Certificate{ca.Certificate()}, MinVersion: tls.VersionTLS12,
	}}))
}

func TestTLSIsVerified(t *testing.T) {
	t.Parallel()
	ca := redistest.NewAuthority(t)
	p := ca.StartTLS()
	for name, cfg := range map[string]*tls.Config{
		"a server of an unknown authority": {Certificates: []tls.Certificate{ca.Certificate()}, MinVersion: tls.VersionTLS12},
		"no certificate of ours":           {RootCAs: ca.Pool, MinVersion: tls.VersionTLS12},
		"no TLS":                           nil,
	} {
		client := goredis.NewClient(&goredis.Options{Addr: p.Addr, TLSConfig: cfg})
		defer func() { _ = client.Close() }() // the test is over
		if _, err := newStore(t, redis.Config{Client: client}).Load(t.Context(), group, "x"); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			t.Log(name+":", err)
		}
	}
}

func TestOnSentinel(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinels(t, false)
	t.Run("NewFailoverClient", func(t *testing.T) {
		t.Parallel()
		conform(t, goredis.NewFailoverClient(&goredis.FailoverOptions{MasterName: redistest.MasterName, SentinelAddrs: s.Addrs}))
	})
	t.Run("NewFailoverClusterClient", func(t *testing.T) {
		t.Parallel()
		conform(t, goredis.NewFailoverClusterClient(&goredis.FailoverOptions{MasterName: redistest.MasterName, SentinelAddrs: s.Addrs}))
	})
}

func TestOnACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, false)
	conform(t, goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: c.Addrs()[:1]}))
}
