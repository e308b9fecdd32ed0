package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/hashkey"
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
		s.c.quit(err)
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
	return heirs(s.held.Lease(), shards, view.Leases)
}

// heirs picks, from the shards that are listed, those that follow a shard with
// all generations between them expired: of the shards that overlap with it, and
// were not handled already, those that have no parent among them. It fails
// unless they take over all its hash keys.
//
// An heir starts when every shard before it was handled to its end: its listed
// parents, and every lease of the group that shares a hash key with it and does
// not descend from it. Of two shards with a common hash key one is an ancestor
// of the other.
func heirs(mine lease.Lease, listed []types.Shard, leases []lease.Lease) ([]lease.Row, error) {
	stream, name := lease.StreamOf(mine.Name), lease.ShardOf(mine.Name)
	keys, err := hashkey.ParseRange(mine.Shard.StartingHashKey, mine.Shard.EndingHashKey)
	if err != nil {
		return nil, fmt.Errorf("lease %s: %w", mine.Name, err)
	}
	leases = slices.DeleteFunc(slices.Clone(leases), func(l lease.Lease) bool { return lease.StreamOf(l.Name) != stream })
	near, err := overlapping(listed, keys, leases)
	if err != nil {
		return nil, err
	}
	var (
		known = ids(listed)
		out   []lease.Row
		cut   []hashkey.Range
	)
	for _, c := range roots(near) {
		id := aws.ToString(c.ShardId)
		r, err := rangeOf(c.HashKeyRange)
		if err != nil {
			return nil, fmt.Errorf("shard %s: %w", id, err)
		}
		older, err := unfinishedBefore(id, r, listed, leases)
		if err != nil {
			return nil, err
		}
		parents := slices.Concat([]string{name}, parentsOf(c, known), older)
		slices.Sort(parents)
		row, err := row(stream, id, c.HashKeyRange, slices.Compact(parents))
		if err != nil {
			return nil, err
		}
		out, cut = append(out, row), append(cut, within(r, keys))
	}
	if err := covers(cut, keys); err != nil {
		return nil, fmt.Errorf("%s and its children have expired, and what follows them is not known: %w", name, err)
	}
	return out, stuck(out, known, leases)
}

// overlapping are the listed shards that share hash keys with a range, but for
// those that were handled to their end.
func overlapping(listed []types.Shard, keys hashkey.Range, leases []lease.Lease) ([]types.Shard, error) {
	finished := map[string]bool{}
	for _, l := range leases {
		finished[lease.ShardOf(l.Name)] = l.Finished()
	}
	var out []types.Shard
	for _, c := range listed {
		r, err := rangeOf(c.HashKeyRange)
		if err != nil {
			return nil, fmt.Errorf("shard %s: %w", aws.ToString(c.ShardId), err)
		}
		if overlap(r, keys) && !finished[aws.ToString(c.ShardId)] {
			out = append(out, c)
		}
	}
	return out, nil
}

// unfinishedBefore are the shards, of those that have leases, that were before
// the shard id of a range and have not been handled to their end.
func unfinishedBefore(id string, r hashkey.Range, listed []types.Shard, leases []lease.Lease) ([]string, error) {
	after := map[string]bool{id: true} // id and its descendants
	for more := true; more; {
		more = false
		for _, c := range listed {
			if child := aws.ToString(c.ShardId); !after[child] && len(parentsOf(c, after)) > 0 {
				after[child], more = true, true
			}
		}
	}
	var out []string
	for _, l := range leases {
		if l.Finished() || after[lease.ShardOf(l.Name)] {
			continue
		}
		own, err := hashkey.ParseRange(l.Shard.StartingHashKey, l.Shard.EndingHashKey)
		if err != nil {
			return nil, fmt.Errorf("lease %s: %w", l.Name, err)
		}
		if overlap(own, r) {
			out = append(out, lease.ShardOf(l.Name))
		}
	}
	return out, nil
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

func overlap(a, b hashkey.Range) bool {
	return a.Start.Compare(b.End) <= 0 && b.Start.Compare(a.End) <= 0
}
