package localstream

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"

	"github.com/shardrun/shardrun/internal/vfs"
)

// follower is a subscription as its client has it.
type follower struct {
	*harness
	stream *kinesis.SubscribeToShardEventStream
}

var (
	fromHorizon = types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}
	fromLatest  = types.StartingPosition{Type: types.ShardIteratorTypeLatest}
)

func fromAfter(number string) types.StartingPosition {
	return types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: &number}
}

// trySubscribe subscribes, with the SDK's JSON by a client of its own: streams of
// one client share a decoder, which the race detector minds.
func (h *harness) trySubscribe(arn, shard string, at types.StartingPosition) (*follower, error) {
	h.Helper()
	client := h.client
	if _, shared := client.Options().Protocol.(*awsjson.Protocol); shared {
		client = kinesis.New(client.Options())
	}
	out, err := client.SubscribeToShard(h.Context(), &kinesis.SubscribeToShardInput{ConsumerARN: &arn, ShardId: &shard, StartingPosition: &at})
	if err != nil {
		return nil, err
	}
	h.Cleanup(func() { out.GetStream().Close() })
	return &follower{h, out.GetStream()}, nil
}

func (h *harness) subscribe(arn, shard string, at types.StartingPosition) *follower {
	h.Helper()
	f, err := h.trySubscribe(arn, shard, at)
	h.must(err)
	return f
}

// next gives the next event.
func (f *follower) next() types.SubscribeToShardEvent {
	f.Helper()
	event, ok := <-f.stream.Events()
	if !ok {
		f.Fatalf("the stream has ended: %v", f.stream.Err())
	}
	return event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
}

// want reads events until there is one with records, and checks their data.
func (f *follower) want(data ...string) types.SubscribeToShardEvent {
	f.Helper()
	for {
		if e := f.next(); len(e.Records) > 0 {
			equal(f, "records", dataOf(e.Records), data)
			return e
		}
	}
}

// ends reads to the end of the stream, and gives the data of the records that
// still came and the error.
func (f *follower) ends() ([]string, error) {
	data := []string{}
	for event := range f.stream.Events() {
		data = append(data, dataOf(event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value.Records)...)
	}
	return data, f.stream.Err()
}

// wantEnd reads to the end of the stream, which has to be a good one, or to be
// an error of this type.
func (f *follower) wantEnd(kind, message string) {
	f.Helper()
	data, err := f.ends()
	equal(f, "records before the end", data, "[]")
	if kind == "" {
		f.must(err)
		return
	}
	f.wantError(err, kind, message)
}

// A put is an event at once, and there is an event at least each five seconds.
func TestSubscriptionsArePushed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 2)
		arn := h.register("c")
		f := h.subscribe(arn, "shardId-000000000000", fromLatest)
		began := time.Now()
		e := f.next()
		equal(t, "the first event", fmt.Sprint(len(e.Records), *e.MillisBehindLatest, time.Since(began)), "0 0 0s")
		time.Sleep(time.Second)
		put := h.putAt("0", "a")
		h.putAt("340282366920938463463374607431768211455", "of the other shard")
		e = f.next()
		equal(t, "records", dataOf(e.Records), "[a]")
		equal(t, "number", *e.Records[0].SequenceNumber, *put.SequenceNumber)
		equal(t, "continuation", *e.ContinuationSequenceNumber, *put.SequenceNumber)
		equal(t, "key and arrival", fmt.Sprint(*e.Records[0].PartitionKey, e.Records[0].ApproximateArrivalTimestamp.Sub(began)), "k1s")
		equal(t, "behind, encryption, children", fmt.Sprint(*e.MillisBehindLatest, e.Records[0].EncryptionType, e.ChildShards), "0[]")
		equal(t, "came after", time.Since(began), time.Second)
		for i := range 3 {
			e = f.next()
			equal(t, "beat", fmt.Sprint(len(e.Records), *e.MillisBehindLatest, time.Since(began)), fmt.Sprintf("0 0 %ds", 6+5*i))
			equal(t, "continuation", *e.ContinuationSequenceNumber, *put.SequenceNumber)
		}
		h.putAt("0", "b")
		f.want("b")
	})
}

