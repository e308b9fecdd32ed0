package localstream

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Signature Version 4, from the side of who verifies.

const (
	signatureAlgorithm = "AWS4-HMAC-SHA256"
	signatureService   = "kinesis"
	signatureEnd       = "aws4_request"
	signatureTime      = "20060102T150405Z"
	signatureDate      = "20060102"
	// signatureLife is how far the time of a signature may be from ours.
	signatureLife = 5 * time.Minute
	// maxExpires is the greatest X-Amz-Expires of a query.
	maxExpires = 7 * 24 * time.Hour
)

// signature is what a request says of its signature.
type signature struct {
	keyID, date, region string
	headers             []string // that are signed; in lower case, sorted
	value               string   // 64 hexadecimal digits, if it is one
	at                  time.Time
	life                time.Duration // how long it is good for
	inQuery             bool
}

func incomplete(format string, args ...any) *apiError {
	return clientError("IncompleteSignatureException", format, args...)
}

func invalidSignature(format string, args ...any) *apiError {
	return clientError("InvalidSignatureException", format, args...)
}

// mismatch is the error for a signature that is not that of the request. AWS
// adds what it would have signed; we keep that to ourselves.
func mismatch() *apiError {
	return invalidSignature("The request signature we calculated does not match the signature you provided. " +
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
}

// parseSignature reads the signature of a request that has all the parts of
// one.
func parseSignature(r *http.Request) (*signature, error) {
	header, query := r.Header["Authorization"], url.Values(nil)
	if r.URL.RawQuery != "" {
		var err error
		if query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
			return nil, incomplete("The query string cannot be parsed.")
		}
	}
	sig := &signature{life: signatureLife}
	var algorithm, credential, headers, at string
	if len(header) > 0 {
		params, ok := strictAuthParams(header)
		if !ok {
			return nil, incomplete("The Authorization header must be an algorithm and Credential, SignedHeaders and Signature, each once.")
		}
		algorithm, credential, headers, sig.value = params[""], params["Credential"], params["SignedHeaders"], params["Signature"]
		at = r.Header.Get("X-Amz-Date")
		if at == "" {
			at = r.Header.Get("Date")
		}
	} else {
		for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Date", "X-Amz-Expires"} {
			if len(query[name]) > 1 {
				return nil, incomplete("AWS query-string parameters must include '%s' once.", name)
			}
		}
		sig.inQuery = true
		algorithm, credential, headers, sig.value = query.Get("X-Amz-Algorithm"), query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders"), query.Get("X-Amz-Signature")
		at = query.Get("X-Amz-Date")
		if v := query.Get("X-Amz-Expires"); v != "" {
			life, err := time.ParseDuration(v + "s")
			if err != nil || strings.Trim(v, "0123456789") != "" || life <= 0 || life > maxExpires {
				return nil, incomplete("X-Amz-Expires must be a number of seconds from 1 to 604800.")
			}
			sig.life = life
		}
	}
	if algorithm != signatureAlgorithm {
		return nil, incomplete("Unsupported AWS 'algorithm': %s.", quoted(algorithm))
	}
	var err error
	if sig.at, err = parseSignatureTime(at); err != nil {
		return nil, incomplete("Date must be in ISO-8601 'basic format'. Got %s. See http://en.wikipedia.org/wiki/ISO_8601", quoted(at))
	}
	if err := sig.scope(credential); err != nil {
		return nil, err
	}
	sig.headers = strings.Split(headers, ";")
	for i, name := range sig.headers {
		if name == "" || name != strings.ToLower(name) || i > 0 && name <= sig.headers[i-1] {
			return nil, incomplete("SignedHeaders must be names in lower case, sorted, each once, with semicolons between them.")
		}
	}
	return sig, nil
}

// strictAuthParams is authParams without any tolerance: one header, and each
// parameter once. The algorithm has no name.
func strictAuthParams(header []string) (map[string]string, bool) {
	algorithm, rest, _ := strings.Cut(header[0], " ")
	params := map[string]string{"": algorithm}
	for part := range strings.FieldsFuncSeq(rest, func(r rune) bool { return r == ',' || r == ' ' }) {
		name, value, ok := strings.Cut(part, "=")
		if !ok || name == "" || params[name] != "" {
			return nil, false
		}
		params[name] = value
	}
	return params, len(header) == 1 && len(params) == 4
}

// parseSignatureTime reads the form of X-Amz-Date, and that of the Date of HTTP,
// which a request may have in its place.
func parseSignatureTime(s string) (time.Time, error) {
	at, err := time.Parse(signatureTime, s)
	if err != nil {
		return time.Parse(http.TimeFormat, s)
	}
	return at, nil
}

// scope reads and checks the credential.
func (sig *signature) scope(credential string) error {
	parts := strings.Split(credential, "/")
	if len(parts) != 5 {
		return incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got %s", quoted(credential))
	}
	sig.keyID, sig.date, sig.region = parts[0], parts[1], parts[2]
	switch at := sig.at.Format(signatureTime); {
	case sig.date != at[:len(signatureDate)]:
		return invalidSignature("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: %s != '%s', from '%s'.",
			quoted(sig.date), at[:len(signatureDate)], at)
	case !isRegion(sig.region):
		return invalidSignature("Credential should be scoped to a valid region, not %s.", quoted(sig.region))
	case parts[3] != signatureService:
		return invalidSignature("Credential should be scoped to correct service: '%s'.", signatureService)
	case parts[4] != signatureEnd:
		return invalidSignature("Credential should be scoped with a valid terminator: '%s', not %s.", signatureEnd, quoted(parts[4]))
	}
	return nil
}

