package localstream

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/hashkey"
)

func shortID(id *string) string {
	if id == nil {
		return "-"
	}
	return strings.TrimLeft((*id)[8:len(*id)-1], "0") + (*id)[len(*id)-1:]
}

func TestSplitAndMerge(t *testing.T) {
	h := start(t, 1)
	h.putAt("1", "before")
	parent := h.iterator("0", types.ShardIteratorTypeTrimHorizon)
	h.split("x-0", "2") // the least that is possible
	shards := h.shards()
	equal(t, "shards", len(shards), 3)
	equal(t, "low child", *shards[1].HashKeyRange.StartingHashKey+"-"+*shards[1].HashKeyRange.EndingHashKey, "0-1")
	equal(t, "high child", *shards[2].HashKeyRange.StartingHashKey+"-"+*shards[2].HashKeyRange.EndingHashKey, "2-340282366920938463463374607431768211455")
	equal(t, "parents", shortID(shards[1].ParentShardId)+shortID(shards[2].ParentShardId)+shortID(shards[1].AdjacentParentShardId), "00-")
	end := shards[0].SequenceNumberRange.EndingSequenceNumber
	if end == nil || *end >= *shards[1].SequenceNumberRange.StartingSequenceNumber {
		t.Errorf("the parent ends at %v, the child starts at %s", end, *shards[1].SequenceNumberRange.StartingSequenceNumber)
	}
	equal(t, "put after the split", *h.putAt("1", "low").ShardId, "shardId-000000000001")
	equal(t, "put after the split", *h.putAt("2", "high").ShardId, "shardId-000000000002")

	out := h.get(parent)
	equal(t, "the parent stays readable", dataOf(out.Records), "[before]")
	if out.NextShardIterator != nil {
		t.Error("the end of a closed shard has a next iterator")
	}
	equal(t, "children", len(out.ChildShards), 2)
	equal(t, "child", fmt.Sprint(*out.ChildShards[1].ShardId, out.ChildShards[1].ParentShards, *out.ChildShards[1].HashKeyRange.StartingHashKey), "shardId-000000000002[shardId-000000000000]2")
	kind, message := h.refused("GetShardIterator", `{"StreamName":"s","ShardId":"0","ShardIteratorType":"AT_SEQUENCE_NUMBER","StartingSequenceNumber":"`+*end+`"}`)
	if kind != typeInvalidArgument || !strings.HasSuffix(message, "has reached max possible value for the shard.") {
		t.Errorf("iterator at the ending number: %s: %s", kind, message)
	}
	equal(t, "LATEST of a closed shard", len(h.get(h.iterator("0", types.ShardIteratorTypeLatest)).ChildShards), 2)

	h.merge("1", "2")
	shards = h.shards()
	equal(t, "merged", shortID(shards[3].ParentShardId)+shortID(shards[3].AdjacentParentShardId), "12")
	equal(t, "put after the merge", *h.putAt("1", "merged").ShardId, "shardId-000000000003")
	out = h.get(h.iterator("2", types.ShardIteratorTypeTrimHorizon))
	equal(t, "child of the merge", fmt.Sprint(dataOf(out.Records), out.ChildShards[0].ParentShards), "[high] [shardId-000000000001 shardId-000000000002]")
	equal(t, "open shards", *h.summary("s").OpenShardCount, 1)
}

func TestUpdateShardCount(t *testing.T) {
	h := start(t, 2)
	scale := func(target int) *kinesis.UpdateShardCountOutput {
		t.Helper()
		out, err := h.client.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{
			StreamName: aws.String("s"), TargetShardCount: aws.Int32(int32(target)), ScalingType: types.ScalingTypeUniformScaling})
		h.must(err)
		return out
	}
	for _, step := range [][3]int{{2, 4, 6}, {4, 2, 8}, {2, 3, 13}, {3, 3, 13}} { // before, after, shards in all
		out := scale(step[1])
		equal(t, "answer", fmt.Sprint(*out.CurrentShardCount, *out.TargetShardCount, " ", *out.StreamName), fmt.Sprintf("%d %d s", step[0], step[1]))
		equal(t, "open shards", *h.summary("s").OpenShardCount, step[1])
		equal(t, "all shards", len(h.shards()), step[2])
	}
	equal(t, "last of three", *h.shards()[11].HashKeyRange.EndingHashKey, hashkey.Max.String())
}

