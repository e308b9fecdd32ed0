package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// MasterName is the name under which a Sentinel set knows its primary.
const MasterName = "shardrun"

// Sentinels are a primary, its replica, and three sentinels that watch them.
type Sentinels struct {
	// Addrs are those of the sentinels.
	Addrs []string
	// Primary is where it starts, Replica what takes over.
	Primary, Replica *Process

	sentinels []*Process
	silence   time.Duration // of the primary, after which its replica is promoted
}

// hasty and patient are for how long a primary may be silent. A machine that has much
// else to do makes it silent for seconds, and a failover that a test does not mean
// loses what it wrote.
const (
	hasty   = 500 * time.Millisecond
	patient = time.Minute
)

// StartSentinels starts the set; it returns when the sentinels know of each other and
// of the replica. With failover they promote the replica soon when the primary is
// silent, else not as long as a test takes.
func StartSentinels(t testing.TB, failover bool) *Sentinels {
	t.Helper()
	primary := Start(t)
	replica := StartReplica(t, primary)
	silence := patient
	if failover {
		silence = hasty
	}
	s := startSentinels(t, primary, silence)
	s.Replica = replica
	for _, addr := range s.Addrs {
		c := redis.NewSentinelClient(&redis.Options{Addr: addr})
		within(t, "sentinel "+addr+" to know the set", func(ctx context.Context) error {
			m, err := c.Master(ctx, MasterName).Result()
			if err == nil && (m["num-other-sentinels"] != "2" || m["num-slaves"] != "1") {
				err = fmt.Errorf("it knows %s others and %s replicas", m["num-other-sentinels"], m["num-slaves"])
			}
			return err
		})
		_ = c.Close() // it was only for this
	}
	return s
}

// StartSentinelsOf starts three sentinels that watch a server without a replica.
func StartSentinelsOf(t testing.TB, primary *Process) *Sentinels {
	t.Helper()
	return startSentinels(t, primary, patient)
}

func startSentinels(t testing.TB, primary *Process, silence time.Duration) *Sentinels {
	t.Helper()
	s := &Sentinels{Primary: primary, silence: silence}
	for range 3 {
		p := s.sentinel(t)
		s.sentinels, s.Addrs = append(s.sentinels, p), append(s.Addrs, p.Addr)
	}
	return s
}

// Point has the sentinels take another server for the primary, and leave the
// former one alone.
func (s *Sentinels) Point(p *Process) {
	for _, sentinel := range s.sentinels {
		sentinel.Do("SENTINEL", "REMOVE", MasterName)
		sentinel.Do("SENTINEL", "MONITOR", MasterName, "127.0.0.1", p.port, 2)
	}
}

func (s *Sentinels) sentinel(t testing.TB) *Process {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	conf := filepath.Join(dir, "sentinel.conf") // it writes what it learns there
	_, primary, err := net.SplitHostPort(s.Primary.Addr)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\n"+
		"sentinel monitor %s 127.0.0.1 %s 2\nsentinel down-after-milliseconds %[3]s %[5]d\nsentinel failover-timeout %[3]s 3000\n",
		port, dir, MasterName, primary, s.silence.Milliseconds())
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newProcess(t, program(t), port, nil, []string{conf, "--sentinel"})
	if err := p.run(); err != nil {
		t.Fatal(err)
	}
	return p
}

// StartReplica starts a replica of a server; it returns when it is in sync.
func StartReplica(t testing.TB, primary *Process, settings ...string) *Process {
	t.Helper()
	p := Start(t, append([]string{
		"--replicaof", "127.0.0.1", strconv.Itoa(primary.port), "--repl-diskless-sync-delay", "0",
	}, settings...)...)
	primary.Do("CONFIG", "SET", "repl-diskless-sync-delay", "0")
	c := p.Client()
	defer func() { _ = c.Close() }() // it was only for this
	within(t, "replica "+p.Addr+" to be in sync", func(ctx context.Context) error {
		info, err := c.InfoMap(ctx, "replication").Result()
		if err == nil && info["Replication"]["master_link_status"] != "up" {
			err = fmt.Errorf("%v", info)
		}
		return err
	})
	return p
}

// within waits for what servers of their own do in the next 30 s.
func within(t testing.TB, what string, done func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		err := done(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited 30 s for %s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
