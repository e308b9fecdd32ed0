package localstream

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
)

func (h *harness) distribute(strategy types.RecordDistributionStrategy) error {
	_, err := h.client.UpdateStreamRecordDistributionStrategy(h.Context(), &kinesis.UpdateStreamRecordDistributionStrategyInput{
		StreamARN: aws.String(testARN), RecordDistributionStrategy: strategy})
	return err
}

// With AUTO, records go to all shards evenly, with and without a partition key,
// and are read with the key that they were put with, if any.
func TestAutoDistribution(t *testing.T) {
	disk := vfs.NewMemory()
	h := open(t, Config{fs: disk})
	_, err := h.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), RecordDistributionStrategy: types.RecordDistributionStrategyAuto})
	h.must(err)
	equal(t, "strategy", h.summary("s").RecordDistributionStrategy, "AUTO")
	in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
	for i := range 40 {
		e := types.PutRecordsRequestEntry{Data: fmt.Append(nil, i)}
		if i%2 == 0 {
			e.PartitionKey, e.ExplicitHashKey = aws.String("same"), aws.String("999999999999999999999999999999999999999") // too great elsewhere
		}
		in.Records = append(in.Records, e)
	}
	out, err := h.client.PutRecords(t.Context(), in)
	h.must(err)
	shards := map[string]int{}
	for _, r := range out.Records {
		shards[*r.ShardId]++
	}
	equal(t, "records of each shard", shards, "map[shardId-000000000000:10 shardId-000000000001:10 shardId-000000000002:10 shardId-000000000003:10]")
	_, err = h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), Data: []byte("alone")})
	h.must(err)
	h.must(h.server.Close())
	h = open(t, Config{fs: disk})
	equal(t, "strategy after a restart", h.summary("s").RecordDistributionStrategy, "AUTO")
	with, without := 0, 0
	for i := range 4 {
		for _, r := range h.get(h.iterator(fmt.Sprint(i), types.ShardIteratorTypeTrimHorizon)).Records {
			if r.PartitionKey == nil {
				without++
			} else if *r.PartitionKey == "same" {
				with++
			}
		}
	}
	equal(t, "with and without a key", fmt.Sprint(with, without), "20 21")
	kind, message := h.refused("PutRecord", `{"StreamName":"s","Data":"","SequenceNumberForOrdering":"0"}`)
	equal(t, "an order", kind+": "+message, "InvalidArgumentException: SequenceNumberForOrdering cannot be specified for stream s under account 000000000000, because its record distribution strategy is AUTO.")
}

// The strategy changes at once, both ways, for on-demand streams only.
func TestUpdateRecordDistribution(t *testing.T) {
	h := start(t, 2)
	h.wantError(h.distribute(types.RecordDistributionStrategyAuto), typeInvalidArgument, "RecordDistributionStrategy AUTO can only be specified for a stream in ON_DEMAND mode.")
	h.must(h.distribute(types.RecordDistributionStrategyUserPartitionKey)) // it has no other
	equal(t, "strategy of a provisioned stream", h.summary("s").RecordDistributionStrategy, "")
	h.must(h.setMode(types.StreamModeOnDemand))
	equal(t, "strategy", h.summary("s").RecordDistributionStrategy, "USER_PARTITION_KEY")
	h.must(h.distribute(types.RecordDistributionStrategyAuto))
	equal(t, "strategy", h.summary("s").RecordDistributionStrategy, "AUTO")
	shards := map[string]int{}
	for range 10 {
		shards[*h.put("same", "").ShardId]++
	}
	equal(t, "records of each shard", shards, "map[shardId-000000000000:5 shardId-000000000001:5]")
	h.must(h.distribute(types.RecordDistributionStrategyUserPartitionKey))
	clear(shards)
	for range 10 {
		shards[*h.put("same", "").ShardId]++
	}
	equal(t, "shards of a key", len(shards), 1)
	kind, message := h.refused("PutRecord", `{"StreamName":"s","Data":""}`)
	equal(t, "no key", kind+": "+message, "ValidationException: 1 validation error detected: Value null at 'partitionKey' failed to satisfy constraint: Member must not be null")
	h.must(h.distribute(types.RecordDistributionStrategyAuto))
	h.must(h.setMode(types.StreamModeProvisioned)) // which ends it
	h.must(h.setMode(types.StreamModeOnDemand))
	equal(t, "strategy after both changes of the mode", h.summary("s").RecordDistributionStrategy, "USER_PARTITION_KEY")

	for op, tt := range map[string][2]string{
		"CreateStream": {`{"StreamName":"x","ShardCount":1,"RecordDistributionStrategy":"AUTO"}`, "InvalidArgumentException: RecordDistributionStrategy AUTO can only be specified for a stream in ON_DEMAND mode."},
		"UpdateStreamRecordDistributionStrategy": {`{"RecordDistributionStrategy":"X"}`, "ValidationException: 2 validation errors detected: " +
			"Value 'X' at 'recordDistributionStrategy' failed to satisfy constraint: Member must satisfy enum value set: [AUTO, USER_PARTITION_KEY]; " +
			"Value null at 'streamARN' failed to satisfy constraint: Member must not be null"},
	} {
		kind, message := h.refused(op, tt[0])
		equal(t, op, kind+": "+message, tt[1])
	}
}

// Nothing of what was put is lost while the settings of a stream change under
// load, and every record says of its encryption what its answer said, but for
// those that were on their way when it changed.
func TestSettingsChangeUnderLoad(t *testing.T) {
	h := start(t, 0)
	h.createOnDemand("s")
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	const writers = 3
	acked := make([][]string, writers)
	errs := make([]error, writers)
	progress := make(chan struct{}, writers) // a send that finds no room is dropped: it says only that work goes on
	for w := range writers {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				data := fmt.Sprintf("%d/%d", w, n)
				if _, errs[w] = h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: &data, Data: []byte(data)}); errs[w] != nil {
					return
				}
				acked[w] = append(acked[w], data)
				select {
				case progress <- struct{}{}:
				default:
				}
			}
		})
	}
	h.commit("ENABLED")
	for i := range 8 {
		h.must(h.encrypt(testKeyID))
		h.must(h.distribute(types.RecordDistributionStrategyAuto))
		_, err := h.warm(int32(4 + i))
		h.must(err)
		<-progress
		h.must(h.decrypt())
		h.must(h.setMode(types.StreamModeProvisioned))
		_, err = h.client.TagResource(t.Context(), &kinesis.TagResourceInput{ResourceARN: aws.String(testARN), Tags: map[string]string{"i": fmt.Sprint(i)}})
		h.must(err)
		<-progress
		h.must(h.setMode(types.StreamModeOnDemand))
	}
	stop()
	wg.Wait()
	found := map[string]bool{}
	records, err := h.server.Records("s")
	h.must(err)
	for _, r := range records {
		found[string(r.Data)] = true
	}
	equal(t, "records twice", len(records)-len(found), 0)
	for w := range writers {
		h.must(errs[w])
		for _, data := range acked[w] {
			if !found[data] {
				t.Fatalf("%s was acknowledged and is not there", data)
			}
		}
	}
	equal(t, "shards", *h.summary("s").OpenShardCount, 11)
	equal(t, "tags", strings.Join(mustTags(h), ","), "i=7")
}

func mustTags(h *harness) []string {
	h.Helper()
	tags, _ := h.tags()
	return tags
}
