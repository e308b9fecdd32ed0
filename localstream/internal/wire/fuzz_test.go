package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shardrun/shardrun/internal/cbor"
	"github.com/shardrun/shardrun/localstream/internal/wiretest"
)

// fuzzed are the inputs that any bytes are read as: those read by hand, and one
// with everything that reflection can meet.
func fuzzed() []any {
	return []any{&kinesis.PutRecordsInput{}, &kinesis.PutRecordInput{}, &kinesis.GetRecordsInput{}, &kinesis.CreateStreamInput{}, &kinesis.CreateChannelInput{}}
}

// agree reads a body by hand and by reflection. Whatever is accepted is the
// same, and can be written and read again with the same result.
func agree(t *testing.T, e Encoding, body []byte, in any) {
	t.Helper()
	var d Decoder
	b := &Buffers{Body: body}
	err := d.Decode(e, b, in)
	other := reflect.New(reflect.TypeOf(in).Elem())
	s := (&Buffers{Body: body}).source(e)
	reflected := d.structure(s, other.Elem())
	if reflected == nil {
		reflected = s.end()
	}
	if (err == nil) != (reflected == nil) {
		t.Fatalf("%T: by hand %v, by reflection %v", in, err, reflected)
	}
	if err != nil {
		return
	}
	if e == AsCBOR && !e.Valid(body) { // JSON is read more leniently: strings may have control characters
		t.Fatalf("%T: accepted, but not valid", in)
	}
	if !reflect.DeepEqual(in, other.Interface()) {
		t.Fatalf("%T: by hand %+v, by reflection %+v", in, in, other.Interface())
	}
	for e := range names {
		again := reflect.New(reflect.TypeOf(in).Elem()).Interface()
		written := e.AppendShape(nil, in.(smithy.Serializable))
		if err := d.Decode(e, &Buffers{Body: written}, again); err != nil {
			t.Fatalf("%T: %v: %q", in, err, written)
		}
		if !reflect.DeepEqual(in, again) {
			t.Fatalf("%T: %q was read again as %+v", in, written, again)
		}
	}
}

// FuzzDecode reads any bytes as JSON.
func FuzzDecode(f *testing.F) {
	for _, body := range wiretest.Requests(f) {
		f.Add(body)
	}
	for _, body := range hostile(64) {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, in := range fuzzed() {
			agree(t, AsJSON, body, in)
		}
	})
}

// FuzzPutRecordsCBOR reads any bytes as CBOR.
func FuzzPutRecordsCBOR(f *testing.F) {
	for op, body := range wiretest.Requests(f) {
		f.Add(toCBOR(f, newInput(f, op), string(body)))
	}
	for _, body := range hostile(64) {
		f.Add(toCBOR(f, &kinesis.PutRecordsInput{}, body))
	}
	for _, body := range hostileCBOR(64) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, in := range fuzzed() {
			agree(t, AsCBOR, body, in)
		}
	})
}

// FuzzBothEncodings asks the same in both encodings: what is understood, or
// what is wrong with it, is the same.
func FuzzBothEncodings(f *testing.F) {
	for _, body := range wiretest.Requests(f) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		// JSON may be nested more deeply; the other two are different by nature.
		if !json.Valid(body) || !utf8.Valid(body) || bytes.Count(body, []byte("["))+bytes.Count(body, []byte("{")) > 8 {
			return
		}
		for _, in := range fuzzed() {
			binary, err := wiretest.CBOR(reflect.TypeOf(in).Elem(), body)
			if err != nil {
				t.Fatal(err)
			}
			other := reflect.New(reflect.TypeOf(in).Elem()).Interface()
			err, otherErr := decodeAs(AsJSON, body, in), decodeAs(AsCBOR, binary, other)
			if err != nil && strings.Contains(err.Error(), "converted to a Blob") && otherErr != nil {
				continue
			}
			if fmt.Sprint(err) != fmt.Sprint(otherErr) || err == nil && !reflect.DeepEqual(in, other) {
				t.Fatalf("%T\nas JSON %+v, %v\nas CBOR %+v, %v", in, in, err, other, otherErr)
			}
		}
	})
}

