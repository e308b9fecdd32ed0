package localstream

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// An account may make as many calls of an operation in a second as AWS
// documents; other accounts and other operations have their own.
func TestCallsAreLimitedAsInAWS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, 1, Config{Limits: LimitsAWS})
		other := h.server.Client(noRetry, func(o *kinesis.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider("111111111111", "x", "")
		})
		list := func(c *kinesis.Client) error {
			_, err := c.ListStreams(t.Context(), &kinesis.ListStreamsInput{})
			return err
		}
		for range 5 {
			h.must(list(h.client))
		}
		h.wantError(list(h.client), typeLimitExceeded, "Rate exceeded for account 000000000000: ListStreams may be called 5 times a second.")
		h.must(list(other))
		_, err := h.client.DescribeStream(t.Context(), &kinesis.DescribeStreamInput{StreamName: aws.String("s")})
		h.must(err)
		time.Sleep(200 * time.Millisecond)
		h.must(list(h.client))
		h.wantError(list(h.client), typeLimitExceeded, "")
	})
}

func TestIteratorsAndListsOfShardsAreLimitedAsInAWS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, 2, Config{Limits: LimitsAWS})
		iterate := func(shard string) error {
			_, err := h.client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
				StreamName: aws.String("s"), ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeLatest,
			})
			return err
		}
		for range 5 {
			h.must(iterate("0"))
		}
		h.wantError(iterate("0"), typeThroughput, "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000.")
		h.must(iterate("1"))
		list := func() error {
			_, err := h.client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("s")})
			return err
		}
		for range 1000 {
			h.must(list())
		}
		h.wantError(list(), typeLimitExceeded, "Rate exceeded for stream s under account 000000000000.")
	})
}

func TestWithoutLimitsCallsAreNotCounted(t *testing.T) {
	h := start(t, 1)
	for range 50 {
		_, err := h.client.ListStreams(t.Context(), &kinesis.ListStreamsInput{})
		h.must(err)
	}
}

// Clients that make up accounts do not make the server remember them all.
func TestCallRatesTakeBoundedMemory(t *testing.T) {
	var r callRates
	now := time.Unix(1000, 0)
	for i := range 10 * maxCallRates {
		key := callKey{"ListStreams", state.Key{Scope: state.Scope{Account: fmt.Sprintf("%012d", i)}}}
		if !r.spend(key, 5, now) {
			t.Fatalf("the first call of account %d is refused", i)
		}
		if len(r.buckets) > maxCallRates {
			t.Fatalf("%d buckets", len(r.buckets))
		}
	}
	busy := callKey{"ListStreams", state.Key{Scope: state.Scope{Account: "busy"}}}
	for r.spend(busy, 5, now.Add(time.Second)) {
	}
	for i := range maxCallRates {
		r.spend(callKey{fmt.Sprint(i), state.Key{}}, 5, now.Add(time.Second))
		if i == maxCallRates/2 && r.spend(busy, 5, now.Add(time.Second)) {
			t.Fatal("one that is used up was forgotten before those that are full")
		}
	}
}
