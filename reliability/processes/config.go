//go:build unix

package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/lease"
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
}

func (c config) withDefaults() config {
	c.settle = cmp.Or(c.settle, time.Minute+c.duration)
	c.pause = cmp.Or(c.pause, c.ttl)
	return c
}

func (c config) validate() error {
	switch {
	case c.duration <= 0:
		return fmt.Errorf("-for %v: want a time above 0", c.duration)
	case c.workers < 2:
		return fmt.Errorf("-workers %d: want at least 2, so that one can take over", c.workers)
	case c.producers < 1:
		return fmt.Errorf("-producers %d: want at least 1", c.producers)
	case c.shards < 1 || c.shards > mostShards:
		return fmt.Errorf("-shards %d: want 1 to %d", c.shards, mostShards)
	case c.rate < 1:
		return fmt.Errorf("-rate %d: want at least 1 record a second", c.rate)
	case c.ttl < lease.MinTTL || c.ttl > time.Minute:
		return fmt.Errorf("-lease-ttl %v: want %v to 1m", c.ttl, lease.MinTTL)
	case c.pause < 0:
		return fmt.Errorf("-pause %v: want a time above 0", c.pause)
	case c.redisServer == "":
		return errors.New("redis-server is not installed; install Redis 6.2 or later (Debian, Ubuntu: apt-get install redis-server)")
	}
	for _, name := range c.only {
		if !slices.Contains(faultNames(), name) {
			return fmt.Errorf("-only %q: want some of %s, with commas", name, strings.Join(faultNames(), ", "))
		}
	}
	return nil
}

// options are what the checker is told. A worker beats three times in a lease time;
// we give it one lease time for each, because here a beat may wait for the
// processor, and that others have it is no fault of ours.
func (c config) options() history.Options {
	return history.Options{TTL: c.ttl, Beat: c.ttl, Lag: c.settle}
}

// owned is how long after the mending every lease has an owner; the checker looks
// at the first table that is later.
func (c config) owned() time.Duration { return 3 * c.ttl }
