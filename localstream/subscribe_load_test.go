package localstream

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// Writers, reshards and subscribers at the same time: who follows the shards
// from the first to the last gets every record once, those of a key in the order
// of their puts.
func TestSubscribersUnderLoad(t *testing.T) {
	const keys, perKey = 8, 60
	h := start(t, 2)
	var reading, writing sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	readers := []*reader{}
	for i := range 3 {
		r := &reader{harness: h, ctx: ctx, arn: h.register(fmt.Sprint("c", i)), got: map[string][]int{}, begun: map[string]bool{}, ended: map[string]bool{}}
		readers = append(readers, r)
		for _, shard := range h.shards() {
			r.follow(&reading, *shard.ShardId)
		}
	}
	for key := range keys {
		writing.Go(func() {
			for n := range perKey {
				data, _ := json.Marshal(n)
				if _, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: new("s"), PartitionKey: new(fmt.Sprint("key", key)), Data: data}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 6 {
		_, err := h.client.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{
			StreamName: new("s"), TargetShardCount: new(int32(2 + rng.IntN(2))), ScalingType: types.ScalingTypeUniformScaling})
		h.must(err)
	}
	writing.Wait()
	for _, r := range readers {
		r.wait(keys * perKey)
	}
	cancel()
	reading.Wait()
	for _, r := range readers {
		for key, got := range r.got {
			for i, n := range got {
				if n != i {
					t.Fatalf("%s: record %d in place %d of %v", key, n, i, got)
				}
			}
			equal(t, key, len(got), perKey)
		}
		equal(t, "keys", len(r.got), keys)
	}
}

// reader follows a stream from shard to shard.
type reader struct {
	*harness
	ctx context.Context
	arn string
	// mu guards those below.
	mu     sync.Mutex
	got    map[string][]int
	total  int
	enough chan struct{} // closed once total is at want
	want   int
	begun  map[string]bool
	ended  map[string]bool
}

// wait returns when there are so many records.
func (r *reader) wait(records int) {
	r.mu.Lock()
	r.want, r.enough = records, make(chan struct{})
	done := r.total >= records
	r.mu.Unlock()
	if !done {
		<-r.enough
	}
}

// follow reads a shard to its end, and then the children whose parents it has
// read.
func (r *reader) follow(all *sync.WaitGroup, shard string) {
	all.Go(func() {
		at := fromHorizon
		client := kinesis.New(r.client.Options())
		out, err := client.SubscribeToShard(r.ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &r.arn, ShardId: &shard, StartingPosition: &at})
		if err != nil {
			r.Error(err)
			return
		}
		defer out.GetStream().Close()
		for event := range out.GetStream().Events() {
			e := event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
			r.take(e.Records)
			if e.ContinuationSequenceNumber == nil {
				for _, child := range r.ready(shard, e.ChildShards) {
					r.follow(all, child)
				}
			}
		}
	})
}

func (r *reader) take(records []types.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range records {
		var n int
		if err := json.Unmarshal(rec.Data, &n); err != nil {
			r.Error(err)
		}
		r.got[*rec.PartitionKey] = append(r.got[*rec.PartitionKey], n)
		r.total++
		if r.enough != nil && r.total == r.want {
			close(r.enough)
		}
	}
}

// ready gives the children that can begin now that a shard has ended.
func (r *reader) ready(shard string, children []types.ChildShard) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended[shard] = true
	var out []string
	for _, c := range children {
		all := !r.begun[*c.ShardId]
		for _, p := range c.ParentShards {
			all = all && r.ended[p]
		}
		if all {
			r.begun[*c.ShardId] = true
			out = append(out, *c.ShardId)
		}
	}
	return out
}