// FuzzAnswers writes answers by hand, in both encodings. They say what the
// struct of the SDK with the same content says.
func FuzzAnswers(f *testing.F) {
	f.Add("key", "next", "shardId-000000000000", []byte("data"), int64(1400000000123), uint8(3), false)
	f.Add("", "", "", []byte{}, int64(-1), uint8(2), true)
	f.Fuzz(func(t *testing.T, key, next, id string, data []byte, n int64, count uint8, encrypted bool) {
		if !utf8.ValidString(key) || !utf8.ValidString(next) || !utf8.ValidString(id) {
			return // the server has no such strings
		}
		if data == nil {
			data = []byte{}
		}
		n = min(max(n, -maxTimestamp*1000), maxTimestamp*1000)
		digits := fmt.Append(nil, n)
		page := &GetRecordsAnswer{Next: next, Behind: n}
		put := &PutRecordsAnswer{Failed: int(count), Encrypted: encrypted}
		wantPage := &kinesis.GetRecordsOutput{MillisBehindLatest: &n, Records: []types.Record{}}
		wantPut := &kinesis.PutRecordsOutput{FailedRecordCount: aws.Int32(int32(count)), Records: []types.PutRecordsResultEntry{}}
		if next != "" {
			wantPage.NextShardIterator = &next
		}
		var encryption types.EncryptionType
		if encrypted {
			encryption = types.EncryptionTypeKms
			wantPut.EncryptionType = encryption
		}
		recordKey := &key
		if key == "" {
			recordKey = nil // of a stream that takes none
		}
		number := string(digits)
		for i := range count % 16 {
			page.Records = append(page.Records, Record{Sequence: digits, Arrival: n, Key: key, Data: data[:min(len(data), int(i))], Encrypted: encrypted})
			wantPage.Records = append(wantPage.Records, types.Record{
				SequenceNumber: &number, ApproximateArrivalTimestamp: aws.Time(time.UnixMilli(n).UTC()), PartitionKey: recordKey,
				Data: data[:min(len(data), int(i))], EncryptionType: encryption})
			if i%2 == 0 {
				page.Children = append(page.Children, ChildShard{ShardID: id, Parents: []string{key, next}[:i%3], FirstKey: number, EndKey: id})
				wantPage.ChildShards = append(wantPage.ChildShards, types.ChildShard{
					ShardId: &id, ParentShards: []string{key, next}[:i%3], HashKeyRange: &types.HashKeyRange{StartingHashKey: &number, EndingHashKey: &id}})
				put.Results = append(put.Results, PutResult{Sequence: digits, ShardID: "s"})
				wantPut.Records = append(wantPut.Records, types.PutRecordsResultEntry{SequenceNumber: &number, ShardId: aws.String("s")})
			} else {
				put.Results = append(put.Results, PutResult{Code: "x" + key, Message: id})
				wantPut.Records = append(wantPut.Records, types.PutRecordsResultEntry{ErrorCode: aws.String("x" + key), ErrorMessage: &id})
			}
		}
		for e := range names {
			samePieces(t, e, page)
			var d Decoder
			for want, a := range map[smithy.Serializable]Answer{wantPage: page, wantPut: put} {
				written := e.Append(nil, a)
				got := reflect.New(reflect.TypeOf(want).Elem())
				s := (&Buffers{Body: written}).source(e)
				if err := d.structure(s, got.Elem()); err != nil || s.end() != nil {
					t.Fatalf("%v: %q", err, written)
				}
				if !reflect.DeepEqual(got.Interface(), want) {
					t.Fatalf("%q became %+v\nwant %+v", written, got, want)
				}
			}
		}
	})
}

// hostileCBOR is what JSON cannot say: empty values of one byte, and lengths of
// what is not there.
func hostileCBOR(size int) map[string][]byte {
	many := func(name string, item string) []byte {
		b := cbor.AppendOpenMap(nil)
		list := append(cbor.AppendArray(cbor.AppendText(nil, name), 501), strings.Repeat(item, 501)...)
		for len(b) < size {
			b = append(b, list...)
		}
		return cbor.AppendBreak(b)
	}
	return map[string][]byte{
		"empty records":       many("Records", "\xa0"),
		"null records":        many("Records", "\xf6"),
		"open records":        many("Records", "\xbf\xff"),
		"records of a blob":   many("Records", "\xa1\x64Data\x40"),
		"records of a key":    many("Records", "\xa1\x6cPartitionKey\x60"),
		"keys":                many("TagKeys", "\x62ab"),
		"structures":          many("StreamConfigurationList", "\xa0"),
		"lists of nothing":    many("X", "\x80"),
		"tags again":          append(append([]byte{0xbf}, bytes.Repeat([]byte("\x64Tags\xa3\x60\x60\x61a\x60\x62ab\x60"), 1+size/15)...), 0xff),
		"a list of 2^60":      append([]byte("\xa1\x67Records\x9b\x10\x00\x00\x00\x00\x00\x00\x00"), make([]byte, size)...),
		"a list of the rest":  append(cbor.AppendArray([]byte("\xa1\x67Records"), size), bytes.Repeat([]byte("\xa0"), size)...),
		"a blob of 2^63":      append([]byte("\xa1\x64Data\x5b\x80\x00\x00\x00\x00\x00\x00\x00"), make([]byte, size)...),
		"nested for ever":     bytes.Repeat([]byte("\x9f"), size),
		"a blob of a text":    cbor.AppendText([]byte("\xa1\x64Data"), strings.Repeat("<", size)),
		"a boolean of a text": cbor.AppendText([]byte("\xa1\x66DryRun"), strings.Repeat("\x01", size)),
	}
}
