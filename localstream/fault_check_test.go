package localstream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// A fault that could never happen, or not as it says, is a mistake in a test:
// Inject says so at once, and what would do.
func TestInjectPanicsAtWhatCannotHappen(t *testing.T) {
	s := NewT(t)
	for _, tt := range []struct {
		fault Fault
		want  string
	}{
		{Fault{Operation: "PutRecordz"}, `operation "PutRecordz": want an operation of Kinesis, such as PutRecords, or SubscribeToShardEvent`},
		{Fault{Stream: "arn:aws:kinesis:us-east-1:000000000000:stream/s"}, "want the name of a stream, not an ARN"},
		{Fault{Stream: "s", Operation: "ListStreams"}, "ListStreams is not about one stream"},
		{Fault{Shard: "first"}, `shard "first": want an id like shardId-000000000000, or * for each`},
		{Fault{Operation: "CreateStream", Shard: EveryShard}, "CreateStream is not about one shard: want a shard with PutRecord,"},
		{Fault{Action: 99}, "kind Action(99): want throttle, error, expire, drop, delay, lose-reply"},
		{Fault{Action: Delay}, "delay 0s: kind delay wants a time above 0"},
		{Fault{Action: Delay, Delay: -time.Second}, "delay -1s: kind delay wants a time above 0"},
		{Fault{Delay: time.Second}, "delay 1s with kind throttle: want kind delay"},
		{Fault{Type: typeNotFound}, "want kind error (Fail)"},
		{Fault{Action: Drop, Message: "gone"}, "with kind drop: want kind error (Fail)"},
		{Fault{Operation: "PutRecords", Shard: EveryShard, Action: Drop}, "leave out the shard"},
		{Fault{Operation: "PutRecord", Shard: "shardId-000000000000", Action: LoseReply}, "leave out the shard"},
		{Fault{Shard: EveryShard, Action: Delay, Delay: time.Second}, "want another operation than PutRecord and PutRecords"},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, tt.want) || !strings.HasPrefix(got, "localstream: inject ") {
					t.Errorf("%+v: got %s, want %s", tt.fault, got, tt.want)
				}
			}()
			s.Inject(tt.fault)
		}()
	}
	equal(t, "faults that wait", s.Faults(), "[]")
}

// What a fault is checked against are operations that there are.
func TestOperationsOfFaultsExist(t *testing.T) {
	for _, name := range append(append([]string{eventOperation}, accountOperations...), shardOperations...) {
		if _, known := operationsByName()[name]; !known && name != eventOperation {
			t.Errorf("there is no operation %s", name)
		}
	}
}

// The id of a shard may be as short as in requests.
func TestAFaultOfAShardByItsNumber(t *testing.T) {
	h := start(t, 2)
	h.server.Inject(Fault{Operation: "PutRecord", Shard: "shard-0"})
	_, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), ExplicitHashKey: aws.String("0"), Data: []byte("x")})
	h.wantError(err, typeThroughput, "")
}

// A test can ask what has not happened yet, and how often the rest did.
func TestFaultsThatWait(t *testing.T) {
	h := start(t, 1)
	remove := h.server.Inject(Fault{Operation: "ListShards", Count: -1})
	h.server.Inject(Fault{Operation: "PutRecord", Count: 2})
	h.server.Inject(Fault{Operation: "GetRecords"})
	list := func() {
		if _, err := h.client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("s")}); err == nil {
			t.Error("a fault did not happen")
		}
	}
	list()
	list()
	if _, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte("x")}); err == nil {
		t.Error("a fault did not happen")
	}
	states := func() (out []string) {
		for _, f := range h.server.Faults() {
			out = append(out, fmt.Sprintf("%v of %s happened %d times, %d left", f.Action, f.Operation, f.Happened, f.Count))
		}
		return out
	}
	equal(t, "faults", states(), "[throttle of ListShards happened 2 times, -1 left throttle of PutRecord happened 1 times, 1 left throttle of GetRecords happened 0 times, 1 left]")
	remove()
	if _, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte("x")}); err == nil {
		t.Error("a fault did not happen")
	}
	equal(t, "faults in the end", states(), "[throttle of GetRecords happened 0 times, 1 left]")
}

func TestActionsHaveTheNamesThatParseFaultReads(t *testing.T) {
	for a := Throttle; a <= LoseReply; a++ {
		line := "kind=" + a.String()
		if a == Delay {
			line += ",delay=1s"
		}
		if f, err := ParseFault(line); err != nil || f.Action != a {
			t.Errorf("%s: %v, %v", line, f.Action, err)
		}
	}
	equal(t, "none of them", Action(99), "Action(99)")
}
