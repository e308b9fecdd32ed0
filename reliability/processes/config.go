//go:build unix

package main

import (
	"cmp"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/reliability/cmdline"
)

// config says what a run is.
type config struct {
	// duration is how long the nemesis is at work. What follows, until all is
	// handled, takes a few seconds more.
	duration time.Duration
	seed     uint64
	workers  int
	// producers, of which the first, third, … keep the order of their keys.
	producers int
	shards    int // at the start
	// rate is how many records each producer puts in a second.
	rate int
	// ttl is the lease time.
	ttl time.Duration
	// pause is the time between two faults, about; 0 for the lease time.
	pause time.Duration
	// only are the names of the faults to inflict; none for all.
	only []string
	// sentinels says that Redis is a Sentinel set, which fails over, instead of
	// one server, which restarts. Faults that need one imply it.
	sentinels bool
	// settle is how long everything may take to be handled once all is mended;
	// 0 for a minute, and duration, for it may be all of the stream again.
	settle time.Duration
	// dir is where the files of the run are; empty for a new one, which is
	// removed at the end, unless keep or a violation keeps it.
	dir  string
	keep bool
	// redisServer is the program.
	redisServer string
	// programs is a directory with the built programs; empty to build them.
	programs string
	// every is the time between two lines that tell how far the run is; 0 for ten
	// seconds.
	every time.Duration
}

func (c config) withDefaults() config {
	c.settle = cmp.Or(c.settle, max(time.Minute+c.duration, c.owned()))
	c.pause = cmp.Or(c.pause, c.ttl)
	c.sentinels = c.sentinels || needs(c.only, setRedis)
	c.every = cmp.Or(c.every, 10*time.Second)
	return c
}

// Bounds of what one machine can be asked for.
const (
	leastPause = 10 * time.Millisecond
	mostNodes  = 100
	mostRate   = 100_000
)

// validate names the flag that was given a value that makes no sense, and what is
// accepted.
func (c config) validate() error {
	switch {
	case c.duration <= 0:
		return cmdline.Wrong("-for %v: want a time above 0", c.duration)
	case c.workers < 2 || c.workers > mostNodes:
		return cmdline.Wrong("-workers %d: want 2 to %d, so that one can take over", c.workers, mostNodes)
	case c.producers < 1 || c.producers > mostNodes:
		return cmdline.Wrong("-producers %d: want 1 to %d", c.producers, mostNodes)
	case c.shards < fewestShards || c.shards > mostShards:
		return cmdline.Wrong("-shards %d: want %d to %d", c.shards, fewestShards, mostShards)
	case c.rate < 1 || c.rate > mostRate:
		return cmdline.Wrong("-rate %d: want 1 to %d records a second", c.rate, mostRate)
	case c.ttl < lease.MinTTL || c.ttl > time.Minute:
		return cmdline.Wrong("-lease-ttl %v: want %v to 1m", c.ttl, lease.MinTTL)
	case c.pause < leastPause:
		return cmdline.Wrong("-pause %v: want at least %v", c.pause, leastPause)
	case c.settle < c.owned():
		return cmdline.Wrong("-settle %v: want at least three lease times, %v, in which leases come to have owners", c.settle, c.owned())
	}
	for i, name := range c.only {
		switch {
		case !slices.Contains(faultNames(), name):
			return cmdline.Wrong("-only %q: want some of %s, with commas", name, strings.Join(faultNames(), ", "))
		case slices.Contains(c.only[:i], name):
			return cmdline.Wrong("-only: %q stands there twice", name)
		}
	}
	for _, w := range weights() {
		if !w.fits(c.sentinels) && slices.Contains(c.only, w.name()) {
			return cmdline.Wrong("-only %q: in a run with -sentinels, or %q, Redis is no single server; want other faults", w.name(), fault{do: actFail, target: kindRedis}.name())
		}
	}
	if c.programs != "" {
		for _, name := range []string{"shardrun", "node"} {
			if _, err := exec.LookPath(filepath.Join(c.programs, name)); err != nil {
				return cmdline.Wrong("-programs %s: want a directory with the programs shardrun and node: %v", c.programs, err)
			}
		}
	}
	if c.redisServer == "" {
		return errors.New("redis-server is not installed; install Redis 6.2 or later (Debian, Ubuntu: apt-get install redis-server)")
	}
	return nil
}

// options are what the checker is told. A worker beats three times in a lease time;
// we give it one lease time for each, because here a beat may wait for the
// processor, and that others have it is no fault of ours.
func (c config) options() history.Options {
	return history.Options{TTL: c.ttl, Beat: c.ttl, Lag: c.settle, SaveLag: c.saveLag()}
}

// saveLag is how long what was handled waits until a save of it begins: the
// interval of a worker, a call of the store that hangs and the pause after it, and
// then as long as a machine may keep a process from running that nobody holds. The
// checker counts anew for a worker that was held, and asks nothing of one that was
// killed.
func (c config) saveLag() time.Duration {
	interval := min(max(c.ttl/10, 50*time.Millisecond), time.Second)
	call := min(c.ttl/4, 5*time.Second)
	return interval + 2*call + max(3*c.ttl, 3*time.Second)
}

// owned is how long after the mending every lease has an owner; the checker looks
// at the first table that is later.
func (c config) owned() time.Duration { return 3 * c.ttl }
