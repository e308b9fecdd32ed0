package failover

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/worker"
)

// shardsOf are the shards of a relay.
const shardsOf = 4

// relay hands all shards from a worker to the next one, again and again. A leg
// ends a worker and returns the gaps of its shards in milliseconds.
func relay(legs int, ttl time.Duration, start starter, leg func(ctx context.Context, s *scene, old, next *member, shards []string) ([]float64, error)) act {
	return func(ctx context.Context, all *servers) (harness.Sample, error) {
		return all.play(ctx, start, shardsOf, ttl, func(s *scene) (harness.Sample, error) {
			var out harness.Sample
			old, err := s.enter(ctx)
			if err != nil {
				return out, err
			}
			for range legs {
				gaps, next, err := s.handOver(ctx, old, leg)
				if err != nil {
					return out, err
				}
				out.Observations = append(out.Observations, gaps...)
				old = next
			}
			return out, nil
		})
	}
}

// act is one run of a row.
type act func(ctx context.Context, s *servers) (harness.Sample, error)

// handOver starts the next worker while the old one has all shards, and then
// does to the old one what the leg does.
func (s *scene) handOver(ctx context.Context, old *member, leg func(context.Context, *scene, *member, *member, []string) ([]float64, error)) ([]float64, *member, error) {
	events, err := s.await(ctx, s.mark(), patience+s.ttl, old.name+" has all shards", func(events []worker.Event) bool {
		return len(first(events, old.name, nil)) == shardsOf
	})
	if err != nil {
		return nil, nil, err
	}
	next, err := s.enter(ctx)
	if err != nil {
		return nil, nil, err
	}
	// Reads and beats have their rhythm; ends have not.
	time.Sleep(rand.N(250 * time.Millisecond))
	shards := slices.Collect(maps.Keys(first(events, old.name, nil)))
	if first(s.since(0), next.name, nil)[shards[0]] != 0 {
		return nil, nil, fmt.Errorf("%s has a shard of %s already", next.name, old.name)
	}
	gaps, err := leg(ctx, s, old, next, shards)
	return gaps, next, err
}

// terminate drains the old worker: the gap is from its last record to the
// first one of the next.
func terminate(ctx context.Context, s *scene, old, next *member, shards []string) ([]float64, error) {
	mark := s.mark()
	if err := old.signal(syscall.SIGTERM); err != nil {
		return nil, err
	}
	if _, err := s.await(ctx, mark, patience+s.ttl, next.name+" has the shards", batches(next.name, shards)); err != nil {
		return nil, err
	}
	old.gone = true
	if err := old.wait(ctx); err != nil {
		return nil, err
	}
	events := s.since(0)
	there, here := first(events, next.name, shards), last(events, old.name)
	var gaps []float64
	for _, shard := range shards {
		gaps = append(gaps, ms(there[shard]-here[shard]))
	}
	return gaps, nil
}

// kill kills the old worker: the gap is from then on.
func kill(ctx context.Context, s *scene, old, next *member, shards []string) ([]float64, error) {
	mark, at := s.mark(), worker.Now()
	if err := old.kill(ctx); err != nil {
		return nil, err
	}
	events, err := s.await(ctx, mark, patience+s.ttl, next.name+" has the shards", batches(next.name, shards))
	if err != nil {
		return nil, err
	}
	var gaps []float64
	for _, there := range first(events, next.name, shards) {
		gaps = append(gaps, ms(there-at))
	}
	return gaps, nil
}
