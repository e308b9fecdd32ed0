package localstream

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/state"
)

// The clock goes back over a restart. Numbers that were given before are still
// good for ordering, and a shard that is closed now is not said to have ended
// before its last record came, so that it is kept as long as that record.
func TestTheClockGoesBack(t *testing.T) {
	disk := vfs.NewCrash()
	var number string
	var arrival time.Time
	bubble(t, func(t *testing.T) {
		time.Sleep(time.Hour)
		h := open(t, Config{fs: disk})
		h.create("s", 1)
		time.Sleep(time.Minute)
		number = *h.put("k", "before").SequenceNumber
		arrival = time.Now()
		h.must(h.server.Close())
	})
	bubble(t, func(t *testing.T) { // an hour earlier
		h := open(t, Config{fs: disk})
		in := &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte("x"), SequenceNumberForOrdering: &number}
		out, err := h.client.PutRecord(t.Context(), in)
		h.must(err)
		if *out.SequenceNumber <= number {
			t.Errorf("number %s comes after %s", *out.SequenceNumber, number)
		}
		_, err = h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte("x"),
			SequenceNumberForOrdering: aws.String(state.Sequence{Secs: arrival.Unix() + 1}.String())})
		h.wantError(err, typeInvalidArgument, "")
		h.split("0", "100")
		if closed := mustView(h).Shards[0].Closed; closed <= arrival.UnixMilli() {
			t.Errorf("the shard was closed %v before its last record came", arrival.Sub(time.UnixMilli(closed)))
		}
		time.Sleep(time.Until(arrival.Add(24 * time.Hour)))
		equal(t, "on the last record's day", len(h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon))), 2)
		h.must(h.server.Close())
	})
}

// Puts go on while the parents of a reshard are sealed one after the other. No
// record comes later than its shard is said to have been closed, and so a reader
// who starts at a time finds all that came since in the shards that are listed
// for it.
func TestNoRecordComesAfterItsShardWasClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 0, Config{fs: slowDisk{vfs.NewMemory()}, UpdateDelay: time.Millisecond})
		h.create("s", 2)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				in := &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), ExplicitHashKey: aws.String(hashkey.Max.String()), Data: []byte("x")}
				for ctx.Err() == nil {
					if _, err := h.client.PutRecord(t.Context(), in); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		time.Sleep(time.Second)
		h.merge("0", "1") // seals 0 first, and waits for the disk; 1 goes on
		time.Sleep(time.Second)
		stop()
		wg.Wait()
		v := mustView(h)
		equal(t, "shards", len(v.Shards), 3)
		equal(t, "opened when the parents were closed", v.Shards[2].Opened, v.Shards[1].Closed)
		records, err := h.server.Records("s")
		h.must(err)
		parents := 0
		for _, r := range records {
			if r.ShardID != "shardId-000000000001" {
				continue
			}
			parents++
			if r.Arrival.UnixMilli() >= v.Shards[1].Closed {
				t.Fatalf("a record came %d ms after its shard was closed", r.Arrival.UnixMilli()-v.Shards[1].Closed)
			}
		}
		if parents == 0 || parents == len(records) {
			t.Fatalf("%d of %d records are in the parent", parents, len(records))
		}
	})
}

// slowDisk is a file system whose disk takes its time.
type slowDisk struct{ vfs.FS }

func (d slowDisk) Create(name string) (vfs.File, error) {
	f, err := d.FS.Create(name)
	return slowFile{f}, err
}

type slowFile struct{ vfs.File }

func (f slowFile) Write(b []byte) (int, error) {
	time.Sleep(10 * time.Millisecond)
	return f.File.Write(b)
}
