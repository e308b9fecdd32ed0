package awscbor

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/cbor"
)

// The bytes of a request, by hand: definite lengths, the members in the order of
// the SDK, data as it is.
func TestTheBytesOfAPutRecords(t *testing.T) {
	const want = "a3" + // a map of three
		"66" + "447279" + "52756e" + "f5" + // "DryRun": true
		"67" + "5265636f726473" + "82" + // "Records": two
		"a3" + "64" + "44617461" + "43" + "00ff10" + // "Data"
		"6f" + "4578706c69636974486173684b6579" + "61" + "37" + // "ExplicitHashKey": "7"
		"6c" + "506172746974696f6e4b6579" + "61" + "6b" + // "PartitionKey": "k"
		"a2" + "64" + "44617461" + "40" + // no data is data
		"6c" + "506172746974696f6e4b6579" + "63" + "e282ac" + // "€"
		"6a" + "53747265616d4e616d65" + "61" + "73" // "StreamName": "s"
	got := newProtocol(nil).encode(&kinesis.PutRecordsInput{
		StreamName: aws.String("s"), DryRun: aws.Bool(true),
		Records: []types.PutRecordsRequestEntry{
			{Data: []byte{0, 255, 16}, ExplicitHashKey: aws.String("7"), PartitionKey: aws.String("k")},
			{Data: []byte{}, PartitionKey: aws.String("€")},
		},
	}).data
	if hex.EncodeToString(got) != want {
		t.Errorf("%x\nwant\n%s", got, want)
	}
}

// A key that is no UTF-8 is the same key in both encodings, or it would be in
// another shard.
func TestAKeyThatIsNoTextIsReplacedAsInJSON(t *testing.T) {
	key := "a\xff\xfeb\xe2\x82"
	r := cbor.NewReader(newProtocol(nil).encode(&kinesis.PutRecordInput{PartitionKey: &key}).data)
	got := values(t, &r).(map[string]any)["PartitionKey"]
	if want := "a\ufffd\ufffdb\ufffd\ufffd"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if js := jsonOf(t, &kinesis.PutRecordInput{PartitionKey: &key}); !strings.Contains(string(js), "a\ufffd\ufffdb\ufffd\ufffd") {
		t.Errorf("the SDK's JSON has %s", js)
	}
}

// What was written for a request never has to be moved.
func TestTheRoomOfARequestIsEnough(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	records := []types.PutRecordsRequestEntry{{Data: []byte(long), PartitionKey: &long, ExplicitHashKey: &long}, {Data: []byte{1}, PartitionKey: aws.String("")}}
	many := make([]types.PutRecordsRequestEntry, 2)
	for i := range many {
		many[i] = types.PutRecordsRequestEntry{Data: []byte{}, PartitionKey: aws.String(""), ExplicitHashKey: aws.String("")}
	}
	for range 6 {
		many = append(many, many...)
	}
	for _, in := range []*kinesis.PutRecordsInput{
		{}, {Records: records}, {Records: many}, {StreamName: &long, StreamARN: &long, StreamId: &long, DryRun: aws.Bool(true), Records: records},
	} {
		if got, room := len(appendPutRecords(nil, in)), sizePutRecords(in); got > room || room > got+1000+sizeEntry*len(in.Records) {
			t.Errorf("%d bytes in room for %d", got, room)
		}
	}
	in := filled(reflect.TypeFor[kinesis.PutRecordInput]()).(*kinesis.PutRecordInput)
	in.Data = []byte(long)
	if got, room := len(appendPutRecord(nil, in)), sizePutRecord(in); got > room || room > got+1000 {
		t.Errorf("%d bytes in room for %d", got, room)
	}
}

// httpFunc is an HTTP client.
type httpFunc func(*http.Request) (*http.Response, error)

