package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/internal/history/witness"
	"github.com/shardrun/shardrun/lease"
)

// observe looks at the table of leases now and then.
func (w *world) observe(ctx context.Context) {
	for sleep(ctx, w.source.until(w.source.dice(key("observe")), 5*time.Second, 15*time.Second)) {
		w.look()
	}
}

// look notes the table of leases, and reports whether there is one to be seen.
func (w *world) look() bool {
	v, err := w.observer.View(w.life, "sim")
	if err != nil {
		w.history.Note("observer", "%v", err)
		return false
	}
	if len(v.Leases) == 0 {
		return false
	}
	w.history.Owners(w.owners(v))
	return true
}

// bounded fails the run when a worker has more leases than it wants. It is asked
// after each grant.
func (w *world) bounded() {
	v, err := w.observer.View(w.life, "sim")
	if who := tooMany(v); err == nil && who != "" {
		w.fail("%s has more leases than %d", who, w.plan.MaxLeases)
	}
}

// owners is a table as the history has it, with actors for the names of workers:
// two may have one name, and a session is of one.
func (w *world) owners(v lease.View) []history.Owner {
	out := witness.Owners(v)
	for i, l := range v.Leases {
		if out[i].Worker != "" {
			out[i].Worker = w.actor(lease.SessionOf(l.Token))
		}
	}
	return out
}

// audit reads with iterators of every type, as programs without the library
// do. What they get is judged against the log.
func (w *world) audit(ctx context.Context) {
	n := w.newNode("auditor")
	client := w.client(n)
	known := map[string][]types.Record{} // by shard, what was read last
	for sleep(ctx, w.source.until(w.source.dice(key("audit")), 5*time.Second, 20*time.Second)) {
		dice := w.source.dice(key("audit how"))
		shards, err := listShards(ctx, client)
		if err != nil {
			continue
		}
		shard := *shards[dice.IntN(len(shards))].ShardId
		seen := known[shard]
		in := &kinesis.GetShardIteratorInput{StreamName: aws.String(streamName), ShardId: &shard}
		kinds := []types.ShardIteratorType{types.ShardIteratorTypeTrimHorizon, types.ShardIteratorTypeLatest, types.ShardIteratorTypeAtTimestamp}
		if len(seen) > 0 {
			kinds = append(kinds, types.ShardIteratorTypeAtSequenceNumber, types.ShardIteratorTypeAfterSequenceNumber)
		}
		in.ShardIteratorType = kinds[dice.IntN(len(kinds))]
		switch in.ShardIteratorType {
		case types.ShardIteratorTypeAtSequenceNumber, types.ShardIteratorTypeAfterSequenceNumber:
			in.StartingSequenceNumber = seen[dice.IntN(len(seen))].SequenceNumber
		case types.ShardIteratorTypeAtTimestamp:
			in.Timestamp = aws.Time(time.Now().Add(-draw(dice, 0, time.Minute)).Truncate(time.Millisecond))
			if len(seen) > 0 && dice.IntN(2) == 0 { // a time at which a record arrived
				in.Timestamp = seen[dice.IntN(len(seen))].ApproximateArrivalTimestamp
			}
		}
		got, err := w.read(ctx, client, in, int32(1+dice.IntN(50)), 4)
		if err != nil {
			w.history.Logged("auditor", err.Error()) // as faults will have it
		}
		if len(got) > 0 {
			known[shard] = got
		}
	}
}

// read reads pages from one iterator on, at most so many, to the tip or the
// shard's end, and returns what it got, also when it fails later.
func (w *world) read(ctx context.Context, client *kinesis.Client, in *kinesis.GetShardIteratorInput, limit int32, pages int) ([]types.Record, error) {
	r := history.Read{
		Shard: *in.ShardId, Type: string(in.ShardIteratorType), Sequence: aws.ToString(in.StartingSequenceNumber),
		Timestamp: aws.ToTime(in.Timestamp), Began: time.Now(),
	}
	out, err := client.GetShardIterator(ctx, in)
	if err != nil {
		return nil, err
	}
	r.Answered = time.Now()
	var got []types.Record
	next := out.ShardIterator
	for n := range pages {
		began := time.Now()
		var page *kinesis.GetRecordsOutput
		if page, err = client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next, Limit: &limit}); err != nil {
			break // what was read before is judged
		}
		r.Last, r.Behind = began, time.Duration(aws.ToInt64(page.MillisBehindLatest))*time.Millisecond
		for _, record := range page.Records {
			got, r.Got = append(got, record), append(r.Got, *record.SequenceNumber)
		}
		if next = page.NextShardIterator; next == nil {
			r.Closed = true
			break
		}
		if n >= 3 && r.Behind == 0 {
			break
		}
		if !sleep(ctx, w.source.until(w.source.dice(key("audit page")), 300*time.Millisecond, time.Second)) {
			break
		}
	}
	w.history.Read(r)
	return got, err
}

// mostPages bounds the reads of a shard in the end.
const mostPages = 100

// inspect reads each shard to its tip or end, when the faults are over.
func (w *world) inspect() {
	client := w.client(w.newNode("inspector"))
	shards, err := listShards(w.life, client)
	if err != nil {
		w.fail("list shards after the faults: %v", err)
		return
	}
	for _, s := range shards {
		in := &kinesis.GetShardIteratorInput{StreamName: aws.String(streamName), ShardId: s.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
		if _, err := w.read(w.life, client, in, 1000, mostPages); err != nil {
			w.fail("read %s after the faults: %v", *s.ShardId, err)
			continue
		}
		w.reach("shard read to its tip")
	}
}

// truth is what the log has.
func (w *world) truth() (history.Stream, error) {
	truth := history.Stream{Name: streamName}
	server, _ := w.kinesis.current()
	if server == nil {
		return truth, errors.New("there is no server to ask for the truth")
	}
	shards, err := listShards(w.life, server.Client())
	if err != nil {
		return truth, fmt.Errorf("list shards: %w", err)
	}
	records, err := server.Records(streamName)
	if err != nil {
		return truth, fmt.Errorf("read the log: %w", err)
	}
	for _, s := range shards {
		shard := history.Shard{
			ID: *s.ShardId, StartHashKey: *s.HashKeyRange.StartingHashKey, EndHashKey: *s.HashKeyRange.EndingHashKey,
			StartSequence: *s.SequenceNumberRange.StartingSequenceNumber, EndSequence: aws.ToString(s.SequenceNumberRange.EndingSequenceNumber),
		}
		for _, p := range []*string{s.ParentShardId, s.AdjacentParentShardId} {
			if p != nil {
				shard.Parents = append(shard.Parents, *p)
			}
		}
		for _, r := range records {
			if r.ShardID == shard.ID {
				shard.Records = append(shard.Records, history.Raw{Sequence: r.SequenceNumber, Key: r.PartitionKey, Arrival: r.Arrival, Data: r.Data})
			}
		}
		truth.Shards = append(truth.Shards, shard)
	}
	return truth, nil
}

// confess notes what the log has, for the checker, and judges what it does not.
func (w *world) confess() {
	truth, err := w.truth()
	if err != nil {
		w.fail("in the end: %v", err)
		return
	}
	for _, s := range truth.Shards {
		w.judge(s)
	}
	if w.fanOut != nil {
		w.fanOut.judge(truth)
	}
	w.history.Stream(truth)
}
