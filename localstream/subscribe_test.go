package localstream

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

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
