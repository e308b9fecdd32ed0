package failover

import (
	"context"
	"time"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/worker"
)

// join starts a second worker, and measures in milliseconds until it has
// handled records of its share of the shards, from the start of its process.
func join(ttl time.Duration) act {
	return func(ctx context.Context, all *servers) (harness.Sample, error) {
		return all.play(ctx, process, shardsOf, ttl, func(s *scene) (harness.Sample, error) {
			old, err := s.enter(ctx)
			if err != nil {
				return harness.Sample{}, err
			}
			if _, err := s.await(ctx, s.mark(), patience, "all shards are read", func(events []worker.Event) bool {
				return len(first(events, old.name, nil)) == shardsOf
			}); err != nil {
				return harness.Sample{}, err
			}
			if err := sleep(ctx, ttl); err != nil { // the group is at rest
				return harness.Sample{}, err
			}
			began, mark := time.Now(), s.mark()
			next, err := s.enter(ctx)
			if err != nil {
				return harness.Sample{}, err
			}
			_, err = s.await(ctx, mark, patience+10*ttl, next.name+" has its share", func(events []worker.Event) bool {
				return len(first(events, next.name, nil)) == shardsOf/2
			})
			return harness.Sample{Observations: []float64{ms(int64(time.Since(began)))}}, err
		})
	}
}
