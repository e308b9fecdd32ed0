package sim

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/history"
)

const fanOutName = "fan-out"

// silence is for how long a subscriber waits for an event, of which one comes each
// five seconds, before it subscribes anew.
const silence = 15 * time.Second

// fanOut is a program without the library that reads the whole stream by enhanced
// fan-out. It begins with what ListShards says, follows each shard to the children
// that the shard's last event names, and goes on after the continuation number of
// the last event that it took note of, however the subscription ended.
type fanOut struct {
	world *world
	node  *node
	cbor  *kinesis.Client // nil when it talks JSON
	arn   string          // of the consumer, once there is one
	end   context.CancelFunc
	ended chan struct{} // closed when nothing of it runs any more

	mu     sync.Mutex // guards all below
	shards map[string]*account
	work   sync.WaitGroup // a goroutine a shard
}

// account is what a subscriber was told of a shard. One goroutine has it, until the
// reader has ended; others may look at begun, got and over with the mutex of the reader,
// with which it changes them.
type account struct {
	shard   string
	parents []string
	begun   bool // somebody reads it

	got      []history.Raw
	marks    []bookmark
	after    string // the number that it goes on after, empty for none yet
	over     bool   // told that the shard has ended
	children []types.ChildShard
}

// bookmark is the continuation number of an event, and how many records there were with
// that event.
type bookmark struct {
	records int
	number  string
}

// subscribes lets the reader begin some time into the run.
func (w *world) subscribes() {
	ctx, end := context.WithCancel(w.life)
	f := &fanOut{world: w, node: w.newNode(fanOutName), end: end, ended: make(chan struct{}), shards: map[string]*account{}}
	if w.plan.speaksCBOR(f.node.name) {
		f.cbor = w.client(f.node)
	}
	w.fanOut = f
	w.work.Go(func() {
		defer close(f.ended)
		if !sleep(ctx, w.source.until(w.source.dice(key(fanOutName, "begin")), 0, 2*w.plan.For/3)) {
			return
		}
		if f.register(ctx) {
			f.list(ctx)
		}
		f.work.Wait()
	})
}

// client is for one call: streams of a client that talks JSON share a decoder, which
// is not made for several at once.
func (f *fanOut) client() *kinesis.Client {
	if f.cbor != nil {
		return f.cbor
	}
	return f.world.client(f.node)
}

// rests waits for a while, and reports whether the reader is to go on.
func (f *fanOut) rests(ctx context.Context, of string) bool {
	s := f.world.source
	return sleep(ctx, s.until(s.dice(key(fanOutName, "rests", of)), 500*time.Millisecond, 2*time.Second))
}

// register makes the consumer, and waits until it can subscribe.
func (f *fanOut) register(ctx context.Context) bool {
	summary, registered := &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(streamName)}, false
	for ; ctx.Err() == nil; f.rests(ctx, "register") {
		client := f.client()
		stream, err := client.DescribeStreamSummary(ctx, summary)
		if err != nil {
			continue
		}
		arn := stream.StreamDescriptionSummary.StreamARN
		if _, err := client.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: arn, ConsumerName: aws.String(fanOutName)}); err == nil {
			registered = true
		}
		out, err := client.DescribeStreamConsumer(ctx, &kinesis.DescribeStreamConsumerInput{StreamARN: arn, ConsumerName: aws.String(fanOutName)})
		if _, gone := errors.AsType[*types.ResourceNotFoundException](err); gone && registered {
			f.world.fail("%s: a consumer that was registered is gone", fanOutName)
		}
		if err != nil || out.ConsumerDescription.ConsumerStatus != types.ConsumerStatusActive {
			continue
		}
		f.arn = *out.ConsumerDescription.ConsumerARN
		return true
	}
	return false
}

// list finds the shards to begin with.
func (f *fanOut) list(ctx context.Context) {
	for ; ctx.Err() == nil; f.rests(ctx, "list") {
		shards, err := listShards(ctx, f.client())
		if err != nil {
			continue
		}
		for _, s := range shards {
			f.learn(*s.ShardId, aws.ToString(s.ParentShardId), aws.ToString(s.AdjacentParentShardId))
		}
		f.follow(ctx)
		return
	}
}

// learn notes that there is a shard.
func (f *fanOut) learn(shard string, parents ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shards[shard] == nil {
		parents = slices.DeleteFunc(slices.Clone(parents), func(p string) bool { return p == "" })
		f.shards[shard] = &account{shard: shard, parents: parents}
	}
}

// follow begins to read the shards of which all parents were read to their ends.
func (f *fanOut) follow(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(f.shards)) {
		a := f.shards[id]
		unread := func(p string) bool { return f.shards[p] == nil || !f.shards[p].over }
		if a.begun || slices.ContainsFunc(a.parents, unread) {
			continue
		}
		a.begun = true
		f.work.Go(func() { f.read(ctx, a) })
	}
}

