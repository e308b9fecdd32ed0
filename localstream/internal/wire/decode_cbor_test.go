package wire

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// A body that is not CBOR has no message, wherever it goes wrong; nor has one
// of CBOR that is refused whatever it says.
func TestNotCBOR(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":                       "",
		"JSON":                          `{"StreamName":"a"}`,
		"a map that ends too soon":      "\xa2\x6aStreamName\x61a",
		"an open map without an end":    "\xbf\x6aStreamName\x61a",
		"a break":                       "\xff",
		"something behind":              "\xa0\x00",
		"a name that is no string":      "\xa1\x01\x61a",
		"a name of another member":      "\xa1\x61X\xa1\x01\x61a",
		"pieces without an end":         "\xa1\x6aStreamName\x7f\x61a",
		"pieces of another kind":        "\xa1\x6aStreamName\x7f\x41a\xff",
		"pieces that are not UTF-8":     "\xa1\x6aStreamName\x7f\x61\xff\xff",
		"a string longer than the rest": "\xa1\x6aStreamName\x7b\xff\xff\xff\xff\xff\xff\xff\xff",
		"a list longer than the rest":   "\xa1\x67Records\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
		"nine levels":                   "\xa1\x61X\x81\x81\x81\x81\x81\x81\x81\x80",
		"no end of levels":              strings.Repeat("\x81", 1<<20),
		"a tag that means nothing":      "\xa1\x6aStreamName\xc5\x61a",
		"a name that is not UTF-8":      "\xa1\x61\xff\x61a",
		"a string that is not UTF-8":    "\xa1\x6aStreamName\x61\xff",
		"an unknown one that is not":    "\xa1\x61X\x61\xff",
		"one deep inside that is not":   "\xa1\x61X\x81\xa1\x61a\x61\xff",
		"a wrong type, and no end":      "\xa2\x6aStreamName\x05",
		"a wrong type, and no UTF-8":    "\xa2\x6aStreamName\x05\x61a\x61\xff",
	} {
		for _, in := range []any{&kinesis.DescribeStreamInput{}, &kinesis.PutRecordsInput{}, &kinesis.PutRecordInput{}} {
			err, ok := errors.AsType[*SerializationError](decodeAs(AsCBOR, []byte(body), in))
			if !ok || err.Message != "" {
				t.Errorf("%T, %s: %v, want an error without a message", in, name, err)
			}
			if AsCBOR.Valid([]byte(body)) && name != "a tag that means nothing" {
				t.Errorf("%s is valid", name)
			}
		}
	}
	for _, in := range []any{&kinesis.DescribeStreamInput{}, &kinesis.PutRecordInput{}} {
		if err := decodeAs(AsCBOR, []byte("\xa1\x61X\x81\x81\x81\x81\x81\x81\x80"), in); err != nil {
			t.Errorf("%T: eight levels: %v", in, err)
		}
	}
}

// What only CBOR can put in the place of something else is named as Java would.
func TestWrongTypesOfCBOR(t *testing.T) {
	const blob = "class java.nio.HeapByteBuffer can not be converted to "
	for _, tt := range []struct {
		in         any
		body, want string
	}{
		{&kinesis.PutRecordInput{}, "\xa1\x6cPartitionKey\x41a", blob + "an String"},
		{&kinesis.ListStreamsInput{}, "\xa1\x65Limit\x41a", blob + "an Integer"},
		{&kinesis.DeleteStreamInput{}, "\xa1\x77EnforceConsumerDeletion\x41a", blob + "an Boolean"},
		{&kinesis.GetShardIteratorInput{}, "\xa1\x69Timestamp\x41a", blob + "milliseconds since epoch"},
		{&kinesis.PutRecordsInput{}, "\xa1\x67Records\x41a", "Expected list or null"},
		{&kinesis.PutRecordsInput{}, "\xa1\x67Records\x81\x41a", "Expected null"},
		{&kinesis.CreateStreamInput{}, "\xa1\x64Tags\x41a", "Expected map or null"},
		// A string is no blob here, base64 or not.
		{&kinesis.PutRecordInput{}, "\xa1\x64Data\x64YQ==", "class java.lang.String can not be converted to a Blob"},
	} {
		err, ok := errors.AsType[*SerializationError](decodeAs(AsCBOR, []byte(tt.body), tt.in))
		if !ok || err.Message != tt.want {
			t.Errorf("%T %q: %v, want %s", tt.in, tt.body, err, tt.want)
		}
	}
}

