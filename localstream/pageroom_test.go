package localstream

import (
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// Shards lie in the segments of one log, so a page of one shard is in many of
// them. Pages that have come to have a part do not wait for one another's: each
// becomes as long as there is room for it, and none waits in vain.
func TestPagesDoNotWaitForOneAnothersParts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const room, shards, each, size = 8 << 20, 8, 8, 200_000
		h := start(t, shards, Config{maxInFlight: room, segmentBytes: shards * size})
		data := make([]byte, size)
		_, _ = rand.Read(data)
		all := h.shards()
		for range each {
			for _, sh := range all {
				h.putAt(*sh.HashKeyRange.StartingHashKey, string(data))
			}
		}
		var its []string
		for i := range shards {
			its = append(its, h.iterator(fmt.Sprint(i), types.ShardIteratorTypeTrimHorizon))
		}
		began := time.Now()
		var wg sync.WaitGroup
		for _, it := range its {
			wg.Go(func() {
				for got := 0; got < each; {
					out, err := h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &it})
					if err != nil {
						t.Error(err)
						return
					}
					for _, r := range out.Records {
						if string(r.Data) != string(data) {
							t.Error("a record is not what was put")
						}
					}
					got, it = got+len(out.Records), *out.NextShardIterator
				}
			})
		}
		wg.Wait()
		if took := time.Since(began); took > time.Second {
			t.Errorf("%d pages took %v", shards, took)
		}
		equal(t, "room in the end", h.server.inFlight.left, room)
	})
}

// A page never takes more than it has asked for, whatever its records are, so it
// does not have to wait once it was read.
func TestAPageAsksForAllThatItTakes(t *testing.T) {
	for _, size := range []int{1, 100, 3000, 120 << 10, 200 << 10, 300 << 10, 1<<20 - 1} {
		h := start(t, 1, Config{segmentBytes: 2 << 20})
		for range min(200, 12<<20/size) {
			h.put("k", strings.Repeat("x", size))
		}
		st := (*h.server.catalog.Load())[testKey("s")]
		for _, limit := range []int{1, 7, maxRecordsPerGet} {
			var last wal.Need
			p, err := st.log.ReadWithin(func(n wal.Need) error { last = n; return nil }, 0, 0, 0, limit, maxBytesPerGet)
			h.must(err)
			if took := pageMemory(&p); took > needed(last) {
				t.Errorf("%d records of %d bytes take %d bytes, and asked for %d", len(p.Records), size, took, needed(last))
			}
			p.Free()
		}
	}
}

// The record from which an iterator by time begins is read within the budget.
func TestIteratorsByTimeWaitForRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const room = 8 << 20
		h := start(t, 1, Config{maxInFlight: room})
		h.put("k", strings.Repeat("x", 1<<20-1))
		time.Sleep(time.Second)
		at := time.Now()
		h.put("k", strings.Repeat("y", 1<<20-1))
		others := &share{server: h.server}
		h.must(others.resize(t.Context(), room-64<<10))
		byTime := func(in *kinesis.GetShardIteratorInput) { in.Timestamp = &at }
		go func() {
			time.Sleep(3 * time.Second)
			others.free()
		}()
		it := h.iterator("0", types.ShardIteratorTypeAtTimestamp, byTime)
		equal(t, "waited until", time.Since(at), 3*time.Second)
		equal(t, "room behind it", h.server.inFlight.left, room)
		if got := h.read(it); len(got) != 1 || got[0][0] != 'y' {
			t.Errorf("%d records from the iterator", len(got))
		}
	})
}
