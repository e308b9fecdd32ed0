package localstream

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

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
