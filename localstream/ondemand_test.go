package localstream

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// write puts records into "s" for a minute, so many a second for each of the
// hash keys.
func (h *harness) write(perSecond, size int, hashKeys ...string) {
	h.Helper()
	for range 60 {
		for _, key := range hashKeys {
			in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
			for range perSecond {
				in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), ExplicitHashKey: &key, Data: make([]byte, size)})
			}
			_, err := h.client.PutRecords(h.Context(), in)
			h.must(err)
		}
		time.Sleep(time.Second)
	}
}

// quarters are hash keys in the middle of the four shards of a new stream.
var quarters = []string{"42535295865117307932921825928971026432", "127605887595351923798765477786913079296",
	"212676479325586539664609129644855132160", "297747071055821155530452781502797185024"}

func onDemandServer(t *testing.T, cfg Config) *harness {
	t.Helper()
	h := start(t, 0, cfg)
	h.createOnDemand("s")
	return h
}

// A shard is split within a minute of more than half of its capacity being
// used, by records or by bytes, and not before.
func TestOnDemandStreamsGrow(t *testing.T) {
	for name, tt := range map[string]struct {
		perSecond, size int
		keys            []string
		want            int32
	}{
		"nothing at all":                {0, 0, nil, 4},
		"less than half":                {1, 490 << 10, quarters[:1], 4},
		"more than half, in bytes":      {1, 530 << 10, quarters[:1], 5},
		"more than half, of two shards": {1, 530 << 10, quarters[:2], 6},
		"half, in records":              {250, 1, []string{quarters[0], quarters[0]}, 4},
		"more than half, in records":    {251, 1, []string{quarters[0], quarters[0]}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := onDemandServer(t, Config{})
				h.write(tt.perSecond, tt.size, tt.keys...)
				pass(time.Second)
				equal(t, "open shards", *h.summary("s").OpenShardCount, tt.want)
			})
		})
	}
}

// Growing goes on for as long as it takes, takes its time in UPDATING, and ends
// at the shard limit; a provisioned stream is left alone.
func TestOnDemandGrowth(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := onDemandServer(t, Config{UpdateDelay: 10 * time.Second, ShardLimit: 7})
		h.create("p", 1)
		minute := func() {
			t.Helper()
			h.write(1, 530<<10, quarters[0]) // more than half of a shard
			pass(time.Second)
		}
		minute()
		equal(t, "first minute", fmt.Sprint(h.describe("s").StreamStatus, *h.summary("s").OpenShardCount), "UPDATING4")
		pass(9 * time.Second)
		equal(t, "when UPDATING has ended", fmt.Sprint(h.describe("s").StreamStatus, *h.summary("s").OpenShardCount), "ACTIVE5")
		pass(50 * time.Second)
		for range 5 {
			minute()
			pass(time.Minute - time.Second)
		}
		equal(t, "at the limit", fmt.Sprint(h.describe("s").StreamStatus, *h.summary("s").OpenShardCount), "ACTIVE6")
		shards := h.shards()
		equal(t, "the hot key's shard was split again and again", shards[len(shards)-1].ParentShardId != nil, true)
	})
}

// A stream that has grown shrinks by half a day at most, after a day in which
// it was nearly idle, down to four shards, and not while its warm throughput
// wants more.
func TestOnDemandStreamsShrink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := onDemandServer(t, Config{})
		h.commit("ENABLED")
		_, err := h.warm(16)
		h.must(err)
		open := func() int32 { t.Helper(); return *h.summary("s").OpenShardCount }
		pass(49 * time.Hour)
		equal(t, "warm", open(), 16)
		_, err = h.warm(0)
		h.must(err)
		equal(t, "no longer warm", open(), 16)
		pass(24 * time.Hour)
		equal(t, "a day later", open(), 8)
		h.write(1, 300<<10, quarters[0]) // 0.3 of a shard
		pass(24 * time.Hour)
		equal(t, "all but the first, which was written to", open(), 5)
		pass(24 * time.Hour)
		equal(t, "a day later", open(), 4)
		pass(72 * time.Hour)
		equal(t, "and no fewer", open(), 4)
	})
}

// What is written to a provisioned stream scales nothing, and is not counted.
func TestProvisionedStreamsAreNotScaled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		h.write(1, 530<<10, "1")
		pass(time.Minute)
		equal(t, "open shards", *h.summary("s").OpenShardCount, 1)
		st, _, err := h.server.lookup(testKey("s"))
		h.must(err)
		equal(t, "tallies", len(st.writes.tallies), 0)
	})
}
