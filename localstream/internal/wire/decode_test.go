package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/wiretest"
)

func decode(body string, in any) error { return decodeAs(AsJSON, []byte(body), in) }

func decodeAs(e Encoding, body []byte, in any) error {
	var d Decoder
	return d.Decode(e, &Buffers{Body: body}, in)
}

// decodeBoth reads a JSON body, and the same in CBOR. Both have to give the
// same.
func decodeBoth(t *testing.T, body string, in any) error {
	t.Helper()
	other := reflect.New(reflect.TypeOf(in).Elem()).Interface()
	err := decode(body, in)
	otherErr := decodeAs(AsCBOR, toCBOR(t, in, body), other)
	if fmt.Sprint(err) != fmt.Sprint(otherErr) || err == nil && !reflect.DeepEqual(in, other) {
		t.Errorf("%s\nas JSON %+v, %v\nas CBOR %+v, %v", body, in, err, other, otherErr)
	}
	return err
}

const number = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to "

// The texts are what AWS answered, as recorded in kinesalite's tests.
func TestWrongTypes(t *testing.T) {
	const list, structure = "Start of list found where not expected", "Start of structure or map found where not expected."
	tests := []struct {
		in     any
		body   string // with a place for the value
		values map[string]string
	}{
		{&kinesis.ListStreamsInput{}, `{"ExclusiveStartStreamName":%s}`, map[string]string{
			"true": "class java.lang.Boolean can not be converted to an String",
			"23":   number + "an String", "-2147483648": number + "an String", "34.56": number + "an String", "[]": list, "{}": structure,
		}},
		{&kinesis.ListStreamsInput{}, `{"Limit":%s}`, map[string]string{
			`"23"`: "class java.lang.String can not be converted to an Integer", "true": "class java.lang.Boolean can not be converted to an Integer",
			"[]": list, "{}": structure,
		}},
		{&kinesis.GetRecordsInput{}, `{"Limit":%s}`, map[string]string{`"23"`: "class java.lang.String can not be converted to an Integer", "[]": list}},
		{&kinesis.GetRecordsInput{}, `{"ShardIterator":%s}`, map[string]string{"23": number + "an String"}},
		{&kinesis.DeleteStreamInput{}, `{"EnforceConsumerDeletion":%s}`, map[string]string{
			`"23"`: "'23' can not be converted to an Boolean", "23": number + "an Boolean", "[]": list, "{}": structure,
		}},
		{&kinesis.PutRecordInput{}, `{"Data":%s}`, map[string]string{
			"true": "class java.lang.Boolean can not be converted to a Blob", "23": number + "a Blob", "34.56": number + "a Blob",
			"[]": list, "{}": structure,
			`"23456"`: "'23456' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 5",
			`"=+/="`:  "'=+/=' can not be converted to a Blob: Invalid Base64 character: '='",
			`"+/+="`:  "'+/+=' can not be converted to a Blob: Invalid last non-pad Base64 character dectected",
			`"ab\nc"`: "'ab\nc' can not be converted to a Blob: Invalid Base64 character: '\n'",
		}},
		{&kinesis.PutRecordsInput{}, `{"Records":%s}`, map[string]string{
			`"23"`: "Expected list or null", "true": "Expected list or null", "23": "Expected list or null", "{}": structure,
		}},
		{&kinesis.PutRecordsInput{}, `{"Records":[%s]}`, map[string]string{
			`"23"`: "Expected null", "true": "Expected null", "34.56": "Expected null", "[]": list,
		}},
		{&kinesis.PutRecordsInput{}, `{"Records":[{"PartitionKey":%s}]}`, map[string]string{"23": number + "an String"}},
		{&kinesis.CreateStreamInput{}, `{"Tags":%s}`, map[string]string{`"23"`: "Expected map or null", "23": "Expected map or null", "[]": list}},
		{&kinesis.CreateStreamInput{}, `{"StreamModeDetails":%s}`, map[string]string{`"23"`: "Expected null", "[]": list}},
		{&kinesis.GetShardIteratorInput{}, `{"Timestamp":%s}`, map[string]string{
			`"23"`: "class java.lang.String can not be converted to milliseconds since epoch", "[]": list,
		}},
	}
	for _, tt := range tests {
		for value, want := range tt.values {
			body := strings.Replace(tt.body, "%s", value, 1)
			read := func(in any) error { return decodeBoth(t, body, in) }
			if strings.HasPrefix(want, "'") && strings.Contains(want, "Blob") { // base64 is of JSON alone
				read = func(in any) error { return decode(body, in) }
			}
			err, ok := errors.AsType[*SerializationError](read(reflect.New(reflect.TypeOf(tt.in).Elem()).Interface()))
			if !ok || err.Message != want {
				t.Errorf("%T %s: %v, want %s", tt.in, body, err, want)
			}
		}
	}
}

