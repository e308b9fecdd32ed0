package awserr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

// answer is an HTTP transport that gives one response or error.
type answer struct {
	status int
	body   io.Reader
	err    error
}

func (a answer) Do(r *http.Request) (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{
		StatusCode: a.status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
		Body: io.NopCloser(a.body), Request: r,
	}, nil
}

type cutShort struct{}

func (cutShort) Read([]byte) (int, error) {
	return 0, errors.New("read tcp 127.0.0.1: use of closed network connection")
}

// call makes a real SDK call over the transport and gives its error.
func call(ctx context.Context, c kinesis.HTTPClient) error {
	client := kinesis.New(kinesis.Options{
		Region: "us-east-1", HTTPClient: c, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	})
	_, err := client.ListShards(ctx, &kinesis.ListShardsInput{StreamName: aws.String("s")})
	return err
}

func body(code string) io.Reader {
	return strings.NewReader(fmt.Sprintf(`{"__type":%q,"message":"m"}`, code))
}

func TestErrorsOfRealCalls(t *testing.T) {
	for name, c := range map[string]struct {
		answer  answer
		want    Class
		refused bool
	}{
		"throughput":             {answer{400, body("ProvisionedThroughputExceededException"), nil}, Throttle, true},
		"limit":                  {answer{400, body("LimitExceededException"), nil}, Throttle, true},
		"account rate":           {answer{400, body("ThrottlingException"), nil}, Throttle, true},
		"key's rate":             {answer{400, body("KMSThrottlingException"), nil}, Throttle, true},
		"status 429":             {answer{429, strings.NewReader("slow down"), nil}, Throttle, true},
		"expired iterator":       {answer{400, body("ExpiredIteratorException"), nil}, ExpiredIterator, true},
		"no such stream":         {answer{400, body("ResourceNotFoundException"), nil}, Gone, true},
		"namespaced code":        {answer{400, body("com.amazonaws.kinesis#ResourceNotFoundException"), nil}, Gone, true},
		"denied":                 {answer{400, body("AccessDeniedException"), nil}, Fatal, true},
		"unknown key id":         {answer{400, body("UnrecognizedClientException"), nil}, Fatal, true},
		"validation":             {answer{400, body("ValidationException"), nil}, Fatal, true},
		"argument":               {answer{400, body("InvalidArgumentException"), nil}, Fatal, true},
		"key disabled":           {answer{400, body("KMSDisabledException"), nil}, Fatal, true},
		"not Kinesis":            {answer{400, body("UnknownOperationException"), nil}, Fatal, true},
		"new code, status 400":   {answer{400, body("SomethingNewException"), nil}, Fatal, true},
		"new code, status 500":   {answer{500, body("SomethingNewException"), nil}, Retry, false},
		"proxy says 403":         {answer{403, strings.NewReader("<html>"), nil}, Fatal, true},
		"expired token":          {answer{400, body("ExpiredTokenException"), nil}, Retry, true},
		"clock skew":             {answer{400, body("RequestTimeTooSkewed"), nil}, Retry, true},
		"stream being updated":   {answer{400, body("ResourceInUseException"), nil}, Retry, true},
		"internal":               {answer{500, body("InternalFailure"), nil}, Retry, false},
		"status 503":             {answer{503, strings.NewReader(""), nil}, Retry, false},
		"status 408":             {answer{408, strings.NewReader(""), nil}, Retry, false},
		"body is not JSON":       {answer{200, strings.NewReader("<html>"), nil}, Retry, false},
		"body ends early":        {answer{200, strings.NewReader(`{"Shards":[{`), nil}, Retry, false},
		"closed while reading":   {answer{200, cutShort{}, nil}, Retry, false},
		"connection refused":     {answer{err: &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}}, Retry, true},
		"no such host":           {answer{err: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host"}}}, Retry, true},
		"reset":                  {answer{err: &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}}, Retry, false},
		"closed connection":      {answer{err: &net.OpError{Op: "read", Net: "tcp", Err: net.ErrClosed}}, Retry, false},
		"connection ended early": {answer{err: io.ErrUnexpectedEOF}, Retry, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := call(t.Context(), c.answer)
			if err == nil {
				t.Fatal("the call did not fail")
			}
			if got := Classify(err); got != c.want {
				t.Errorf("%v, want %v: %v", got, c.want, err)
			}
			if got := Refused(err); got != c.refused {
				t.Errorf("refused %v, want %v: %v", got, c.refused, err)
			}
		})
	}
}

