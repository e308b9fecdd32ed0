package localstream

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
)

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
