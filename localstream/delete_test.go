package localstream

import (
	"bytes"
	"regexp"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
)

func TestDeleteStream(t *testing.T) {
	h := start(t, 2)
	h.put("a", "old")
	old := h.iterator("0", types.ShardIteratorTypeLatest)
	old1 := h.iterator("1", types.ShardIteratorTypeLatest)
	_, err := h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
	h.must(err)
	_, err = h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &old})
	h.wantError(err, typeNotFound, "Shard shardId-000000000000 in stream s under account 000000000000 does not exist")
	_, err = h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("a"), Data: []byte("x")})
	h.wantError(err, typeNotFound, "Stream s under account 000000000000 not found.")

	// A stream created anew is another one: what the old iterators said of a
	// place means nothing there.
	h.create("s", 1)
	h.put("a", "new")
	_, err = h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &old})
	h.wantError(err, typeNotFound, "Shard shardId-000000000000 in stream s under account 000000000000 does not exist")
	_, err = h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &old1})
	h.wantError(err, typeNotFound, "Shard shardId-000000000001 in stream s under account 000000000000 does not exist")
}

// Requests that wait for one another behind a delete find the stream that is
// there when it is their turn, not the one that was there when they came.
func TestADeleteDoesNotReachTheNextStreamOfThatName(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := vfs.NewMemory()
		h := open(t, Config{fs: disk})
		h.create("s", 1)
		hold := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { _ = h.server.change(t.Context(), func(*metadata) error { <-hold; return nil }) }) // has no error to give
		synctest.Wait()
		name := "s"
		errs := make([]error, 3)
		for i, request := range []func() error{
			func() error {
				_, err := h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: &name})
				return err
			},
			func() error {
				_, err := h.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(1)})
				return err
			},
			func() error {
				_, err := h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: &name})
				return err
			},
		} {
			wg.Go(func() { errs[i] = request() })
			synctest.Wait() // it waits for the keeper, behind those before it
		}
		close(hold)
		wg.Wait()
		h.must(errs[0])
		// Those that wait for the keeper come in any order.
		if errs[1] == nil {
			equal(t, "the new stream", h.describe("s").StreamStatus, "ACTIVE")
		} else {
			h.wantError(errs[1], typeInUse, "")
		}
		if errs[2] != nil {
			h.wantError(errs[2], typeNotFound, "Stream s under account 000000000000 not found.")
		}
		h.create("other", 1)
		h.must(h.server.Close())
		h = open(t, Config{fs: disk})
		equal(t, "opened again", h.describe("other").StreamStatus, "ACTIVE")
		h.must(h.server.Close())
	})
}

// A stream that takes the name of another does not repeat its numbers, however
// fast and however often: a position in one is none in the other.
func TestAStreamCreatedAnewRepeatsNoNumbers(t *testing.T) {
	bubble(t, func(t *testing.T) { // time stands still
		disk := vfs.NewMemory()
		h := open(t, Config{fs: disk})
		last := ""
		for i := range 4 {
			h.create("s", 1)
			h.split("0", "100")
			first := *h.putAt("1", "x").SequenceNumber
			if first <= last {
				t.Fatalf("number %s comes after %s", first, last)
			}
			if i > 0 {
				kind, _ := h.refused("GetShardIterator", `{"StreamName":"s","ShardId":"1","ShardIteratorType":"AFTER_SEQUENCE_NUMBER","StartingSequenceNumber":"`+last+`"}`)
				equal(t, "iterator at a number of the stream before", kind, typeInvalidArgument)
			}
			last = *h.putAt("1", "y").SequenceNumber
			_, err := h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
			h.must(err)
			if i == 1 { // what is remembered is durable
				h.must(h.server.Close())
				h = open(t, Config{fs: disk})
			}
		}
		h.must(h.server.Close())
	})
}

// The journal may have a deletion that failed. Nothing is acknowledged that the
// next opening would find deleted.
func TestADeleteThatFailedTakesNoRecords(t *testing.T) {
	for nth := range 2 {
		disk := &failingJournal{FS: vfs.NewMemory()}
		h := open(t, Config{fs: disk})
		h.create("s", 1)
		h.put("a", "one")
		disk.left.Store(int64(nth + 1))
		_, err := h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
		h.wantError(err, typeInternal, "")
		_, err = h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("a"), Data: []byte("two")})
		h.wantError(err, typeInternal, "")
		equal(t, "reads go on", h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon)), "[one]")
		_ = h.server.Close() // tells of the failure once more
		h = open(t, Config{fs: disk})
		_, err = h.client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("s")})
		equal(t, "is there after opening again", err == nil, nth == 0)
	}
}

// goroutines is how many there are in the bubble of the caller. Those of other
// tests come and go.
func goroutines() int {
	buf := make([]byte, 1<<20)
	n := runtime.Stack(buf, true)
	for ; n == len(buf); n = runtime.Stack(buf, true) { // there may be more
		buf = make([]byte, 2*len(buf))
	}
	// The caller comes first: "goroutine 7 [running, synctest bubble 6]:".
	bubble := regexp.MustCompile(`synctest bubble \d+\]`).Find(buf[:n])
	return bytes.Count(buf[:n], bubble)
}

func TestGoroutinesOfOtherTestsDoNotCount(t *testing.T) {
	end := make(chan struct{})
	defer close(end)
	go func() { <-end }()
	bubble(t, func(t *testing.T) {
		before := goroutines()
		if all := runtime.NumGoroutine(); before >= all {
			t.Errorf("%d goroutines, of %d in all", before, all)
		}
		mine := make(chan struct{})
		go func() { <-mine }()
		synctest.Wait()
		equal(t, "with one more", goroutines(), before+1)
		close(mine)
	})
}

// What was to become of a stream after a delay is not waited for when the stream
// is gone, nor when the server is.
func TestNobodyWaitsForADeletedStream(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 0, Config{CreateDelay: time.Hour, UpdateDelay: time.Hour, ConsumerDelay: time.Hour, ChannelDelay: time.Hour})
		synctest.Wait() // it has begun all that it begins
		before := goroutines()
		for range 5 {
			h.create("s", 1)
			_, err := h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
			h.must(err)
		}
		synctest.Wait()
		if n := goroutines(); n != before {
			t.Errorf("%d goroutines wait for streams that are gone", n-before)
		}
		h.create("s", 1)
		began := time.Now()
		h.must(h.server.Close())
		equal(t, "closing took", time.Since(began), time.Duration(0))
	})
}

// What is deleted while it is made is waited for once: until it is gone, and not
// until it would have been there.
func TestNobodyWaitsForWhatIsDeletedToBeMade(t *testing.T) {
	for what, beginAndEnd := range map[string]func(h *harness){
		"a stream": func(h *harness) {
			h.create("other", 1)
			_, err := h.client.DeleteStream(h.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("other")})
			h.must(err)
		},
		"a consumer": func(h *harness) { h.deregister(h.register("c")) },
		"a channel":  func(h *harness) { h.deleteChannel(h.channel(toS3()).ChannelARN) },
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := start(t, 0, Config{CreateDelay: time.Hour, DeleteDelay: time.Hour, ConsumerDelay: time.Hour, ChannelDelay: time.Hour})
				h.onDemand("s")
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				before := goroutines()
				beginAndEnd(h)
				synctest.Wait()
				if n := goroutines(); n != before+1 {
					t.Errorf("%d goroutines wait, not 1", n-before)
				}
			})
		})
	}
}
