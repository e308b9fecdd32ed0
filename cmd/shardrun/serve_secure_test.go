package main

import (
	"bytes"
	"cmp"
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	keyID     = "AKIDTEST"
	keySecret = "a-secret-of-a-test-for-nobody"
	keysText  = `{"keys": [{"id": "` + keyID + `", "secret": "` + keySecret + `"}]}`
)

// write writes a file and gives its path.
func write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// as makes the environment that of a client with a key, which trusts a CA.
func as(t *testing.T, id, secret, ca string) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": "", "AWS_CA_BUNDLE": ca,
		"AWS_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1", "AWS_PROFILE": "", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
}

// Clients with a key of the file, that trust the CA, do everything over TLS;
// others do nothing.
func TestServeWithTLSAndKeys(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	first, _ := serving(t, "--durability", "memory", "--json", "--tls", "--ca-out", ca, "--auth", "sigv4", "--keys-file", write(t, "keys", keysText, 0o600))
	ready := jsonLines[struct{ Listening, Auth, CA string }](t, first)[0]
	if !strings.HasPrefix(ready.Listening, "https://127.0.0.1:") || ready.Auth != "sigv4" || ready.CA != ca {
		t.Errorf("ready: %s", first)
	}
	at := []string{"--endpoint", ready.Listening}
	as(t, keyID, keySecret, ca)
	ok(t, "", append([]string{"streams", "create", "s"}, at...)...)
	ok(t, "", append([]string{"put", "s", "x", "--key", "k"}, at...)...)
	if out := ok(t, "", append([]string{"tail", "s", "--from", "trim", "--no-follow"}, at...)...); !strings.Contains(out, "x") {
		t.Errorf("tail printed %q", out)
	}
	as(t, keyID, keySecret+"x", ca)
	if _, errOut, code := cli(t, "", append([]string{"streams"}, at...)...); code != exitFail || !strings.Contains(errOut, "InvalidSignatureException") {
		t.Errorf("a wrong secret: exit %d: %s", code, errOut)
	}
	as(t, keyID, keySecret, "")
	if _, errOut, code := cli(t, "", append([]string{"streams"}, at...)...); code != exitFail || !strings.Contains(errOut, "certificate") {
		t.Errorf("without the CA: exit %d: %s", code, errOut)
	}
}

// The keys may be in the environment, and the certificate the user's own.
func TestServeWithKeysOfTheEnvironmentAndACertificate(t *testing.T) {
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	first, stop := serving(t, "--data-dir", dir, "--tls", "--ca-out", ca)
	if !strings.HasPrefix(first, "listening on https://") {
		t.Errorf("first line %q", first)
	}
	stop()
	t.Setenv(keysVariable, keysText)
	both := filepath.Join(dir, "tls-ca.pem") // a certificate and its key
	first, _ = serving(t, "--durability", "memory", "--json", "--auth", "sigv4", "--tls", "--cert", both, "--key", both)
	if !strings.Contains(first, `"https://127.0.0.1:`) {
		t.Errorf("first line %q", first)
	}
}

func TestServeRefusesBadFlagsOfSecurity(t *testing.T) {
	keys, readable := write(t, "keys", keysText, 0o600), write(t, "keys", keysText, 0o644)
	for want, args := range map[string][]string{
		"want off or sigv4":            {"--auth", "on"},
		"--keys-file or $SHARDRUN_KEY": {"--auth", "sigv4"},
		"without --auth sigv4":         {"--keys-file", keys},
		"chmod 600":                    {"--auth", "sigv4", "--keys-file", readable},
		"no such file":                 {"--auth", "sigv4", "--keys-file", keys + "x"},
		"for --tls, which is missing":  {"--cert", keys, "--key", keys},
		"for --tls, which":             {"--ca-out", "x"},
		"--cert and --key: want both":  {"--tls", "--cert", keys},
		"--key: want both":             {"--tls", "--key", keys},
		"--cert and --key: tls":        {"--tls", "--cert", keys, "--key", keys},
		"want no --cert with it":       {"--tls", "--cert", keys, "--key", keys, "--ca-out", "x"},
		"--ca-out: open":               {"--tls", "--ca-out", filepath.Join(keys, "x")},
		"Redis does not authenticate":  {"--redis-listen", "0.0.0.0:0", "--auth", "sigv4", "--keys-file", keys},
	} {
		args = append([]string{"serve", "--listen", "127.0.0.1:0", "--durability", "memory"}, args...)
		_, errOut, code := cli(t, "", args...)
		if code != exitUsage || !strings.Contains(errOut, want) {
			t.Errorf("%v: exit %d, want 2 and %q: %s", args, code, want, errOut)
		}
		if strings.Contains(errOut, keySecret) {
			t.Errorf("%v: the error has the secret: %s", args, errOut)
		}
	}
}

// An address that others can reach needs authentication, or a clear word; both
// come with a warning, unless nobody can read along.
func TestServeWarnsOfOthers(t *testing.T) {
	keys := write(t, "keys", keysText, 0o600)
	for _, tt := range []struct {
		args []string
		code int
		want string // on standard error; "" for nothing at all
	}{
		{nil, exitUsage, "clients are not authenticated"},
		{[]string{"--tls"}, exitUsage, "clients are not authenticated"},
		{[]string{"--insecure-no-auth"}, exitOK, "whoever reaches this address may read, write and delete"},
		{[]string{"--auth", "sigv4", "--keys-file", keys}, exitOK, "may read along"},
		{[]string{"--auth", "sigv4", "--keys-file", keys, "--tls"}, exitOK, ""},
	} {
		for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
			ctx, cancel := context.WithCancel(t.Context())
			var errOut bytes.Buffer
			args := append([]string{"serve", "--listen", listen, "--durability", "memory"}, tt.args...)
			code := run(ctx, args, nil, untilWritten{cancel}, &errOut)
			cancel()
			if code != tt.code || !strings.Contains(errOut.String(), tt.want) || tt.want == "" && errOut.Len() > 0 || code == exitOK && strings.Count(errOut.String(), "\n") > 1 {
				t.Errorf("%v: exit %d, want %d and %q, once: %s", args, code, tt.code, tt.want, errOut.String())
			}
			if host, _, _ := net.SplitHostPort(listen); code == exitOK && tt.want != "" && !strings.Contains(errOut.String(), net.JoinHostPort(cmp.Or(host, "::"), "")) {
				t.Errorf("%v: the log has another address: %s", args, errOut.String())
			}
		}
	}
}

// untilWritten ends the server once it has said that it is ready.
type untilWritten struct{ cancel context.CancelFunc }

func (w untilWritten) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("durability")) {
		w.cancel()
	}
	return len(p), nil
}

// The log says until which day a new CA is good, not until which hour of some day.
func TestServeLogsTheDayOnWhichItsCAEnds(t *testing.T) {
	_, errOut := servedOnce(t, "--durability", "memory", "--tls", "--log-level", "info")
	if !regexp.MustCompile(`new certificate authority.*"until": "20\d\d-[01]\d-[0-3]\d"`).MatchString(errOut) {
		t.Errorf("logged %s", errOut)
	}
}
