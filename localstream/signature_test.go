package localstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/localstream/internal/wire"
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

// Whatever the SDK signs is accepted, whichever way it is signed and sent.
func TestRequestsThatTheSDKSignsAreAccepted(t *testing.T) {
	s := NewT(t, verifying())
	for name, r := range map[string]*http.Request{
		"in the header": newSigning().signed(t),
		"in the query":  newSigning().presigned(t, ""),
		"for a day":     newSigning().presigned(t, "86400"),
		"a path and a query": func() *http.Request {
			s := newSigning()
			s.path = "/a%20b/c%2Fd/é?z=1&a=%20x&a=b&empty"
			return s.signed(t)
		}(),
		"spaces in a header": func() *http.Request {
			s := newSigning()
			s.header = map[string]string{"X-Amz-Meta": "  a   b  c "}
			return s.signed(t)
		}(),
		"CBOR": func() *http.Request {
			s := newSigning()
			s.body, s.header = "\xa0", map[string]string{"Content-Type": wire.AsCBOR.ContentType()}
			return s.signed(t)
		}(),
		"without the content type, as the SDK for JavaScript 2 does it": func() *http.Request {
			s := newSigning()
			r := s.request(t)
			r.Header.Del("Content-Type")
			creds := aws.Credentials{AccessKeyID: s.id, SecretAccessKey: s.secret}
			if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, s.payload(), s.service, s.region, s.at); err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", contentJSON)
			return r
		}(),
		"several values": func() *http.Request {
			s := newSigning()
			r := s.request(t)
			r.Header["X-Amz-Meta"] = []string{"b", "a, c"}
			creds := aws.Credentials{AccessKeyID: s.id, SecretAccessKey: s.secret}
			if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, s.payload(), s.service, s.region, s.at); err != nil {
				t.Fatal(err)
			}
			return r
		}(),
		"the hash of the body in a header": func() *http.Request {
			s := newSigning()
			s.header = map[string]string{"X-Amz-Content-Sha256": s.payload()}
			return s.signed(t)
		}(),
		"four minutes ago": func() *http.Request { s := newSigning(); s.at = s.at.Add(-4 * time.Minute); return s.signed(t) }(),
		"in four minutes":  func() *http.Request { s := newSigning(); s.at = s.at.Add(4 * time.Minute); return s.signed(t) }(),
		"an hour ago, for two": func() *http.Request {
			s := newSigning()
			s.at = s.at.Add(-time.Hour)
			return s.presigned(t, "7200")
		}(),
		"another region": func() *http.Request { s := newSigning(); s.region = "eu-west-1"; return s.signed(t) }(),
	} {
		if status, kind, message := served(t, s, r); status != http.StatusOK {
			t.Errorf("%s: %d %s: %s", name, status, kind, message)
		}
	}
	_, client := socket(t, s, func(o *kinesis.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider(accessKey, accessSecret, "")
	})
	h := &harness{T: t, server: s, client: client}
	h.create("s", 2)
	h.put("k", strings.Repeat("x", 1<<20-1))
	h.put("k", "\x00\xff")
}

