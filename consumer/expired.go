package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// goneTwice is how long after a first list without the shard the second one is
// asked for.
const goneTwice = 5 * time.Second

// vanished deals with a shard that Kinesis does not know. When the stream is
// still the same and two lists, some time apart, lack the shard, its last
// records have expired: there is nothing left to read, and what followed it may
// start. Anything else is returned, and the shard keeps its position.
func (s *shard) vanished(ctx context.Context, cause error) error {
	if err := s.c.confirmGone(ctx, s.stream); err != nil {
		s.c.quit(err, true)
		return err
	}
	var shards []types.Shard
	for i := range 2 {
		if i > 0 {
			if err := s.pause(ctx, goneTwice); err != nil {
				return err
			}
		}
		var err error
		if shards, err = s.c.listShards(ctx, s.stream, nil); err != nil {
			return errors.Join(cause, err)
		}
		if ids(shards)[s.name] {
			return cause
		}
	}
	children, err := s.childRows(childrenOf(s.name, shards))
	if err != nil {
		children, err = s.heirs(ctx, shards)
	}
	if err != nil {
		return errors.Join(cause, err)
	}
	s.log.Error("the shard has expired before it was read to its end; what was left of it is lost",
		zap.Stringer("position", s.queue.end))
	if f := s.c.cfg.Hooks.RecordsExpired; f != nil {
		f(s.name, s.queue.end, checkpoint.ShardEnd())
	}
	return s.end(ctx, children)
}

// heirs are the leases of the shards that take over the hash keys of this one
// when it has expired, and its children as well.
func (s *shard) heirs(ctx context.Context, shards []types.Shard) ([]lease.Row, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	view, err := s.c.cfg.Store.View(ctx, s.c.cfg.Group)
	if err != nil {
		return nil, fmt.Errorf("read the leases of group %q: %w", s.c.cfg.Group, err)
	}
	listed, err := rows(s.stream.id, shards, nil)
	if err != nil {
		return nil, err
	}
	heirs, err := lease.Heirs(s.held.Lease(), listed, view.Leases)
	if err != nil {
		return nil, err
	}
	return heirs, stuck(heirs, ids(shards), view.Leases)
}

// stuck fails when an heir has a lease already that waits for a shard which has
// expired without ever having had one: it would wait for ever.
func stuck(heirs []lease.Row, listed map[string]bool, leases []lease.Lease) error {
	rows := make(map[string]lease.Lease, len(leases))
	for _, l := range leases {
		rows[l.Name] = l
	}
	for _, heir := range heirs {
		l, exists := rows[heir.Name]
		if !exists || l.Epoch > 0 {
			continue
		}
		i := slices.IndexFunc(l.Shard.Parents, func(p string) bool {
			_, exists := rows[p]
			return !exists && !listed[lease.ShardOf(p)]
		})
		if i >= 0 {
			return fmt.Errorf("lease %s waits for %s, which has expired and has no lease", l.Name, l.Shard.Parents[i])
		}
	}
	return nil
}
