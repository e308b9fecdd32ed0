package failover

import (
	"context"
	"syscall"
	"time"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/worker"
)

// awake is how long a worker that was stopped is watched when it goes on.
const awake = 1500 * time.Millisecond

// stopped stops a worker in the middle of a batch for three times the lease
// time. The value is the number of positions that the store accepted from it
// under leases that it had lost; Extra has the deliveries beyond the first, for
// each shard.
func stopped(ttl time.Duration) act {
	return func(ctx context.Context, all *servers) (harness.Sample, error) {
		var shards int
		out, err := all.play(ctx, process, shardsOf, ttl, func(s *scene) (harness.Sample, error) {
			s.template.Work = 50 * time.Millisecond
			old, err := s.enter(ctx)
			if err != nil {
				return harness.Sample{}, err
			}
			var accepted float64
			_, _, err = s.handOver(ctx, old, func(ctx context.Context, s *scene, old, next *member, moved []string) ([]float64, error) {
				shards = len(moved)
				var err error
				accepted, err = s.stop(ctx, old, next, moved)
				return nil, err
			})
			return harness.Sample{Value: accepted, Extra: map[string]float64{}}, err
		})
		if err == nil {
			out.Extra["duplicates"] /= float64(max(shards, 1))
		}
		return out, err
	}
}

// stop stops the old worker until the next one has long had its shards, lets
// it go on, and counts what it could save that it should not.
func (s *scene) stop(ctx context.Context, old, next *member, shards []string) (float64, error) {
	began := time.Now()
	if err := old.signal(syscall.SIGSTOP); err != nil {
		return 0, err
	}
	mark := s.mark()
	_, err := s.await(ctx, mark, patience+s.ttl, next.name+" has the shards", batches(next.name, shards))
	if err == nil {
		err = sleep(ctx, 3*s.ttl-time.Since(began))
	}
	if err := old.signal(syscall.SIGCONT); err != nil {
		return 0, err
	}
	if err != nil {
		return 0, err
	}
	if err := sleep(ctx, awake); err != nil {
		return 0, err
	}
	return stale(s.since(0), old.name, next.name), nil
}

// stale counts the positions that were accepted from a worker under tokens that
// it had got before another one got the shard, with calls that it made after
// the other one's were answered.
func stale(events []worker.Event, old, next string) (n float64) {
	taken := map[string]int64{}  // by shard: when the next one had it
	earlier := map[string]bool{} // tokens of the old one from before
	for _, e := range events {
		if e.Kind == worker.Granted && e.Worker == next && taken[e.Shard] == 0 {
			taken[e.Shard] = e.Done
		}
	}
	for _, e := range events {
		if e.Kind == worker.Granted && e.Worker == old && e.Done < taken[e.Shard] {
			earlier[e.Shard+e.Token] = true
		}
	}
	for _, e := range events {
		if e.Kind == worker.Saved && e.Worker == old && earlier[e.Shard+e.Token] && e.At > taken[e.Shard] {
			n++
		}
	}
	return n
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