// What happens while an event is on its way, a put, a reshard, a take-over, is
// heard of right after it, not with the next beat.
func TestNothingIsMissedWhileAnEventIsSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		arn := h.register("c")
		f := h.subscribe(arn, "0", fromLatest)
		f.next()
		slow := func(during func()) {
			h.server.Inject(Fault{Operation: eventOperation, Action: Delay, Delay: 2 * time.Second})
			h.put("k", "first")
			time.Sleep(time.Second)
			during()
			f.want("first")
		}
		began := time.Now()
		slow(func() { h.put("k", "second") })
		f.want("second")
		equal(t, "a put came after", time.Since(began), 2*time.Second)
		began = time.Now()
		slow(func() { h.split("0", "100") })
		equal(t, "children", len(f.next().ChildShards), 2)
		equal(t, "a reshard came after", time.Since(began), 2*time.Second)

		f = h.subscribe(arn, "2", fromLatest)
		f.next()
		time.Sleep(takeoverAfter)
		f.next()
		began = time.Now()
		slow(func() { h.subscribe(arn, "2", fromLatest) })
		f.wantEnd(typeInUse, "")
		equal(t, "a take-over came after", time.Since(began), 2*time.Second)
	})
}

// The log knows of the end of a shard before it is known what its children are.
// A subscription waits for those, and no longer.
func TestAShardEndsWithItsChildren(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		f := h.subscribe(h.register("c"), "0", fromLatest)
		f.next()
		st, _, err := h.server.lookup(mustView(h).Key)
		h.must(err)
		h.must(st.log.Seal(0))
		e := f.next()
		if e.ContinuationSequenceNumber == nil || len(e.ChildShards) > 0 {
			t.Fatalf("an end without an end: %+v", e)
		}
		time.Sleep(time.Second)
		began := time.Now()
		h.split("0", "100")
		equal(t, "children", len(f.next().ChildShards), 2)
		equal(t, "they came after", time.Since(began), time.Duration(0))
	})
}

// A consumer that is registered anew while an event is on its way is another one.
func TestASubscriptionIsOfOneConsumer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		arn := h.register("c")
		f := h.subscribe(arn, "0", fromLatest)
		f.next()
		h.server.Inject(Fault{Operation: eventOperation, Action: Delay, Delay: time.Second})
		h.put("k", "x")
		synctest.Wait()
		h.deregister(arn)
		h.register("c")
		f.want("x")
		f.wantEnd(typeNotFound, "Consumer c under stream s under account 000000000000 not found.")
	})
}

// Records say that they were encrypted, and a key that does not work ends the
// subscription.
func TestSubscriptionsNeedTheKeysOfTheirRecords(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1, Config{KMSKeys: map[string]KMSKey{"alias/k": KMSEnabled}})
		arn := h.register("c")
		h.put("k", "plain")
		_, err := h.client.StartStreamEncryption(t.Context(), &kinesis.StartStreamEncryptionInput{
			StreamName: aws.String("s"), EncryptionType: types.EncryptionTypeKms, KeyId: aws.String("alias/k")})
		h.must(err)
		h.put("k", "encrypted")
		f := h.subscribe(arn, "0", fromHorizon)
		e := f.want("plain", "encrypted")
		equal(t, "encryption", fmt.Sprintf("%q", []types.EncryptionType{e.Records[0].EncryptionType, e.Records[1].EncryptionType}), `["" "KMS"]`)
		h.put("k", "more")
		f.want("more")
		h.must(h.server.SetKMSKey("alias/k", KMSDisabled))
		time.Sleep(10 * time.Second) // nothing to read, so no key is needed
		_, err = h.client.StopStreamEncryption(t.Context(), &kinesis.StopStreamEncryptionInput{
			StreamName: aws.String("s"), EncryptionType: types.EncryptionTypeKms, KeyId: aws.String("alias/k")})
		h.must(err)
		h.put("k", "plain again")
		f.want("plain again")
		time.Sleep(takeoverAfter)
		h.subscribe(arn, "0", fromHorizon).wantEnd("KMSDisabledException", "")
	})
}