func TestConversionsOfCBOR(t *testing.T) {
	for value, want := range map[string]int32{
		"\x07": 7, "\x26": -7, "\x1b\xff\xff\xff\xff\xff\xff\xff\xff": math.MaxInt32, "\x3b\xff\xff\xff\xff\xff\xff\xff\xff": math.MinInt32,
		"\xf9\x45\x80": 5, "\xfa\xc0\xb0\x00\x00": -6, "\xfb\x7e\x37\xe4\x3c\x88\x00\x75\x9c": math.MaxInt32,
		"\xf9\x7e\x00": 0, "\xf9\x7c\x00": math.MaxInt32, "\xf9\xfc\x00": math.MinInt32,
	} {
		for _, in := range []any{&kinesis.ListStreamsInput{}, &kinesis.GetRecordsInput{}} {
			if err := decodeAs(AsCBOR, []byte("\xa1\x65Limit"+value), in); err != nil {
				t.Fatal(err)
			}
			if got := reflect.ValueOf(in).Elem().FieldByName("Limit").Elem().Int(); got != int64(want) {
				t.Errorf("%T %x became %d, want %d", in, value, got, want)
			}
		}
	}
	if got := clamp(math.NaN(), math.MinInt64, math.MaxInt64); got != 0 {
		t.Errorf("what is not a number became %d", got)
	}
	// 946684800123 ms in every form that a client was seen to send.
	at := time.UnixMilli(946684800123).UTC()
	for value, want := range map[string]time.Time{
		"\x1b\x00\x00\x00\xdc\x6a\xcf\xac\x7b": at, "\xc1\x1b\x00\x00\x00\xdc\x6a\xcf\xac\x7b": at,
		"\xfb\x42\x6b\x8d\x59\xf5\x8f\x60\x00": at, "\xc1\xfb\x42\x6b\x8d\x59\xf5\x8f\x60\x00": at,
		"\x39\x05\xdb": time.UnixMilli(-1500).UTC(), "\xf9\x7e\x00": time.UnixMilli(0).UTC(), "\xf9\x7c\x00": time.Unix(maxTimestamp, 0).UTC(),
		"\x3b\xff\xff\xff\xff\xff\xff\xff\xff": time.Unix(-maxTimestamp, 0).UTC(),
	} {
		var in kinesis.GetShardIteratorInput
		if err := decodeAs(AsCBOR, []byte("\xa1\x69Timestamp"+value), &in); err != nil || !in.Timestamp.Equal(want) {
			t.Errorf("%x became %v, %v, want %v", value, in.Timestamp, err, want)
		}
	}
}

// A string in pieces, as the SDK for Java writes long ones, is that string.
func TestStringsOfCBORInPieces(t *testing.T) {
	var policy kinesis.PutResourcePolicyInput
	if err := decodeAs(AsCBOR, []byte("\xa1\x66Policy\x7f\x62{\xc3\x60\x62\xa9}\xff"), &policy); err != nil || *policy.Policy != "{é}" {
		t.Errorf("%+v, %v", policy, err)
	}
	var put kinesis.PutRecordInput
	body := "\xa3\x7f\x69Partition\x63Key\xff\x7f\x61k\xff\x64Data\x5f\x41a\x42bc\xff\x61X\x7f\x61a\xff"
	if err := decodeAs(AsCBOR, []byte(body), &put); err != nil || *put.PartitionKey != "k" || string(put.Data) != "abc" {
		t.Errorf("%+v, %v", put, err)
	}
}

// Lengths or none, null or undefined: it is the same request. Blobs are not
// copied.
func TestFormsOfCBOR(t *testing.T) {
	want := kinesis.PutRecordsInput{StreamName: aws.String("s"), Records: []types.PutRecordsRequestEntry{
		{Data: []byte("ab"), PartitionKey: aws.String("k")}, {Data: []byte{}}}}
	for name, body := range map[string]string{
		"with lengths": "\xa3\x67Records\x82\xa2\x64Data\x42ab\x6cPartitionKey\x61k\xa1\x64Data\x40\x6aStreamName\x61s\x69StreamARN\xf6",
		"open":         "\xbf\x6aStreamName\x61s\x67Records\x9f\xbf\x6cPartitionKey\x61k\x64Data\x42ab\xff\xbf\x64Data\x40\x6cPartitionKey\xf7\xff\xff\x69StreamARN\xf7\xff",
		"with lengths longer than need be": "\xb9\x00\x02\x78\x07Records\x9a\x00\x00\x00\x02\xb8\x02\x64Data\x5b\x00\x00\x00\x00\x00\x00\x00\x02ab\x6cPartitionKey\x79\x00\x01k" +
			"\xa1\x64Data\x58\x00\x6aStreamName\x61s",
	} {
		b := &Buffers{Body: []byte(body)}
		var d Decoder
		var in kinesis.PutRecordsInput
		if err := d.Decode(AsCBOR, b, &in); err != nil || !reflect.DeepEqual(in, want) {
			t.Fatalf("%s: %+v, %v", name, in, err)
		}
		data := in.Records[0].Data
		b.Body[strings.Index(body, "ab")] = 'x'
		if string(data) != "xb" || cap(data) != 2 {
			t.Errorf("%s: the blob was copied, or has room for %d", name, cap(data))
		}
	}
}