// read reads a shard to its end, and goes on with its children.
func (f *fanOut) read(ctx context.Context, a *account) {
	s := f.world.source
	sleep(ctx, s.until(s.dice(key(fanOutName, "reads", a.shard)), 0, time.Millisecond)) // siblings, one after the other
	for ended := false; !ended; ended = f.subscribe(ctx, a) {
		if ctx.Err() != nil || len(a.marks) > 0 && !f.rests(ctx, a.shard) {
			return
		}
	}
	for _, c := range a.children {
		f.learn(aws.ToString(c.ShardId), c.ParentShards...)
	}
	f.mu.Lock()
	a.over = true
	f.mu.Unlock()
	f.follow(ctx)
}

// subscribe reads by one subscription, and reports whether the shard has ended.
func (f *fanOut) subscribe(ctx context.Context, a *account) (ended bool) {
	w := f.world
	dice := w.source.dice(key(fanOutName, "subscribes", a.shard))
	from := &types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}
	if a.after != "" {
		from = &types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: aws.String(a.after)}
	}
	r := history.Read{Shard: a.shard, Type: string(from.Type), Sequence: a.after, Began: time.Now()}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(w.source.until(dice, patience, patience+time.Second), cancel)
	out, err := f.client().SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &f.arn, ShardId: &a.shard, StartingPosition: from})
	if !late.Stop() {
		f.silent(a, "no answer to SubscribeToShard", r.Began)
	}
	if err != nil {
		f.refused(a, err)
		return false
	}
	r.Answered = time.Now()
	w.reach("subscription")
	stream := out.GetStream()
	ended = f.events(ctx, a, stream, dice, &r)
	_ = stream.Close() // why it ended is known
	w.history.Read(r)
	return ended
}

// events takes the events of a subscription.
func (f *fanOut) events(ctx context.Context, a *account, stream *kinesis.SubscribeToShardEventStream, dice *rand.Rand, r *history.Read) (ended bool) {
	w := f.world
	idle := r.Answered  // since when it has waited for events
	heard := r.Answered // when it last had to wait for one, and so all had come
	timer := time.NewTimer(0)
	defer timer.Stop()
	// Some programs end their subscriptions themselves.
	left := r.Answered.Add(draw(dice, silence, 20*time.Minute))
	for {
		timer.Reset(w.source.until(dice, silence, silence+time.Second))
		waits := time.Now()
		select {
		case event, more := <-stream.Events():
			if now := time.Now(); now.After(waits) {
				heard = now
			}
			if !more {
				f.broken(a, stream.Err())
				return false
			}
			e, ok := event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
			if !ok {
				w.fail("%s: %s: an event of the type %T", fanOutName, a.shard, event)
				return false
			}
			if ended = f.take(a, &e.Value, idle, r); ended {
				w.reach("subscription: end of the shard")
				return true
			}
		case <-timer.C:
			w.reach("subscription: silent")
			f.silent(a, "no event", heard)
			return false
		case <-ctx.Done():
			return false
		}
		if time.Now().After(left) {
			w.reach("subscription: left")
			return false
		}
		if dice.IntN(100) == 0 { // it is busy, and what comes waits
			if !sleep(ctx, w.source.until(dice, 0, 2*silence)) {
				return false
			}
			idle = time.Now()
		}
	}
}

// take takes note of an event, and reports whether it is the shard's last.
func (f *fanOut) take(a *account, e *types.SubscribeToShardEvent, idle time.Time, r *history.Read) (ended bool) {
	w := f.world
	w.reach("subscription: event")
	for _, record := range e.Records {
		raw := history.Raw{Sequence: *record.SequenceNumber, Key: *record.PartitionKey, Arrival: *record.ApproximateArrivalTimestamp, Data: record.Data}
		f.mu.Lock()
		a.got = append(a.got, raw)
		f.mu.Unlock()
		r.Got = append(r.Got, raw.Sequence)
		if raw.Arrival.After(idle) {
			f.pushed(a, raw)
		}
	}
	// Records that were acknowledged before the call have come, if this is the tip.
	r.Last, r.Behind = r.Began, time.Duration(aws.ToInt64(e.MillisBehindLatest))*time.Millisecond
	if e.ContinuationSequenceNumber == nil {
		a.children, r.Closed = e.ChildShards, true
		return true
	}
	a.after = *e.ContinuationSequenceNumber
	a.marks = append(a.marks, bookmark{len(a.got), a.after})
	return false
}

// refused takes note of a subscription that did not come about.
func (f *fanOut) refused(a *account, err error) {
	f.world.history.Logged(fanOutName, a.shard+": "+err.Error())
	f.wrong(a, err)
}

// broken takes note of the end of a stream.
func (f *fanOut) broken(a *account, err error) {
	if err == nil {
		f.world.reach("subscription: over")
		return
	}
	f.world.reach("subscription: broken")
	f.refused(a, err)
}

// wrong fails the run for errors that no fault explains.
func (f *fanOut) wrong(a *account, err error) {
	_, gone := errors.AsType[*types.ResourceNotFoundException](err)
	_, invalid := errors.AsType[*types.InvalidArgumentException](err)
	if gone || invalid {
		f.world.fail("%s: after %q of %s: %v", fanOutName, a.after, a.shard, err)
	}
}
