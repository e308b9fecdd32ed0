package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// lagReads are the shards that are read at a time.
const lagReads = 8

// lagReader asks Kinesis how far behind positions are.
type lagReader struct {
	client  *kinesis.Client
	streams map[string]bool // by id: whether the stream is the one at the endpoint
}

// read fills in the lag of infos, which are of leases. A stream that is not at the
// endpoint, or is not the one that the leases are of, has none. What cannot be read
// is told once.
func (r *lagReader) read(ctx context.Context, errOut io.Writer, leases []lease.Lease, infos []leaseInfo) error {
	positions := make(map[string]checkpoint.Position, len(leases))
	for _, l := range leases {
		positions[l.Name] = l.Position
		if err := r.look(ctx, lease.StreamOf(l.Name)); err != nil {
			return err
		}
	}
	var (
		wg     sync.WaitGroup
		room   = make(chan struct{}, lagReads) // a place for each read that is under way
		mu     sync.Mutex                      // guards failed
		failed error
	)
	for i := range infos {
		at := positions[infos[i].Lease]
		if at.IsEnd() || !r.streams[infos[i].Stream] {
			continue
		}
		room <- struct{}{}
		wg.Go(func() {
			lag, err := r.behind(ctx, streamName(infos[i].Stream), infos[i].Shard, at)
			if err == nil {
				infos[i].LagMs = &lag
			} else {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
			<-room
		})
	}
	wg.Wait()
	if failed != nil && ctx.Err() == nil {
		fmt.Fprintf(errOut, "shardrun: %v\n", explain(failed))
	}
	return nil
}

// look finds out whether the stream of an id is at the endpoint.
func (r *lagReader) look(ctx context.Context, id string) error {
	if _, known := r.streams[id]; known {
		return nil
	}
	st, err := findStream(ctx, r.client, streamName(id))
	if _, gone := errors.AsType[*types.ResourceNotFoundException](err); err != nil && !gone {
		return err
	}
	r.streams[id] = err == nil && st.id == id
	return nil
}

// behind is for how many milliseconds a reader at a position is behind the newest
// record of the shard.
func (r *lagReader) behind(ctx context.Context, stream, shard string, at checkpoint.Position) (int64, error) {
	it, err := r.client.GetShardIterator(ctx, iteratorAt(stream, shard, at))
	if err != nil {
		return 0, fmt.Errorf("read %s of %s: %w", shard, stream, err)
	}
	out, err := r.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator, Limit: aws.Int32(1)})
	if err != nil {
		return 0, fmt.Errorf("read %s of %s: %w", shard, stream, err)
	}
	return aws.ToInt64(out.MillisBehindLatest), nil
}

// iteratorAt asks for an iterator at a position; of a record, at that record.
func iteratorAt(stream, shard string, at checkpoint.Position) *kinesis.GetShardIteratorInput {
	in := &kinesis.GetShardIteratorInput{StreamName: &stream, ShardId: &shard}
	switch {
	case at.Rank == checkpoint.RankRecord:
		in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeAtSequenceNumber, aws.String(string(at.Sequence))
	case !at.Since.IsZero():
		in.ShardIteratorType, in.Timestamp = types.ShardIteratorTypeAtTimestamp, aws.Time(at.Since)
	default:
		in.ShardIteratorType = types.ShardIteratorTypeTrimHorizon
	}
	return in
}
