package awscbor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/eventstream"
)

// event is a message of a stream, with headers in pairs.
func event(payload []byte, headers ...string) []byte {
	m := eventstream.Message{Payload: payload}
	m.Headers.Set(":flag", eventstream.BoolValue(true)) // of other types: to be stepped over
	m.Headers.Set(":count", eventstream.Int64Value(7))
	m.Headers.Set(":bytes", eventstream.BytesValue("bytes"))
	for i := 0; i < len(headers); i += 2 {
		m.Headers.Set(headers[i], eventstream.StringValue(headers[i+1]))
	}
	var b bytes.Buffer
	if err := eventstream.NewEncoder().Encode(&b, m); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func records(payload []byte) []byte {
	return event(payload, ":message-type", "event", ":event-type", "SubscribeToShardEvent")
}

func exception(kind string, payload []byte) []byte {
	return event(payload, ":message-type", "exception", ":exception-type", kind)
}

var begin = event([]byte{0xa0}, ":message-type", "event", ":event-type", "initial-response")

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

// subscribe reads a stream to its end.
func subscribe(t *testing.T, client *kinesis.Client) ([]types.SubscribeToShardEventStream, error) {
	t.Helper()
	out, err := client.SubscribeToShard(t.Context(), &kinesis.SubscribeToShardInput{
		ConsumerARN: aws.String("arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:1"), ShardId: aws.String("shardId-000000000000"),
		StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon},
	})
	if err != nil {
		return nil, err
	}
	stream := out.GetStream()
	defer stream.Close()
	var all []types.SubscribeToShardEventStream
	for e := range stream.Events() {
		all = append(all, e)
	}
	return all, stream.Err()
}

func streamOf(body []byte, options ...func(*kinesis.Options)) *kinesis.Client {
	return newTestClient(httpFunc(func(r *http.Request) (*http.Response, error) {
		return respond(r, http.StatusOK, "application/vnd.amazon.eventstream", body), nil
	}), append([]func(*kinesis.Options){Use}, options...)...)
}

// Events are the same in both encodings, and a stream may have either.
func TestEventsOfSubscribeToShard(t *testing.T) {
	first := &types.SubscribeToShardEvent{ContinuationSequenceNumber: aws.String("17"), MillisBehindLatest: aws.Int64(9), Records: testPage(20).Records}
	last := filled(reflect.TypeFor[types.SubscribeToShardEvent]()).(*types.SubscribeToShardEvent)
	last.ContinuationSequenceNumber = nil // the shard has ended
	want := []types.SubscribeToShardEventStream{
		&types.SubscribeToShardEventStreamMemberSubscribeToShardEvent{Value: *first},
		&types.SubscribeToShardEventStreamMemberSubscribeToShardEvent{Value: *last},
	}
	beginJSON := event([]byte("{}"), ":message-type", "event", ":event-type", "initial-response", ":content-type", "application/x-amz-json-1.1")
	for name, body := range map[string][]byte{
		"in CBOR":             join(begin, records(cborOf(first)), records(cborOf(last))),
		"in JSON":             join(beginJSON, records(jsonOf(t, first)), records(jsonOf(t, last))),
		"with an empty start": join(event(nil, ":message-type", "event", ":event-type", "initial-response"), records(cborOf(first)), records(cborOf(last))),
		"in both, one by one": join(begin, records(jsonOf(t, first)), records(cborOf(last))),
	} {
		got, err := subscribe(t, streamOf(body))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n%+v\nwant\n%+v", name, err, got, want)
		}
	}
	fromSDK, err := subscribe(t, newTestClient(canned(join(beginJSON, records(jsonOf(t, first)), records(jsonOf(t, last))))))
	if err != nil || !reflect.DeepEqual(fromSDK, want) {
		t.Errorf("the SDK reads %+v, %v", fromSDK, err)
	}
}

