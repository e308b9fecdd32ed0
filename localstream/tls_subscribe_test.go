package localstream

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// onlyHTTP2 is an HTTP client that fails where another version is spoken.
type onlyHTTP2 struct{ client *http.Client }

func (c onlyHTTP2) Do(r *http.Request) (*http.Response, error) {
	resp, err := c.client.Do(r)
	if err == nil && resp.ProtoMajor != 2 {
		return nil, fmt.Errorf("the answer is in %s", resp.Proto)
	}
	return resp, err
}

// Subscriptions work as they are used with AWS: over TLS, with HTTP/2, and with a
// signature that is verified; a wrong one gets none.
func TestSubscriptionsOverTLSWithASignature(t *testing.T) {
	s := NewT(t, generated(verifying()))
	transport := onlyHTTP2{trusting(t, s, protocols(true))}
	url := secureURL(t, s)
	with := func(secret string) *harness {
		return &harness{T: t, server: s, client: kinesis.New(kinesis.Options{
			Region: "us-east-1", BaseEndpoint: aws.String(url), HTTPClient: transport, Retryer: aws.NopRetryer{},
			Credentials: credentials.NewStaticCredentialsProvider(accessKey, secret, ""),
		})}
	}
	h := with(accessSecret)
	h.create("s", 1)
	arn := h.register("c")
	_, err := with("another secret of 16 bytes").trySubscribe(arn, "0", fromHorizon)
	h.wantError(err, "InvalidSignatureException", "")
	f := h.subscribe(arn, "0", fromLatest)
	for i := range 3 {
		data := fmt.Sprint("record ", i)
		h.put("k", data)
		f.want(data)
	}
}
