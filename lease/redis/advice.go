package redis

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// note is something about a server that an operator should know, as it is logged.
type note string

// advice reads what a server says of itself (INFO). What it does not say is
// taken to be well.
func advice(info map[string]string) []note {
	var out []note
	add := func(text string) { out = append(out, note(text)) }
	if v := info["redis_version"]; older(v, 6, 2) {
		add("Redis " + v + " is older than 6.2, with which this was never run: update it")
	}
	if info["role"] == "slave" {
		add("the Redis server is a replica, which takes no writes: connect to its primary, " + info["master_host"] + ":" + info["master_port"])
	}
	// The group's keys never expire, so the volatile policies do not touch them.
	if p := info["maxmemory_policy"]; p != "" && p != "noeviction" && !strings.HasPrefix(p, "volatile-") {
		add("Redis may evict the group's keys when its memory is full (maxmemory-policy is " + p +
			"): leases and positions are lost then, and records handled again; set maxmemory-policy to noeviction")
	}
	if info["aof_enabled"] == "0" {
		add("Redis keeps no append-only file: when it restarts, positions since its last snapshot are lost, " +
			"or all if it keeps none, and records handled again; set appendonly to yes")
	}
	return out
}

// older reports whether a version like 6.0.16 is below a release.
func older(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, err := strconv.Atoi(parts[0])
	b, err2 := strconv.Atoi(parts[1])
	return err == nil && err2 == nil && (a < major || a == major && b < minor)
}

// inspect logs what an operator should know of the server that has a group, and
// that was not logged the time before: a failover may have led to another.
func (s *Store) inspect(ctx context.Context, group string) {
	if !s.log.Core().Enabled(zapcore.WarnLevel) {
		return // nobody reads it
	}
	info, err := s.db.Info(ctx, group)
	if err != nil {
		if _, refused := errors.AsType[redis.Error](err); refused {
			s.tell(group, []note{"Redis refuses INFO, so these could not be checked: whether it is a replica, its version, " +
				"appendonly and maxmemory-policy, by which the group's state can be lost; give the user +info"})
		}
		return
	}
	s.tell(group, advice(info))
}

// tell logs notes that were not there the time before.
func (s *Store) tell(group string, notes []note) {
	s.mu.Lock()
	before := s.notes
	s.notes = notes
	s.mu.Unlock()
	for _, n := range notes {
		if !slices.Contains(before, n) {
			s.log.Warn(string(n), zap.String("group", group))
		}
	}
}
