package producer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/awserr"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// list lists the open shards and gives them to the core.
func (p *Producer) list() {
	start := time.Now()
	listing, err := p.openShards()
	now := time.Now()
	if err != nil && p.ctx.Err() == nil {
		p.log.Warn("shards not listed", zap.Error(err))
	}
	p.step(func(c *core) {
		if err != nil {
			c.unmapped(now, err)
		} else {
			c.mapped(now, listing)
		}
	})
	if p.cfg.Hooks.ShardMap != nil {
		p.cfg.Hooks.ShardMap(ShardMapEvent{Shards: len(listing), Duration: now.Sub(start), Err: err})
	}
	p.signal()
}

// openShards lists the shards that are open now, in the order of their keys.
func (p *Producer) openShards() ([]shardRange, error) {
	ctx, cancel := context.WithTimeout(p.ctx, p.cfg.RequestTimeout)
	defer cancel()
	var shards []types.Shard
	in := &kinesis.ListShardsInput{ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest}}
	in.StreamName, in.StreamARN = p.stream()
	for {
		out, err := p.cfg.Client.ListShards(ctx, in, once)
		if err != nil {
			return nil, fmt.Errorf("list shards: %w", awserr.Named(err))
		}
		shards = append(shards, out.Shards...)
		if out.NextToken == nil {
			return tile(shards)
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
}

// tile checks that the shards that are open cover each hash key once.
func tile(shards []types.Shard) ([]shardRange, error) {
	var open []shardRange
	for _, s := range shards {
		if s.SequenceNumberRange != nil && s.SequenceNumberRange.EndingSequenceNumber != nil {
			continue // closed; endpoints exist that list those too
		}
		if s.HashKeyRange == nil {
			return nil, fmt.Errorf("list shards: %s has no hash key range", aws.ToString(s.ShardId))
		}
		keys, err := hashkey.ParseRange(aws.ToString(s.HashKeyRange.StartingHashKey), aws.ToString(s.HashKeyRange.EndingHashKey))
		if err != nil {
			return nil, fmt.Errorf("list shards: %s: %w", aws.ToString(s.ShardId), err)
		}
		open = append(open, shardRange{aws.ToString(s.ShardId), keys})
	}
	if len(open) == 0 {
		return nil, errors.New("list shards: no shard is open (yet)")
	}
	slices.SortFunc(open, func(a, b shardRange) int { return a.keys.Start.Compare(b.keys.Start) })
	for i, s := range open {
		if i == 0 && s.keys.Start != (hashkey.Key{}) || i > 0 && !open[i-1].keys.Adjacent(s.keys) {
			return nil, fmt.Errorf("list shards: the open shards leave a gap or overlap before %s", s.id)
		}
	}
	if last := open[len(open)-1]; last.keys.End != hashkey.Max {
		return nil, fmt.Errorf("list shards: the open shards end with %s, before the last hash key", last.id)
	}
	return open, nil
}
