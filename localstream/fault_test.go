package localstream

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func TestFaults(t *testing.T) {
	for _, transport := range []string{"in process", "socket"} {
		t.Run(transport, func(t *testing.T) {
			h := start(t, 2)
			if transport == "socket" {
				_, h.client = socket(t, h.server)
			}
			put := func() error {
				_, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("a"), Data: []byte("x")})
				return err
			}
			h.server.Inject(Fault{Operation: "PutRecord", Stream: "s", Count: 2})
			h.server.Inject(Fault{Operation: "PutRecord", Stream: "other"})
			h.server.Inject(Fault{Operation: "GetRecords", Action: ExpireIterator})
			h.wantError(put(), typeThroughput, "Rate exceeded for stream s under account 000000000000.")
			h.wantError(put(), typeThroughput, "")
			h.must(put())

			it := h.iterator("0", types.ShardIteratorTypeTrimHorizon)
			_, err := h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &it})
			h.wantError(err, typeExpiredIterator, "")
			equal(t, "after the fault", len(h.read(it)), 1)

			h.server.Inject(Fault{Action: Fail})
			h.wantError(put(), typeInternal, "")
			h.server.Inject(Fault{Action: Fail, Type: typeNotFound, Message: "gone"})
			h.wantError(put(), typeNotFound, "gone")

			h.server.Inject(Fault{Operation: "PutRecord", Action: Drop})
			if put() == nil {
				t.Error("no error from a connection that was cut")
			}
			equal(t, "records after a cut", len(h.read(it)), 1)
			h.server.Inject(Fault{Operation: "PutRecord", Action: LoseReply})
			if put() == nil {
				t.Error("no error from a reply that was lost")
			}
			equal(t, "records after a lost reply", len(h.read(it)), 2)

			remove := h.server.Inject(Fault{Count: -1})
			h.wantError(put(), typeThroughput, "")
			h.wantError(put(), typeThroughput, "")
			remove()
			remove()
			h.must(put())
		})
	}
}

// A fault of one shard refuses its records alone.
func TestFaultOfAShard(t *testing.T) {
	h := start(t, 2)
	const high = "340282366920938463463374607431768211455"
	h.server.Inject(Fault{Shard: "shardId-000000000001", Count: 2})
	in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
	for i, hash := range []string{"0", high, "0", high, high} {
		in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), ExplicitHashKey: aws.String(hash), Data: fmt.Append(nil, i)})
	}
	out, err := h.client.PutRecords(t.Context(), in)
	h.must(err)
	equal(t, "failed", *out.FailedRecordCount, 2)
	for i, r := range out.Records {
		if failed := i == 1 || i == 3; failed != (r.ErrorCode != nil) || failed != (r.SequenceNumber == nil) || failed != (r.ShardId == nil) {
			t.Errorf("entry %d: %+v", i, r)
		}
	}
	equal(t, "code", *out.Records[1].ErrorCode, typeThroughput)
	equal(t, "message", *out.Records[1].ErrorMessage, "Rate exceeded for shard shardId-000000000001 in stream s under account 000000000000.")
	equal(t, "shard 0", h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon)), "[0 2]")
	equal(t, "shard 1", h.read(h.iterator("1", types.ShardIteratorTypeTrimHorizon)), "[4]")

	h.server.Inject(Fault{Shard: "shardId-000000000001", Operation: "GetRecords"})
	h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon))
	it := h.iterator("1", types.ShardIteratorTypeTrimHorizon)
	_, err = h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &it})
	h.wantError(err, typeThroughput, "")
}

// A delay holds a request up, and no longer than its client waits.
func TestDelayFault(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		h.server.Inject(Fault{Action: Delay, Delay: 3 * time.Second})
		began := time.Now()
		h.put("a", "x")
		equal(t, "took", time.Since(began), 3*time.Second)

		h.server.Inject(Fault{Action: Delay, Delay: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := h.client.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("a"), Data: []byte("y")})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		equal(t, "gave up after", time.Since(began), 4*time.Second)
		equal(t, "records", h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon)), "[x]")
	})
}

func TestRatesOfAWS(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 2, Config{Limits: LimitsAWS})
		entries := func(n, size int) *kinesis.PutRecordsInput {
			in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
			for range n {
				in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), ExplicitHashKey: aws.String("0"), Data: make([]byte, size)})
			}
			return in
		}
		failed := func(in *kinesis.PutRecordsInput) int32 {
			t.Helper()
			out, err := h.client.PutRecords(t.Context(), in)
			h.must(err)
			return *out.FailedRecordCount
		}
		equal(t, "500 records", failed(entries(500, 1)), 0)
		equal(t, "500 more", failed(entries(500, 1)), 0)
		equal(t, "more than 1,000 in a second", failed(entries(10, 1)), 10)
		time.Sleep(time.Second)
		equal(t, "a second later", failed(entries(10, 1)), 0)
		time.Sleep(time.Second)
		equal(t, "more than 1 MiB in a second", failed(entries(3, 400<<10)), 1)
		_, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), ExplicitHashKey: aws.String("0"), Data: make([]byte, 400<<10)})
		h.wantError(err, typeThroughput, "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000.")
		time.Sleep(time.Second)
		_, err = h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), ExplicitHashKey: aws.String("0"), Data: make([]byte, 1<<20-1)})
		h.must(err)

		it := h.iterator("1", types.ShardIteratorTypeTrimHorizon)
		for range shardReadCalls {
			h.get(it)
		}
		_, err = h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &it})
		h.wantError(err, typeThroughput, "")

		for range 9 { // 10 MiB at hand
			time.Sleep(time.Second)
			failed(entries(1, 1<<20-2))
		}
		it = h.iterator("0", types.ShardIteratorTypeTrimHorizon)
		h.get(it)
		time.Sleep(4 * time.Second)
		_, err = h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &it})
		h.wantError(err, typeThroughput, "")
		time.Sleep(time.Second)
		h.get(it)
	})
}
