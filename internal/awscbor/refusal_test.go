package awscbor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
)

func TestWhatARefusalLooksLike(t *testing.T) {
	for _, tt := range []struct {
		a                    answer
		refuses, understands bool
	}{
		{answer{status: 200, encoding: inCBOR}, false, true},
		{answer{status: 200, encoding: inNothing}, false, true},
		{answer{status: 200, encoding: inJSON}, false, false},
		{answer{status: 200, encoding: inOther}, false, false},
		{answer{status: 200, stream: true}, false, true},

		{answer{status: 415}, true, false},
		{answer{status: 415, encoding: inOther}, true, false},
		{answer{status: 415, encoding: inJSON, code: "Odd"}, true, false},
		{answer{status: 404, encoding: inOther, code: "UnknownOperationException"}, true, false},
		{answer{status: 400, encoding: inJSON, code: "UnknownOperationException"}, true, false},
		{answer{status: 400, encoding: inJSON, code: "SerializationException"}, true, false},

		// Errors of a service that answers in CBOR are errors.
		{answer{status: 400, encoding: inCBOR, code: "SerializationException"}, false, true},
		{answer{status: 400, encoding: inCBOR, code: "UnknownOperationException"}, false, true},
		{answer{status: 400, encoding: inCBOR, code: "ResourceNotFoundException"}, false, true},
		{answer{status: 500, encoding: inCBOR, code: "InternalFailure"}, false, true},
		// So are those that say nothing about the encoding.
		{answer{status: 400, encoding: inJSON, code: "ResourceNotFoundException"}, false, false},
		{answer{status: 400, encoding: inJSON, code: "ExpiredIteratorException"}, false, false},
		{answer{status: 404, encoding: inOther}, false, false},
		{answer{status: 403, encoding: inOther}, false, false},
		{answer{status: 403, encoding: inJSON, code: "UnknownOperationException"}, false, false},
		{answer{status: 400, encoding: inNothing, code: "UnknownError"}, false, false},
		{answer{status: 500, encoding: inJSON, code: "InternalFailure"}, false, false},
		{answer{status: 502, encoding: inOther}, false, false},
		{answer{status: 503, encoding: inJSON, code: "SerializationException"}, false, false},

		// SubscribeToShard.
		{answer{stream: true, status: 500, encoding: inCBOR, code: "InternalFailure"}, true, false},
		{answer{stream: true, status: 500, encoding: inNothing}, true, false},
		{answer{stream: true, status: 503, encoding: inCBOR}, false, true},
		{answer{stream: true, status: 400, encoding: inCBOR, code: "ResourceInUseException"}, false, true},
	} {
		if got := refuses(tt.a); got != tt.refuses {
			t.Errorf("%+v refuses CBOR: %v", tt.a, got)
		}
		if got := understands(tt.a); got != tt.understands {
			t.Errorf("%+v understands CBOR: %v", tt.a, got)
		}
	}
}

// onlyJSON is a service that answers requests in CBOR in some other way than
// those in JSON.
type onlyJSON struct {
	mu       sync.Mutex
	asked    []string // encodings
	refusal  func(r *http.Request) *http.Response
	response func(r *http.Request) *http.Response // to JSON
}

func (s *onlyJSON) Do(r *http.Request) (*http.Response, error) {
	_, content, _ := strings.Cut(r.Header.Get(headerContentType), "x-amz-")
	s.mu.Lock()
	s.asked = append(s.asked, content)
	s.mu.Unlock()
	if content == "cbor-1.1" {
		return s.refusal(r), nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || !bytes.HasPrefix(body, []byte("{")) {
		return nil, fmt.Errorf("JSON: %q, %w", body, err)
	}
	return s.response(r), nil
}

func with(status int, body string) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response { return respond(r, status, "", []byte(body)) }
}

var refusals = map[string]func(*http.Request) *http.Response{
	"as AWS":                  with(http.StatusNotFound, "<UnknownOperationException/>\n"),
	"as a framework":          with(http.StatusUnsupportedMediaType, ""),
	"as a framework, in JSON": with(http.StatusUnsupportedMediaType, `{"message":"Content type not allowed"}`),
	"as a parser":             with(http.StatusBadRequest, `{"__type":"SerializationException"}`),
	"as a router":             with(http.StatusBadRequest, `{"__type":"com.amazon.coral.service#UnknownOperationException"}`),
}

// logger collects warnings.
func logger(lines *[]string) func(*kinesis.Options) {
	var mu sync.Mutex
	return func(o *kinesis.Options) {
		o.Logger = logging.LoggerFunc(func(_ logging.Classification, format string, v ...any) {
			mu.Lock()
			defer mu.Unlock()
			*lines = append(*lines, fmt.Sprintf(format, v...))
		})
	}
}

// The first call finds out, without its caller noticing; one line is logged, and
// all further calls go in JSON at once.
func TestAServiceThatRefusesCBORIsAskedInJSON(t *testing.T) {
	for name, refusal := range refusals {
		var lines []string
		s := &onlyJSON{refusal: refusal, response: with(http.StatusOK, `{"FailedRecordCount":0,"Records":[{"SequenceNumber":"1","ShardId":"s"}]}`)}
		client := newTestClient(s, Use, logger(&lines))
		for range 3 {
			out, err := client.PutRecords(t.Context(), putOf(3*leastPooled, 'a'))
			if err != nil || *out.Records[0].SequenceNumber != "1" {
				t.Fatalf("%s: %+v, %v", name, out, err)
			}
		}
		if got := strings.Join(s.asked, " "); got != "cbor-1.1 json-1.1 json-1.1 json-1.1" {
			t.Errorf("%s: asked in %s", name, got)
		}
		if len(lines) != 1 || !strings.Contains(lines[0], "refuses CBOR (4") {
			t.Errorf("%s: logged %q", name, lines)
		}
	}
}

