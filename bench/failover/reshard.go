package failover

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/peers"
	"github.com/shardrun/shardrun/bench/worker"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// reshards splits a shard and merges its children, rounds times. The
// observations are the gaps, in milliseconds, from the last record of the
// parents to the start of a child: of children on the worker that had the last
// parent, or, across, on another one.
func reshards(rounds int, ttl time.Duration, start starter, across bool) act {
	return func(ctx context.Context, all *servers) (harness.Sample, error) {
		return all.play(ctx, start, 2, ttl, func(s *scene) (harness.Sample, error) {
			var out harness.Sample
			_, err := s.enter(ctx, func(c *worker.Config) {
				if across { // so that a child of its shard has to go elsewhere
					c.MaxLeases = 1
				}
			})
			if err == nil && across {
				_, err = s.enter(ctx)
			}
			for range rounds {
				if err != nil {
					return out, err
				}
				var same, other []float64
				if same, other, err = s.splitAndMerge(ctx); across {
					same = other
				}
				out.Observations = append(out.Observations, same...)
			}
			if err == nil && len(out.Observations) == 0 {
				err = errors.New("no child was on the worker in question")
			}
			return out, err
		})
	}
}

// splitAndMerge splits a shard of the first worker, then merges the children.
func (s *scene) splitAndMerge(ctx context.Context) (same, other []float64, err error) {
	holder := s.members[0].name
	events, err := s.await(ctx, s.mark(), patience+10*s.ttl, holder+" has a shard, and all shards are read", func(events []worker.Event) bool {
		who := holders(events)
		for _, name := range who {
			if name == holder {
				return len(who) == 2
			}
		}
		return false
	})
	if err != nil {
		return nil, nil, err
	}
	time.Sleep(rand.N(250 * time.Millisecond)) // reads have their rhythm; reshards have not
	for shard, name := range holders(events) {
		if name != holder {
			continue
		}
		children, err := s.reshard(ctx, shard, "")
		if err != nil {
			return nil, nil, err
		}
		if same, other, err = s.gaps(ctx, []string{shard}, children); err != nil {
			return nil, nil, err
		}
		time.Sleep(rand.N(250 * time.Millisecond)) // as above
		merged, err := s.reshard(ctx, children[0], children[1])
		if err != nil {
			return nil, nil, err
		}
		s2, o2, err := s.gaps(ctx, children, merged)
		return append(same, s2...), append(other, o2...), err
	}
	return nil, nil, errors.New("the first worker has no shard") // await has seen one
}

// gaps waits until the children are read, and measures.
func (s *scene) gaps(ctx context.Context, parents, children []string) (same, other []float64, err error) {
	events, err := s.await(ctx, 0, patience+s.ttl, fmt.Sprintf("the children of %v are read", parents), func(events []worker.Event) bool {
		return len(first(events, "", children)) == len(children)
	})
	if err != nil {
		return nil, nil, err
	}
	var ended int64
	var lastHolder string
	ends, who, starts := last(events, ""), holders(events), started(events)
	for _, p := range parents {
		if ends[p] > ended {
			ended, lastHolder = ends[p], who[p]
		}
	}
	for _, c := range children {
		gap := ms(starts[c] - ended)
		if gap < 0 {
			return nil, nil, fmt.Errorf("%s was begun before %v were handled to their end", c, parents)
		}
		if who[c] == lastHolder {
			same = append(same, gap)
		} else {
			other = append(other, gap)
		}
	}
	return same, other, nil
}

// reshard splits a shard in its middle, or merges it with the adjacent one, and
// returns the children.
func (s *scene) reshard(ctx context.Context, shard, adjacent string) ([]string, error) {
	stream := aws.String(s.template.Stream)
	shards, err := s.shards(ctx)
	if err != nil {
		return nil, err
	}
	if adjacent != "" {
		_, err = s.client.MergeShards(ctx, &kinesis.MergeShardsInput{
			StreamName: stream, ShardToMerge: aws.String(shard), AdjacentShardToMerge: aws.String(adjacent),
		})
	} else {
		keys := shards[shard].HashKeyRange
		var r hashkey.Range
		if r, err = hashkey.ParseRange(aws.ToString(keys.StartingHashKey), aws.ToString(keys.EndingHashKey)); err != nil {
			return nil, err
		}
		_, err = s.client.SplitShard(ctx, &kinesis.SplitShardInput{
			StreamName: stream, ShardToSplit: aws.String(shard), NewStartingHashKey: aws.String(r.Middle().String()),
		})
	}
	if err == nil {
		err = peers.Active(ctx, s.client, s.template.Stream)
	}
	if err != nil {
		return nil, err
	}
	if shards, err = s.shards(ctx); err != nil {
		return nil, err
	}
	var children []string
	for id, one := range shards {
		if aws.ToString(one.ParentShardId) == shard {
			children = append(children, id)
		}
	}
	slices.Sort(children) // the lower range first, as merging wants them
	return children, nil
}

// shards are the shards of the stream, by name.
func (s *scene) shards(ctx context.Context) (map[string]types.Shard, error) {
	out, err := s.client.ListShards(ctx, &kinesis.ListShardsInput{StreamName: aws.String(s.template.Stream)})
	if err != nil {
		return nil, err
	}
	all := map[string]types.Shard{}
	for _, one := range out.Shards {
		all[aws.ToString(one.ShardId)] = one
	}
	return all, nil
}
