package awscbor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shardrun/shardrun/internal/cbor"
)

// testPage is a page whose records are not alike.
func testPage(records int) *kinesis.GetRecordsOutput {
	out := &kinesis.GetRecordsOutput{Records: []types.Record{}, MillisBehindLatest: aws.Int64(7), NextShardIterator: aws.String("next")}
	for i := range records {
		r := types.Record{
			Data:         bytes.Repeat([]byte{byte(i)}, i*7919%500),
			PartitionKey: aws.String(strings.Repeat("k", i*31%40)), SequenceNumber: aws.String(strings.Repeat("1", 1+i%56)),
		}
		if i%3 > 0 {
			r.ApproximateArrivalTimestamp = aws.Time(time.UnixMilli(1400000000000 + int64(i)).UTC())
		}
		if i%13 == 12 {
			r.PartitionKey = nil
		}
		r.EncryptionType = []types.EncryptionType{"", types.EncryptionTypeKms, types.EncryptionTypeNone, "LATER"}[i%4]
		out.Records = append(out.Records, r)
	}
	return out
}

// By hand or by the schema, a page is the same.
func TestAPageReadByHandIsThePage(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 17, 1000} {
		want := testPage(n)
		plain := cborOf(want)
		for name, f := range forms {
			r := cbor.NewReader(plain)
			body := f.rewrite(t, &r, nil)
			for _, p := range []*Protocol{newProtocol(nil), {}} { // the second knows no shape
				var got kinesis.GetRecordsOutput
				if err := p.decode(body, &got); err != nil {
					t.Fatalf("%d records, %s: %v", n, name, err)
				}
				if !reflect.DeepEqual(&got, want) {
					t.Errorf("%d records, %s: %+v", n, name, got)
				}
				var event types.SubscribeToShardEvent
				if err := p.decode(body, &event); err != nil || !reflect.DeepEqual(event.Records, want.Records) || *event.MillisBehindLatest != 7 {
					t.Errorf("%d records, %s, as an event: %+v, %v", n, name, event, err)
				}
			}
		}
	}
}

func TestResultsReadByHandAreTheResults(t *testing.T) {
	for _, n := range []int{0, 1, 2, 500} {
		want := &kinesis.PutRecordsOutput{FailedRecordCount: aws.Int32(3), EncryptionType: types.EncryptionTypeKms, Records: []types.PutRecordsResultEntry{}}
		for i := range n {
			e := types.PutRecordsResultEntry{SequenceNumber: aws.String(strings.Repeat("2", i%56)), ShardId: aws.String("shardId-000000000000")}
			if i%7 == 6 {
				e = types.PutRecordsResultEntry{ErrorCode: aws.String("InternalFailure"), ErrorMessage: aws.String(strings.Repeat("m", i))}
			}
			if i%11 == 10 {
				e = *filled(reflect.TypeFor[types.PutRecordsResultEntry]()).(*types.PutRecordsResultEntry)
			}
			want.Records = append(want.Records, e)
		}
		plain := cborOf(want)
		for name, f := range forms {
			r := cbor.NewReader(plain)
			body := f.rewrite(t, &r, nil)
			for _, p := range []*Protocol{newProtocol(nil), {}} {
				var got kinesis.PutRecordsOutput
				if err := p.decode(body, &got); err != nil || !reflect.DeepEqual(&got, want) {
					t.Errorf("%d results, %s: %+v, %v", n, name, got, err)
				}
			}
		}
	}
}