func TestContextsThatEnd(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server hears of a client that left only then
		<-r.Context().Done()
	}))
	defer server.Close()
	do := func(ctx context.Context) error {
		client := kinesis.New(kinesis.Options{
			Region: "us-east-1", BaseEndpoint: &server.URL, Retryer: aws.NopRetryer{},
			Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
		})
		_, err := client.ListShards(ctx, &kinesis.ListShardsInput{StreamName: aws.String("s")})
		return err
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := do(ctx); Classify(err) != Canceled || Refused(err) {
		t.Errorf("cancelled: %v, refused %v: %v", Classify(err), Refused(err), err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := do(ctx); Classify(err) != Retry || Refused(err) {
		t.Errorf("timed out: %v, refused %v: %v", Classify(err), Refused(err), err)
	}
}

func TestRequestsThatCannotBeMade(t *testing.T) {
	client := kinesis.New(kinesis.Options{Region: "us-east-1", HTTPClient: answer{}})
	_, invalid := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{})
	for name, err := range map[string]error{
		"missing member": invalid,
		"serialization":  fmt.Errorf("put: %w", &smithy.SerializationError{Err: errors.New("x")}),
		"no region":      fmt.Errorf("put: %w", &aws.MissingRegionError{}),
	} {
		if err == nil || Classify(err) != Fatal || !Refused(err) {
			t.Errorf("%s: %v, refused %v: %v", name, Classify(err), Refused(err), err)
		}
	}
}

func TestErrorsWithoutAResponse(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want Class
	}{
		"typed":           {&types.ExpiredIteratorException{}, ExpiredIterator},
		"wrapped":         {fmt.Errorf("x: %w", &types.ResourceNotFoundException{}), Gone},
		"new, their side": {&smithy.GenericAPIError{Code: "New", Fault: smithy.FaultServer}, Retry},
		"new, our side":   {&smithy.GenericAPIError{Code: "New", Fault: smithy.FaultClient}, Fatal},
		"unknown":         {errors.New("?"), Retry},
	} {
		if got := Classify(c.err); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestCodeIsTheServices(t *testing.T) {
	if got := Code(fmt.Errorf("x: %w", &smithy.GenericAPIError{Code: "C"})); got != "C" {
		t.Errorf("%q", got)
	}
	if got := Code(errors.New("x")); got != "" {
		t.Errorf("%q", got)
	}
}

func TestCodesOfEntries(t *testing.T) {
	for code, want := range map[string]Class{
		"ProvisionedThroughputExceededException": Throttle, "InternalFailure": Retry,
		"ValidationException": Fatal, "NeverHeardOf": Retry,
	} {
		if got := ClassifyCode(code); got != want {
			t.Errorf("%s: %v, want %v", code, got, want)
		}
	}
}

func TestInvalidIsAboutTheContentOnly(t *testing.T) {
	for _, c := range []struct {
		answer answer
		want   bool
	}{
		{answer{400, body("ValidationException"), nil}, true},
		{answer{400, body("InvalidArgumentException"), nil}, true},
		{answer{413, strings.NewReader(""), nil}, true},
		{answer{400, body("AccessDeniedException"), nil}, false},
		{answer{400, body("ResourceNotFoundException"), nil}, false},
		{answer{500, body("InternalFailure"), nil}, false},
		{answer{err: io.ErrUnexpectedEOF}, false},
	} {
		if err := call(t.Context(), c.answer); Invalid(err) != c.want {
			t.Errorf("%v, want %v: %v", !c.want, c.want, err)
		}
	}
}

func TestClassesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for c := Retry; c <= Canceled; c++ {
		seen[c.String()] = true
	}
	if len(seen) != int(Canceled)+1 {
		t.Errorf("names %v", seen)
	}
}
