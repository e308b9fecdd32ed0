package sim

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
)

// What an SDK client does for each request and no run is about is left out: to find
// out where Kinesis is, and to compute a signature that the server does not verify.

// atHome is where the server is, whatever is asked for.
type atHome struct{}

// ResolveEndpoint implements [kinesis.EndpointResolverV2].
func (atHome) ResolveEndpoint(context.Context, kinesis.EndpointParameters) (smithyendpoints.Endpoint, error) {
	return smithyendpoints.Endpoint{URI: url.URL{Scheme: "http", Host: "localhost"}}, nil
}

// signsInForm writes a signature of which only the form is right.
type signsInForm struct{}

// SignHTTP implements [kinesis.HTTPSignerV4].
func (signsInForm) SignHTTP(_ context.Context, c aws.Credentials, r *http.Request, _, service, region string, at time.Time, _ ...func(*v4.SignerOptions)) error {
	stamp := at.UTC().Format("20060102T150405Z")
	r.Header.Set("X-Amz-Date", stamp)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+c.AccessKeyID+"/"+stamp[:8]+"/"+region+"/"+service+"/aws4_request, SignedHeaders=host;x-amz-date, Signature=none")
	return nil
}
