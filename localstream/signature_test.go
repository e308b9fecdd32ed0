package localstream

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/localstream/internal/wire"
)

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
