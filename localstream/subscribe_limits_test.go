package localstream

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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
