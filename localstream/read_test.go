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

	"github.com/shardrun/shardrun/localstream/internal/state"
)

func TestIteratorTypes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		var numbers []string
		var times []time.Time
		for i := range 5 {
			numbers = append(numbers, *h.put("k", fmt.Sprint(i)).SequenceNumber)
			times = append(times, time.Now())
			time.Sleep(time.Second)
		}
		starting := *h.shards()[0].SequenceNumberRange.StartingSequenceNumber
		at := func(ts time.Time) func(*kinesis.GetShardIteratorInput) {
			return func(in *kinesis.GetShardIteratorInput) { in.Timestamp = &ts }
		}
		const atNumber, after, atTime = types.ShardIteratorTypeAtSequenceNumber, types.ShardIteratorTypeAfterSequenceNumber, types.ShardIteratorTypeAtTimestamp
		tests := []struct {
			name, iterator, want string
		}{
			{"TRIM_HORIZON", h.iterator("0", types.ShardIteratorTypeTrimHorizon), "[0 1 2 3 4]"},
			{"LATEST", h.iterator("0", types.ShardIteratorTypeLatest), "[]"},
			{"AT a number", h.iterator("0", atNumber, from(numbers[2])), "[2 3 4]"},
			{"AFTER a number", h.iterator("0", after, from(numbers[2])), "[3 4]"},
			{"AFTER the last number", h.iterator("0", after, from(numbers[4])), "[]"},
			{"AT the starting number, which no record has", h.iterator("0", atNumber, from(starting)), "[0 1 2 3 4]"},
			{"AFTER the starting number", h.iterator("0", after, from(starting)), "[0 1 2 3 4]"},
			{"AT the time of a record", h.iterator("0", atTime, at(times[2])), "[2 3 4]"},
			{"AT a time between records", h.iterator("0", atTime, at(times[2].Add(time.Millisecond))), "[3 4]"},
			{"AT an old time", h.iterator("0", atTime, at(time.Unix(1, 0))), "[0 1 2 3 4]"},
			{"AT a time after the last record", h.iterator("0", atTime, at(times[4].Add(time.Millisecond))), "[]"},
			{"in quotes", `"` + h.iterator("0", types.ShardIteratorTypeTrimHorizon) + `"`, "[0 1 2 3 4]"},
		}
		h.put("k", "5")
		for _, tt := range tests {
			want := strings.TrimSpace(strings.TrimSuffix(tt.want, "]")+" 5") + "]" // all see what came later
			want = strings.Replace(want, "[ ", "[", 1)
			equal(t, tt.name, h.read(tt.iterator), want)
			equal(t, tt.name+", used again", h.read(tt.iterator), want)
		}
	})
}

func TestIteratorsAreOpaqueAndDistinct(t *testing.T) {
	h := start(t, 1)
	it := h.iterator("0", types.ShardIteratorTypeTrimHorizon)
	seen := map[string]bool{it: true}
	for range 5 {
		out := h.get(it)
		if seen[*out.NextShardIterator] {
			t.Error("an iterator was given twice")
		}
		it = *out.NextShardIterator
		seen[it] = true
	}
	for name := range map[string]bool{"s": true, strings.Repeat("n", 128): true} {
		st := iterator{Stream: testKey(name), ID: strings.Repeat("i", 36), Shard: 1, From: 1 << 60}
		text := h.server.sealIterator(st, time.Now())
		if len(text) > 512 || (len(text)-152)%16 != 0 {
			t.Errorf("an iterator of %d characters", len(text))
		}
		if back, err := h.server.openIterator(text, time.Now()); err != nil || back != st {
			t.Errorf("read again %+v, %v", back, err)
		}
	}
	for i := range len(it) { // nobody can make or change one
		forged := it[:i] + string(it[i]^1) + it[i+1:]
		if _, err := h.server.openIterator(forged, time.Now()); err == nil {
			t.Fatalf("an iterator changed at %d is accepted", i)
		}
	}
	other := NewT(t)
	if _, err := other.openIterator(it, time.Now()); err == nil {
		t.Error("an iterator of another server is accepted")
	}
	if _, err := h.server.openToken(kindShards, it, time.Now()); err == nil {
		t.Error("an iterator is accepted as a token")
	}
}

