package shardrun

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// doFunc is an HTTP client.
type doFunc func(*http.Request) (*http.Response, error)

func (f doFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

// The SDK's bodies fail WriteTo with io.EOF once they are closed, for which
// net/http drops the connection that the answer is being read from.
func TestBodiesOfRequestsEndQuietlyWhenTheyWereClosed(t *testing.T) {
	var body io.ReadCloser
	client := kinesis.NewFromConfig(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://localhost"),
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
		HTTPClient: plainBodies{doFunc(func(r *http.Request) (*http.Response, error) {
			body = r.Body
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(`{}`)))}, nil
		})},
	})
	if _, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("it")}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, body); err != nil { // as net/http looks for the end
		t.Errorf("looking for the end of a closed body: %v", err)
	}
	if client := NewClient(aws.Config{}); !isPlain(client.Options().HTTPClient) {
		t.Error("NewClient does not hide WriteTo")
	}
	own := awshttp.NewBuildableClient()
	if got := NewClient(aws.Config{HTTPClient: own}).Options().HTTPClient; isPlain(got) {
		t.Error("the caller's HTTP client was not kept")
	}
}

func isPlain(c kinesis.HTTPClient) bool { _, ok := c.(plainBodies); return ok }
