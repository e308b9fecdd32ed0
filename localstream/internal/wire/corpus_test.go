package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// sdkDir is where the module of the SDK's Kinesis client is. It ships the
// exact bodies of every operation with every member set, our corpus.
var sdkDir = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/kinesis").Output()
	return strings.TrimSpace(string(out)), err
})

// corpus gives the bodies of the SDK's snapshots by operation.
func corpus(t testing.TB, folder, suffix string) map[string][]byte {
	t.Helper()
	dir, err := sdkDir()
	if err != nil {
		t.Fatalf("find the module of the SDK: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, folder, "*"+suffix))
	if err != nil || len(files) == 0 {
		t.Fatalf("no snapshots %s in %s: %v", suffix, folder, err)
	}
	bodies := map[string][]byte{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		// The head ends at the last empty line; bodies have none.
		head, body, ok := bytes.Cut(raw, []byte("\n\n{"))
		if !ok {
			continue
		}
		_ = head
		bodies[strings.TrimSuffix(filepath.Base(f), suffix)] = append([]byte("{"), body...)
	}
	return bodies
}

// inputs makes the input struct of an operation by its name: the parameter of
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
	bodies := corpus(t, "request_snapshot", ".request.snap")
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
	bodies := corpus(t, "response_snapshot", ".response.snap")
	if len(bodies) < 44 {
		t.Errorf("%d operations in the corpus", len(bodies))
	}
	requests := corpus(t, "request_snapshot", ".request.snap")
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
