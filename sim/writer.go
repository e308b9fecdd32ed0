package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/internal/history/witness"
	"github.com/shardrun/shardrun/producer"
)

// patience is how long a writer waits for one call of the SDK.
const patience = 5 * time.Second

// writer is a place in which one process that writes runs after the other.
type writer struct {
	world *world
	spec  Writer

	mu     sync.Mutex // guards all below
	starts int
	number int           // of records so far
	node   *node         // of the process that runs
	end    func()        // ends it
	rest   time.Duration // how long the next one waits
	rushes []*rush       // what waits for the next burst
}

// write puts records until ctx ends, and then sees to it that all are settled.
// After a crash it goes on as another process.
func (wr *writer) write(ctx context.Context) {
	for ctx.Err() == nil {
		n, life, end := wr.start(ctx)
		if wr.spec.Kind == ByProducer {
			wr.byProducer(life, n)
		} else {
			wr.byHand(life, n)
		}
		end()
		wr.mu.Lock()
		rest := wr.rest
		wr.mu.Unlock()
		if !n.alive() {
			sleep(ctx, wr.world.source.until(wr.world.source.dice(key(n.name, "rest")), rest, rest+time.Millisecond))
		}
	}
}

// start begins a process.
func (wr *writer) start(ctx context.Context) (*node, context.Context, func()) {
	life, end := context.WithCancel(ctx)
	wr.mu.Lock()
	defer wr.mu.Unlock()
	wr.starts++
	wr.node, wr.end = wr.world.newNode(wr.spec.Name), end
	if wr.starts > 1 {
		wr.node.name = fmt.Sprintf("%s.%d", wr.spec.Name, wr.starts)
	}
	wr.world.history.Started(wr.node.name)
	wr.world.reach("writer by " + string(wr.spec.Kind))
	return wr.node, life, end
}

// crash ends the process that runs now. The next one starts a while later.
func (wr *writer) crash(after time.Duration) {
	wr.mu.Lock()
	defer wr.mu.Unlock()
	wr.world.note("%s: crashes, for %v", wr.node.name, after.Round(time.Millisecond))
	wr.node.crash()
	wr.world.happened(WriterCrash)
	wr.world.history.Crashed(wr.node.name)
	wr.rest = after
	wr.end()
}

// bursts calls put with each burst of records until ctx ends, and the rushes that
// it is for.
func (wr *writer) bursts(ctx context.Context, n *node, put func([]history.Put, []*rush)) {
	w, spec := wr.world, wr.spec
	for {
		dice := w.source.dice(key(spec.Name, "burst"))
		if !sleep(ctx, w.source.until(dice, spec.Pause/2, spec.Pause*3/2)) {
			return
		}
		var burst []history.Put
		most, rushes := 1+dice.IntN(spec.Burst), wr.takeRushes()
		if len(rushes) > 0 {
			most = rushRecords
		}
		for range most {
			wr.number++
			p := history.Put{Producer: n.name, Key: fmt.Sprintf("%s-key-%d", spec.Name, dice.IntN(spec.Keys))}
			if spec.HashKeys {
				p.HashKey = hashkey.Of("hash of " + p.Key).String()
			}
			text := fmt.Sprintf("%s record %d ", spec.Name, wr.number)
			size := dice.IntN(200)
			if dice.IntN(spec.Large) == 0 {
				size = dice.IntN(40_000)
			}
			p.Data = []byte(text + strings.Repeat("x", size))
			burst = append(burst, p)
		}
		put(burst, rushes)
	}
}

func (wr *writer) byProducer(ctx context.Context, n *node) {
	w, spec := wr.world, wr.spec
	cfg := producer.Config{Client: w.client(n), Stream: streamName, Ordered: spec.Ordered,
		RecordTTL: spec.Life, BufferRecords: spec.Buffer, Logger: w.logger(n.name)}
	if !spec.Aggregate {
		cfg.AggregateBytes = -1
	}
	p, err := producer.New(cfg)
	if err != nil {
		w.fail("%s: %v", n.name, err)
		return
	}
	by := witness.Producer{To: p, History: w.history, Name: n.name, Ordered: spec.Ordered}
	wr.bursts(ctx, n, func(burst []history.Put, rushes []*rush) {
		gap := 500 * time.Microsecond
		if len(rushes) > 0 {
			gap = rushGap
			defer w.hurry(n, w.source.dice(key(n.name, "hurry")))()
		}
		for i, put := range burst {
			// Not at one instant: what the producer's goroutine sees of a burst
			// when it wakes up would be a matter of luck.
			time.Sleep(w.source.until(w.source.dice(key(n.name, "gap")), 0, gap))
			for _, r := range rushes {
				switch i {
				case rushBefore:
					close(r.begun)
				case rushRecords - 1:
					close(r.ended)
				}
			}
			began := time.Now()
			err := by.Put(ctx, producer.Record{Key: put.Key, HashKey: put.HashKey, Data: put.Data, Done: func(_ producer.Result, err error) {
				w.promised(n, began, err)
			}})
			if err != nil && ctx.Err() == nil {
				w.fail("%s: %v", n.name, err)
			}
		}
	})
	if !n.alive() {
		dead, cancel := context.WithCancel(ctx)
		cancel()
		_ = p.Close(dead) // its goroutines are to end, nothing more
		return
	}
	// Every fault is over: nothing keeps it from sending the rest in time.
	rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.catchUp())
	defer cancel()
	if err := p.Close(rest); err != nil {
		w.fail("close %s: %v", n.name, err)
	}
}

