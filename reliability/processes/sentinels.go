//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// masterName is what the sentinels call their primary; the node command has the
// same name.
const masterName = "chaos"

// sentinels are a Redis that fails over: a primary, its replica, and sentinels
// that promote the replica when they are told to. Whoever has claimed the first
// server has all of them.
type sentinels struct {
	servers    [2]*process
	addrs      [2]string
	watchers   []*process
	watchAddrs []string

	mu      sync.Mutex // guards primary
	primary int        // which of the servers
}

const watchers = 3

// newSentinels is a set that has not started.
func (f *fleet) newSentinels(ctx context.Context) (*sentinels, error) {
	s := &sentinels{}
	for i := range s.servers {
		var err error
		if s.addrs[i], err = freeAddr(); err != nil {
			return nil, err
		}
		dir := filepath.Join(f.dir, fmt.Sprintf("redis-%d", i+1))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
		s.servers[i] = newProcess(filepath.Base(dir), f.dir, func(*process, int) *exec.Cmd {
			return exec.CommandContext(ctx, f.cfg.redisServer, s.flags(i, dir)...)
		}, func(ctx context.Context, _ int) error { return serves(ctx, s.addrs[i]) }, f.died)
	}
	for i := range watchers {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		conf := filepath.Join(f.dir, fmt.Sprintf("sentinel-%d.conf", i+1)) // it writes what it learns there
		if err := os.WriteFile(conf, []byte(sentinelConf(addr, s.addrs[0])), 0o644); err != nil {
			return nil, err
		}
		s.watchAddrs = append(s.watchAddrs, addr)
		s.watchers = append(s.watchers, newProcess(fmt.Sprintf("sentinel-%d", i+1), f.dir, func(*process, int) *exec.Cmd {
			return exec.CommandContext(ctx, f.cfg.redisServer, conf, "--sentinel")
		}, func(ctx context.Context, _ int) error { return serves(ctx, addr) }, f.died))
	}
	return s, nil
}

// sentinelConf is the configuration of a sentinel. On a busy machine a server may be
// silent for longer than a sentinel would wait: a failover that nobody planned would
// lose writes that the history is not told of. So they wait for long.
func sentinelConf(addr, primary string) string {
	host, port, _ := net.SplitHostPort(addr) // we made them
	_, watched, _ := net.SplitHostPort(primary)
	return fmt.Sprintf("port %s\nbind %s\nsentinel monitor %s 127.0.0.1 %s 2\n"+
		"sentinel down-after-milliseconds %[3]s 60000\nsentinel failover-timeout %[3]s 5000\n", port, host, masterName, watched)
}

// flags are those of a server: it replicates the other, unless it is the primary.
func (s *sentinels) flags(i int, dir string) []string {
	host, port, _ := net.SplitHostPort(s.addrs[i]) // we made it
	args := []string{"--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", dir, "--daemonize", "no",
		"--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"}
	if primary, _ := s.roles(); primary != i {
		host, port, _ := net.SplitHostPort(s.addrs[primary])
		args = append(args, "--replicaof", host, port)
	}
	return args
}

// roles are the numbers of the servers.
func (s *sentinels) roles() (primary, replica int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.primary, 1 - s.primary
}

func (s *sentinels) promoted(primary int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.primary = primary
}

