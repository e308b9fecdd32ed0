//go:build !race

package awscbor

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"

	"github.com/shardrun/shardrun/internal/cbor"
)

// The answers that become the most memory, for what they are.
func TestAnAnswerBecomesMemoryInProportion(t *testing.T) {
	const n = 300_000
	list := func(name string, item []byte) []byte {
		b := cbor.AppendText(cbor.AppendOpenMap(nil), name)
		b = append(cbor.AppendOpenArray(b), bytes.Repeat(item, n)...)
		return cbor.AppendBreak(cbor.AppendBreak(b))
	}
	counted := func(name string, item []byte, count int) []byte {
		b := cbor.AppendText(cbor.AppendOpenMap(nil), name)
		return append(cbor.AppendArray(b, count), bytes.Repeat(item, n)...)
	}
	record := cbor.AppendText(cbor.AppendText(cbor.AppendMap(nil, 1), "SequenceNumber"), "")
	result := cbor.AppendText(cbor.AppendText(cbor.AppendMap(nil, 1), "ErrorCode"), "")
	member := cbor.AppendMap(cbor.AppendText(nil, "HashKeyRange"), 0)
	nested := append(append(cbor.AppendOpenMap(nil), bytes.Repeat(member, 20)...), 0xff)
	piece := append([]byte{0x7f}, append(bytes.Repeat([]byte{0x61, 'x'}, n), 0xff)...)
	// A list with one long string near its beginning, behind a short one.
	longAt := func(plain, long []byte) []byte {
		b := cbor.AppendText(cbor.AppendOpenMap(nil), "Records")
		b = append(append(cbor.AppendArray(b, n), plain...), long...)
		return append(b, bytes.Repeat(plain, n)...)
	}
	text := strings.Repeat("x", 10_000)
	longRecord := cbor.AppendText(cbor.AppendText(cbor.AppendMap(nil, 2), "SequenceNumber"), "")
	longRecord = cbor.AppendText(cbor.AppendText(longRecord, "PartitionKey"), text)
	longResult := cbor.AppendText(cbor.AppendText(cbor.AppendMap(nil, 1), "ErrorCode"), text)
	for name, tt := range map[string]struct {
		out  smithy.Deserializable
		body []byte
	}{
		"one long key":               {&kinesis.GetRecordsOutput{}, longAt(record, longRecord)},
		"one long error":             {&kinesis.PutRecordsOutput{}, longAt(result, longResult)},
		"records":                    {&kinesis.GetRecordsOutput{}, list("Records", record)},
		"records of nothing":         {&kinesis.GetRecordsOutput{}, list("Records", []byte{0xa0})},
		"fewer records than it says": {&kinesis.GetRecordsOutput{}, counted("Records", record, 10*n)},
		"children":                   {&kinesis.GetRecordsOutput{}, list("ChildShards", []byte{0xa0})},
		"results":                    {&kinesis.PutRecordsOutput{}, list("Records", result)},
		"fewer results than it says": {&kinesis.PutRecordsOutput{}, counted("Records", result, 10*n)},
		"shards of nothing":          {&kinesis.ListShardsOutput{}, list("Shards", []byte{0xa0})},
		"shards of one thing":        {&kinesis.ListShardsOutput{}, list("Shards", nested)},
		"names of nothing":           {&kinesis.ListStreamsOutput{}, list("StreamNames", []byte{0x60})},
		"names of one letter":        {&kinesis.ListStreamsOutput{}, list("StreamNames", []byte{0x61, 'x'})},
		"tags of nothing":            {&kinesis.ListTagsForResourceOutput{}, list("Tags", []byte{0xa0})},
		"a string in pieces":         {&kinesis.PutRecordOutput{}, append(append(cbor.AppendText(cbor.AppendOpenMap(nil), "ShardId"), piece...), 0xff)},
		"a member again and again":   {&kinesis.PutRecordOutput{}, append(append([]byte{0xbf}, bytes.Repeat(cbor.AppendText(cbor.AppendText(nil, "ShardId"), ""), n)...), 0xff)},
		"a member that nobody knows": {&kinesis.PutRecordOutput{}, append(append(cbor.AppendText(cbor.AppendOpenMap(nil), "X"), piece...), 0xff)},
	} {
		var err error
		memory := allocated(func() { err = newProtocol(nil).decode(tt.body, tt.out) })
		if most := uint64(16*len(tt.body) + 1<<20); memory > most {
			t.Errorf("%s: %d bytes for an answer of %d (%v)", name, memory, len(tt.body), err)
		}
		t.Logf("%s: %.1f times its size, %v", name, float64(memory)/float64(len(tt.body)), err)
	}
}

// What Kinesis answers at its limits is far from the bound.
func TestTheLargestAnswersAreRead(t *testing.T) {
	names := &kinesis.ListStreamsOutput{StreamNames: make([]string, 10_000)}
	for i := range names.StreamNames {
		names.StreamNames[i] = string([]byte{'a' + byte(i%26), 'a' + byte(i/26%26), 'a' + byte(i/676)})
	}
	page := &kinesis.GetRecordsOutput{}
	for range 10_000 {
		page.Records = append(page.Records, testPage(2).Records...)
	}
	for _, want := range []smithy.Serializable{names, page} {
		out := map[bool]smithy.Deserializable{true: &kinesis.ListStreamsOutput{}, false: &kinesis.GetRecordsOutput{}}[want == smithy.Serializable(names)]
		if err := newProtocol(nil).decode(cborOf(want), out); err != nil {
			t.Errorf("%T: %v", want, err)
		}
	}
}

// A page is read with a handful of allocations, however many records it has.
func TestARecordIsReadWithoutAnAllocation(t *testing.T) {
	for _, definite := range []bool{true, false} {
		small, large := 0.0, 0.0
		for n, to := range map[int]*float64{10: &small, 1000: &large} {
			plain := cborOf(benchPage(n, 100))
			f := form{definite: definite, time: cbor.AppendInt}
			r := cbor.NewReader(plain)
			client := newTestClient(canned(f.rewrite(t, &r, nil)), Use)
			*to = testing.AllocsPerRun(20, func() {
				if _, err := client.GetRecords(context.Background(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")}); err != nil {
					t.Error(err)
				}
			})
		}
		if large > small+10 {
			t.Errorf("%.0f allocations for 10 records, %.0f for 1,000 (definite: %v)", small, large, definite)
		}
	}
}