// Data is a part of the answer, so nothing is copied; keys and numbers are not,
// so that a checkpoint does not hold on to a page.
func TestDataIsAPartOfTheAnswerAndKeysAreNot(t *testing.T) {
	body := cborOf(testPage(50))
	var out kinesis.GetRecordsOutput
	if err := newProtocol(nil).decode(body, &out); err != nil {
		t.Fatal(err)
	}
	want := testPage(50).Records
	inside := func(p *byte) bool {
		at := uintptr(unsafe.Pointer(p))
		return at >= uintptr(unsafe.Pointer(&body[0])) && at <= uintptr(unsafe.Pointer(&body[len(body)-1]))
	}
	for i, r := range out.Records {
		if len(r.Data) > 0 && !inside(&r.Data[0]) {
			t.Errorf("the data of record %d was copied", i)
		}
		if cap(r.Data) > len(r.Data) {
			t.Errorf("appending to the data of record %d would write into the next", i)
		}
		if inside(unsafe.StringData(*r.SequenceNumber)) || aws.ToString(r.PartitionKey) != "" && inside(unsafe.StringData(*r.PartitionKey)) {
			t.Errorf("the key or number of record %d is a part of the answer", i)
		}
	}
	clear(body)
	for i, r := range out.Records {
		if aws.ToString(r.PartitionKey) != aws.ToString(want[i].PartitionKey) || *r.SequenceNumber != *want[i].SequenceNumber {
			t.Fatalf("record %d: %s", i, *r.SequenceNumber)
		}
	}
}

// A message that ends early is an error, wherever it ends.
func TestAnAnswerThatIsCutOffIsAnError(t *testing.T) {
	outputs := []smithy.Serializable{testPage(3)}
	for _, op := range operations(t) {
		if op.name != "SubscribeToShard" && !isVoidOutput(op) {
			outputs = append(outputs, filled(op.out).(smithy.Serializable))
		}
	}
	for _, want := range outputs {
		plain := cborOf(want)
		for name, f := range forms {
			r := cbor.NewReader(plain)
			body := f.rewrite(t, &r, nil)
			for n := range body {
				out := reflect.New(reflect.TypeOf(want).Elem()).Interface().(smithy.Deserializable)
				if newProtocol(nil).decode(body[:n:n], out) == nil {
					t.Fatalf("%T, %s: %d of %d bytes were taken for the whole", want, name, n, len(body))
				}
			}
			out := reflect.New(reflect.TypeOf(want).Elem()).Interface().(smithy.Deserializable)
			if newProtocol(nil).decode(append(body, 0), out) == nil {
				t.Errorf("%T, %s: something behind the answer was overlooked", want, name)
			}
		}
	}
}