func (f httpFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

func respond(r *http.Request, status int, content string, body []byte) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{headerContentType: {content}}, Request: r,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

func putOf(size int, fill byte) *kinesis.PutRecordsInput {
	return &kinesis.PutRecordsInput{StreamName: aws.String("s"), Records: []types.PutRecordsRequestEntry{
		{Data: bytes.Repeat([]byte{fill}, size), PartitionKey: aws.String("k")},
	}}
}

func dataOf(t *testing.T, body []byte) []byte {
	t.Helper()
	_, rest, _ := bytes.Cut(body, []byte("Data"))
	r := cbor.NewReader(rest)
	data, err := r.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var putAnswer = cborOf(&kinesis.PutRecordsOutput{FailedRecordCount: aws.Int32(0), Records: []types.PutRecordsResultEntry{
	{SequenceNumber: aws.String("49"), ShardId: aws.String("shardId-000000000000")},
}})

// A transport that fails may have read half of a body; the next attempt sends
// all of it, though another request was written meanwhile.
func TestARetrySendsTheWholeRequestAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 3 * leastPooled
		var inner *kinesis.Client
		attempts := 0
		client := newTestClient(httpFunc(func(r *http.Request) (*http.Response, error) {
			attempts++
			if attempts == 1 {
				if _, err := io.CopyN(io.Discard, r.Body, size/2); err != nil {
					t.Error(err)
				}
				return nil, &netError{}
			}
			if _, err := inner.PutRecords(context.Background(), putOf(size, 'b')); err != nil {
				t.Error(err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			if got := dataOf(t, body); !bytes.Equal(got, bytes.Repeat([]byte{'a'}, size)) {
				t.Errorf("attempt %d sent %d bytes of data", attempts, len(got))
			}
			if attempts == 2 {
				return respond(r, http.StatusServiceUnavailable, "", nil), nil
			}
			return respond(r, http.StatusOK, contentCBOR, putAnswer), nil
		}), Use)
		inner = newTestClient(canned(putAnswer), func(o *kinesis.Options) { // with the same buffers
			o.Protocol, o.APIOptions = client.Options().Protocol, client.Options().APIOptions
		})
		if _, err := client.PutRecords(t.Context(), putOf(size, 'a')); err != nil {
			t.Fatal(err)
		}
		if attempts != 3 {
			t.Errorf("%d attempts", attempts)
		}
	})
}

type netError struct{}

func (*netError) Error() string   { return "connection reset by peer" }
func (*netError) Timeout() bool   { return false }
func (*netError) Temporary() bool { return true }

// Whoever holds on to a body reads nothing of the request that has its memory
// now.
func TestABodyGivesNothingOnceItsCallHasReturned(t *testing.T) {
	p := newProtocol(nil)
	body := p.encode(putOf(2*leastPooled, 'a'))
	half := make([]byte, leastPooled)
	if _, err := io.ReadFull(body, half); err != nil {
		t.Fatal(err)
	}
	body.release()
	body.release() // again has no effect
	other, third := p.encode(putOf(2*leastPooled, 'b')), p.encode(putOf(2*leastPooled, 'c'))
	if &other.data[0] == &third.data[0] {
		t.Error("two requests share a buffer")
	}
	if n, err := body.Read(half); n != 0 || !errors.Is(err, errReleased) {
		t.Errorf("read %d, %v", n, err)
	}
	if n, err := body.WriteTo(io.Discard); n != 0 || !errors.Is(err, errReleased) {
		t.Errorf("wrote %d, %v", n, err)
	}
	if n := body.Len(); n != 0 {
		t.Errorf("%d left", n)
	}
	if got, err := io.ReadAll(other); err != nil || !bytes.Equal(dataOf(t, got), bytes.Repeat([]byte{'b'}, 2*leastPooled)) {
		t.Errorf("the other request is %d bytes, %v", len(got), err)
	}
}

// A writer that is still at it keeps its memory to itself.
func TestABufferThatIsBeingWrittenFromIsNotUsedAgain(t *testing.T) {
	p := newProtocol(nil)
	body := p.encode(putOf(2*leastPooled, 'a'))
	want := bytes.Clone(body.data)
	var got []byte
	if _, err := body.WriteTo(writerFunc(func(b []byte) (int, error) {
		body.release()
		for range 4 { // pools give back at random under -race
			p.encode(putOf(2*leastPooled, 'b')).release()
		}
		got = bytes.Clone(b)
		return len(b), nil
	})); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the buffer was written to while it was read")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestABodyIsAReaderThatSeeks(t *testing.T) {
	b := &requestBody{data: []byte("0123456789")}
	for _, s := range []struct {
		offset int64
		whence int
		at     int64
		rest   string
	}{
		{0, io.SeekStart, 0, "0123456789"}, {0, io.SeekCurrent, 10, ""}, {-4, io.SeekEnd, 6, "6789"},
		{3, io.SeekStart, 3, "3456789"}, {-1, io.SeekCurrent, 9, "9"}, {5, io.SeekEnd, 15, ""},
	} {
		at, err := b.Seek(s.offset, s.whence)
		if err != nil || at != s.at || b.Len() != len(s.rest) {
			t.Errorf("seek %d, %d: at %d with %d left, %v", s.offset, s.whence, at, b.Len(), err)
		}
		if rest, err := io.ReadAll(struct{ io.Reader }{b}); err != nil || string(rest) != s.rest {
			t.Errorf("seek %d, %d: %q, %v", s.offset, s.whence, rest, err)
		}
	}
	if _, err := b.Seek(-1, io.SeekStart); err == nil {
		t.Error("there is something before the start")
	}
	var to bytes.Buffer
	if _, err := b.Seek(4, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if n, err := b.WriteTo(&to); n != 6 || err != nil || to.String() != "456789" || b.Len() != 0 {
		t.Errorf("wrote %d: %q, %v", n, to.String(), err)
	}
}

// Callers of one client share its buffers and nothing else.
func TestCallersDoNotSeeEachOthersRecords(t *testing.T) {
	client := newTestClient(httpFunc(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(r.Header.Get(headerTarget), "GetRecords") {
			_, rest, _ := bytes.Cut(body, []byte("ShardIterator"))
			it := cbor.NewReader(rest)
			name, err := it.Text()
			return respond(r, http.StatusOK, contentCBOR, cborOf(&kinesis.GetRecordsOutput{Records: []types.Record{
				{Data: bytes.Repeat(name, 9000), PartitionKey: aws.String(string(name)), SequenceNumber: aws.String(string(name))},
			}})), err
		}
		data := dataOf(t, body)
		if len(bytes.Trim(data, string(data[:1]))) > 0 {
			t.Error("a request has data of two callers")
		}
		return respond(r, http.StatusOK, contentCBOR, cborOf(&kinesis.PutRecordsOutput{Records: []types.PutRecordsResultEntry{
			{SequenceNumber: aws.String(string(data[:1])), ShardId: aws.String(strings.Repeat(string(data[:1]), 30))},
		}})), nil
	}), Use)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			me := string(rune('a' + i))
			var numbers []*string
			var pages [][]byte
			for n := range 20 {
				out, err := client.PutRecords(t.Context(), putOf(leastPooled+n*1000, me[0]))
				if err != nil {
					t.Error(err)
					return
				}
				page, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &me})
				if err != nil {
					t.Error(err)
					return
				}
				numbers = append(numbers, out.Records[0].SequenceNumber, page.Records[0].PartitionKey)
				pages = append(pages, page.Records[0].Data)
			}
			for _, n := range numbers {
				if *n != me {
					t.Errorf("%s has an answer of %s", me, *n)
				}
			}
			for _, p := range pages {
				if string(p) != strings.Repeat(me, 9000) {
					t.Errorf("%s has data of another", me)
				}
			}
		})
	}
	wg.Wait()
}