// A body that is not JSON has no message, wherever it goes wrong.
func TestNotJSON(t *testing.T) {
	for _, body := range []string{
		"", "hello", "{", `{"StreamName":"a"`, `{"StreamName":"a"}x`, `{"StreamName":"a",}`, `{"StreamName" "a"}`, `{StreamName:1}`,
		`{"StreamName":"\x"}`, `{"StreamName":"\u12"}`, `{"X":01}`, `{"X":1.}`, `{"X":1e}`, `{"X":-}`, `{"X":[1,]}`, `{"X":[1 2]}`, `{"X":tru}`,
		"{\"StreamName\":\"\xff\"}", `{"StreamName":5,`, `{"Records":[{"Data":5}],"StreamName":}`, strings.Repeat("[", 100000), strings.Repeat(`{"a":`, 100000),
	} {
		for _, in := range []any{&kinesis.DescribeStreamInput{}, &kinesis.PutRecordsInput{}, &kinesis.PutRecordInput{}} {
			err, ok := errors.AsType[*SerializationError](decode(body, in))
			if !ok || err.Message != "" {
				t.Errorf("%T %.40q: %v, want an error without a message", in, body, err)
			}
		}
	}
}

func TestConversions(t *testing.T) {
	for value, want := range map[string]int32{
		"7": 7, "7.9": 7, "-7.1": -8, "1e2": 100, "100000000000": math.MaxInt32, "-1e300": math.MinInt32, "9e999": math.MaxInt32, "-0": 0,
	} {
		for _, in := range []any{&kinesis.ListStreamsInput{}, &kinesis.GetRecordsInput{}} {
			if err := decodeBoth(t, `{"Limit":`+value+`}`, in); err != nil {
				t.Fatal(err)
			}
			if got := reflect.ValueOf(in).Elem().FieldByName("Limit").Elem().Int(); got != int64(want) {
				t.Errorf("%T %s became %d, want %d", in, value, got, want)
			}
		}
	}
	for value, want := range map[string]bool{`"true"`: true, `"Yes"`: true, `"1"`: true, `"no"`: false, `"0"`: false, "false": false} {
		var in kinesis.DeleteStreamInput
		if err := decodeBoth(t, `{"EnforceConsumerDeletion":`+value+`}`, &in); err != nil || *in.EnforceConsumerDeletion != want {
			t.Errorf("%s: %v, %v", value, in.EnforceConsumerDeletion, err)
		}
	}
	for value, want := range map[string]time.Time{
		"946684800": time.Unix(946684800, 0), "946684800.123": time.UnixMilli(946684800123), "9.46684800123E8": time.UnixMilli(946684800123),
		"-1.5": time.UnixMilli(-1500), "1e300": time.Unix(maxTimestamp, 0),
	} {
		var in kinesis.GetShardIteratorInput
		if err := decodeBoth(t, `{"Timestamp":`+value+`}`, &in); err != nil || !in.Timestamp.Equal(want) {
			t.Errorf("%s became %v, %v, want %v", value, in.Timestamp, err, want)
		}
	}
}