// getFrom makes a GetRecords that is answered with a status and a body.
func getFrom(status int, header http.Header, body []byte, options ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	client := newTestClient(httpFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
	}), append([]func(*kinesis.Options){Use, func(o *kinesis.Options) { o.RetryMaxAttempts = 1 }}, options...)...)
	return client.GetRecords(context.Background(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")})
}

func TestAnswersThatAreWrongAreErrors(t *testing.T) {
	record := func(members ...string) []byte {
		b := cbor.AppendText(cbor.AppendMap(nil, 1), "Records")
		b = cbor.AppendMap(cbor.AppendArray(b, 1), len(members))
		for _, m := range members {
			b = cbor.AppendText(cbor.AppendText(b, m), "x")
		}
		return b
	}
	for name, body := range map[string][]byte{
		"nothing":                       {},
		"a list":                        {0x80},
		"null":                          {0xf6},
		"a record without a number":     record("PartitionKey"),
		"a record of nothing":           record(),
		"data that is text":             record("PartitionKey", "SequenceNumber", "Data"),
		"a record that is null":         {0xa1, 0x67, 'R', 'e', 'c', 'o', 'r', 'd', 's', 0x81, 0xf6},
		"records that are a map":        {0xa1, 0x67, 'R', 'e', 'c', 'o', 'r', 'd', 's', 0xa0},
		"more records than are there":   append([]byte{0xa1, 0x67}, "Records\x9b\x00\x00\x00\xff\x00\x00\x00\x00"...),
		"two answers":                   {0xa0, 0xa0},
		"a page of a proxy":             []byte("<html>sign in first</html>"),
		"a break where a value belongs": {0xbf, 0x67, 'R', 'e', 'c', 'o', 'r', 'd', 's', 0xff},
	} {
		out, err := getFrom(http.StatusOK, http.Header{}, body)
		if _, ok := errors.AsType[*smithy.DeserializationError](err); !ok || out != nil {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	for name, entry := range map[string][]byte{
		"of nothing":   {0xa0},
		"of a shard":   append([]byte{0xa1, 0x67}, "ShardId\x61s"...),
		"that is null": {0xf6},
	} {
		var out kinesis.PutRecordsOutput
		if err := newProtocol(nil).decode(append([]byte{0xa1, 0x67, 'R', 'e', 'c', 'o', 'r', 'd', 's', 0x81}, entry...), &out); err == nil {
			t.Errorf("a result %s: %+v", name, out)
		}
	}
}

// The struct of an output is the same for all attempts of a call.
func TestAnAnswerThatFailedLeavesNothingForTheNextAttempt(t *testing.T) {
	bodies := [][]byte{append(cborOf(testPage(2)), 0), cborOf(&kinesis.GetRecordsOutput{NextShardIterator: aws.String("it")})}
	client := newTestClient(httpFunc(func(r *http.Request) (*http.Response, error) {
		body := bodies[0]
		bodies = bodies[1:]
		return respond(r, http.StatusOK, contentCBOR, body), nil
	}), Use, func(o *kinesis.Options) { o.Retryer = always{} })
	out, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")})
	if err != nil || len(bodies) != 0 {
		t.Fatal(err)
	}
	if out.Records != nil || out.MillisBehindLatest != nil || *out.NextShardIterator != "it" {
		t.Errorf("%+v", out)
	}
}

// always retries, at once.
type always struct{ aws.NopRetryer }

func (always) IsErrorRetryable(error) bool                  { return true }
func (always) MaxAttempts() int                             { return 3 }
func (always) RetryDelay(int, error) (time.Duration, error) { return 0, nil }
func (always) GetRetryToken(context.Context, error) (func(error) error, error) {
	return func(error) error { return nil }, nil
}

// A body may come without a length, in any pieces, or end before its length.
func TestBodiesOfAllKinds(t *testing.T) {
	page := testPage(100)
	body := cborOf(page)
	for name, tt := range map[string]struct {
		length int64
		body   io.Reader
		ok     bool
	}{
		"with a length":               {int64(len(body)), bytes.NewReader(body), true},
		"without a length":            {-1, bytes.NewReader(body), true},
		"without a length, by byte":   {-1, oneByte{bytes.NewReader(body)}, true},
		"with a length, by byte":      {int64(len(body)), oneByte{bytes.NewReader(body)}, true},
		"shorter than it says":        {int64(len(body)) + 1, bytes.NewReader(body), false},
		"much shorter than it says":   {1 << 40, bytes.NewReader(body), false},
		"that fails":                  {int64(len(body)), io.MultiReader(bytes.NewReader(body[:99]), broken{}), false},
		"that fails without a length": {-1, io.MultiReader(bytes.NewReader(body), broken{}), false},
	} {
		client := newTestClient(httpFunc(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(tt.body), ContentLength: tt.length, Request: r}, nil
		}), Use, func(o *kinesis.Options) { o.RetryMaxAttempts = 1 })
		out, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")})
		if tt.ok && (err != nil || !reflect.DeepEqual(out.Records, page.Records)) {
			t.Errorf("%s: %v", name, err)
		}
		if !tt.ok && err == nil {
			t.Errorf("%s: %d records", name, len(out.Records))
		}
	}
}

type oneByte struct{ io.Reader }

func (r oneByte) Read(p []byte) (int, error) { return r.Reader.Read(p[:1]) }

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the cable was pulled") }

// What has come of a body decides how much room is made for the rest.
func TestMemoryFollowsWhatHasCome(t *testing.T) {
	most := 0
	r := readerFunc(func(p []byte) (int, error) {
		most = max(most, len(p))
		return 0, io.EOF
	})
	if _, err := readSized(r, nil, 1<<50, 1<<20); err == nil || most > 1<<20 {
		t.Errorf("%d bytes of room before the first had come: %v", most, err)
	}
	data := bytes.Repeat([]byte("0123456789"), 300_000)
	got, err := readSized(oneByte{bytes.NewReader(data)}, []byte("0123456789")[:0], int64(len(data)), 1<<10)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d of %d bytes, %v", len(got), len(data), err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