// Each part of a request that is signed is: no change of it is let through.
func TestEveryMutationOfASignedRequestIsRefused(t *testing.T) {
	s := NewT(t, verifying())
	base := newSigning()
	base.body = `{"Limit":10}`
	base.path = "/p?q=1"
	base.header = map[string]string{"X-Amz-Content-Sha256": base.payload(), "X-Amz-Meta": "m"}
	tried := 0
	try := func(name string, fresh func() *http.Request, change func(r *http.Request)) {
		t.Helper()
		r := fresh()
		change(r)
		tried++
		status, kind, message := served(t, s, r)
		accepted := []string{"InvalidSignatureException", "IncompleteSignatureException", "UnrecognizedClientException", "MissingAuthenticationTokenException"}
		if status != http.StatusBadRequest || !slices.Contains(accepted, kind) {
			t.Errorf("%s: %d %s: %s", name, status, kind, message)
		}
	}
	body := func(text string) func(r *http.Request) {
		return func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		}
	}
	// differing is a character of the same kind that is not c.
	differing := func(c byte) byte {
		switch {
		case c == '0':
			return '1'
		case c >= '1' && c <= '9':
			return c - 1
		case c == 'a':
			return 'b'
		}
		return 'a'
	}
	replaced := func(text string, i int) string { return text[:i] + string(differing(text[i])) + text[i+1:] }

	for kind, fresh := range map[string]func() *http.Request{
		"header": func() *http.Request { return base.signed(t) },
		"query":  func() *http.Request { return base.presigned(t, "60") },
	} {
		if status, code, message := served(t, s, fresh()); status != http.StatusOK {
			t.Fatalf("%s: the request itself: %d %s: %s", kind, status, code, message)
		}
		for i := range base.body {
			try(fmt.Sprintf("%s: byte %d of the body", kind, i), fresh, body(replaced(base.body, i)))
			try(fmt.Sprintf("%s: the body up to %d", kind, i), fresh, body(base.body[:i]))
		}
		try(kind+": a longer body", fresh, body(base.body+" "))
		try(kind+": no path", fresh, func(r *http.Request) { r.URL.Path = "/" })
		try(kind+": another path", fresh, func(r *http.Request) { r.URL.Path = "/P" })
		try(kind+": a longer path", fresh, func(r *http.Request) { r.URL.Path += "/" })
		try(kind+": an escaped path", fresh, func(r *http.Request) { r.URL.RawPath = "/%70" })
		try(kind+": another value in the query", fresh, func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "q=1", "q=2", 1) })
		try(kind+": one less in the query", fresh, func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "q=1", "", 1) })
		try(kind+": one more in the query", fresh, func(r *http.Request) { r.URL.RawQuery += "&x=y" })
		try(kind+": one twice in the query", fresh, func(r *http.Request) { r.URL.RawQuery += "&q=1" })
		try(kind+": a query that cannot be parsed", fresh, func(r *http.Request) { r.URL.RawQuery += "&a;b" })
		try(kind+": a bad escape in the query", fresh, func(r *http.Request) { r.URL.RawQuery += "&%zz" })
		try(kind+": another host", fresh, func(r *http.Request) { r.Host = "127.0.0.1:4567" })
		try(kind+": another port", fresh, func(r *http.Request) { r.Host = "localhost:4568" })
		try(kind+": another operation", fresh, func(r *http.Request) { r.Header.Set("X-Amz-Target", targetPrefix+"DescribeLimits") })
		try(kind+": another content type", fresh, func(r *http.Request) { r.Header.Set("Content-Type", contentJSON+";") })
		try(kind+": another hash of the body", fresh, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("0", 64)) })
		try(kind+": no hash of the body", fresh, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") })
		try(kind+": a header of AWS more", fresh, func(r *http.Request) { r.Header.Set("X-Amz-Acl", "x") })
		try(kind+": a header of AWS twice", fresh, func(r *http.Request) { r.Header.Add("X-Amz-Meta", "m") })
		try(kind+": a session token", fresh, func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "x") })
		try(kind+": two signatures", fresh, func(r *http.Request) {
			r.Header.Add("Authorization", auth)
			r.URL.RawQuery += "&X-Amz-Algorithm=x"
		})
	}
	inHeader := func() *http.Request { return base.signed(t) }
	for name := range inHeader().Header {
		if name != "User-Agent" && name != "X-Amz-Target" { // without a target it is no request of Kinesis at all
			try("without the header "+name, inHeader, func(r *http.Request) {
				if r.Header.Del(name); name == "Content-Type" {
					r.Header["Content-Type"] = []string{contentJSON + ";x"} // without one, neither
				}
			})
		}
	}
	authorization := inHeader().Header.Get("Authorization")
	for i, c := range []byte(authorization) {
		if c == ' ' || c == ',' || c == '=' || c == '/' || c == ';' || c == '-' {
			continue
		}
		changed := replaced(authorization, i)
		try("Authorization: "+changed, inHeader, func(r *http.Request) { r.Header.Set("Authorization", changed) })
	}
	date := inHeader().Header.Get("X-Amz-Date")
	for i := range date {
		try("the date, character "+fmt.Sprint(i), inHeader, func(r *http.Request) { r.Header.Set("X-Amz-Date", replaced(date, i)) })
	}
	for name, change := range map[string]func(string) string{
		"an empty part": func(a string) string { return strings.Replace(a, ", ", ", x=y, ", 1) },
		"a part twice":  func(a string) string { return a + ", Credential=" + accessKey + "/x" },
		"upper case":    func(a string) string { return a[:len(a)-64] + strings.ToUpper(a[len(a)-64:]) },
		"a header less": func(a string) string { return strings.Replace(a, "content-type;", "", 1) },
		"a header more": func(a string) string { return strings.Replace(a, "content-type;", "content-type;expect;", 1) },
		"another order": func(a string) string {
			return strings.Replace(a, "content-length;content-type", "content-type;content-length", 1)
		},
		"no host":           func(a string) string { return strings.Replace(a, "host;", "", 1) },
		"no target":         func(a string) string { return strings.Replace(a, ";x-amz-target", "", 1) },
		"a header twice":    func(a string) string { return strings.Replace(a, "host;", "host;host;", 1) },
		"a short signature": func(a string) string { return a[:len(a)-2] },
		"a long signature":  func(a string) string { return a + "00" },
		"other algorithm":   func(a string) string { return strings.Replace(a, "SHA256", "SHA512", 1) },
		"no algorithm":      func(a string) string { return strings.Replace(a, signatureAlgorithm, "", 1) },
		"nothing":           func(string) string { return "" },
	} {
		if changed := change(authorization); changed != authorization {
			try(name, inHeader, func(r *http.Request) { r.Header.Set("Authorization", changed) })
		} else {
			t.Errorf("%s: no mutation of %s", name, authorization)
		}
	}
	// The front door refuses other methods before it looks at a signature.
	other := inHeader()
	sig, err := parseSignature(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := sig.verify(other, []byte(base.body), accessSecret); err != nil {
		t.Error(err)
	}
	other.Method = http.MethodPut
	if sig.verify(other, []byte(base.body), accessSecret) == nil {
		t.Error("another method is let through")
	}
	inQuery := func() *http.Request { return base.presigned(t, "60") }
	for name, values := range inQuery().URL.Query() {
		try("query: without "+name, inQuery, func(r *http.Request) {
			q := r.URL.Query()
			q.Del(name)
			r.URL.RawQuery = q.Encode()
		})
		try("query: twice "+name, inQuery, func(r *http.Request) { r.URL.RawQuery += "&" + name + "=" + url.QueryEscape(values[0]) })
		try("query: another "+name, inQuery, func(r *http.Request) {
			q := r.URL.Query()
			q.Set(name, replaced(values[0], len(values[0])-1))
			r.URL.RawQuery = q.Encode()
		})
	}
	if t.Logf("%d mutations", tried); tried < 350 {
		t.Errorf("only %d mutations were tried", tried)
	}
}