// Nothing is lost and nothing is misplaced while streams are resharded under
// load: every acknowledged record is in the shard and at the number that the
// answer said, in the shard that its hash key belongs to; and the records of a
// key are in the order in which they were put, from parents to children.
func TestReshardUnderLoad(t *testing.T) {
	h := start(t, 2)
	const writers, keys = 4, 20
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	type ack struct{ shard, number, data string }
	acks := make([][]ack, writers)
	errs := make([]error, writers)
	for w := range writers {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
				for k := range keys {
					in.Records = append(in.Records, types.PutRecordsRequestEntry{
						PartitionKey: aws.String(fmt.Sprintf("%d/%d", w, k)), Data: fmt.Appendf(nil, "%d/%d/%06d", w, k, n)})
				}
				out, err := h.client.PutRecords(t.Context(), in)
				if err != nil || *out.FailedRecordCount != 0 {
					errs[w] = fmt.Errorf("put: %w", err)
					return
				}
				for i, r := range out.Records {
					acks[w] = append(acks[w], ack{*r.ShardId, *r.SequenceNumber, string(in.Records[i].Data)})
				}
			}
		})
	}
	for _, target := range []int{4, 3, 6, 5, 3, 2, 1, 2} {
		time.Sleep(5 * time.Millisecond) // some load between the reshards; nothing depends on how much
		_, err := h.client.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{
			StreamName: aws.String("s"), TargetShardCount: aws.Int32(int32(target)), ScalingType: types.ScalingTypeUniformScaling})
		h.must(err)
	}
	stop()
	wg.Wait()
	for _, err := range errs {
		h.must(err)
	}

	records, err := h.server.Records("s")
	h.must(err)
	found := map[string]Record{}
	byKey := map[string][]Record{}
	for _, r := range records {
		if _, twice := found[string(r.Data)]; twice {
			t.Fatalf("%s is there twice", r.Data)
		}
		found[string(r.Data)] = r
		byKey[r.PartitionKey] = append(byKey[r.PartitionKey], r)
	}
	total := 0
	for _, list := range acks {
		for _, a := range list {
			total++
			if r := found[a.data]; r.ShardID != a.shard || r.SequenceNumber != a.number {
				t.Fatalf("%s was acknowledged in %s at %s, it is in %q at %s", a.data, a.shard, a.number, r.ShardID, r.SequenceNumber)
			}
		}
	}
	equal(t, "records", len(records), total)
	ranges := map[string]hashkey.Range{}
	for _, sh := range h.shards() {
		r, err := hashkey.ParseRange(*sh.HashKeyRange.StartingHashKey, *sh.HashKeyRange.EndingHashKey)
		h.must(err)
		ranges[*sh.ShardId] = r
	}
	for key, list := range byKey {
		// Numbers of children are above those of their parents, so the order of
		// numbers is the order in which a consumer sees a key.
		slices.SortFunc(list, func(a, b Record) int { return strings.Compare(a.SequenceNumber, b.SequenceNumber) })
		if !slices.IsSortedFunc(list, func(a, b Record) int { return strings.Compare(string(a.Data), string(b.Data)) }) {
			t.Errorf("key %s is out of order", key)
		}
		for _, r := range list {
			if !ranges[r.ShardID].Contains(hashkey.Of(key)) {
				t.Fatalf("key %s is in %s, where it does not belong", key, r.ShardID)
			}
		}
	}
	t.Logf("%d records in %d shards", total, len(ranges))
}

// Puts that run while their stream is deleted end with ResourceNotFound.
func TestDeleteUnderLoad(t *testing.T) {
	h := start(t, 4)
	var wg sync.WaitGroup
	errs := make([]error, 4)
	started := make(chan struct{}, len(errs))
	for w := range errs {
		wg.Go(func() {
			for n := 0; errs[w] == nil; n++ {
				_, errs[w] = h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String(fmt.Sprint(n)), Data: []byte("x")})
				if n == 10 {
					started <- struct{}{}
				}
			}
		})
	}
	for range errs {
		<-started
	}
	_, err := h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
	h.must(err)
	wg.Wait()
	for _, err := range errs {
		h.wantError(err, typeNotFound, "Stream s under account 000000000000 not found.")
	}
}

// A closed shard leaves the list when its last record has expired, and with it
// what was known of it.
func TestClosedShardsExpire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		h.putAt("1", "old")
		h.split("0", "100")
		time.Sleep(24 * time.Hour)
		equal(t, "on the day", len(h.shards()), 3)
		time.Sleep(2 * time.Millisecond) // the shard was open for one
		equal(t, "a day later", len(h.shards()), 2)
		time.Sleep(2 * upkeepEvery)
		kind, _ := h.refused("GetShardIterator", `{"StreamName":"s","ShardId":"0","ShardIteratorType":"TRIM_HORIZON"}`)
		equal(t, "iterator", kind, typeNotFound)
		kind, _ = h.refused("SplitShard", `{"StreamName":"s","ShardToSplit":"0","NewStartingHashKey":"50"}`)
		equal(t, "split", kind, typeNotFound)
		_, v, err := h.server.lookup(testKey("s"))
		h.must(err)
		equal(t, "shards that are remembered", len(v.Shards), 2)
	})
}

