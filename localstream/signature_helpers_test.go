package localstream

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	accessKey    = "AKIDTEST"
	accessSecret = "a-secret-of-a-test-for-nobody"
)

// verifying is the configuration of a server that knows one key.
func verifying() Config {
	return Config{Auth: AuthSigV4, Keys: []Key{{ID: accessKey, Secret: accessSecret}}}
}

// signing is what a test signs with the SDK's own signer.
type signing struct {
	id, secret, token, region, service string
	at                                 time.Time
	target, body                       string
	header                             map[string]string // more of them
	path                               string
}

func newSigning() signing {
	return signing{id: accessKey, secret: accessSecret, region: "us-east-1", service: "kinesis", at: time.Now(), target: "ListStreams", body: "{}", path: "/"}
}

// request builds the request, not signed yet.
func (s signing) request(t testing.TB) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "http://localhost:4567"+s.path, strings.NewReader(s.body))
	r.Header.Set("Content-Type", contentJSON)
	r.Header.Set("X-Amz-Target", targetPrefix+s.target)
	r.Header.Set("User-Agent", "a test")
	r.Header.Set("Content-Length", strconv.Itoa(len(s.body))) // as net/http leaves it there
	for name, value := range s.header {
		r.Header.Set(name, value)
	}
	return r
}

func (s signing) payload() string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s.body))) }

// signed signs in the Authorization header.
func (s signing) signed(t testing.TB) *http.Request {
	t.Helper()
	r := s.request(t)
	creds := aws.Credentials{AccessKeyID: s.id, SecretAccessKey: s.secret, SessionToken: s.token}
	if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, s.payload(), s.service, s.region, s.at); err != nil {
		t.Fatal(err)
	}
	return r
}

// presigned signs in the query. X-Amz-Target is in the query then as well.
func (s signing) presigned(t testing.TB, expires string) *http.Request {
	t.Helper()
	r := s.request(t)
	if expires != "" {
		r.URL.RawQuery += "&X-Amz-Expires=" + expires
	}
	creds := aws.Credentials{AccessKeyID: s.id, SecretAccessKey: s.secret, SessionToken: s.token}
	to, header, err := v4.NewSigner().PresignHTTP(t.Context(), creds, r, s.payload(), s.service, s.region, s.at)
	if err != nil {
		t.Fatal(err)
	}
	p := s.request(t)
	p.URL, err = url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		if name != "Host" {
			p.Header[name] = values
		}
	}
	return p
}

// served sends a request to the handler as if it came from the network, and
// gives the status, and the type and message of the error.
func served(t testing.TB, s *Server, r *http.Request) (status int, kind, message string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.serveHTTP(w, r)
	var e map[string]any
	_ = json.Unmarshal(w.Body.Bytes(), &e) // an answer of XML has neither
	kind, _ = e["__type"].(string)
	message, _ = e["message"].(string)
	return w.Code, kind, message
}

// byHand signs a request, as it is, over some of its headers: what the SDK's
// signer would not do.
func byHand(t *testing.T, r *http.Request, at time.Time, payload string, headers ...string) *http.Request {
	t.Helper()
	sig := &signature{headers: headers}
	date := at.UTC().Format(signatureTime)
	scope := date[:8] + "/us-east-1/kinesis/aws4_request"
	key := []byte("AWS4" + accessSecret)
	canonical := sha256.Sum256(sig.canonicalRequest(r, payload))
	for _, part := range []string{date[:8], "us-east-1", "kinesis", "aws4_request", fmt.Sprintf("%s\n%s\n%s\n%x", signatureAlgorithm, date, scope, canonical)} {
		key = hmacSHA256(key, part)
	}
	r.Header.Set("Authorization", fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%x", signatureAlgorithm, accessKey, scope, strings.Join(headers, ";"), key))
	return r
}