// The errors are those of AWS, and keep the secret and the signature to
// themselves.
func TestErrorsOfSignatures(t *testing.T) {
	s := NewT(t, verifying())
	now := time.Now().UTC()
	const token = "The security token included in the request is invalid."
	for _, tt := range []struct {
		name          string
		change        func(s *signing)
		kind, message string // the beginning of it
	}{
		{"an unknown key", func(s *signing) { s.id = "AKIDOTHER" }, "UnrecognizedClientException", token},
		{"a session token", func(s *signing) { s.token = "x" }, "UnrecognizedClientException", token},
		{"another secret", func(s *signing) { s.secret += "x" }, "InvalidSignatureException", "The request signature we calculated does not match"},
		{"another service", func(s *signing) { s.service = "dynamodb" }, "InvalidSignatureException", "Credential should be scoped to correct service: 'kinesis'."},
		{"a region that is none", func(s *signing) { s.region = "Mars!" }, "InvalidSignatureException", "Credential should be scoped to a valid region, not 'Mars!'."},
		{"an old one", func(s *signing) { s.at = now.Add(-6 * time.Minute) }, "InvalidSignatureException", "Signature expired: " + now.Add(-6*time.Minute).Format(signatureTime) + " is now earlier than "},
		{"one of the future", func(s *signing) { s.at = now.Add(6 * time.Minute) }, "InvalidSignatureException", "Signature not yet current: " + now.Add(6*time.Minute).Format(signatureTime) + " is still later than "},
	} {
		sign := newSigning()
		tt.change(&sign)
		for form, r := range map[string]*http.Request{"header": sign.signed(t), "query": sign.presigned(t, "300")} {
			status, kind, message := served(t, s, r)
			if status != http.StatusBadRequest || kind != tt.kind || !strings.HasPrefix(message, tt.message) {
				t.Errorf("%s in the %s: %d %s: %s", tt.name, form, status, kind, message)
			}
			if strings.Contains(message, accessSecret) {
				t.Errorf("%s: the message has the secret: %s", tt.name, message)
			}
		}
	}
	r := newSigning().request(t)
	if _, kind, _ := served(t, s, r); kind != "MissingAuthenticationTokenException" {
		t.Errorf("no signature: %s", kind)
	}
	r = newSigning().request(t)
	r.Header.Set("Authorization", signatureAlgorithm+" Credential=canary")
	if _, kind, message := served(t, s, r); kind != "IncompleteSignatureException" || strings.Contains(message, "canary") {
		t.Errorf("half a signature: %s: %s", kind, message)
	}
	for expires, good := range map[string]bool{"1": true, "604800": true, "604801": false, "0": false, "-1": false, "1h": false, "99999999999999999999": false} {
		if status, kind, message := served(t, s, newSigning().presigned(t, expires)); (status == http.StatusOK) != good {
			t.Errorf("a query that expires after %s: %d %s: %s", expires, status, kind, message)
		}
	}
}