// start starts the set, and returns when it could fail over.
func (s *sentinels) start(ctx context.Context) error {
	for _, p := range append(s.servers[:], s.watchers...) {
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	return s.awaitWhole(ctx)
}

// kill ends all of them.
func (s *sentinels) kill() {
	for _, p := range append(s.watchers, s.servers[:]...) {
		p.kill()
	}
}

// awaitWhole waits until the replica is in sync, and the sentinels know it and
// one another.
func (s *sentinels) awaitWhole(ctx context.Context) error {
	primary, replica := s.roles()
	return patiently(ctx, "the set to be whole", func(ctx context.Context) error {
		if err := s.linked(ctx, replica); err != nil {
			return err
		}
		for _, addr := range s.watchAddrs {
			if err := knows(ctx, addr, s.addrs[primary]); err != nil {
				return fmt.Errorf("sentinel %s: %w", addr, err)
			}
		}
		return nil
	})
}

// linked returns nil when a server replicates.
func (s *sentinels) linked(ctx context.Context, replica int) error {
	return asking(s.addrs[replica], func(c *goredis.Client) error {
		info, err := c.InfoMap(ctx, "replication").Result()
		if err == nil && info["Replication"]["master_link_status"] != "up" {
			err = fmt.Errorf("replica %s is not in sync", s.addrs[replica])
		}
		return err
	})
}

// knows returns nil when a sentinel has that primary, a replica that is well, and
// the other sentinels.
func knows(ctx context.Context, sentinel, primary string) error {
	c := goredis.NewSentinelClient(&goredis.Options{Addr: sentinel, DisableIdentity: true})
	defer func() { _ = c.Close() }() // it is only for this
	at, err := c.GetMasterAddrByName(ctx, masterName).Result()
	if err != nil {
		return err
	}
	if addr := net.JoinHostPort(at[0], at[1]); addr != primary {
		return fmt.Errorf("the primary is %s, not %s", addr, primary)
	}
	m, err := c.Master(ctx, masterName).Result()
	if err != nil {
		return err
	}
	replicas, err := c.Replicas(ctx, masterName).Result()
	if err != nil {
		return err
	}
	if m["flags"] != "master" || m["num-other-sentinels"] != fmt.Sprint(watchers-1) || len(replicas) != 1 ||
		replicas[0]["flags"] != "slave" || replicas[0]["master-link-status"] != "ok" {
		return fmt.Errorf("it knows a primary that is %s, %s others and replicas %v", m["flags"], m["num-other-sentinels"], replicas)
	}
	return nil
}

const (
	// mostUnreplicated is how long the replica may be cut off before it is promoted.
	mostUnreplicated = 3 * time.Second
	// unnoticed is how long the primary is gone before the sentinels act.
	unnoticed = 500 * time.Millisecond
)

// failOver cuts the replica off, lets writes go on for the time of the fault, and
// kills the primary, or holds it until the replica was promoted and then kills it.
// What was written since the cut is lost.
func (r *run) failOver(ctx context.Context, f fault) error {
	s := r.fleet.set
	primary, replica := s.roles()
	since := time.Now()
	if err := s.replicated(ctx); err != nil {
		return err
	}
	if err := asking(s.addrs[replica], func(c *goredis.Client) error { return cutOff(ctx, c) }); err != nil {
		return err
	}
	time.Sleep(f.lasts)
	old, held := s.servers[primary], f.draw%2 == 0
	if held {
		old.hold()
	} else {
		old.kill()
	}
	r.lost("suffix", since)
	r.history.Note(controller, "%s is gone, held first: %v; what it was told in the last %v is lost", old.name, held, time.Since(since).Round(time.Millisecond))
	time.Sleep(unnoticed)
	err := patiently(ctx, "the sentinels to fail over", func(ctx context.Context) error {
		c := goredis.NewSentinelClient(&goredis.Options{Addr: s.watchAddrs[f.draw%watchers], DisableIdentity: true})
		defer func() { _ = c.Close() }() // it is only for this
		return c.Failover(ctx, masterName).Err()
	})
	if err != nil {
		return err
	}
	err = patiently(ctx, "the replica to be promoted", func(ctx context.Context) error {
		return asking(s.addrs[replica], func(c *goredis.Client) error {
			role, err := c.Do(ctx, "ROLE").Slice()
			if err == nil && role[0] != "master" {
				err = fmt.Errorf("it is a %v", role[0])
			}
			return err
		})
	})
	old.kill()
	if err != nil {
		return err
	}
	r.history.Note(controller, "%s is the primary", s.servers[replica].name)
	s.promoted(replica)
	if err := asking(s.addrs[replica], func(c *goredis.Client) error {
		return errors.Join(c.ConfigSet(ctx, "masteruser", "").Err(), c.ConfigSet(ctx, "masterauth", "").Err())
	}); err != nil {
		return err
	}
	if err := old.start(ctx); err != nil {
		return err
	}
	return s.awaitWhole(ctx)
}

// cutOff ends replication: the replica is given a user that its primary does not
// know, and has to log in again.
func cutOff(ctx context.Context, replica *goredis.Client) error {
	return errors.Join(
		replica.ConfigSet(ctx, "masteruser", "nobody").Err(), replica.ConfigSet(ctx, "masterauth", "nothing").Err(),
		replica.Do(ctx, "CLIENT", "KILL", "TYPE", "master").Err())
}

// replicated waits until the replica has all that the primary has been told now.
func (s *sentinels) replicated(ctx context.Context) error {
	primary, replica := s.roles()
	offset := func(ctx context.Context, server int, field string) (n int64, err error) {
		err = asking(s.addrs[server], func(c *goredis.Client) error {
			info, err := c.InfoMap(ctx, "replication").Result()
			if err != nil {
				return err
			}
			_, err = fmt.Sscan(info["Replication"][field], &n)
			return err
		})
		return n, err
	}
	want, err := offset(ctx, primary, "master_repl_offset")
	if err != nil {
		return err
	}
	return patiently(ctx, "the replica to have what the primary has", func(ctx context.Context) error {
		has, err := offset(ctx, replica, "slave_repl_offset")
		if err == nil && has < want {
			err = fmt.Errorf("it has %d bytes of %d", has, want)
		}
		return err
	})
}

// asking makes a client of a server for one question.
func asking(addr string, ask func(*goredis.Client) error) error {
	c := goredis.NewClient(&goredis.Options{Addr: addr, DisableIdentity: true})
	defer func() { _ = c.Close() }() // it is only for this
	return ask(c)
}

// patiently asks again and again, for a while.
func patiently(ctx context.Context, what string, done func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, clientPatience)
	defer cancel()
	for {
		err := done(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %v for %s: %w", clientPatience, what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
