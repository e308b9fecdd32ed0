package awsclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go/logging"
	"github.com/shardrun/shardrun"
)

// What a client for a server on this machine uses when the environment says
// nothing else.
const (
	localRegion = "us-east-1"
	localKey    = "local"
)

// Options are what a person chose.
type Options struct {
	// Endpoint is the URL of the Kinesis API. Empty means
	// $AWS_ENDPOINT_URL_KINESIS, $AWS_ENDPOINT_URL, or else AWS itself.
	Endpoint string
	// Region is the AWS region. Empty means the environment's or the profile's.
	Region string
}

// New makes the client. An endpoint on this machine needs neither region nor
// credentials: without them it is used with us-east-1 and placeholders.
func New(ctx context.Context, o Options) (*kinesis.Client, error) {
	endpoint := cmp.Or(o.Endpoint, os.Getenv("AWS_ENDPOINT_URL_KINESIS"), os.Getenv("AWS_ENDPOINT_URL"))
	local := false
	if endpoint != "" {
		u, err := url.Parse(endpoint)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("endpoint %q is not a URL like http://127.0.0.1:4567", endpoint)
		}
		local = isLoopback(u.Hostname())
	}

	// What the SDK has to say comes back as an error; its log would go to the terminal.
	load := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})}
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	if local {
		// The instance metadata service is no answer for a local server, only a wait.
		load = append(load, config.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("load the AWS configuration: %w", err)
	}
	if local {
		cfg.Region = cmp.Or(cfg.Region, localRegion)
		if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
			cfg.Credentials = credentials.NewStaticCredentialsProvider(localKey, localKey, "")
		}
	}
	if cfg.Region == "" {
		return nil, errors.New("no AWS region: give --region or set AWS_REGION (or --endpoint for a local server)")
	}
	return shardrun.NewClient(cfg, func(o *kinesis.Options) {
		if endpoint != "" { // set here it wins over the environment
			o.BaseEndpoint = aws.String(endpoint)
		}
	}), nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
