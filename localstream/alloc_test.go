//go:build !race

package localstream

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// Nothing that a client sends makes the server allocate more than sixteen
// times its size and a mebibyte, from the first byte of the request to the last
// of the answer.
func TestARequestAllocatesInProportionToItsSize(t *testing.T) {
	h := start(t, 1)
	const size = 1 << 19
	again := func(item string) string { return "\xbf" + strings.Repeat(item, size/len(item)) + "\xff" }
	lists := `"StreamConfigurationList":[` + strings.Repeat("{},", 499) + "{}]"
	keys := `"TagKeys":[` + strings.Repeat(`"",`, 499) + `""]`
	for _, tt := range []struct{ name, operation, body string }{
		{"CBOR: a large blob", "PutRecords", "\xa2\x6aStreamName\x61s\x67Records\x81\xa2\x6cPartitionKey\x60\x64Data\x5a\x00\xf0\x00\x00" + strings.Repeat("<", 15<<20)},
		{"CBOR: a text for a blob", "PutRecord", "\xa1\x64Data\x7a\x00\x40\x00\x00" + strings.Repeat("<", 4<<20)},
		{"CBOR: a long boolean", "DeleteStream", "\xa1\x77EnforceConsumerDeletion\x7a\x00\x08\x00\x00" + strings.Repeat("\x01", size)},
		{"CBOR: a long name", "DescribeStream", "\xa1\x6aStreamName\x7a\x00\x08\x00\x00" + strings.Repeat("\x01", size)},
		{"CBOR: a blob in pieces", "PutRecord", "\xa1\x64Data\x5f" + strings.Repeat("\x41<", 4<<20) + "\xff"},
		{"CBOR: a policy in pieces", "PutResourcePolicy", "\xa1\x66Policy\x7f" + strings.Repeat("\x61{", size-10) + "\xff"},
		{"CBOR: strings in pieces", "RemoveTagsFromStream", again("\x67TagKeys\x99\x01\xf5" + strings.Repeat("\x7f\x61a\xff", 501))},
		{"CBOR: unknown strings in pieces", "DeleteStream", again("\x61X\x7f\x61a\xff")},
		{"CBOR: names in pieces", "DeleteStream", again("\x7f\x61X\xff\x00")},
		{"CBOR: empty records", "PutRecords", again("\x67Records\x99\x01\xf5" + strings.Repeat("\xa0", 501))},
		{"CBOR: records of open maps", "PutRecords", again("\x67Records\x9f" + strings.Repeat("\xbf\xff", 501) + "\xff")},
		{"CBOR: empty tags", "CreateStream", again("\x64Tags\xa1\x60\x60")},
		{"CBOR: tag keys again and again", "RemoveTagsFromStream", again("\x67TagKeys\x99\x01\xf5" + strings.Repeat("\x61a", 501))},
		{"CBOR: structures of a list", "CreateChannel", again("\x77StreamConfigurationList\x99\x01\xf5" + strings.Repeat("\xa0", 501))},
		{"CBOR: a list without an end", "ListStreams", "\xa1\x61X\x9b\x7f\xff\xff\xff\xff\xff\xff\xff" + strings.Repeat("\x80", size)},
		{"CBOR: depth without an end", "ListStreams", strings.Repeat("\x9f", size)},
		{"CBOR: an unknown operation", "Nothing", again("\x61a\x81\x81\x81\x80")},
		{"a blob to be escaped", "PutRecord", `{"StreamName":"s","PartitionKey":"k","Data":"` + strings.Repeat("<", 4<<20) + `"}`},
		{"a blob of bytes that are no text", "PutRecord", `{"StreamName":"s","PartitionKey":"k","Data":"` + strings.Repeat("\xff", 4<<20) + `"}`},
		{"a large blob", "PutRecords", `{"StreamName":"s","Records":[{"PartitionKey":"k","Data":"` + strings.Repeat("<", 15<<20) + `"}]}`},
		{"a long boolean", "DeleteStream", `{"EnforceConsumerDeletion":"` + strings.Repeat(`\u0001`, 170000) + `"}`},
		{"a long tag", "CreateStream", `{"StreamName":"s","Tags":{"` + strings.Repeat("<", 1000000) + `":""}}`},
		{"tags again and again", "CreateStream", `{"Tags":{"":""}` + strings.Repeat(`,"Tags":{"":""}`, 60000) + `}`},
		{"tags that are added again and again", "AddTagsToStream", `{"Tags":{"":""}` + strings.Repeat(`,"Tags":{"":""}`, 60000) + `}`},
		{"lists again and again", "CreateChannel", "{" + lists + strings.Repeat(","+lists, 600) + "}"},
		{"keys again and again", "RemoveTagsFromStream", "{" + keys + strings.Repeat(","+keys, 600) + "}"},
		{"a long tag key", "RemoveTagsFromStream", `{"StreamName":"s","TagKeys":["` + strings.Repeat("k", 1000000) + `"]}`},
		{"a long policy", "PutResourcePolicy", `{"ResourceARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","Policy":"` + strings.Repeat("{", 1000000) + `"}`},
		{"a deep policy", "PutResourcePolicy", `{"ResourceARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","Policy":"{\"Version\":\"2012-10-17\",\"Statement\":` +
			strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}"}`},
		{"a long key", "StartStreamEncryption", `{"StreamName":"s","EncryptionType":"KMS","KeyId":"` + strings.Repeat("k", 1000000) + `"}`},
		{"metrics again and again", "EnableEnhancedMonitoring", `{"StreamName":"s","ShardLevelMetrics":["` + strings.Repeat(`x","`, 200000) + `x"]}`},
		{"an unknown operation", "Nothing", `{"a":` + strings.Repeat("[", 500000) + strings.Repeat("]", 500000) + "}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "http://localhost/", strings.NewReader(tt.body))
			r.Header.Set("Content-Type", contentJSON)
			if strings.HasPrefix(tt.name, "CBOR") {
				r.Header.Set("Content-Type", contentCBOR)
			}
			r.Header.Set("X-Amz-Target", targetPrefix+tt.operation)
			r.Header.Set("X-Amz-Date", "x")
			r.Header.Set("Authorization", auth)
			status, allocated := h.allocated(r)
			if status < 400 || status == http.StatusRequestEntityTooLarge {
				t.Errorf("status %d", status)
			}
			if most := uint64(16*len(tt.body) + 1<<20); allocated > most {
				t.Errorf("%d bytes allocated for a request of %d", allocated, len(tt.body))
			}
		})
	}
}

// allocated is what a request makes the server allocate, in bytes, and the status
// of its answer.
func (h *harness) allocated(r *http.Request) (status int, bytes uint64) {
	w := &discard{header: http.Header{}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	h.server.serveHTTP(w, r)
	runtime.ReadMemStats(&after)
	return w.status, after.TotalAlloc - before.TotalAlloc
}
