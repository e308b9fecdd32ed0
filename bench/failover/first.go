package failover

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/google/uuid"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/peers"
	"github.com/shardrun/shardrun/bench/worker"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// firstRows are the rows of starting: of a stream with a record in each shard,
// from the start of a worker's process to when it has handled all of them.
func firstRows() []harness.Row {
	var rows []harness.Row
	for _, size := range []struct {
		shards int
		target float64
	}{{4, 0.5}, {1000, 3}} {
		name, target := fmt.Sprintf("consumer/first-record-%d", size.shards), fmt.Sprintf("< %v s", size.target)
		met := under(size.target)
		line := func(suffix, extra, what string) harness.Line {
			return harness.Line{
				Name: name + suffix, Extra: extra, Unit: "s", Better: harness.Lower, Target: target, Met: met,
				Work: what + ": to the first record of every one of its shards",
			}
		}
		contestants := ours(func(ctx context.Context, s *servers) (harness.Sample, error) { return starts(ctx, s, size.shards) })
		if size.shards == 4 {
			contestants = append(contestants, harness.Contestant{Name: "vmware", Published: 32, Source: "its defaults, measured elsewhere"})
		}
		rows = append(rows, harness.Row{
			Name: name, Group: "consumer", Unit: "s", Better: harness.Lower, NeedsQuiet: true, FullRounds: 10,
			Work:   fmt.Sprintf("first start of a worker process on %d shards: to the first record of every one", size.shards),
			Target: target, Met: met,
			Contestants: contestants,
			Also: []harness.Line{
				line("-clean", "clean", fmt.Sprintf("start after a clean stop, %d shards", size.shards)),
				line("-same-name", "same", fmt.Sprintf("start under the name of a worker that was killed just before, %d shards", size.shards)),
			},
		})
	}
	return rows
}

// starts starts a worker of a new group, then one after it was stopped, then
// one after that was killed, under its name.
func starts(ctx context.Context, all *servers, shards int) (harness.Sample, error) {
	var out harness.Sample
	name := uuid.NewString()
	if err := peers.CreateStream(ctx, all.client, name, shards); err != nil {
		return out, err
	}
	s := &scene{servers: all, journal: newJournal(), start: process, template: worker.Config{
		Group: name, Stream: name, Endpoint: all.endpoint, Redis: all.redis,
	}}
	first, m, err := s.startOn(ctx, shards, "a")
	if err != nil {
		return out, err
	}
	if err := m.end(); err != nil {
		return out, err
	}
	clean, m, err := s.startOn(ctx, shards, "b")
	if err != nil {
		return out, err
	}
	if err := m.kill(ctx); err != nil {
		return out, err
	}
	same, m, err := s.startOn(ctx, shards, "b")
	if err != nil {
		return out, err
	}
	out.Value, out.Extra = first, map[string]float64{"clean": clean, "same": same}
	return out, m.end()
}

// startOn puts a record into each shard, and starts a worker. It returns the
// seconds until that has handled a record of each shard.
func (s *scene) startOn(ctx context.Context, shards int, name string) (float64, *member, error) {
	if err := s.fill(ctx, shards); err != nil {
		return 0, nil, err
	}
	mark, began := s.mark(), time.Now()
	m, err := s.enter(ctx, func(c *worker.Config) { c.Name = name })
	if err != nil {
		return 0, nil, err
	}
	events, err := s.await(ctx, mark, 2*patience, "every shard has a record handled", func(events []worker.Event) bool {
		return len(first(events, name, nil)) == shards
	})
	var at int64
	for _, one := range first(events, name, nil) {
		at = max(at, one)
	}
	return time.Unix(0, at).Sub(began).Seconds(), m, err
}

// fill puts a record into each shard of a stream that was never resharded.
func (s *scene) fill(ctx context.Context, shards int) error {
	var entries []types.PutRecordsRequestEntry
	for _, r := range hashkey.Split(shards) {
		entries = append(entries, types.PutRecordsRequestEntry{
			Data: worker.Data(0, 100), PartitionKey: aws.String("key"), ExplicitHashKey: aws.String(r.Start.String()),
		})
	}
	for len(entries) > 0 {
		n := min(len(entries), 500) // as many as a call may have
		out, err := s.client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: aws.String(s.template.Stream), Records: entries[:n]})
		if err != nil {
			return err
		}
		if failed := aws.ToInt32(out.FailedRecordCount); failed > 0 {
			return fmt.Errorf("%d records were not put", failed)
		}
		entries = entries[n:]
	}
	return nil
}