func TestIteratorsExpire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		it := h.iterator("0", types.ShardIteratorTypeLatest)
		time.Sleep(tokenLife - time.Millisecond)
		next := *h.get(it).NextShardIterator
		time.Sleep(time.Millisecond)
		_, err := h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &it})
		h.wantError(err, typeExpiredIterator, "Iterator expired. The iterator was created at time Sat Jan 01 00:00:00 UTC 2000 while right now it is "+
			"Sat Jan 01 00:05:00 UTC 2000 which is further in the future than the tolerated delay of 300000 milliseconds.")
		h.get(next)
	})
}

func TestTokensExpire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 3)
		out, err := h.client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("s"), MaxResults: aws.Int32(1)})
		h.must(err)
		time.Sleep(tokenLife)
		_, err = h.client.ListShards(t.Context(), &kinesis.ListShardsInput{NextToken: out.NextToken})
		h.wantError(err, typeExpiredToken, "")
	})
}

func TestPages(t *testing.T) {
	h := start(t, 1)
	for i := range 10 {
		h.put("k", fmt.Sprint(i))
	}
	var got []string
	it := h.iterator("0", types.ShardIteratorTypeTrimHorizon)
	for range 4 {
		out, err := h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &it, Limit: aws.Int32(3)})
		h.must(err)
		got = append(got, fmt.Sprint(dataOf(out.Records), *out.MillisBehindLatest > 0))
		it = *out.NextShardIterator
	}
	equal(t, "pages", got, "[[0 1 2] true [3 4 5] true [6 7 8] true [9] false]")
}

func TestAPageHasAtMostTenMebibytes(t *testing.T) {
	h := start(t, 1)
	entry := types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), Data: make([]byte, 1<<20-1)}
	for range 3 {
		_, err := h.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("s"), Records: []types.PutRecordsRequestEntry{entry, entry, entry, entry}})
		h.must(err)
	}
	out := h.get(h.iterator("0", types.ShardIteratorTypeTrimHorizon))
	equal(t, "first page", len(out.Records), 10)
	equal(t, "second page", len(h.get(*out.NextShardIterator).Records), 2)
}

func TestMillisBehindLatest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		h.put("k", "0")
		time.Sleep(7 * time.Second)
		h.put("k", "1")
		time.Sleep(2 * time.Second)
		out, err := h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String(h.iterator("0", types.ShardIteratorTypeTrimHorizon)), Limit: aws.Int32(1)})
		h.must(err)
		equal(t, "behind", *out.MillisBehindLatest, 9000)
		equal(t, "at the tip", *h.get(*out.NextShardIterator).MillisBehindLatest, 0)
	})
}

// Records are hidden the moment they expire, removed soon after, and do not
// come back when the retention is raised.
func TestRetention(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		first := *h.put("k", "0").SequenceNumber
		time.Sleep(time.Hour)
		h.put("k", "1")
		all := func() []string { return h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon)) }
		time.Sleep(23*time.Hour - time.Millisecond)
		equal(t, "just before", all(), "[0 1]")
		time.Sleep(2 * time.Millisecond)
		equal(t, "just after", all(), "[1]")
		equal(t, "from a number that has expired", h.read(h.iterator("0", types.ShardIteratorTypeAtSequenceNumber, from(first))), "[1]")
		_, err := h.client.IncreaseStreamRetentionPeriod(t.Context(), &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: aws.String("s"), RetentionPeriodHours: aws.Int32(48)})
		h.must(err)
		equal(t, "period", *h.describe("s").RetentionPeriodHours, 48)
		equal(t, "after an increase", all(), "[1]")
		time.Sleep(10 * time.Hour)
		equal(t, "the second record lives longer", all(), "[1]")
		_, err = h.client.DecreaseStreamRetentionPeriod(t.Context(), &kinesis.DecreaseStreamRetentionPeriodInput{StreamName: aws.String("s"), RetentionPeriodHours: aws.Int32(24)})
		h.must(err)
		equal(t, "after a decrease", all(), "[]")
	})
}

// What has expired gives its space back, segment by segment.
func TestExpiredSegmentsAreRemoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1, Config{segmentBytes: 64 << 10})
		for range 40 {
			h.put("k", strings.Repeat("x", 10<<10))
		}
		st, _, err := h.server.lookup(testKey("s"))
		h.must(err)
		before := st.log.Size()
		time.Sleep(25 * time.Hour)
		h.put("k", "last")
		time.Sleep(2 * upkeepEvery)
		synctest.Wait()
		if after := st.log.Size(); after > before/2 {
			t.Errorf("the log takes %d bytes, %d before", after, before)
		}
		equal(t, "what is left", h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon)), "[last]")
	})
}