func TestStrings(t *testing.T) {
	for body, want := range map[string]string{
		`"a\"b\\c\/d\b\f\n\r\t"`: "a\"b\\c/d\b\f\n\r\t", `"\u0041\u00e9\u20ac"`: "Aé€", `"\ud83d\ude00"`: "😀", `"\ud83d"`: "\ufffd",
		`"\ud83dx"`: "\ufffdx", `"\ud83d\u0041"`: "\ufffdA", `"😀"`: "😀", `"\\"`: `\`, `"\\\""`: `\"`, `""`: "",
	} {
		for _, in := range []any{&kinesis.DescribeStreamInput{}, &kinesis.PutRecordInput{}} {
			if err := decodeBoth(t, `{ "StreamName" : `+body+"\n}", in); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			if got := reflect.ValueOf(in).Elem().FieldByName("StreamName").Elem().String(); got != want {
				t.Errorf("%T %s became %q, want %q", in, body, got, want)
			}
		}
	}
}

func TestUnknownAndNullMembersAreIgnored(t *testing.T) {
	body := `{"X":{"a":[1,"b",null,true,{"c":-1.5e3}]},"streamname":"wrong case","StreamName":null,"Records":[{"Data":"YQ==","Y":[],"PartitionKey":null}],"StreamARN":"x"}`
	var in kinesis.PutRecordsInput
	if err := decodeBoth(t, body, &in); err != nil {
		t.Fatal(err)
	}
	want := kinesis.PutRecordsInput{StreamARN: aws.String("x"), Records: []types.PutRecordsRequestEntry{{Data: []byte("a")}}}
	if !reflect.DeepEqual(in, want) {
		t.Errorf("got %+v", in)
	}
}

// Of members of the same name the last counts, and nothing is left of those
// before it.
func TestTheLastMemberOfANameCounts(t *testing.T) {
	var stream kinesis.CreateStreamInput
	if err := decodeBoth(t, `{"Tags":{"a":"1","b":"2"},"ShardCount":1,"StreamModeDetails":{"StreamMode":"ON_DEMAND"},"Tags":{"b":"3"},"ShardCount":2,"StreamModeDetails":{}}`, &stream); err != nil {
		t.Fatal(err)
	}
	if want := (kinesis.CreateStreamInput{Tags: map[string]string{"b": "3"}, ShardCount: aws.Int32(2), StreamModeDetails: &types.StreamModeDetails{}}); !reflect.DeepEqual(stream, want) {
		t.Errorf("got %+v", stream)
	}
	var keys kinesis.UntagResourceInput
	if err := decodeBoth(t, `{"TagKeys":["a","b","c"],"TagKeys":[null,"d"]}`, &keys); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(keys.TagKeys, []string{"", "d"}) {
		t.Errorf("got %q", keys.TagKeys)
	}
}

// A wrong value is repeated in the error up to a length.
func TestWrongValuesAreCutOff(t *testing.T) {
	long := strings.Repeat("x", maxEcho+1)
	for body, in := range map[string]any{
		`{"Data":"` + long + `"}`:                    &kinesis.PutRecordInput{},
		`{"EnforceConsumerDeletion":"` + long + `"}`: &kinesis.DeleteStreamInput{},
	} {
		err := decode(body, in)
		if err == nil || len(err.Error()) > maxEcho+200 || !strings.Contains(strings.ToLower(err.Error()), long[1:]+"...'") {
			t.Errorf("%T: %.100s", in, err)
		}
	}
}