// current checks that the time of the signature is about now.
func (sig *signature) current(now time.Time) error {
	now = now.UTC()
	at := sig.at.Format(signatureTime)
	if earliest := now.Add(-sig.life); sig.at.Before(earliest.Truncate(time.Second)) {
		return invalidSignature("Signature expired: %s is now earlier than %s (%s - %s)", at, earliest.Format(signatureTime), now.Format(signatureTime), minutes(sig.life))
	}
	if latest := now.Add(signatureLife); sig.at.After(latest) {
		return invalidSignature("Signature not yet current: %s is still later than %s (%s + %s)", at, latest.Format(signatureTime), now.Format(signatureTime), minutes(signatureLife))
	}
	return nil
}

// minutes is how AWS writes the life of a signature.
func minutes(d time.Duration) string {
	if d == signatureLife {
		return "5 min."
	}
	return d.String()
}

// covers checks that what matters is signed: the host, and every header whose
// name begins with x-amz-. Such a header may also be equal to a parameter of the
// query, all of which is signed. Content-Type need not be signed: the AWS SDK for
// JavaScript 2 never does it, and AWS takes its requests. It says how to read a
// body that is signed, and nothing reads well in both encodings.
func (sig *signature) covers(r *http.Request) error {
	if !slices.Contains(sig.headers, "host") {
		return invalidSignature("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	var query url.Values
	if sig.inQuery {
		query = r.URL.Query()
	}
	for name, values := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !slices.Contains(sig.headers, lower) {
			if !slices.Equal(values, query[name]) {
				return invalidSignature("'%s' must be a 'SignedHeader' in the AWS Authorization.", lower)
			}
		}
	}
	return nil
}

// verify checks that the signature is that of the request with this body, made
// with this secret.
func (sig *signature) verify(r *http.Request, body []byte, secret Secret) error {
	sum := sha256.Sum256(body)
	payload := fmt.Sprintf("%x", sum)
	claims := r.Header.Values("X-Amz-Content-Sha256")
	if sig.inQuery {
		claims = append(claims, r.URL.Query()["X-Amz-Content-Sha256"]...)
	}
	for _, claimed := range claims {
		if claimed != payload {
			return invalidSignature("The value of X-Amz-Content-Sha256 is not the SHA-256 of the body.")
		}
	}
	canonical := sha256.Sum256(sig.canonicalRequest(r, payload))
	scope := sig.date + "/" + sig.region + "/" + signatureService + "/" + signatureEnd
	toSign := signatureAlgorithm + "\n" + sig.at.Format(signatureTime) + "\n" + scope + "\n" + fmt.Sprintf("%x", canonical)
	key := []byte("AWS4" + string(secret))
	for _, part := range []string{sig.date, sig.region, signatureService, signatureEnd, toSign} {
		key = hmacSHA256(key, part)
	}
	if !hmac.Equal(fmt.Appendf(nil, "%x", key), []byte(sig.value)) {
		return mismatch()
	}
	return nil
}

func hmacSHA256(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// canonicalRequest is the text of a request whose hash is signed.
func (sig *signature) canonicalRequest(r *http.Request, payload string) []byte {
	b := make([]byte, 0, 1024)
	b = append(append(b, r.Method...), '\n')
	b = append(append(b, canonicalPath(r.URL)...), '\n')
	b = append(append(b, sig.canonicalQuery(r.URL)...), '\n')
	for _, name := range sig.headers {
		b = append(append(b, name...), ':')
		values := r.Header[http.CanonicalHeaderKey(name)]
		if name == "host" {
			values = []string{r.Host}
		}
		for i, v := range values {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendFolded(b, v)
		}
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(append(b, strings.Join(sig.headers, ";")...), '\n')
	return append(b, payload...)
}

// canonicalPath is the path as it was sent, escaped once more.
func canonicalPath(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		return "/"
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = awsEscape(s)
	}
	return strings.Join(segments, "/")
}

// canonicalQuery is the query, but for the signature, sorted.
func (sig *signature) canonicalQuery(u *url.URL) string {
	if u.RawQuery == "" {
		return ""
	}
	query := u.Query()
	if sig.inQuery {
		delete(query, "X-Amz-Signature")
	}
	for _, values := range query {
		slices.Sort(values)
	}
	return strings.ReplaceAll(query.Encode(), "+", "%20")
}

// awsEscape escapes everything but letters, digits and -_.~ in a text.
func awsEscape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// appendFolded appends a value of a header with one space in place of several,
// and none around it.
func appendFolded(b []byte, v string) []byte {
	first := true
	for word := range strings.FieldsFuncSeq(v, func(r rune) bool { return r == ' ' }) {
		if !first {
			b = append(b, ' ')
		}
		first = false
		b = append(b, word...)
	}
	return b
}
