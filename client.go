package shardrun

import (
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/internal/awscbor"
)

// The connection pool of [NewClient]. A worker has a read in flight for each
// of its shards; the SDK's own ten idle connections a host would make most of
// them open a connection, and negotiate TLS, for each call.
const (
	idleConns   = 512
	idleTimeout = 90 * time.Second
)

// NewClient makes the official Kinesis client, set up for streams of many
// shards and records:
//
//   - It talks CBOR, the protocol that the AWS SDK for Java uses, and not the
//     JSON of the SDK for Go: several times as many records a second, in both
//     directions. To a service that does not take CBOR it goes on in JSON, and
//     says so once, as a warning to the Logger of cfg. An option may set
//     [kinesis.Options].Protocol to another one.
//   - Its connection pool is as wide as the shards that a worker reads. It keeps
//     cfg's HTTP client when that is set.
//
// The records of one page, of GetRecords or of an event of SubscribeToShard,
// share memory: the Data of each is a part of the answer as it came. It is
// never used again, and the caller may write to it; but who keeps the Data of
// one record for long, and not the page, should copy it. Keys and sequence
// numbers do not hold on to Data.
//
// Consumers and producers take any *kinesis.Client; this one is faster.
func NewClient(cfg aws.Config, opts ...func(*kinesis.Options)) *kinesis.Client {
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = plainBodies{awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns = idleConns
			t.MaxIdleConnsPerHost = idleConns
			t.IdleConnTimeout = idleTimeout
		})}
	}
	return kinesis.NewFromConfig(cfg, append([]func(*kinesis.Options){awscbor.Use}, opts...)...)
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