// Each starting position gives the records that GetShardIterator's of that name
// gives, in order, and the numbers of events go on where they were.
func TestStartingPositions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		arn := h.register("c")
		numbers := []string{}
		times := []time.Time{}
		for i := range 5 {
			time.Sleep(time.Second)
			times = append(times, time.Now())
			numbers = append(numbers, *h.put("k", fmt.Sprint(i)).SequenceNumber)
		}
		started := *h.shards()[0].SequenceNumberRange.StartingSequenceNumber
		for _, tt := range []struct {
			at   types.StartingPosition
			want string
		}{
			{fromHorizon, "[0 1 2 3 4]"},
			{fromLatest, "[]"},
			{types.StartingPosition{Type: types.ShardIteratorTypeAtSequenceNumber, SequenceNumber: &numbers[2]}, "[2 3 4]"},
			{fromAfter(numbers[2]), "[3 4]"},
			{fromAfter(numbers[4]), "[]"},
			{fromAfter(started), "[0 1 2 3 4]"},
			{types.StartingPosition{Type: types.ShardIteratorTypeAtSequenceNumber, SequenceNumber: &started}, "[0 1 2 3 4]"},
			{types.StartingPosition{Type: types.ShardIteratorTypeAtTimestamp, Timestamp: &times[3]}, "[3 4]"},
			{types.StartingPosition{Type: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(times[3].Add(1))}, "[3 4]"}, // of the same millisecond
			{types.StartingPosition{Type: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(times[0].Add(-time.Hour))}, "[0 1 2 3 4]"},
		} {
			time.Sleep(takeoverAfter)
			f := h.subscribe(arn, "0", tt.at)
			e := f.next()
			equal(t, fmt.Sprintf("%+v", tt.at.Type), dataOf(e.Records), tt.want)
			equal(t, "behind", *e.MillisBehindLatest, 0)
			if tt.at.Type == types.ShardIteratorTypeAfterSequenceNumber && tt.want == "[]" {
				equal(t, "continuation", *e.ContinuationSequenceNumber, *tt.at.SequenceNumber)
			} else if *e.ContinuationSequenceNumber != numbers[4] {
				t.Errorf("%s: continuation %s, want %s", tt.at.Type, *e.ContinuationSequenceNumber, numbers[4])
			}
			f.stream.Close()
		}
	})
}

// Whenever a subscription breaks off, after a page, after a beat, or before any
// record came, its continuation number leads to the next record: none is lost,
// none comes twice.
func TestContinuationNumbersLoseNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := Config{fs: vfs.NewMemory()}
		h := open(t, cfg)
		h.create("s", 1)
		arn := h.register("c")
		at := fromLatest
		got, want := []string{}, []string{}
		put := func() {
			want = append(want, fmt.Sprint(len(want)))
			h.put("k", want[len(want)-1])
		}
		for round := range 8 {
			f := h.subscribe(arn, "0", at)
			e := f.next() // of what came in between, if anything did
			got = append(got, dataOf(e.Records)...)
			if round%4 >= 1 {
				e = f.next() // a beat
			}
			if round%4 >= 2 {
				put()
				e = f.next()
				got = append(got, dataOf(e.Records)...)
			}
			f.stream.Close()
			at = fromAfter(*e.ContinuationSequenceNumber)
			if round%2 == 0 {
				put()
			}
			if round%3 == 0 { // the tip is another one after a restart
				h.must(h.server.Close())
				h = open(t, cfg)
			}
			time.Sleep(takeoverAfter)
		}
		f := h.subscribe(arn, "0", at)
		got = append(got, dataOf(f.next().Records)...)
		equal(t, "records", got, want)
		f.stream.Close()
		h.must(h.server.Close())
	})
}

