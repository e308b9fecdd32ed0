package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/smithy-go"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Who talks to the wrong server, or wrongly to the right one, is told what to
// do, and nothing of how the SDK works.
func TestErrorsSayWhatHelps(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	address := func(first string) string {
		_, address, _ := strings.Cut(strings.TrimSpace(first), "://")
		return address
	}
	first, _ := serving(t, "--durability", "memory", "--tls", "--ca-out", ca)
	secure := address(first)
	first, _ = serving(t, "--durability", "memory")
	plainly := address(first)
	first, _ = serving(t, "--durability", "memory", "--auth", "sigv4", "--keys-file", write(t, "keys", keysText, 0o600))
	locked := address(first)
	as(t, "", "", "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	ok(t, "", "streams", "create", "there", "--endpoint", "http://"+plainly)
	for _, c := range []struct {
		want string
		args []string
	}{
		{"AWS_CA_BUNDLE to the file of its --ca-out", []string{"streams", "--endpoint", "https://" + secure}},
		{"no AWS credentials: set AWS_ACCESS_KEY_ID", []string{"streams", "--region", "us-east-1", "--endpoint", "http://kinesis.invalid"}},
		{"does this server speak TLS? Then use https://", []string{"streams", "--endpoint", "http://" + secure}},
		{"use http://", []string{"streams", "--endpoint", "https://" + plainly}},
		{"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", []string{"streams", "--endpoint", "http://" + locked}},
		{"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", []string{"put", "s", "x", "--endpoint", "http://" + locked}},
		{"create stream there: ResourceInUseException: Stream there under account", []string{"streams", "create", "there", "--endpoint", "http://" + plainly}},
		{"merge a and b of there: ", []string{"merge", "there", "a", "b", "--endpoint", "http://" + plainly}},
		{"shardrun streams lists", []string{"streams", "delete", "gone", "--yes", "--endpoint", "http://" + plainly}},
	} {
		_, errOut, code := cli(t, "", c.args...)
		if code != exitFail || !strings.Contains(errOut, c.want) {
			t.Errorf("%v: exit %d, want %q: %s", c.args, code, c.want, errOut)
		}
		for _, inner := range []string{"operation error", "RequestID", "StatusCode"} {
			if strings.Contains(errOut, inner) {
				t.Errorf("%v: %q in: %s", c.args, inner, errOut)
			}
		}
	}
	if help := ok(t, "", "--help"); !strings.Contains(help, "--auth sigv4") {
		t.Errorf("the help keeps silent about servers that want keys: %s", help)
	}
}

// An error in a log for people is explained where it is logged, in whatever way
// it got there, and nothing else is changed.
func TestALogExplainsErrors(t *testing.T) {
	failed := &smithy.OperationError{ServiceID: "Kinesis", OperationName: "ListShards", Err: syscall.ECONNREFUSED}
	var out bytes.Buffer
	log := explainIn(newLogger(zapcore.AddSync(&out), zapcore.WarnLevel))
	log.Info("not of its level", zap.Error(failed))
	log.With(zap.NamedError("earlier", failed)).Warn("read failed", zap.Int("attempt", 3), zap.Error(fmt.Errorf("shard 1: %w", failed)))
	said := out.String()
	const refused = "connection refused (nothing answers at that address"
	if strings.Count(said, "\n") != 1 || !strings.Contains(said, `"earlier": "`+refused) || !strings.Contains(said, `"error": "shard 1: `+refused) ||
		!strings.Contains(said, `"attempt": 3`) || strings.Contains(said, "operation error") {
		t.Errorf("logged %s", said)
	}
}
