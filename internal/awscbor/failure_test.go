package awscbor

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/shardrun/shardrun/internal/cbor"
)

func errorBody(kind, member, message string) []byte {
	b := cbor.AppendOpenMap(nil)
	if kind != "" {
		b = cbor.AppendText(cbor.AppendText(b, "__type"), kind)
	}
	b = append(cbor.AppendText(b, "Trace"), 0x9f, 0xa0, 0xff)
	if member != "" {
		b = cbor.AppendText(cbor.AppendText(b, member), message)
	}
	return cbor.AppendBreak(b)
}

// named is the header of an error that says its name there.
func named(kind string) http.Header {
	h := http.Header{}
	h.Set(headerErrorType, kind)
	return h
}

// Every error that the SDK has a type for arrives as that type, however its name
// and its text are spelled.
func TestErrorsHaveTheTypesOfTheSDK(t *testing.T) {
	for id, entry := range kinesis.TypeRegistry.Entries {
		want, ok := entry.New().(error)
		if !ok {
			continue
		}
		_, name, _ := strings.Cut(id, "#")
		for _, kind := range []string{name, id, name + ":http://internal.amazon.com/coral/", id + ":http://x#y"} {
			for _, member := range []string{"message", "Message"} {
				_, err := getFrom(http.StatusBadRequest, http.Header{}, errorBody(kind, member, "why"))
				got := reflect.New(reflect.TypeOf(want))
				if !errors.As(err, got.Interface()) {
					t.Errorf("%s: %v", kind, err)
					continue
				}
				api := got.Elem().Interface().(smithy.APIError)
				if api.ErrorCode() != name || api.ErrorMessage() != "why" {
					t.Errorf("%s: %s %q", kind, api.ErrorCode(), api.ErrorMessage())
				}
			}
		}
	}
}

func TestErrorsThatTheSDKHasNoTypeFor(t *testing.T) {
	for name, tt := range map[string]struct {
		header        http.Header
		body          []byte
		code, message string
	}{
		"by its type":                   {nil, errorBody("com.amazon.coral#Odd:x", "message", "why"), "Odd", "why"},
		"by its header":                 {named("Odd:http://x"), errorBody("Other", "Message", "why"), "Odd", "why"},
		"without a text":                {nil, errorBody("SerializationException", "", ""), "SerializationException", "UnknownError"},
		"without anything":              {nil, errorBody("", "", ""), "UnknownError", "UnknownError"},
		"with an empty body":            {nil, nil, "UnknownError", "UnknownError"},
		"with an empty body and header": {named("Odd"), nil, "Odd", "UnknownError"},
		"with a type that is a number":  {nil, append([]byte{0xa1, 0x66}, "__type\x07"...), "UnknownError", "UnknownError"},
		"in JSON":                       {nil, []byte(`{"__type":"com.amazon#Odd","message":"why"}`), "Odd", "why"},
		"in JSON, by its header":        {named("Odd"), []byte(` {"Message":"why"}`), "Odd", "why"},
	} {
		header := tt.header
		if header == nil {
			header = http.Header{}
		}
		_, err := getFrom(http.StatusBadRequest, header, tt.body)
		api, ok := errors.AsType[*smithy.GenericAPIError](err)
		if !ok || api.Code != tt.code || api.Message != tt.message {
			t.Errorf("%s: %v", name, err)
		}
		if resp, ok := errors.AsType[*smithyhttp.ResponseError](err); !ok || resp.HTTPStatusCode() != http.StatusBadRequest {
			t.Errorf("%s: no status: %v", name, err)
		}
	}
	_, err := getFrom(http.StatusBadRequest, named("ExpiredIteratorException"), nil)
	if _, ok := errors.AsType[*types.ExpiredIteratorException](err); !ok {
		t.Errorf("an empty body with the type in its header: %v", err)
	}
	_, err = getFrom(http.StatusBadRequest, http.Header{}, []byte(`{"__type":"ResourceInUseException","message":"why"}`))
	if e, ok := errors.AsType[*types.ResourceInUseException](err); !ok || e.ErrorMessage() != "why" {
		t.Errorf("in JSON: %v", err)
	}
}

// The page that something on the way answers with can be read in the error, and
// its status decides about retries.
func TestAPageOfAProxyCanBeReadInTheError(t *testing.T) {
	for body, content := range map[string]string{
		"<html><h1>502 Bad Gateway</h1></html>": "text/html",
		"upstream connect error":                "text/plain",
		`{"error":"no healthy upstream"}`:       "application/json",
		`{"error":`:                             "",
		"\xa1\x67cut off":                       "application/x-amz-cbor-1.1",
	} {
		header := http.Header{}
		if content != "" {
			header.Set(headerContentType, content)
		}
		_, err := getFrom(http.StatusBadGateway, header, []byte(body))
		if _, ok := errors.AsType[*smithy.DeserializationError](err); !ok {
			t.Errorf("%q: %T", body, err)
			continue
		}
		if !strings.Contains(err.Error(), "502") {
			t.Errorf("%q: no status in %q", body, err)
		}
		if !strings.HasPrefix(body, "\xa1") && (!strings.Contains(err.Error(), body[:9]) && !strings.Contains(err.Error(), `{\"error\"`) || content != "" && !strings.Contains(err.Error(), content)) {
			t.Errorf("%q: cannot be seen in %q", body, err)
		}
		if retry.NewStandard().IsErrorRetryable(err) != true {
			t.Errorf("%q: is not tried again", body)
		}
	}
}

// Kinesis has been seen to answer in JSON to what was asked in CBOR.
func TestAnAnswerInJSONIsUnderstood(t *testing.T) {
	want := testPage(5)
	out, err := getFrom(http.StatusOK, http.Header{}, jsonOf(t, want))
	if err != nil || !reflect.DeepEqual(out.Records, want.Records) {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestVoidAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		body []byte
		ok   bool
	}{
		"nothing": {nil, true}, "an empty structure": {[]byte{0xa0}, true}, "in JSON": {[]byte("{}"), true},
		"a page of a proxy": {[]byte("<html>"), false},
	} {
		client := newTestClient(canned(tt.body), Use)
		if _, err := client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{}); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
