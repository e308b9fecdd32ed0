package redis

import (
	"context"
	"strconv"

	"github.com/shardrun/shardrun/checkpoint"
	checkpointredis "github.com/shardrun/shardrun/checkpoint/redis"
	"github.com/shardrun/shardrun/internal/rediskeys"
	"github.com/shardrun/shardrun/lease"
)

// Mark implements [lease.Store].
func (s *Store) Mark(ctx context.Context, scope checkpoint.Scope, m lease.Mark) error {
	if err := m.Validate(); err != nil {
		return err
	}
	_, err := s.call(ctx, "mark "+m.Name+" in", rediskeys.Mark, scope, m.Name, string(m.Token), m.Flag, flag(!m.Off))
	return err
}

// Pause implements [lease.Store].
func (s *Store) Pause(ctx context.Context, scope checkpoint.Scope, on bool) error {
	_, err := s.call(ctx, "pause", rediskeys.Pause, scope, flag(on))
	return err
}

// Reset implements [lease.Store].
func (s *Store) Reset(ctx context.Context, scope checkpoint.Scope, r lease.Reset) error {
	if err := r.Validate(); err != nil {
		return err
	}
	p := checkpointredis.Position(r.Position)
	_, err := s.call(ctx, "reset "+r.Name+" in", rediskeys.Reset, scope,
		r.Name, int(p.Rank), p.Sequence, strconv.FormatUint(p.Subsequence, 10), strconv.FormatUint(r.Epoch, 10), flag(r.Forced), flag(r.Ended))
	return err
}