// After five minutes a stream ends well, and the next one goes on where it was.
func TestASubscriptionEndsAfterFiveMinutes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		arn := h.register("c")
		stop := make(chan struct{})
		want := make(chan []string)
		go func() {
			var put []string
			for tick := time.NewTicker(7*time.Second + 1); ; {
				select {
				case <-tick.C:
					put = append(put, fmt.Sprint(len(put)))
					h.put("k", put[len(put)-1])
				case <-stop:
					want <- put
					return
				}
			}
		}()
		at := fromHorizon
		got := []string{}
		for range 3 {
			began := time.Now()
			f := h.subscribe(arn, "0", at)
			for event := range f.stream.Events() {
				e := event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
				got = append(got, dataOf(e.Records)...)
				at = fromAfter(*e.ContinuationSequenceNumber)
			}
			h.must(f.stream.Err())
			equal(t, "ended after", time.Since(began), subscriptionLife)
		}
		close(stop)
		equal(t, "records", got, (<-want)[:len(got)])
		equal(t, "number of them", len(got), int(3*subscriptionLife/(7*time.Second)))
	})
}

// A shard that is split ends with its children and no continuation, and then its
// stream ends. The children go on, in the order of puts, and so does the child
// of a merge.
func TestSubscriptionsFollowAReshard(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Second} {
		bubble(t, func(t *testing.T) {
			h := start(t, 1, Config{UpdateDelay: delay})
			arn := h.register("c")
			parent := h.subscribe(arn, "0", fromHorizon)
			h.putAt("1", "before")
			parent.want("before")
			h.split("0", "100")
			h.putAt("1", "during")
			if delay > 0 {
				parent.want("during")
			}
			time.Sleep(2 * delay)
			e := parent.next()
			equal(t, "records at the end", dataOf(e.Records), "[]")
			if e.ContinuationSequenceNumber != nil || *e.MillisBehindLatest != 0 {
				t.Errorf("at the end: %+v", e)
			}
			children := ""
			for _, c := range e.ChildShards {
				children += fmt.Sprintf("%s %v %s-%s; ", *c.ShardId, c.ParentShards, *c.HashKeyRange.StartingHashKey, *c.HashKeyRange.EndingHashKey)
			}
			equal(t, "children", children, "shardId-000000000001 [shardId-000000000000] 0-99; "+
				"shardId-000000000002 [shardId-000000000000] 100-340282366920938463463374607431768211455; ")
			parent.wantEnd("", "")

			low, high := h.subscribe(arn, "1", fromHorizon), h.subscribe(arn, "2", fromHorizon)
			if delay == 0 {
				low.want("during")
			}
			h.putAt("1", "low")
			h.putAt("100", "high")
			low.want("low")
			high.want("high")
			h.merge("shardId-000000000001", "shardId-000000000002")
			time.Sleep(2 * delay)
			for _, f := range []*follower{low, high} {
				for e = f.next(); e.ContinuationSequenceNumber != nil; e = f.next() {
					equal(t, "records", len(e.Records), 0)
				}
				equal(t, "parents", fmt.Sprint(e.ChildShards[0].ParentShards), "[shardId-000000000001 shardId-000000000002]")
				f.wantEnd("", "")
			}
			h.putAt("7", "merged")
			h.subscribe(arn, "3", fromHorizon).want("merged")

			// One who comes to the end again is told of it again.
			time.Sleep(takeoverAfter)
			again := h.subscribe(arn, "0", fromLatest)
			equal(t, "children", len(again.next().ChildShards), 2)
			again.wantEnd("", "")
		})
	}
}

func TestTakeOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 2)
		arn := h.register("c")
		const another = "Another active subscription exists for this consumer: 000000000000:s:shardId-000000000000:c"
		first := h.subscribe(arn, "0", fromLatest)
		first.next()
		_, err := h.trySubscribe(arn, "shardId-000000000000", fromLatest)
		h.wantError(err, typeInUse, another)
		h.subscribe(arn, "1", fromLatest)
		h.subscribe(h.register("d"), "0", fromLatest)
		time.Sleep(takeoverAfter - time.Nanosecond)
		_, err = h.trySubscribe(arn, "0", fromLatest)
		h.wantError(err, typeInUse, another)
		h.putAt("0", "a")
		first.want("a")
		time.Sleep(time.Nanosecond)
		second := h.subscribe(arn, "0", fromLatest)
		second.next()
		h.putAt("0", "b")
		first.wantEnd(typeInUse, another)
		second.want("b")

		// A call counts for five seconds, whatever became of its stream.
		time.Sleep(takeoverAfter)
		third := h.subscribe(arn, "0", fromLatest)
		third.stream.Close()
		second.wantEnd(typeInUse, another)
		_, err = h.trySubscribe(arn, "0", fromLatest)
		h.wantError(err, typeInUse, another)
		time.Sleep(takeoverAfter)
		last := h.subscribe(arn, "0", fromLatest)
		last.next()
		time.Sleep(takeoverAfter)
		last.next()
		last.stream.Close()
		synctest.Wait()
		st, _, err := h.server.lookup(mustView(h).Key)
		h.must(err)
		equal(t, "seats that are remembered", len(st.seats.taken), 2) // of the two whom nobody reads
		h.deregister(arn)
		equal(t, "seats once one consumer is gone", len(st.seats.taken), 1)
	})
}

// Subscriptions end with what they are about, and calls for it are refused.
func TestSubscriptionsOfWhatIsGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1, Config{ConsumerDelay: 10 * time.Second, DeleteDelay: 10 * time.Second})
		arn := h.register("c")
		_, err := h.trySubscribe(arn, "0", fromLatest)
		h.wantError(err, typeInUse, fmt.Sprintf("Consumer c with creation timestamp %d under stream: s , account 000000000000 is not in ACTIVE status.", time.Now().Unix()))
		other := h.register("d")
		time.Sleep(11 * time.Second)
		f, g := h.subscribe(arn, "0", fromLatest), h.subscribe(other, "0", fromLatest)
		f.next()
		time.Sleep(time.Second)
		began := time.Now()
		h.deregister(arn)
		f.wantEnd(typeNotFound, "Consumer c under stream s under account 000000000000 not found.")
		equal(t, "ended after", time.Since(began), time.Duration(0))
		_, err = h.trySubscribe(arn, "0", fromLatest)
		h.wantError(err, typeInUse, "")
		g.next()
		time.Sleep(11 * time.Second)
		_, err = h.trySubscribe(arn, "0", fromLatest)
		h.wantError(err, typeNotFound, "Consumer c under stream s under account 000000000000 not found.")
		h.put("k", "x")
		g.want("x")
		_, err = h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s"), EnforceConsumerDeletion: aws.Bool(true)})
		h.must(err)
		g.wantEnd(typeNotFound, "Stream s under account 000000000000 not found.")
		time.Sleep(11 * time.Second)
		_, err = h.trySubscribe(arn, "0", fromLatest)
		h.wantError(err, typeNotFound, "Stream s under account 000000000000 not found.")
	})
}

func TestDeletingAStreamEndsItsSubscriptions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		f := h.subscribe(h.register("c"), "0", fromLatest)
		f.next()
		_, err := h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s"), EnforceConsumerDeletion: aws.Bool(true)})
		h.must(err)
		h.create("s", 1)
		h.put("k", "of the next stream")
		f.wantEnd(typeNotFound, "Stream s under account 000000000000 not found.")
	})
}

