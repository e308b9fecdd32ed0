package localstream

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

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

// A shard that was closed before has more than an event takes: its end comes with
// the last of them.
func TestAClosedShardIsSentInEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		for range 3 {
			h.put("k", strings.Repeat("x", maxBytesPerEvent/2+1))
		}
		h.split("0", "100")
		f := h.subscribe(h.register("c"), "0", fromHorizon)
		for i := range 3 {
			e := f.next()
			equal(t, "records", len(e.Records), 1)
			equal(t, "the last one", e.ContinuationSequenceNumber == nil, i == 2)
			equal(t, "children", len(e.ChildShards) > 0, i == 2)
		}
		f.wantEnd("", "")
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

// A subscription that ends early, or never sends anything, has no seat any more once
// its call does not count.
func TestSeatsOfSubscriptionsThatWereShort(t *testing.T) {
	for name, try := range map[string]func(h *harness, arn string){
		"closed": func(h *harness, arn string) { h.must(h.subscribe(arn, "0", fromLatest).stream.Close()) },
		"without an answer": func(h *harness, arn string) {
			h.server.Inject(Fault{Operation: "SubscribeToShard", Action: LoseReply})
			if _, err := h.trySubscribe(arn, "0", fromLatest); err == nil {
				h.Error("there is an answer")
			}
		},
		"that cannot be answered": func(h *harness, arn string) {
			body := fmt.Sprintf(`{"ConsumerARN":%q,"ShardId":"0","StartingPosition":{"Type":"LATEST"}}`, arn)
			req := httptest.NewRequestWithContext(h.Context(), http.MethodPost, "http://localhost/", strings.NewReader(body))
			for key, value := range map[string]string{"Content-Type": contentJSON, "X-Amz-Target": targetPrefix + "SubscribeToShard", "X-Amz-Date": "x", "Authorization": auth} {
				req.Header.Set(key, value)
			}
			h.server.Handler().ServeHTTP(unwritable{httptest.NewRecorder()}, req)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := start(t, 1)
				arn := h.register("c")
				st := (*h.server.catalog.Load())[testKey("s")]
				try(h, arn)
				time.Sleep(takeoverAfter - time.Nanosecond)
				synctest.Wait()
				equal(t, "seats while the call counts", len(st.seats.taken), 1)
				_, err := h.trySubscribe(arn, "0", fromLatest)
				h.wantError(err, typeInUse, "")
				pass(subscribeEvery)
				equal(t, "seats after that", len(st.seats.taken), 0)
			})
		})
	}
}

// unwritable is a connection that is broken.
type unwritable struct{ *httptest.ResponseRecorder }

func (unwritable) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

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