func TestListShardsPagination(t *testing.T) {
	h := start(t, 7)
	h.split("0", "100")
	var got []string
	in := &kinesis.ListShardsInput{StreamName: aws.String("s"), MaxResults: aws.Int32(2), ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest}}
	for {
		out, err := h.client.ListShards(t.Context(), in)
		h.must(err)
		for _, sh := range out.Shards {
			got = append(got, strings.TrimLeft((*sh.ShardId)[8:], "0"))
		}
		if out.NextToken == nil {
			break
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken, MaxResults: aws.Int32(3)}
	}
	equal(t, "open shards", got, "[1 2 3 4 5 6 7 8]")
	page := h.shards(func(in *kinesis.ListShardsInput) { in.ExclusiveStartShardId = aws.String("shardId-6") })
	equal(t, "after a shard", fmt.Sprint(len(page), *page[0].ShardId), "2shardId-000000000007")

	d, err := h.client.DescribeStream(t.Context(), &kinesis.DescribeStreamInput{StreamName: aws.String("s"), Limit: aws.Int32(4), ExclusiveStartShardId: aws.String("2")})
	h.must(err)
	equal(t, "description", fmt.Sprint(len(d.StreamDescription.Shards), *d.StreamDescription.HasMoreShards, *d.StreamDescription.Shards[0].ShardId), "4 trueshardId-000000000003")
}

// A token does not outlive its stream, though the name does.
func TestTokenOfADeletedStream(t *testing.T) {
	h := start(t, 3)
	out, err := h.client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("s"), MaxResults: aws.Int32(1)})
	h.must(err)
	_, err = h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
	h.must(err)
	h.create("s", 3)
	_, err = h.client.ListShards(t.Context(), &kinesis.ListShardsInput{NextToken: out.NextToken})
	h.wantError(err, typeNotFound, "")
}

// GetRecords takes the ARN of the iterator's stream, and no other.
func TestIteratorAndStreamARNAgree(t *testing.T) {
	h := start(t, 1)
	h.create("t", 1)
	h.put("k", "x")
	in := &kinesis.GetRecordsInput{ShardIterator: aws.String(h.iterator("0", types.ShardIteratorTypeTrimHorizon))}
	in.StreamARN = aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/s")
	out, err := h.client.GetRecords(t.Context(), in)
	h.must(err)
	equal(t, "records", dataOf(out.Records), "[x]")
	for _, other := range []string{"us-east-1:000000000000:stream/t", "us-east-1:000000000000:stream/none", "eu-west-1:000000000000:stream/s"} {
		in.StreamARN = aws.String("arn:aws:kinesis:" + other)
		_, err = h.client.GetRecords(t.Context(), in)
		h.wantError(err, typeInvalidArgument, "StreamARN arn:aws:kinesis:"+other+" is not that of the stream that the ShardIterator was made for, "+
			"arn:aws:kinesis:us-east-1:000000000000:stream/s.")
	}
}

func TestDryRun(t *testing.T) {
	h := start(t, 1)
	it := h.iterator("0", types.ShardIteratorTypeLatest)
	for op, body := range map[string]string{
		"PutRecord":        `{"StreamName":"s","PartitionKey":"a","Data":"","DryRun":true}`,
		"PutRecords":       `{"StreamName":"s","Records":[{"PartitionKey":"a","Data":""}],"DryRun":true}`,
		"GetShardIterator": `{"StreamName":"s","ShardId":"0","ShardIteratorType":"LATEST","DryRun":true}`,
		"GetRecords":       `{"ShardIterator":"` + it + `","DryRun":true}`,
	} {
		kind, _ := h.refused(op, body)
		equal(t, op, kind, typeDryRun)
		kind, _ = h.refused(op, strings.Replace(strings.Replace(body, `"s"`, `"none"`, 1), it, "x", 1))
		if kind == typeDryRun {
			t.Errorf("%s would not have succeeded", op)
		}
	}
	equal(t, "records", h.read(it), "[]")
}

// testKey is the key of a stream of the server's own account and region.
func testKey(name string) state.Key {
	return state.Key{Scope: state.Scope{Account: "000000000000", Region: "us-east-1"}, Name: name}
}
