package wire

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// names are what the encodings are called in tests.
var names = map[Encoding]string{AsJSON: "JSON", AsCBOR: "CBOR"}

// BenchmarkDecode reads requests of 500 records, in bytes of their data.
func BenchmarkDecode(b *testing.B) {
	for _, size := range []int{100, 1024} {
		in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
		for i := range 500 {
			in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint("key-", i)), Data: bytes.Repeat([]byte{byte(i)}, size)})
		}
		for e, name := range names {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				var d Decoder
				buffers := &Buffers{Body: e.AppendShape(nil, in)}
				b.SetBytes(int64(500 * size))
				b.ReportAllocs()
				for b.Loop() {
					if err := d.Decode(e, buffers, &kinesis.PutRecordsInput{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkEncode sends pages of 5,000 records nowhere, in bytes of their data.
func BenchmarkEncode(b *testing.B) {
	for _, size := range []int{100, 1024} {
		var a GetRecordsAnswer
		for i := range 5000 {
			a.Records = append(a.Records, Record{Sequence: bytes.Repeat([]byte("4"), 56), Arrival: 1e12, Key: fmt.Sprint("key-", i), Data: bytes.Repeat([]byte{byte(i)}, size)})
		}
		for e, name := range names {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				var buf []byte
				b.SetBytes(int64(5000 * size))
				b.ReportAllocs()
				for b.Loop() {
					if a.Size(e) < 5000*size {
						b.Fatal("the page has become smaller than its data")
					}
					buf, _ = a.Write(e, io.Discard, buf) // nothing fails there
				}
			})
		}
	}
}
