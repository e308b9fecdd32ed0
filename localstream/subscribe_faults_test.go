package localstream

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// Faults hit the start of a subscription, or an event in the middle of it, and
// the events of others and other requests not at all.
func TestFaultsOfSubscriptions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 2)
		arn := h.register("c")
		const shard = "shardId-000000000000"
		h.server.Inject(Fault{Operation: "SubscribeToShard", Shard: shard, Action: Fail, Type: typeLimitExceeded, Message: "m"})
		_, err := h.trySubscribe(arn, "0", fromLatest)
		h.wantError(err, typeLimitExceeded, "m")
		h.server.Inject(Fault{Operation: "SubscribeToShard", Action: Drop})
		if _, err := h.trySubscribe(arn, "0", fromLatest); err == nil {
			t.Error("no error from a connection that was cut")
		}
		f, other := h.subscribe(arn, "0", fromLatest), h.subscribe(arn, "1", fromLatest)
		f.next()
		h.server.Inject(Fault{Operation: eventOperation, Shard: shard, Action: Delay, Delay: 2 * time.Second})
		began := time.Now()
		h.putAt("0", "a")
		e := f.want("a")
		equal(t, "came after", time.Since(began), 2*time.Second)
		h.server.Inject(Fault{Operation: eventOperation, Stream: "s", Shard: shard, Action: Drop})
		h.putAt("0", "lost")
		f.wantEnd("", "")

		time.Sleep(takeoverAfter)
		h.server.Inject(Fault{Operation: eventOperation, Shard: shard, Action: LoseReply})
		resp := h.rawSubscribe(contentJSON, fmt.Appendf(nil, `{"ConsumerARN":%q,"ShardId":"0","StartingPosition":{"Type":"LATEST"}}`, arn))
		if b, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) { // the SDK takes this for a good end
			t.Errorf("a stream that was cut ends with %q, %v", b, err)
		}

		time.Sleep(takeoverAfter)
		h.server.Inject(Fault{Operation: eventOperation, Shard: shard, Action: Fail, Type: typeInternal, Message: "disk"})
		f = h.subscribe(arn, "0", fromAfter(*e.ContinuationSequenceNumber))
		f.wantEnd("InternalFailureException", "disk")
		time.Sleep(takeoverAfter)
		h.subscribe(arn, "0", fromAfter(*e.ContinuationSequenceNumber)).want("lost")
		h.server.Inject(Fault{Action: Drop}) // of no operation: the next request, not the next beat
		time.Sleep(20 * time.Second)
		if _, err := h.client.ListStreams(t.Context(), &kinesis.ListStreamsInput{}); err == nil {
			t.Error("the fault hit something else")
		}
		h.putAt("340282366920938463463374607431768211455", "b")
		other.want("b")

		for _, line := range []string{"op=SubscribeToShardEvent,kind=drop", "op=SubscribeToShardEvent,shard=*,kind=error", "op=SubscribeToShard,shard=0"} {
			if _, err := ParseFault(line); err != nil {
				t.Error(err)
			}
		}
	})
}

// The client in process tells a subscription that was cut off from one that has
// ended, and asks once: an error is not taken for a refusal of its protocol,
// which would make it ask again, in JSON.
func TestTheClientInProcessSeesWhatFaultsDo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		h.client = h.server.Client(noRetry)
		arn := h.register("c")
		h.server.Inject(Fault{Operation: "SubscribeToShard", Action: Fail})
		_, err := h.trySubscribe(arn, "0", fromLatest)
		h.wantError(err, typeInternal, "")
		f := h.subscribe(arn, "0", fromLatest)
		f.next()
		h.server.Inject(Fault{Operation: eventOperation, Action: Drop})
		h.put("k", "lost")
		if _, err := f.ends(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a subscription that was cut off ends in %v", err)
		}
	})
}

// An event may be delayed for longer than a client may take to read one.
func TestAnEventIsDelayedForMinutes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		f := h.piped().subscribe(h.register("c"), "0", fromLatest)
		f.next()
		began := time.Now()
		h.server.Inject(Fault{Operation: eventOperation, Action: Delay, Delay: 2 * subscriberPatience})
		h.put("k", "a")
		f.want("a")
		equal(t, "came after", time.Since(began), 2*subscriberPatience)
	})
}
