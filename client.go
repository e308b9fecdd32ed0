package shardrun

import (
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// The connection pool of [NewClient]. A worker has a read in flight for each
// of its shards; the SDK's own ten idle connections a host would make most of
// them open a connection, and negotiate TLS, for each call.
const (
	idleConns   = 512
	idleTimeout = 90 * time.Second
)

// NewClient makes the official Kinesis client, set up for streams of many
// shards: a connection pool as wide as the shards that a worker reads. It
// keeps cfg's HTTP client when that is set. Consumers and producers take any
// *kinesis.Client; this one spares them connections.
func NewClient(cfg aws.Config, opts ...func(*kinesis.Options)) *kinesis.Client {
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = plainBodies{awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns = idleConns
			t.MaxIdleConnsPerHost = idleConns
			t.IdleConnTimeout = idleTimeout
		})}
	}
	return kinesis.NewFromConfig(cfg, opts...)
}

// plainBodies hides the WriteTo of the SDK's request bodies. The SDK closes a
// body as soon as the answer begins. net/http may look for its end after that,
// by WriteTo, which then fails with io.EOF; net/http takes that for a failed
// request and closes the connection, in the middle of the answer: "use of
// closed network connection", in about 1 of 100 reads of 1 MB over loopback.
// Read fails with io.EOF as well, but there it means the end.
type plainBodies struct{ next aws.HTTPClient }

// Do sends a request.
func (c plainBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.next.Do(r)
}