func TestSignaturesAreGoodForFiveMinutes(t *testing.T) {
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	sig := &signature{at: at, life: signatureLife}
	for offset, want := range map[time.Duration]string{
		0: "", 5 * time.Minute: "", -5 * time.Minute: "", 5*time.Minute + 999*time.Millisecond: "",
		5*time.Minute + time.Second:  "InvalidSignatureException: Signature expired: 20260101T120000Z is now earlier than 20260101T120001Z (20260101T120501Z - 5 min.)",
		-5*time.Minute - time.Second: "InvalidSignatureException: Signature not yet current: 20260101T120000Z is still later than 20260101T115959Z (20260101T115459Z + 5 min.)",
	} {
		got := ""
		if err := sig.current(at.Add(offset)); err != nil {
			got = err.Error()
		}
		equal(t, offset.String(), got, want)
	}
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

// The Date of HTTP does in place of X-Amz-Date, as AWS documents it.
func TestASignatureMayHaveTheDateOfHTTP(t *testing.T) {
	s := NewT(t, verifying())
	sign := newSigning()
	sign.header = map[string]string{"Date": sign.at.UTC().Format(http.TimeFormat)}
	r := byHand(t, sign.request(t), sign.at, sign.payload(), "date", "host", "x-amz-target")
	if status, kind, message := served(t, s, r); status != http.StatusOK {
		t.Errorf("%d %s: %s", status, kind, message)
	}
}

// A signature that is right, but leaves out what matters, is refused.
func TestASignatureHasToCoverWhatMatters(t *testing.T) {
	s := NewT(t, verifying())
	sign := newSigning()
	date := sign.at.UTC().Format(signatureTime)
	for name, tt := range map[string]struct {
		header  map[string]string
		payload string
		headers []string
		want    string // the beginning of the message; "" for none
	}{
		"all of it":              {nil, sign.payload(), []string{"host", "x-amz-date", "x-amz-target"}, ""},
		"not the host":           {nil, sign.payload(), []string{"x-amz-date", "x-amz-target"}, "'Host' or ':authority' must be a 'SignedHeader'"},
		"not the operation":      {nil, sign.payload(), []string{"host", "x-amz-date"}, "'x-amz-target' must be a 'SignedHeader'"},
		"not the date":           {nil, sign.payload(), []string{"host", "x-amz-target"}, "'x-amz-date' must be a 'SignedHeader'"},
		"not another of AWS":     {map[string]string{"X-Amz-Meta": "x"}, sign.payload(), []string{"host", "x-amz-date", "x-amz-target"}, "'x-amz-meta' must be a 'SignedHeader'"},
		"not the body":           {map[string]string{"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}, "UNSIGNED-PAYLOAD", []string{"host", "x-amz-content-sha256", "x-amz-date", "x-amz-target"}, "The value of X-Amz-Content-Sha256"},
		"not the body, silently": {nil, "UNSIGNED-PAYLOAD", []string{"host", "x-amz-date", "x-amz-target"}, "The request signature we calculated does not match"},
		"another hash, signed":   {map[string]string{"X-Amz-Content-Sha256": strings.Repeat("0", 64)}, sign.payload(), []string{"host", "x-amz-content-sha256", "x-amz-date", "x-amz-target"}, "The value of X-Amz-Content-Sha256"},
		"in another order":       {nil, sign.payload(), []string{"x-amz-date", "host", "x-amz-target"}, "SignedHeaders must be names in lower case, sorted"},
		"in upper case":          {nil, sign.payload(), []string{"HOST", "x-amz-date", "x-amz-target"}, "SignedHeaders must be names in lower case"},
		"twice":                  {nil, sign.payload(), []string{"host", "host", "x-amz-date", "x-amz-target"}, "SignedHeaders must be names in lower case"},
	} {
		sign.header = map[string]string{"X-Amz-Date": date}
		maps.Copy(sign.header, tt.header)
		status, kind, message := served(t, s, byHand(t, sign.request(t), sign.at, tt.payload, tt.headers...))
		if (status == http.StatusOK) != (tt.want == "") || !strings.HasPrefix(message, tt.want) {
			t.Errorf("%s: %d %s: %s", name, status, kind, message)
		}
	}
}

// A stranger cannot make the server read, or decode, a large body.
func TestALargeBodyNeedsAKnownKey(t *testing.T) {
	s := NewT(t, verifying())
	sign := newSigning()
	sign.id, sign.target, sign.body = "AKIDOTHER", "PutRecords", strings.Repeat(" ", 1<<20)
	r := sign.signed(t)
	read := &counter{Reader: strings.NewReader(sign.body)}
	r.Body, r.ContentLength = io.NopCloser(read), -1
	if _, kind, _ := served(t, s, r); kind != "UnrecognizedClientException" {
		t.Errorf("got %s", kind)
	}
	if read.bytes > unsignedBodyBytes+readBytes {
		t.Errorf("%d bytes were read", read.bytes)
	}
	sign = newSigning()
	sign.secret, sign.body = "another secret of nobody", "{not JSON"
	if _, kind, _ := served(t, s, sign.signed(t)); kind != "InvalidSignatureException" {
		t.Errorf("a stranger's body was decoded: %s", kind)
	}
}

// counter counts what was read.
type counter struct {
	io.Reader
	bytes int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.bytes += n
	return n, err
}

// Clients in this process need no key.
func TestClientsInProcessNeedNoKey(t *testing.T) {
	h := start(t, 1, verifying())
	h.put("k", "v")
	other := h.server.Client(func(o *kinesis.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider("111122223333", "x", "")
	})
	out, err := other.ListStreams(t.Context(), &kinesis.ListStreamsInput{})
	h.must(err)
	equal(t, "streams of another account", len(out.StreamNames), 0)
	// Nothing in a request can pretend to be in this process.
	r := newSigning().request(t)
	r.RemoteAddr = "in-process"
	r.Header.Set("Authorization", auth)
	r.Header.Set("X-Amz-Date", time.Now().UTC().Format(signatureTime))
	if status, kind, _ := served(t, h.server, r); status == http.StatusOK {
		t.Errorf("%d %s", status, kind)
	}
}

// Nobody without the secret is let in, and nothing that is sent does harm.
func FuzzSignature(f *testing.F) {
	s, err := Open(Config{Durability: Memory, Auth: AuthSigV4, Keys: []Key{{ID: accessKey, Secret: accessSecret}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	now := time.Now().UTC().Format(signatureTime)
	scope := accessKey + "/" + now[:8] + "/us-east-1/kinesis/aws4_request"
	zero := strings.Repeat("0", 64)
	f.Add(signatureAlgorithm+" Credential="+scope+", SignedHeaders=host;x-amz-date;x-amz-target, Signature="+zero, now, "", []byte("{}"))
	f.Add("", "", "X-Amz-Algorithm="+signatureAlgorithm+"&X-Amz-Credential="+scope+"&X-Amz-Date="+now+"&X-Amz-SignedHeaders=host;x-amz-target&X-Amz-Signature="+zero+"&X-Amz-Expires=60", []byte("{}"))
	f.Add("AWS4-HMAC-SHA256 Credential=/////,SignedHeaders=;;,Signature==", "x", "%zz;", []byte(nil))
	f.Fuzz(func(t *testing.T, authorization, date, query string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/", bytes.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", contentJSON)
		r.Header.Set("X-Amz-Target", listStreams)
		r.Header.Set("Authorization", authorization)
		r.Header.Set("X-Amz-Date", date)
		if status, kind, message := served(t, s, r); status < 400 {
			t.Errorf("%d %s: %s", status, kind, message)
		}
	})
}
