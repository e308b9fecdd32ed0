package localstream

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// The way of most clients: create, put, find the shards, read to the end.
func TestPutAndGet(t *testing.T) {
	for _, transport := range []string{"in process", "socket"} {
		t.Run(transport, func(t *testing.T) {
			h := start(t, 0)
			if transport == "socket" {
				// The SDK closes the body of its request once it has the head of the
				// answer, and now and then net/http, which was still looking for the
				// end of that body, then closes the connection. Its own retries help.
				_, h.client = socket(t, h.server, func(o *kinesis.Options) { o.Retryer = retry.NewStandard() })
			}
			h.create("s", 2)
			in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
			for i := range 100 {
				in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint(i)), Data: []byte(fmt.Sprint("data ", i))})
			}
			puts, err := h.client.PutRecords(h.Context(), in)
			h.must(err)
			equal(t, "failed", *puts.FailedRecordCount, 0)
			got := map[string]string{}
			for _, sh := range h.shards() {
				page := h.get(h.iterator(*sh.ShardId, types.ShardIteratorTypeTrimHorizon))
				equal(t, "behind", *page.MillisBehindLatest, 0)
				for i, r := range page.Records {
					got[*r.SequenceNumber+*sh.ShardId] = string(r.Data)
					if i > 0 && *page.Records[i-1].SequenceNumber >= *r.SequenceNumber {
						t.Errorf("number %s does not rise", *r.SequenceNumber)
					}
				}
			}
			equal(t, "records", len(got), 100)
			for i, p := range puts.Records {
				equal(t, "data", got[*p.SequenceNumber+*p.ShardId], fmt.Sprint("data ", i))
			}
		})
	}
}
