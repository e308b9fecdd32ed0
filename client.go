package shardrun

import (
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
		cfg.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns = idleConns
			t.MaxIdleConnsPerHost = idleConns
			t.IdleConnTimeout = idleTimeout
		})
	}
	return kinesis.NewFromConfig(cfg, opts...)
}