// A closed shard that has more than one page is read to its end before its
// children are named.
func TestAClosedShardIsReadInPages(t *testing.T) {
	h := start(t, 1)
	for i := range 5 {
		h.putAt("1", fmt.Sprint(i))
	}
	h.split("0", "100")
	it := aws.String(h.iterator("0", types.ShardIteratorTypeTrimHorizon))
	var got []string
	for it != nil {
		out, err := h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(2)})
		h.must(err)
		got = append(got, fmt.Sprint(dataOf(out.Records), len(out.ChildShards)))
		it = out.NextShardIterator
	}
	equal(t, "pages and children", got, "[[0 1] 0 [2 3] 0 [4] 2]")
}

// A put that meets a sealed shard waits for the new shards and goes there, all
// of it but what was refused before.
func TestPutWaitsForNewShards(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 2)
		st, _, err := h.server.lookup(testKey("s"))
		h.must(err)
		h.must(st.log.Seal(0)) // as the beginning of a split does
		// Readers learn of the end when the children are there, not before.
		out0 := h.get(h.iterator("0", types.ShardIteratorTypeTrimHorizon))
		if out0.NextShardIterator == nil {
			t.Error("a shard has ended without children")
		}
		h.server.Inject(Fault{Shard: "shardId-000000000001"})
		in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
		for i, hash := range []string{hashkey.Max.String(), "1", hashkey.Max.String(), "200"} {
			in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), ExplicitHashKey: aws.String(hash), Data: fmt.Append(nil, i)})
		}
		done := make(chan *kinesis.PutRecordsOutput)
		go func() {
			out, err := h.client.PutRecords(t.Context(), in)
			if err != nil {
				t.Error(err)
			}
			done <- out
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("the put did not wait")
		default:
		}
		h.split("0", "100")
		out := <-done
		equal(t, "failed", *out.FailedRecordCount, 1)
		var places []string
		for _, r := range out.Records {
			places = append(places, shortID(r.ShardId))
		}
		equal(t, "shards", places, "[- 2 1 3]")
		equal(t, "shard 1", h.read(h.iterator("1", types.ShardIteratorTypeTrimHorizon)), "[2]")
		equal(t, "shard 2", h.read(h.iterator("2", types.ShardIteratorTypeTrimHorizon)), "[1]")
		equal(t, "shard 3", h.read(h.iterator("3", types.ShardIteratorTypeTrimHorizon)), "[3]")
	})
}

// A put that waits for new shards ends when there will be none: its client has
// gone, the stream is deleted, or the server closes. It takes no room.
func TestPutThatWaitsInVain(t *testing.T) {
	for name, end := range map[string]func(h *harness, cancel context.CancelFunc){
		"cancel": func(_ *harness, cancel context.CancelFunc) { cancel() },
		"delete": func(h *harness, _ context.CancelFunc) {
			_, err := h.client.DeleteStream(h.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
			h.must(err)
		},
		"close": func(h *harness, _ context.CancelFunc) { h.must(h.server.Close()) },
		"broken": func(h *harness, _ context.CancelFunc) {
			st, _, err := h.server.lookup(testKey("s"))
			h.must(err)
			_ = h.server.change(h.Context(), func(m *metadata) error { return m.broke(st, errDisk) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := start(t, 1, Config{MaxBytes: 1 << 30})
				st, _, err := h.server.lookup(testKey("s"))
				h.must(err)
				h.must(st.log.Seal(0))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := make(chan error)
				go func() {
					_, err := h.client.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte("x")})
					done <- err
				}()
				synctest.Wait()
				end(h, cancel)
				if err := <-done; err == nil {
					t.Error("no error")
				}
				synctest.Wait()
				equal(t, "room taken", h.server.space.written+h.server.space.pending, 0)
			})
		})
	}
}

// Shards that a reshard is going to open count against the limit before they are
// there.
func TestReshardsUnderWayCountAgainstTheShardLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 0, Config{UpdateDelay: time.Second, ShardLimit: 5})
		h.create("s", 2)
		h.create("other", 2)
		h.split("0", "100")
		_, err := h.client.SplitShard(t.Context(), &kinesis.SplitShardInput{
			StreamName: aws.String("other"), ShardToSplit: aws.String("0"), NewStartingHashKey: aws.String("100")})
		h.wantError(err, typeLimitExceeded, "")
		_, err = h.client.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{
			StreamName: aws.String("other"), TargetShardCount: aws.Int32(3), ScalingType: types.ScalingTypeUniformScaling})
		h.wantError(err, typeLimitExceeded, "")
		_, err = h.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("third"), ShardCount: aws.Int32(1)})
		h.wantError(err, typeLimitExceeded, "")
		limits, err := h.client.DescribeLimits(t.Context(), &kinesis.DescribeLimitsInput{})
		h.must(err)
		equal(t, "open shards", *limits.OpenShardCount, 4)
		time.Sleep(2 * time.Second)
		limits, err = h.client.DescribeLimits(t.Context(), &kinesis.DescribeLimitsInput{})
		h.must(err)
		equal(t, "open shards", *limits.OpenShardCount, 5)
	})
}
