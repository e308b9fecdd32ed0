package awsclient

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/smithy-go/logging"
)

// clean takes the machine's own AWS settings out of the environment.
func clean(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION",
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
	} {
		t.Setenv(name, "")
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
}

func TestLocalEndpointNeedsNothing(t *testing.T) {
	for _, endpoint := range []string{"http://127.0.0.1:4567", "http://localhost:1", "https://[::1]:4567"} {
		clean(t)
		client, err := New(t.Context(), Options{Endpoint: endpoint})
		if err != nil {
			t.Fatal(err)
		}
		o := client.Options()
		if _, mute := o.Logger.(logging.Nop); !mute {
			t.Errorf("the SDK logs to %T", o.Logger)
		}
		if o.Region != "us-east-1" || *o.BaseEndpoint != endpoint {
			t.Errorf("region %q, endpoint %q", o.Region, *o.BaseEndpoint)
		}
		c, err := o.Credentials.Retrieve(t.Context())
		if err != nil || c.AccessKeyID != "local" {
			t.Errorf("credentials %q, %v", c.AccessKeyID, err)
		}
	}
}

func TestEnvironmentWins(t *testing.T) {
	clean(t)
	t.Setenv("AWS_ENDPOINT_URL", "http://localhost:1")
	t.Setenv("AWS_ENDPOINT_URL_KINESIS", "http://localhost:2")
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "123456789012")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	client, err := New(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := client.Options()
	c, err := o.Credentials.Retrieve(t.Context())
	if err != nil || c.AccessKeyID != "123456789012" || o.Region != "eu-west-1" || *o.BaseEndpoint != "http://localhost:2" {
		t.Errorf("credentials %q, region %q, endpoint %q, %v", c.AccessKeyID, o.Region, *o.BaseEndpoint, err)
	}
	if client, err = New(t.Context(), Options{Endpoint: "http://localhost:3", Region: "us-west-2"}); err != nil {
		t.Fatal(err)
	}
	if o = client.Options(); o.Region != "us-west-2" || *o.BaseEndpoint != "http://localhost:3" {
		t.Errorf("region %q, endpoint %q: the options did not win", o.Region, *o.BaseEndpoint)
	}
}

func TestBadOptionsAreNamed(t *testing.T) {
	clean(t)
	for _, test := range []struct {
		options Options
		want    string
	}{
		{Options{Endpoint: "localhost:4567"}, `endpoint "localhost:4567" is not a URL like http://127.0.0.1:4567`},
		{Options{Endpoint: "ftp://localhost"}, `endpoint "ftp://localhost" is not a URL`},
		{Options{}, "no AWS region"},
		{Options{Endpoint: "http://kinesis.example"}, "no AWS region"},
	} {
		if _, err := New(t.Context(), test.options); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want one with %q", test.options, err, test.want)
		}
	}
}
