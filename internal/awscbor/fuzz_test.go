package awscbor

import (
	"bytes"
	"reflect"
	"runtime"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shardrun/shardrun/internal/cbor"
)

// outputs are shapes that are read by hand, and some of every kind that are not.
func outputs() []smithy.Deserializable {
	return []smithy.Deserializable{
		&kinesis.GetRecordsOutput{}, &kinesis.PutRecordsOutput{}, &types.SubscribeToShardEvent{},
		&kinesis.PutRecordOutput{}, &kinesis.ListShardsOutput{}, &kinesis.ListStreamsOutput{}, &kinesis.DescribeStreamOutput{},
		&kinesis.ListTagsForResourceOutput{}, &kinesis.DescribeChannelOutput{}, &types.ResourceInUseException{},
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzDecode reads any answer as any output. By hand it gives what the schema
// gives, if anything; and memory stays in proportion.
func FuzzDecode(f *testing.F) {
	add := func(kind uint8, body []byte) { f.Add(kind, body) }
	for i, out := range outputs() {
		plain := cborOf(filled(reflect.TypeOf(out).Elem()).(smithy.Serializable))
		add(uint8(i), plain)
		for _, form := range forms {
			if r := cbor.NewReader(plain); form.time != nil {
				add(uint8(i), form.rewrite(&testing.T{}, &r, nil))
			}
		}
	}
	add(0, cborOf(testPage(9)))
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		i := int(kind) % len(outputs())
		got, want := outputs()[i], outputs()[i]
		byHand, bySchema := newProtocol(nil), &Protocol{}
		var err error
		memory := allocated(func() {
			err = byHand.decode(body, got)
			_, _, _ = errorOf(nil, body)
		})
		if most := uint64(16*len(body) + 1<<20); memory > most {
			t.Errorf("%d bytes for an answer of %d", memory, len(body))
		}
		if err != nil {
			return
		}
		if err := bySchema.decode(body, want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("by hand\n%+v\nby the schema\n%+v, %v", got, want, err)
		}
	})
}

// FuzzFrames reads any stream of events.
func FuzzFrames(f *testing.F) {
	f.Add(join(begin, records(cborOf(testPage(2))), exception("ResourceInUseException", errorBody("", "message", "why"))))
	f.Add(event(nil, ":message-type", "error"))
	f.Fuzz(func(t *testing.T, body []byte) {
		p := newProtocol(nil)
		r := bytes.NewReader(body)
		if err := p.DeserializeInitialResponse(schemas.SubscribeToShardOutput, r, &kinesis.SubscribeToShardOutput{}); err != nil {
			return
		}
		for {
			if _, err := p.DeserializeEventMessage(schemas.SubscribeToShardEventStream, kinesis.TypeRegistry, r); err != nil {
				return
			}
		}
	})
}
