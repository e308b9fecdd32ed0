package awserr

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
)

func TestMissingSettingsAreNamed(t *testing.T) {
	call := func(text string) error {
		return fmt.Errorf("list shards: %w", &smithy.OperationError{ServiceID: "Kinesis", OperationName: "ListShards", Err: errors.New(text)})
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{call("get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found"), "no AWS credentials: set AWS_ACCESS_KEY_ID"},
		{call("failed to resolve service endpoint, endpoint rule error, Invalid Configuration: Missing Region"), "no AWS region: set AWS_REGION"},
		{&aws.MissingRegionError{}, "no AWS region"},
		{call("failed to resolve service endpoint, endpoint rule error, FIPS is enabled but"), ""},
		{call("https response error StatusCode: 500"), ""},
		{nil, ""},
	} {
		if got := Missing(c.err); (got == "") != (c.want == "") || !strings.HasPrefix(got, c.want) {
			t.Errorf("%v: missing %q, want %q", c.err, got, c.want)
		}
		switch named := Named(c.err); {
		case c.want == "" && named != c.err: //nolint:errorlint // the very same
			t.Errorf("%v was changed to %v", c.err, named)
		case c.want != "" && (!strings.HasPrefix(named.Error(), c.want) || !errors.Is(named, c.err) || Classify(named) != Classify(c.err)):
			t.Errorf("%v was named %v", c.err, named)
		}
	}
}