// Errors before a stream begins are answers like any other.
func TestSubscribeToShardIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		arn := h.register("c")
		h.split("0", "100")
		ending := *h.shards()[0].SequenceNumberRange.EndingSequenceNumber
		child := *h.shards()[1].SequenceNumberRange.StartingSequenceNumber
		position := func(p string) string {
			return fmt.Sprintf(`{"ConsumerARN":%q,"ShardId":"0","StartingPosition":{%s}}`, arn, p)
		}
		for _, tt := range []struct{ body, kind, message string }{
			{`{}`, typeValidation, "3 validation errors detected: Value null at 'consumerARN' failed to satisfy constraint: Member must not be null; " +
				"Value null at 'shardId' failed to satisfy constraint: Member must not be null; Value null at 'startingPosition' failed to satisfy constraint: Member must not be null"},
			{position(`"Type":"x","SequenceNumber":"-1"`), typeValidation, "2 validation errors detected: Value 'x' at 'startingPosition.type' failed to satisfy constraint: " +
				"Member must satisfy enum value set: [AT_SEQUENCE_NUMBER, AFTER_SEQUENCE_NUMBER, TRIM_HORIZON, LATEST, AT_TIMESTAMP]; " +
				`Value '-1' at 'startingPosition.sequenceNumber' failed to satisfy constraint: Member must satisfy regular expression pattern: 0|([1-9]\d{0,128})`},
			{position(""), typeValidation, "1 validation error detected: Value null at 'startingPosition.type' failed to satisfy constraint: Member must not be null"},
			{position(`"Type":"AT_SEQUENCE_NUMBER"`), typeInvalidArgument, ""},
			{position(`"Type":"LATEST","SequenceNumber":"1"`), typeInvalidArgument, ""},
			{position(`"Type":"AT_TIMESTAMP"`), typeInvalidArgument, ""},
			{position(fmt.Sprintf(`"Type":"AT_TIMESTAMP","Timestamp":%d`, time.Now().Unix()+1)), typeInvalidArgument, ""},
			{position(`"Type":"AFTER_SEQUENCE_NUMBER","SequenceNumber":"` + child + `"`), typeInvalidArgument,
				"Invalid StartingSequenceNumber. It encodes shardId-000000000001, while it was used in a call to a shard with shardId-000000000000"},
			{position(`"Type":"AFTER_SEQUENCE_NUMBER","SequenceNumber":"` + ending + `"`), typeInvalidArgument,
				"StartingSequenceNumber " + ending + " used in SubscribeToShard on shard shardId-000000000000 in stream s under account 000000000000 has reached max possible value for the shard."},
			{strings.Replace(position(`"Type":"LATEST"`), `"0"`, `"7"`, 1), typeNotFound, "Shard shardId-000000000007 in stream s under account 000000000000 does not exist"},
			{strings.Replace(position(`"Type":"LATEST"`), `"0"`, `"shard-x"`, 1), typeNotFound, "Could not find shard shard-x in stream s under account 000000000000."},
			{strings.Replace(position(`"Type":"LATEST"`), "/c:", "/d:", 1), typeNotFound, "Consumer d under stream s under account 000000000000 not found."},
			{strings.Replace(position(`"Type":"LATEST"`), "/c:", "/c:1", 1), typeNotFound, "Consumer c under stream s under account 000000000000 not found."},
			{strings.Replace(position(`"Type":"LATEST"`), "/s/", "/t/", 1), typeNotFound, "Stream t under account 000000000000 not found."},
			{strings.Replace(position(`"Type":"LATEST"`), "}}", `},"DryRun":true}`, 1), typeDryRun, ""},
			{strings.Replace(position(`"Type":"LATEST","SequenceNumber":"1"`), "}}", `},"DryRun":true}`, 1), typeInvalidArgument, ""},
		} {
			kind, message := h.refused("SubscribeToShard", tt.body)
			equal(t, tt.body, kind, tt.kind)
			if tt.message != "" {
				equal(t, tt.body, message, tt.message)
			}
		}
		f := h.subscribe(arn, "0", fromHorizon) // none of these took the seat
		dry := strings.Replace(position(`"Type":"LATEST"`), "}}", `},"DryRun":true}`, 1)
		kind, _ := h.refused("SubscribeToShard", dry)
		equal(t, "a dry run of a call that would be too early", kind, typeInUse)
		time.Sleep(takeoverAfter)
		kind, _ = h.refused("SubscribeToShard", dry)
		equal(t, "a dry run of a call that would take over", kind, typeDryRun)
		equal(t, "children of a shard that has ended", len(f.next().ChildShards), 2)
	})
}

