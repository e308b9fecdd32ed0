package redis_test

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/shardrun/shardrun/internal/rediskeys"
	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/redis"
)

// joins runs a worker until it has joined, or does not.
func joins(t *testing.T, client goredis.UniversalClient, log *zap.Logger) error {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
	defer stop()
	m, err := lease.NewManager(lease.Config{
		Store: newStore(t, redis.Config{Client: client}), Group: group, WorkerName: "w", TTL: 2 * time.Second,
		Streams: []string{stream}, JoinTimeout: 5 * time.Second, Logger: log,
		Discover: func(context.Context, string) ([]lease.Row, error) { return nil, errors.New("none") },
		Run:      func(context.Context, *lease.Held) error { return nil },
		Hooks: lease.Hooks{Event: func(e lease.Event) {
			if e.Kind == lease.EventJoined {
				stop()
			}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m.Run(ctx)
}

func TestARedisThatRefusesEndsAWorkerAtItsStart(t *testing.T) {
	t.Parallel()
	secret := redistest.Start(t, "--requirepass", "secret")
	open := redistest.Start(t)
	open.Do("ACL", "SETUSER", "reader", "on", ">secret", "~*", "&*", "+ping", "+get")
	open.Do("ACL", "SETUSER", "half", "on", ">secret", "~*", "&*", "+ping", "+eval", "+evalsha", "+time", "+exists")
	open.Do("ACL", "SETUSER", "elsewhere", "on", ">secret", "~{other}:*", "&*", "+@all")
	for name, c := range map[string]struct {
		options goredis.Options
		want    []string
	}{
		"no password":        {goredis.Options{Addr: secret.Addr}, []string{"NOAUTH", "wants a password", "none was given"}},
		"no password, RESP2": {goredis.Options{Addr: secret.Addr, Protocol: 2}, []string{"NOAUTH", "wants a password", "none was given"}},
		"wrong password":     {goredis.Options{Addr: secret.Addr, Password: "guess"}, []string{"WRONGPASS", "does not take the user name or its password"}},
		"no such user":       {goredis.Options{Addr: open.Addr, Username: "nobody", Password: "guess"}, []string{"WRONGPASS", "does not take the user name or its password"}},
		"no permission":      {goredis.Options{Addr: open.Addr, Username: "reader", Password: "secret"}, []string{"NOPERM", "evalsha", "SECURITY.md"}},
		"in the script":      {goredis.Options{Addr: open.Addr, Username: "half", Password: "secret"}, []string{"can't run this command", "+hget", "SECURITY.md"}},
		"other keys":         {goredis.Options{Addr: open.Addr, Username: "elsewhere", Password: "secret"}, []string{"NOPERM", "~{billing}:*", "SECURITY.md"}},
		"no such database":   {goredis.Options{Addr: open.Addr, DB: 99}, []string{"index is out of range", "its setting databases"}},
		"TLS to a server without": {goredis.Options{Addr: open.Addr, TLSConfig: &tls.Config{InsecureSkipVerify: true}}, //nolint:gosec // nothing is said over it
			nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := goredis.NewClient(&c.options)
			defer func() { _ = client.Close() }() // the test is over
			began := time.Now()
			err := joins(t, client, zap.NewNop())
			if c.want == nil {
				if !strings.Contains(err.Error(), "if the server does not speak TLS, connect without TLS (redis://)") {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, lease.ErrRefused) {
				t.Fatalf("after %v: %v", time.Since(began).Round(time.Millisecond), err)
			}
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("it tried for %v", took)
			}
			for _, text := range c.want {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q is not in: %v", text, err)
				}
			}
			if n := strings.Count(err.Error(), "refuse"); n != 1 {
				t.Errorf("it says %d times that it is refused: %v", n, err)
			}
		})
	}
}

// A server that hangs up may also be one that is restarting, which passes.
func TestAServerThatHangsUpMaySpeakTLS(t *testing.T) {
	t.Parallel()
	store := newStore(t, redis.Config{Addr: redistest.NewAuthority(t).StartTLS().Addr})
	_, err := store.View(t.Context(), group)
	if err == nil || errors.Is(err, lease.ErrRefused) || !strings.Contains(err.Error(), "does it speak TLS (rediss://)?") {
		t.Errorf("%v", err)
	}
}

// During a life the password may be changed back, and the user be allowed again.
func TestARedisThatRefusesLaterIsTriedAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "worker", "on", ">secret", "~*", "&*", "+@all")
	core, logs := observer.New(zapcore.WarnLevel)
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr, Username: "worker", Password: "secret"})
	defer func() { _ = client.Close() }()                             // the test is over
	joined, back := make(chan struct{}, 9), make(chan struct{}, 1000) // room for more than there are
	ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
	defer stop()
	refused := make(chan error, 1000) // room for all
	var again atomic.Bool             // it may go on
	m, err := lease.NewManager(lease.Config{
		Store: newStore(t, redis.Config{Client: client}), Group: group, WorkerName: "w", TTL: 2 * time.Second, Logger: zap.New(core),
		Streams:  []string{stream},
		Discover: func(context.Context, string) ([]lease.Row, error) { return nil, errors.New("none") },
		Run:      func(context.Context, *lease.Held) error { return nil },
		Hooks: lease.Hooks{
			Beat: func(_ time.Duration, err error) {
				if err != nil {
					refused <- err
				} else if again.Load() {
					back <- struct{}{}
				}
			},
			Event: func(e lease.Event) {
				if e.Kind == lease.EventJoined {
					joined <- struct{}{}
				}
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	<-joined
	server.Do("ACL", "SETUSER", "worker", "-evalsha", "-eval")
	if err := <-refused; !errors.Is(err, lease.ErrRefused) || !strings.Contains(err.Error(), "SECURITY.md") {
		t.Errorf("refused: %v", err)
	}
	for range 5 {
		select {
		case err := <-refused:
			if !errors.Is(err, lease.ErrRefused) {
				t.Errorf("refused: %v", err)
			}
		case err := <-done:
			t.Fatalf("ended with %v", err)
		}
	}
	again.Store(true)
	server.Do("ACL", "SETUSER", "worker", "+@all")
	select {
	case <-back:
	case err := <-done:
		t.Errorf("ended with %v", err)
	case <-ctx.Done():
		t.Error("does not go on")
	}
	if n := logs.FilterMessage("beat, will try again").Len(); n != 1 {
		t.Errorf("logged %d times", n)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("ended with %v", err)
	}
}

// A server that takes no writes now is there, and says why; a worker waits for it as for
// one that is away.
func TestARedisThatTakesNoWritesSaysSo(t *testing.T) {
	t.Parallel()
	replica, full := redistest.Start(t), redistest.Start(t)
	replica.Do("REPLICAOF", "127.0.0.1", "1")
	client := replica.Client()
	t.Cleanup(func() { _ = client.Close() })
	err := joins(t, client, nil)
	if err == nil || !strings.Contains(err.Error(), "Redis refuses writes: READONLY") || errors.Is(err, lease.ErrRefused) {
		t.Errorf("a worker of a replica ended with %v", err)
	}
	full.Do("CONFIG", "SET", "maxmemory", "1")
	c := full.Client()
	t.Cleanup(func() { _ = c.Close() })
	err = rediskeys.Explain(c.Eval(t.Context(), "return redis.call('HSET', KEYS[1], 'f', 'v')", []string{"k"}).Err(), c, group, false)
	if err == nil || !strings.Contains(err.Error(), "Redis refuses writes: OOM") {
		t.Errorf("a server without memory is told as %v", err)
	}
}
