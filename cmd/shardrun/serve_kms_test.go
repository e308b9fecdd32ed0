package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

// The keys of --kms-key are those that there are, each in its state.
func TestServeWithKMSKeys(t *testing.T) {
	first, _ := serving(t, "--durability", "memory", "--kms-key", "alias/orders", "--kms-key", "alias/old=disabled")
	url := strings.TrimPrefix(strings.TrimSpace(first), "listening on ")
	ok(t, "", "streams", "create", "s", "--endpoint", url)
	client := kinesis.New(kinesis.Options{
		Region: "us-east-1", BaseEndpoint: &url, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	for key, want := range map[string]string{"alias/orders": "", "alias/old": "KMSDisabledException", "alias/other": "KMSNotFoundException"} {
		_, err := client.StartStreamEncryption(t.Context(), &kinesis.StartStreamEncryptionInput{
			StreamName: aws.String("s"), EncryptionType: types.EncryptionTypeKms, KeyId: &key})
		code := ""
		if api, ok := errors.AsType[smithy.APIError](err); ok {
			code = api.ErrorCode()
		}
		if code != want {
			t.Errorf("%s: %v, want %q", key, err, want)
		}
	}
}

func TestServeRefusesBadKMSKeys(t *testing.T) {
	for want, args := range map[string][]string{
		`--kms-key: key "orders": want the UUID of a key, alias/NAME, or the ARN of either`: {"--kms-key", "orders"},
		`--kms-key: key "": want`:                                {"--kms-key", "=disabled"},
		`--kms-key: key "alias/a": state "off": want enabled, d`: {"--kms-key", "alias/a=off"},
		`--kms-key: key "alias/a": state "": want`:               {"--kms-key", "alias/a="},
		`--kms-key: key "alias/a" is there twice`:                {"--kms-key", "alias/a", "--kms-key", "alias/a=disabled"},
	} {
		_, errOut, code := cli(t, "", append([]string{"serve", "--listen", "127.0.0.1:0", "--durability", "memory"}, args...)...)
		if code != exitUsage || !strings.Contains(errOut, want) {
			t.Errorf("%v: exit %d, want 2 and %q: %s", args, code, want, errOut)
		}
	}
}