// A record that has expired while its reader was away is gone, and the reader
// goes on with what is left; a shard that is gone ends its subscription.
func TestSubscriptionsSeeRetention(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		arn := h.register("c")
		old := *h.put("k", "old").SequenceNumber
		time.Sleep(25 * time.Hour)
		f := h.subscribe(arn, "0", fromHorizon)
		e := f.next()
		equal(t, "records", len(e.Records), 0)
		last := *h.put("k", "young").SequenceNumber
		if *e.ContinuationSequenceNumber < old || *e.ContinuationSequenceNumber >= last {
			t.Errorf("continuation %s, the record before has %s, the next one %s", *e.ContinuationSequenceNumber, old, last)
		}
		f.want("young")

		time.Sleep(30 * time.Second) // between two times at which expired shards are forgotten
		h.split("0", "100")
		time.Sleep(24*time.Hour + time.Second)
		_, err := h.trySubscribe(arn, "0", fromHorizon)
		h.wantError(err, typeNotFound, "Shard shardId-000000000000 in stream s under account 000000000000 does not exist")
	})
}

// With the rates of AWS a call a second is taken for a shard and a consumer, and
// 2 MiB a second are sent.
func TestSubscriptionRatesOfAWS(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1, Config{Limits: LimitsAWS})
		arn := h.register("c")
		for range 8 {
			h.put("k", strings.Repeat("x", 1<<20-1))
			time.Sleep(1100 * time.Millisecond)
		}
		began := time.Now()
		f := h.subscribe(arn, "0", fromHorizon)
		_, err := h.trySubscribe(arn, "0", fromHorizon)
		h.wantError(err, typeLimitExceeded, "Rate exceeded for consumer c and shard shardId-000000000000 in stream s under account 000000000000.")
		for bytes := 0; bytes < 8*(1<<20-1); {
			for _, r := range f.next().Records {
				bytes += len(r.Data)
			}
		}
		if took := time.Since(began); took < 2*time.Second || took > 4*time.Second {
			t.Errorf("8 MiB took %v", took)
		}
		_, err = h.trySubscribe(arn, "0", fromHorizon)
		h.wantError(err, typeInUse, "")
		_, err = h.trySubscribe(arn, "0", fromHorizon)
		h.wantError(err, typeLimitExceeded, "")
		time.Sleep(takeoverAfter)
		h.subscribe(arn, "0", fromHorizon)
	})
}

// Memory that others have in use is waited for, without a beat missed, and given
// back when it is not needed.
func TestSubscriptionsWaitForRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const room = 4 << 20
		h := start(t, 1, Config{maxInFlight: room})
		arn := h.register("c")
		h.put("k", strings.Repeat("x", 1<<20-1))
		h.put("k", "y")
		others := &share{server: h.server}
		start := *h.shards()[0].SequenceNumberRange.StartingSequenceNumber
		h.must(others.resize(t.Context(), room-64<<10))
		began := time.Now()
		f := h.subscribe(arn, "0", fromHorizon)
		for i := range 3 {
			e := f.next()
			equal(t, "beat", fmt.Sprint(len(e.Records), time.Since(began)), fmt.Sprintf("0 %ds", 5*i))
			if *e.MillisBehindLatest == 0 {
				t.Error("a beat of who has not read yet says that nothing is left")
			}
			equal(t, "continuation", *e.ContinuationSequenceNumber, start)
		}
		others.free()
		data, want := "", strings.Repeat("x", 1<<20-1)+"y"
		for len(data) < len(want) {
			data += strings.Join(dataOf(f.next().Records), "")
		}
		if data != want {
			t.Error("the records are not those that were put")
		}
		equal(t, "came after", time.Since(began), 10*time.Second)
		synctest.Wait()
		equal(t, "room while the subscription waits", h.server.inFlight.left, room)
	})
}
