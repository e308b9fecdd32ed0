package wire

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/shardrun/shardrun/internal/cbor"
)

// fromCBOR reads a value of CBOR as what the JSON of the same answer decodes to.
func fromCBOR(t *testing.T, r *cbor.Reader, member string) any {
	t.Helper()
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", member, err)
		}
	}
	switch r.Kind() {
	case cbor.Map:
		out := map[string]any{}
		items, err := r.Map()
		for fail(err); ; {
			more, err := r.More(&items)
			if fail(err); !more {
				return out
			}
			key, err := r.Text()
			fail(err)
			name := string(key)
			out[name] = fromCBOR(t, r, name)
		}
	case cbor.Array:
		out := []any{}
		items, err := r.Array()
		for fail(err); ; {
			more, err := r.More(&items)
			if fail(err); !more {
				return out
			}
			out = append(out, fromCBOR(t, r, member))
		}
	case cbor.Bytes:
		b, err := r.Bytes()
		fail(err)
		return base64.StdEncoding.EncodeToString(b)
	case cbor.Text:
		s, err := r.Text()
		fail(err)
		return string(s)
	}
	n, err := r.Int()
	fail(err)
	if member == "ApproximateArrivalTimestamp" {
		return float64(n) / 1000
	}
	return float64(n)
}

// An event says the same in both encodings, and leaves out what it has not.
func TestEventsInBothEncodings(t *testing.T) {
	records := []Record{
		{Sequence: []byte("1"), Arrival: 946684800123, Key: "ключ\"", Data: []byte("data\xff")},
		{Sequence: []byte("2"), Arrival: 946684800000, Key: "b", Data: []byte{}},
	}
	children := []ChildShard{
		{ShardID: "c", Parents: []string{"p", "q"}, FirstKey: "0", EndKey: "9"},
		{ShardID: "d", Parents: []string{"p"}, FirstKey: "10", EndKey: "11"},
	}
	for name, tt := range map[string]struct {
		answer Answer
		want   string
	}{
		"records": {&ShardEvent{Records: records, Continuation: []byte("2"), Behind: 5}, `{"ContinuationSequenceNumber":"2","MillisBehindLatest":5,"Records":[` +
			`{"ApproximateArrivalTimestamp":946684800.123,"Data":"ZGF0Yf8=","PartitionKey":"ключ\"","SequenceNumber":"1"},` +
			`{"ApproximateArrivalTimestamp":946684800,"Data":"","PartitionKey":"b","SequenceNumber":"2"}]}`},
		"nothing": {&ShardEvent{Continuation: []byte("2")}, `{"ContinuationSequenceNumber":"2","MillisBehindLatest":0,"Records":[]}`},
		"the end": {&ShardEvent{Children: children}, `{"ChildShards":[` +
			`{"HashKeyRange":{"EndingHashKey":"9","StartingHashKey":"0"},"ParentShards":["p","q"],"ShardId":"c"},` +
			`{"HashKeyRange":{"EndingHashKey":"11","StartingHashKey":"10"},"ParentShards":["p"],"ShardId":"d"}],"MillisBehindLatest":0,"Records":[]}`},
		"no members": {Empty{}, `{}`},
		"an error":   {Message("a \"message\""), `{"message":"a \"message\""}`},
		"no UTF-8":   {Message("a\xff"), `{"message":"a\ufffd"}`},
	} {
		if got := string(AsJSON.Append(nil, tt.answer)); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, tt.want)
		}
		var want any
		if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
			t.Fatal(err)
		}
		r := cbor.NewReader(AsCBOR.Append(nil, tt.answer))
		if got := fromCBOR(t, &r, ""); !reflect.DeepEqual(got, want) || r.End() != nil {
			t.Errorf("%s: in CBOR %v, want %v", name, got, want)
		}
	}
}