// Buffers that are used again must not mix up requests.
func TestBuffersAreReusable(t *testing.T) {
	var d Decoder
	b := &Buffers{}
	for i := range 10 {
		data := bytes.Repeat([]byte{byte('a' + i)}, 1000-100*i)
		want := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
		for j := range 1 + i {
			want.Records = append(want.Records, types.PutRecordsRequestEntry{Data: data[j:], PartitionKey: aws.String(fmt.Sprint(j))})
		}
		e := Encoding(i % 2)
		b.Body = e.AppendShape(b.Body[:0], want)
		var got kinesis.PutRecordsInput
		if err := d.Decode(e, b, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(&got, want) {
			t.Fatalf("round %d: got %+v", i, got)
		}
	}
}

// hostile are bodies that try to make the decoder allocate far more than their
// size.
func hostile(size int) map[string]string {
	return map[string]string{
		"empty records":         `{"Records":[` + strings.Repeat("{},", size/3) + `{}]}`,
		"null records":          `{"Records":[` + strings.Repeat("null,", size/5) + `{}]}`,
		"empty blobs":           `{"Records":[` + strings.Repeat(`{"Data":""},`, size/12) + `{}]}`,
		"records again":         `{` + strings.Repeat(`"Records":[{},{},{}],`, size/21) + `"X":1}`,
		"long records again":    `{` + strings.Repeat(`"Records":[`+strings.Repeat("{},", 499)+`{}],`, size/1511) + `"X":1}`,
		"unknown members":       `{` + strings.Repeat(`"a":1,`, size/6) + `"X":1}`,
		"short names":           `{` + strings.Repeat(`"":[],`, size/6) + `"X":1}`,
		"the same member":       `{` + strings.Repeat(`"StreamName":"a",`, size/17) + `"X":1}`,
		"tags":                  `{"Tags":{` + strings.Repeat(`"a":"",`, size/7) + `"b":""}}`,
		"keys":                  `{"TagKeys":[` + strings.Repeat(`"",`, size/3) + `""]}`,
		"escapes":               `{"StreamName":"` + strings.Repeat(`\n`, size/2) + `"}`,
		"tags again":            `{` + strings.Repeat(`"Tags":{"":""},`, size/15) + `"X":1}`,
		"tag keys again":        `{` + strings.Repeat(`"TagKeys":[`+strings.Repeat(`"",`, 499)+`""],`, size/1511) + `"X":1}`,
		"structures again":      `{` + strings.Repeat(`"StreamConfigurationList":[`+strings.Repeat(`{},`, 499)+`{}],`, size/1527) + `"X":1}`,
		"short lists again":     `{"StreamConfigurationList":[` + strings.Repeat(`{},`, 499) + `{}]` + strings.Repeat(`,"StreamConfigurationList":[{}]`, size/31) + `}`,
		"pointers again":        `{` + strings.Repeat(`"StreamModeDetails":{},`, size/23) + `"X":1}`,
		"a wrong blob":          `{"Data":"` + strings.Repeat("<", size) + `"}`,
		"one huge unknown list": `{"X":[` + strings.Repeat("1,", size/2) + `1]}`,
	}
}

// What a request makes the decoder allocate is bounded by its size.
func TestAllocationIsBounded(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates as well")
	}
	const size = 1 << 20
	bodies := hostileCBOR(size)
	for name, body := range hostile(size) {
		bodies[name] = toCBOR(t, &kinesis.PutRecordsInput{}, body)
		t.Run("JSON/"+name, func(t *testing.T) { bounded(t, AsJSON, []byte(body)) })
	}
	for name, body := range bodies {
		t.Run("CBOR/"+name, func(t *testing.T) { bounded(t, AsCBOR, body) })
	}
}

// toCBOR is a JSON body in CBOR.
func toCBOR(t testing.TB, in any, body string) []byte {
	t.Helper()
	binary, err := wiretest.CBOR(reflect.TypeOf(in).Elem(), []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

func bounded(t *testing.T, e Encoding, body []byte) {
	t.Helper()
	for _, in := range []any{&kinesis.PutRecordsInput{}, &kinesis.PutRecordInput{}, &kinesis.CreateStreamInput{}, &kinesis.UntagResourceInput{}, &kinesis.CreateChannelInput{}} {
		b := &Buffers{Body: body}
		var d Decoder
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_ = d.Decode(e, b, in) // whether it is accepted does not matter
		runtime.ReadMemStats(&after)
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(16*len(body)+1<<20); got > most {
			t.Errorf("%T: %d bytes allocated for a body of %d", in, got, len(body))
		}
	}
}