func TestAnEventOfALaterAPI(t *testing.T) {
	later := event([]byte{0xa0}, ":message-type", "event", ":event-type", "Heartbeat")
	got, err := subscribe(t, streamOf(join(begin, later)))
	want := []types.SubscribeToShardEventStream{&types.UnknownUnionMember{Tag: "Heartbeat", Value: later}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

// An error may end a stream, or be all of it.
func TestErrorsInAStream(t *testing.T) {
	for name, tt := range map[string]struct {
		frame         []byte
		code, message string
	}{
		"in CBOR":            {exception("ResourceInUseException", errorBody("", "message", "why")), "ResourceInUseException", "why"},
		"with a capital":     {exception("KMSThrottlingException", errorBody("", "Message", "why")), "KMSThrottlingException", "why"},
		"in JSON":            {exception("ResourceNotFoundException", []byte(`{"message":"why"}`)), "ResourceNotFoundException", "why"},
		"without a text":     {exception("InternalFailureException", nil), "InternalFailureException", ""},
		"of a later API":     {exception("OddException", errorBody("", "message", "why")), "OddException", "why"},
		"outside of the API": {event(nil, ":message-type", "error", ":error-code", "Odd", ":error-message", "why"), "Odd", "why"},
		"without a name":     {event(nil, ":message-type", "error"), "UnknownError", "UnknownError"},
	} {
		for where, body := range map[string][]byte{"after events": join(begin, records([]byte{0xa0}), tt.frame), "alone": tt.frame} {
			got, err := subscribe(t, streamOf(body))
			api, ok := errors.AsType[smithy.APIError](err)
			if !ok || api.ErrorCode() != tt.code || api.ErrorMessage() != tt.message {
				t.Errorf("%s, %s: %v", name, where, err)
			}
			if want := map[string]int{"after events": 1}[where]; len(got) != want {
				t.Errorf("%s, %s: %d events", name, where, len(got))
			}
		}
	}
	_, err := subscribe(t, streamOf(exception("ResourceInUseException", errorBody("", "message", "why"))))
	if _, ok := errors.AsType[*types.ResourceInUseException](err); !ok {
		t.Errorf("%T is not the type of the SDK", err)
	}
}

// What is damaged or cut off within an event is an error; the end between two
// is the end.
func TestAStreamThatIsCutOffOrDamaged(t *testing.T) {
	second := records(cborOf(&types.SubscribeToShardEvent{Records: testPage(3).Records}))
	whole := join(begin, records([]byte{0xa0}), second)
	for n := range whole {
		got, err := subscribe(t, streamOf(whole[:n]))
		complete := n == len(begin) || n == len(whole)-len(second)
		if complete != (err == nil) {
			t.Errorf("%d of %d bytes: %d events, %v", n, len(whole), len(got), err)
		}
	}
	for _, at := range []int{0, 4, 8, 20, len(begin) - 1, len(begin) + 3, len(whole) - len(second) + 40, len(whole) - 1} {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x10
		if got, err := subscribe(t, streamOf(damaged)); err == nil {
			t.Errorf("a flipped bit in byte %d of %d gives %d events", at, len(whole), len(got))
		}
	}
	for name, body := range map[string][]byte{
		"no beginning":                 records([]byte{0xa0}),
		"a message of no type":         join(begin, event(nil)),
		"a message of an unknown type": join(begin, event(nil, ":message-type", "whisper")),
		"an event of no content":       join(begin, records(nil)),
		"an event that is a list":      join(begin, records([]byte{0x80})),
		"an exception of junk":         join(begin, exception("ResourceInUseException", []byte{0x80})),
		"a page of a proxy":            []byte("<html>sign in first</html>"),
	} {
		if got, err := subscribe(t, streamOf(body)); err == nil {
			t.Errorf("%s: %d events", name, len(got))
		}
	}
}

// A length is believed only as far as it can be true.
func TestTheLengthOfAnEvent(t *testing.T) {
	for _, tt := range []struct{ length, headers uint32 }{
		{0, 0}, {15, 0}, {16, 1}, {100, 85}, {100, 1 << 31}, {1 << 31, 0}, {largestFrame + 1, 0}, {1<<32 - 1, 1<<32 - 1},
	} {
		b := binary.BigEndian.AppendUint32(nil, tt.length)
		b = binary.BigEndian.AppendUint32(b, tt.headers)
		b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
		if f, err := readFrame(io.MultiReader(bytes.NewReader(b), strings.NewReader("0123456789"))); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes with %d of headers: %+v, %v", tt.length, tt.headers, f, err)
		}
	}
}

// Headers that are cut off have no values.
func TestHeadersThatAreCutOff(t *testing.T) {
	f, err := readFrame(bytes.NewReader(event(nil, "name", "value")))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.header("name"); got != "value" {
		t.Errorf("%q", got)
	}
	for n := range len(f.headers) {
		if got := (frame{headers: f.headers[:n]}).header("name"); got != "" {
			t.Errorf("%d of %d bytes: %q", n, len(f.headers), got)
		}
	}
	if got := (frame{headers: []byte{1, 'a', 10, 0, 0}}).header("a"); got != "" {
		t.Errorf("of no type: %q", got)
	}
}

// A service that answers with 500 to SubscribeToShard in CBOR, and only to that.
func TestSubscribeToShardFallsBackByItself(t *testing.T) {
	var lines, asked []string
	client := newTestClient(httpFunc(func(r *http.Request) (*http.Response, error) {
		content := r.Header.Get(headerContentType)
		_, operation, _ := strings.Cut(r.Header.Get(headerTarget), ".")
		asked = append(asked, operation+" "+content)
		switch {
		case operation == "GetRecords":
			return respond(r, http.StatusOK, contentCBOR, []byte{0xa0}), nil
		case content == contentCBOR:
			return respond(r, http.StatusInternalServerError, contentCBOR, errorBody("InternalFailure", "", "")), nil
		}
		return respond(r, http.StatusOK, "", begin), nil
	}), Use, logger(&lines), func(o *kinesis.Options) { o.RetryMaxAttempts = 1 })
	for range 2 {
		if _, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")}); err != nil {
			t.Fatal(err)
		}
		if _, err := subscribe(t, client); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := strings.Join(asked, ", "), "GetRecords application/x-amz-cbor-1.1, SubscribeToShard application/x-amz-cbor-1.1, "+
		"SubscribeToShard application/x-amz-json-1.1, GetRecords application/x-amz-cbor-1.1, SubscribeToShard application/x-amz-json-1.1"; got != want {
		t.Errorf("asked for %s", got)
	}
	if len(lines) != 1 || !strings.Contains(lines[0], "SubscribeToShard") {
		t.Errorf("logged %q", lines)
	}
}

// Two streams of one client at once, in JSON: what the SDK reads events with has
// state.
func TestManyStreamsAtOnce(t *testing.T) {
	body := join(begin, bytes.Repeat(join(records(jsonOf(t, &types.SubscribeToShardEvent{Records: testPage(3).Records})), records(cborOf(&types.SubscribeToShardEvent{}))), 20))
	client := streamOf(body)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if got, err := subscribe(t, client); err != nil || len(got) != 40 {
				t.Errorf("%d events, %v", len(got), err)
			}
		})
	}
	wg.Wait()
}

func TestNoOperationSendsEvents(t *testing.T) {
	p := newProtocol(nil)
	if err := p.SerializeEventMessage(nil, nil, nil, nil); err == nil {
		t.Error("an event was sent")
	}
	if err := p.SerializeInitialRequest(nil, nil, nil); err == nil {
		t.Error("a stream was begun")
	}
}
