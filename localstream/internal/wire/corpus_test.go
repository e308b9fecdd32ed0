package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/shardrun/shardrun/localstream/internal/wiretest"
)

// newInput makes the input struct of an operation by its name: the parameter of
// the client's method.
func newInput(t testing.TB, operation string) any {
	t.Helper()
	m, ok := reflect.TypeFor[*kinesis.Client]().MethodByName(operation)
	if !ok {
		t.Fatalf("the SDK has no operation %s", operation)
	}
	return reflect.New(m.Type.In(2).Elem()).Interface()
}

func sameJSON(t testing.TB, got, want []byte) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	if err := json.Unmarshal(want, &w); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Every request body of the SDK, read and written again, is the same, and so is
// the one in between in CBOR.
func TestRequestCorpus(t *testing.T) {
	bodies := wiretest.Requests(t)
	if len(bodies) < 44 {
		t.Errorf("%d operations in the corpus", len(bodies))
	}
	var d Decoder
	for op, body := range bodies {
		t.Run(op, func(t *testing.T) {
			in := newInput(t, op)
			if err := d.Decode(AsJSON, &Buffers{Body: body}, in); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			sameJSON(t, AsJSON.AppendShape(nil, in.(smithy.Serializable)), body)
			again := newInput(t, op)
			binary := AsCBOR.AppendShape(nil, in.(smithy.Serializable))
			if err := d.Decode(AsCBOR, &Buffers{Body: binary}, again); err != nil {
				t.Fatalf("%v: %x", err, binary)
			}
			if !reflect.DeepEqual(again, in) {
				t.Errorf("CBOR %x became %+v, want %+v", binary, again, in)
			}
		})
	}
}

// Every answer body of the SDK, read by the SDK and written by us, is the
// same. Written as CBOR it says the same.
func TestResponseCorpus(t *testing.T) {
	bodies := wiretest.Answers(t)
	if len(bodies) < 44 {
		t.Errorf("%d operations in the corpus", len(bodies))
	}
	requests := wiretest.Requests(t)
	var d Decoder
	for op, body := range bodies {
		t.Run(op, func(t *testing.T) {
			client := kinesis.New(kinesis.Options{
				Region: "us-east-1", BaseEndpoint: aws.String("http://localhost"), Credentials: aws.AnonymousCredentials{},
				HTTPClient: smithyhttp.ClientDoFunc(func(r *http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r, Body: io.NopCloser(bytes.NewReader(body))}, nil
				}),
			})
			in := newInput(t, op)
			if err := d.Decode(AsJSON, &Buffers{Body: requests[op]}, in); err != nil {
				t.Fatal(err)
			}
			res := reflect.ValueOf(client).MethodByName(op).Call([]reflect.Value{reflect.ValueOf(context.Background()), reflect.ValueOf(in)})
			if err, _ := reflect.TypeAssert[error](res[1]); err != nil {
				t.Fatal(err)
			}
			out := res[0].Interface().(smithy.Serializable)
			sameJSON(t, AsJSON.AppendShape(nil, out), body)
			again, want := reflect.New(res[0].Type().Elem()), res[0].Elem()
			binary := AsCBOR.AppendShape(nil, out)
			if err := d.structure((&Buffers{Body: binary}).source(AsCBOR), again.Elem()); err != nil {
				t.Fatalf("%v: %x", err, binary)
			}
			want.FieldByName("ResultMetadata").SetZero()
			if !reflect.DeepEqual(again.Interface(), out) {
				t.Errorf("CBOR %x became %+v, want %+v", binary, again, want)
			}
		})
	}
}