// byHand puts with the SDK client, as most programs do.
func (wr *writer) byHand(ctx context.Context, n *node) {
	w, client := wr.world, wr.world.client(n)
	wr.bursts(ctx, n, func(burst []history.Put, _ []*rush) { // it never rushes
		switch wr.spec.Kind {
		case ByPutRecords:
			w.putRecords(client, burst)
			return
		case ByAggregate:
			w.putAggregate(client, burst)
			return
		}
		for _, put := range burst {
			w.putRecord(client, put, func(error) {}) // as faults will have it
		}
	})
}

// putRecord puts one record, and calls failed when that failed.
func (w *world) putRecord(client *kinesis.Client, put history.Put, failed func(error)) {
	ctx, cancel := context.WithTimeout(w.life, patience)
	defer cancel()
	no := w.history.Put(put)
	out, err := client.PutRecord(ctx, &kinesis.PutRecordInput{
		StreamName: aws.String(streamName), PartitionKey: &put.Key, ExplicitHashKey: optional(put.HashKey), Data: put.Data,
	})
	if err != nil {
		w.history.Failed(no, err, true)
		failed(err)
		return
	}
	w.history.Acked(no, *out.ShardId, history.ID{Sequence: *out.SequenceNumber})
}

// putRecords puts a burst, and what failed of it again, a few times.
func (w *world) putRecords(client *kinesis.Client, burst []history.Put) {
	var numbers []int
	for _, put := range burst {
		numbers = append(numbers, w.history.Put(put))
	}
	for attempt := 0; len(burst) > 0 && attempt < 5; attempt++ {
		var entries []types.PutRecordsRequestEntry
		for i := range burst {
			entries = append(entries, types.PutRecordsRequestEntry{
				PartitionKey: &burst[i].Key, ExplicitHashKey: optional(burst[i].HashKey), Data: burst[i].Data,
			})
		}
		ctx, cancel := context.WithTimeout(w.life, patience)
		out, err := client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: aws.String(streamName), Records: entries})
		cancel()
		if err != nil {
			continue
		}
		var left []history.Put
		var leftNumbers []int
		for i, r := range out.Records {
			if r.ErrorCode != nil {
				left, leftNumbers = append(left, burst[i]), append(leftNumbers, numbers[i])
				continue
			}
			w.history.Acked(numbers[i], *r.ShardId, history.ID{Sequence: *r.SequenceNumber})
		}
		burst, numbers = left, leftNumbers
	}
	for _, no := range numbers {
		w.history.Failed(no, errors.New("given up"), true) // retries of the SDK itself may have written it
	}
}

// putAggregate puts a burst in one aggregate, wherever its first record belongs,
// as a producer does that has never heard of the stream's other shards. Members
// that belong to another shard than the one it landed in are put again.
func (w *world) putAggregate(client *kinesis.Client, burst []history.Put) {
	var numbers []int
	for _, put := range burst {
		numbers = append(numbers, w.history.Put(put))
	}
	for attempt := 0; len(burst) > 0 && attempt < 8; attempt++ {
		var b aggregate.Builder
		for _, put := range burst {
			b.Add(put.Key, put.HashKey, put.Data)
		}
		ctx, cancel := context.WithTimeout(w.life, patience)
		out, err := client.PutRecord(ctx, &kinesis.PutRecordInput{
			StreamName: aws.String(streamName), PartitionKey: aws.String("a"),
			ExplicitHashKey: aws.String(hashOf(burst[0]).String()), Data: b.Append(nil),
		})
		var keys hashkey.Range
		if err == nil {
			keys, err = shardKeys(ctx, client, *out.ShardId)
		}
		cancel()
		if err != nil {
			continue
		}
		var left []history.Put
		var leftNumbers []int
		for i, put := range burst {
			if !keys.Contains(hashOf(put)) {
				left, leftNumbers = append(left, put), append(leftNumbers, numbers[i])
				continue
			}
			w.history.Acked(numbers[i], *out.ShardId, history.ID{Sequence: *out.SequenceNumber, Subsequence: uint64(i)})
		}
		burst, numbers = left, leftNumbers
	}
	for _, no := range numbers {
		w.history.Failed(no, errors.New("given up"), true)
	}
}

// hashOf is the hash key by which a record's shard is chosen.
func hashOf(p history.Put) hashkey.Key {
	if k, err := hashkey.Parse(p.HashKey); err == nil {
		return k
	}
	return hashkey.Of(p.Key)
}

// shardKeys are the hash keys of a shard.
func shardKeys(ctx context.Context, client *kinesis.Client, id string) (hashkey.Range, error) {
	all, err := listShards(ctx, client)
	if err != nil {
		return hashkey.Range{}, err
	}
	for _, s := range all {
		if *s.ShardId == id {
			return hashkey.ParseRange(*s.HashKeyRange.StartingHashKey, *s.HashKeyRange.EndingHashKey)
		}
	}
	return hashkey.Range{}, fmt.Errorf("there is no shard %s", id)
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