// An error in JSON is an answer: the service took JSON.
func TestARefusalIsSettledByAnErrorInJSON(t *testing.T) {
	var lines []string
	s := &onlyJSON{refusal: refusals["as AWS"], response: with(http.StatusBadRequest, `{"__type":"ExpiredIteratorException","message":"old"}`)}
	client := newTestClient(s, Use, logger(&lines))
	for range 2 {
		_, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")})
		if _, ok := errors.AsType[*types.ExpiredIteratorException](err); !ok {
			t.Fatal(err)
		}
	}
	if got := strings.Join(s.asked, " "); got != "cbor-1.1 json-1.1 json-1.1" || len(lines) != 1 {
		t.Errorf("asked in %s, logged %q", got, lines)
	}
}

// An operation that the service does not know in JSON either says nothing about
// CBOR.
func TestWhatIsRefusedInJSONAsWellSettlesNothing(t *testing.T) {
	var lines []string
	unknown := with(http.StatusBadRequest, `{"__type":"UnknownOperationException"}`)
	s := &onlyJSON{refusal: unknown, response: unknown}
	client := newTestClient(s, Use, logger(&lines))
	_, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")})
	if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != "UnknownOperationException" {
		t.Fatal(err)
	}
	if _, ok := errors.AsType[*refusal](err); ok {
		t.Errorf("the caller sees %v", err)
	}
	s.refusal = func(r *http.Request) *http.Response { return respond(r, http.StatusOK, contentCBOR, []byte{0xa0}) }
	for range 2 {
		if _, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")}); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(s.asked, " "); got != "cbor-1.1 json-1.1 cbor-1.1 cbor-1.1" || len(lines) != 0 {
		t.Errorf("asked in %s, logged %q", got, lines)
	}
}

// A network that fails while it is found out settles nothing.
func TestAFailedCallInJSONSettlesNothing(t *testing.T) {
	var asked []string
	client := newTestClient(httpFunc(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.Header.Get(headerContentType))
		if len(asked) == 2 {
			return nil, errors.New("the cable was pulled")
		}
		if len(asked) == 1 {
			return refusals["as AWS"](r), nil
		}
		return respond(r, http.StatusOK, contentCBOR, []byte{0xa0}), nil
	}), Use, func(o *kinesis.Options) { o.RetryMaxAttempts = 1 })
	_, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")})
	if err == nil || !strings.Contains(err.Error(), "cable") {
		t.Fatal(err)
	}
	if _, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")}); err != nil {
		t.Fatal(err)
	}
	if asked[2] != contentCBOR {
		t.Errorf("asked in %s", asked)
	}
}

// Nor does a service that fails, or something in front of it that does.
func TestAServiceThatFailsInJSONSettlesNothing(t *testing.T) {
	for _, status := range []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable} {
		s := &onlyJSON{refusal: refusals["as AWS"], response: with(status, `{"__type":"ServiceUnavailableException"}`)}
		client := newTestClient(s, Use, func(o *kinesis.Options) { o.RetryMaxAttempts = 1 })
		for range 2 {
			if _, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")}); err == nil {
				t.Fatal("no error")
			}
		}
		if got := strings.Join(s.asked, " "); got != "cbor-1.1 json-1.1 cbor-1.1 json-1.1" {
			t.Errorf("%d: asked in %s", status, got)
		}
	}
}

// Once a service has answered in CBOR, what would have been a refusal is an
// error like any other.
func TestAServiceThatSpeaksCBORDoesNotRefuseIt(t *testing.T) {
	for name, refusal := range refusals {
		s := &onlyJSON{refusal: func(r *http.Request) *http.Response { return respond(r, http.StatusOK, contentCBOR, []byte{0xa0}) }}
		client := newTestClient(s, Use)
		if _, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")}); err != nil {
			t.Fatal(err)
		}
		s.refusal = refusal
		if _, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")}); err == nil {
			t.Errorf("%s: no error", name)
		}
		if got := strings.Join(s.asked, " "); got != "cbor-1.1 cbor-1.1" {
			t.Errorf("%s: asked in %s", name, got)
		}
	}
}

// Many callers at once find out the same, and it is logged once.
func TestManyCallersFindOutTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		var waiting atomic.Int32
		gate := make(chan struct{})
		s := &onlyJSON{response: with(http.StatusOK, `{}`), refusal: func(r *http.Request) *http.Response {
			waiting.Add(1)
			<-gate
			return refusals["as AWS"](r)
		}}
		client := newTestClient(s, Use, logger(&lines))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if got := waiting.Load(); got != 8 {
			t.Errorf("%d calls in CBOR", got)
		}
		close(gate)
		wg.Wait()
		if len(s.asked) != 16 || len(lines) != 1 {
			t.Errorf("asked in %s, logged %q", s.asked, lines)
		}
	})
}

// A client without the middleware, as one made from the options of another
// would be, talks CBOR and does not find out anything.
func TestTheProtocolAloneDoesNotFallBack(t *testing.T) {
	s := &onlyJSON{refusal: refusals["as AWS"]}
	client := newTestClient(s, Use, func(o *kinesis.Options) { o.APIOptions = nil })
	_, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")})
	if err == nil || !strings.Contains(err.Error(), "UnknownOperationException") || len(s.asked) != 1 {
		t.Errorf("%v, asked in %s", err, s.asked)
	}
}
