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
	smithyhttp "github.com/aws/smithy-go/transport/http"
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

// source gives credentials, or fails to.
type source struct{ err error }

func (s source) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, s.err
}

func TestSettingsWithoutAnEndpointAreFatal(t *testing.T) {
	for name, o := range map[string]kinesis.Options{
		"no region":               {},
		"region that is no label": {Region: "not a region"},
		"endpoint that is no URL": {Region: "us-east-1", BaseEndpoint: aws.String("::x")},
		"settings that disagree": {
			Region: "us-east-1", BaseEndpoint: aws.String("http://localhost"),
			EndpointOptions: kinesis.EndpointResolverOptions{UseFIPSEndpoint: aws.FIPSEndpointStateEnabled},
		},
	} {
		o.Credentials, o.Retryer, o.HTTPClient = source{}, aws.NopRetryer{}, answer{err: errors.New("sent")}
		_, err := kinesis.New(o).ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("s")})
		if err == nil || Classify(err) != Fatal || !Refused(err) {
			t.Errorf("%s: %v, refused %v: %v", name, Classify(err), Refused(err), err)
		}
	}
}

func TestCredentialsThatDoNotComeMayComeYet(t *testing.T) {
	// As the metadata service of an instance and STS answer.
	status := &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: http.StatusNotFound}},
		Err:      errors.New("no such role (yet)"),
	}
	for name, err := range map[string]error{
		"plain":  errors.New("no"),
		"status": &smithy.OperationError{ServiceID: "ec2imds", OperationName: "GetMetadata", Err: status},
		"code":   &smithy.GenericAPIError{Code: "AccessDenied", Fault: smithy.FaultClient},
		"dial":   &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH},
	} {
		client := kinesis.New(kinesis.Options{
			Region: "us-east-1", Retryer: aws.NopRetryer{}, HTTPClient: answer{err: errors.New("sent")},
			Credentials: aws.NewCredentialsCache(source{err}),
		})
		_, err := client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("s")})
		if err == nil || Classify(err) != Retry || !Refused(err) || Code(err) != "" || Unreached(err) {
			t.Errorf("%s: %v, refused %v, code %q, unreached %v: %v",
				name, Classify(err), Refused(err), Code(err), Unreached(err), err)
		}
	}
}

// A server that is an hour ahead of us refuses the first signature, and takes
// the next: the SDK has learned the time from the refusal.
func TestSignatureThatClocksMadeBadIsRetried(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, 0} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			now := time.Now().Add(ahead)
			w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			signed, _ := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
			if ahead == 0 || now.Sub(signed).Abs() > 5*time.Minute {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.Copy(w, body("InvalidSignatureException"))
				return
			}
			_, _ = io.WriteString(w, `{"Shards":[]}`)
		}))
		client := kinesis.New(kinesis.Options{
			Region: "us-east-1", BaseEndpoint: &server.URL, Retryer: aws.NopRetryer{}, Credentials: source{},
		})
		want := map[time.Duration]Class{time.Hour: Retry, 0: Fatal}[ahead]
		_, err := client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("s")})
		if err == nil || Classify(err) != want || !Refused(err) {
			t.Errorf("%v ahead: %v, want %v, refused %v: %v", ahead, Classify(err), want, Refused(err), err)
		}
		_, err = client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("s")})
		if (err != nil) != (ahead == 0) {
			t.Errorf("%v ahead, second call: %v", ahead, err)
		}
		server.Close()
	}
}

func TestUnreachedIsAboutTheEndpoint(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}, true},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host"}}, true},
		{&net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}, false},
		{io.ErrUnexpectedEOF, false},
	} {
		if err := call(t.Context(), answer{err: c.err}); Unreached(err) != c.want {
			t.Errorf("%v, want %v: %v", !c.want, c.want, err)
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
